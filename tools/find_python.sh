#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Print the path of a Python interpreter of this machine: the newest one that may run the project, or the one asked for.
#   find_python.sh          newest of 3.11 and later
#   find_python.sh 3.6      exactly 3.6; exits 1 in silence where there is none
set -eu

wanted="${1:-3.15 3.14 3.13 3.12 3.11}"
pyenv_root="${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")}"

# An interpreter counts when it starts, is the version its name says (a pyenv shim may be neither) and has venv.
serves() {
    "$1" -c 'import sys, venv, ensurepip; assert "%d.%d" % sys.version_info[:2] == sys.argv[1]' "$2" 2>/dev/null
}

for version in $wanted; do
    for candidate in "$(command -v "python$version" || true)" \
                     "$pyenv_root/versions/$version".*/bin/python "/usr/local/bin/python$version" "/usr/bin/python$version"; do
        # The real path: an interpreter of .venv, first on PATH under make, must not be what .venv is made from.
        if [ -x "$candidate" ] && serves "$candidate" "$version"; then
            "$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))'
            exit 0
        fi
    done
done
if [ $# -eq 0 ]; then
    echo "No Python 3.11 or newer with the venv module was found: install one (on Debian: apt-get install python3-venv)." >&2
fi
exit 1
