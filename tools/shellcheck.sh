#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Check every shell script of the repository.
set -eu
cd "$(dirname "$0")/.."
# Files that git knows or would take, by name or by their first line.
git ls-files --cached --others --exclude-standard | while read -r file; do
    case "$file" in
        *.sh) echo "$file" ;;
        *.*) ;;
        *) if head -n 1 "$file" 2>/dev/null | grep -qaE '^#!.*\b(ba)?sh$'; then echo "$file"; fi ;;
    esac
done | sort -u | xargs --no-run-if-empty shellcheck
