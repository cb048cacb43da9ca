# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and changing systemd units through ``systemctl``, in one call wherever it can be."""

import os
from typing import Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner


def booted(root: str = "/") -> bool:
    """Return whether systemd is the running init (sd_booted(3))."""
    return os.path.isdir(os.path.join(root, "run/systemd/system"))


def failed_units(runner: Runner, root: str = "/") -> List[str]:
    """Return the names of units in state failed; none where systemd does not run."""
    if not booted(root):
        return []
    result = runner.run(
        ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full", "--all"],
        timeout_s=30,
    )
    return sorted(line.split()[0] for line in result.stdout.splitlines() if line.strip())


def show(runner: Runner, units: List[str], properties: List[str]) -> List[Dict[str, str]]:
    """Return ``properties`` of each unit, in the order of ``units``."""
    if not units:
        return []
    result = runner.run(
        ["systemctl", "show", "--no-pager", "--property=" + ",".join(properties), "--"] + units, timeout_s=60
    )
    found = []
    for block in result.stdout.strip("\n").split("\n\n"):
        fields = {}
        for line in block.split("\n"):
            name, _equals, value = line.partition("=")
            fields[name] = value
        found.append(fields)
    return found
