#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Run every molecule scenario; `default` creates and destroys the hosts that all share.
set -eu
cd "$(dirname "$0")/.."
if [ -z "$(find molecule -mindepth 2 -name molecule.yml 2>/dev/null)" ]; then
    echo "There is no molecule scenario yet."
    exit 1
fi
# What an earlier run, of this clone or of another, has prepared says nothing about today's hosts.
molecule reset --all
exec molecule test --all --destroy never
