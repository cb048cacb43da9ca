#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Make .venv, the project's Python environment, from requirements.lock. Quick and silent about what is already there.
# PYTHON names another interpreter than the newest one of this machine.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.requirements.lock
if cmp -s requirements.lock "$stamp" && .venv/bin/python -c 'import ansible' 2>/dev/null; then
    exit 0
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python="${PYTHON:-$(tools/find_python.sh)}"
    echo "Creating .venv with $("$python" --version) ($python)."
    rm -rf .venv
    "$python" -m venv .venv
fi

if [ ! -x .venv/bin/uv ]; then
    echo "Installing uv, which installs the rest much faster than pip."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
fi

# uv does not read pip's settings: a site's own package mirror is handed over.
index="${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}}"
[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"

echo "Installing $(grep -c '^[a-z0-9]' requirements.lock) locked Python packages, about 700 MB on disk."
.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
# Where the environment keeps Python from writing what it compiles (PYTHONDONTWRITEBYTECODE), every start of Ansible
# would compile its libraries again, for half a second. What cannot be compiled is nothing that is imported.
.venv/bin/python -m compileall -q -j 0 -x 'ansible_collections|/tests/' .venv/lib/python3.*/site-packages || true
cp requirements.lock "$stamp"
echo "The environment is ready: .venv ($(.venv/bin/python --version), $(.venv/bin/ansible --version | sed -n 1p))."
