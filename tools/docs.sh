#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Check the collection's documentation and its changelog fragments.
set -eu
cd "$(dirname "$0")/../collections/ansible_collections/hospital/patching"
status=0
antsibull-docs lint-collection-docs --plugin-docs . || status=1
antsibull-changelog lint || status=1
exit $status
