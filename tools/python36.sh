#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Hold what travels to hosts on Python 3.6: all of it compiles, and the unit tests of module_utils pass.
set -eu
cd "$(dirname "$0")/.."

collection=collections/ansible_collections/hospital/patching
python="$(tools/find_python.sh 3.6)" || {
    echo "Python 3.6 is not on this machine: its syntax and unit tests are not checked here."
    exit 0
}

find "$collection/plugins/modules" "$collection/plugins/module_utils" -name '*.py' 2>/dev/null | sort | "$python" -c '
import sys
files = sys.stdin.read().split()
for name in files:
    with open(name, encoding="utf-8") as source:
        compile(source.read(), name, "exec")
print("%d files compile under Python 3.6" % len(files))
'

if ! cmp -s tools/python36.txt .venv36/.python36.txt; then
    echo "Creating .venv36 with $python."
    rm -rf .venv36
    "$python" -m venv .venv36
    .venv36/bin/python -m pip install --quiet --disable-pip-version-check 'pip==21.3.1'
    .venv36/bin/python -m pip install --quiet --disable-pip-version-check --requirement tools/python36.txt
    cp tools/python36.txt .venv36/.python36.txt
fi
tests="$collection/tests/unit/plugins/module_utils"
if [ ! -d "$tests" ]; then
    echo "There is no unit test of module_utils yet."
    exit 0
fi
PYTHONDONTWRITEBYTECODE=1 .venv36/bin/python -m pytest -p no:cacheprovider "$tests"
