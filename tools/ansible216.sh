#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Make .venv216: ansible-core 2.16, the last that serves hosts whose only Python is 3.6. Prints where its
# ansible-playbook is; exits 1 and says why where it cannot be made here.
set -eu
cd "$(dirname "$0")/.."

# 2.16 runs on 3.10 to 3.12, the collection's controller side on 3.11 and later.
python="$(tools/find_python.sh '3.12 3.11')" || {
    echo "ansible-core 2.16 needs Python 3.11 or 3.12 on the controller, and neither is on this machine." >&2
    exit 1
}
if ! cmp -s tools/ansible216.txt .venv216/.ansible216.txt; then
    rm -rf .venv216
    "$python" -m venv .venv216
    .venv216/bin/python -m pip install --quiet --disable-pip-version-check --requirement tools/ansible216.txt >&2
    cp tools/ansible216.txt .venv216/.ansible216.txt
fi
echo "$PWD/.venv216/bin/ansible-playbook"
