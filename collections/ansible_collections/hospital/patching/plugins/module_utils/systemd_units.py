# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and changing systemd units through ``systemctl``, in one call wherever it can be."""

import os
from typing import Dict, List, Sequence

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


def show(runner: Runner, units: Sequence[str], properties: Sequence[str]) -> List[Dict[str, str]]:
    """Return ``properties`` of each unit, in the order of ``units``."""
    return _blocks(_shown(runner, units, properties)) if units else []


def by_name(
    runner: Runner, units: Sequence[str], properties: Sequence[str], timeout_s: int = 60
) -> Dict[str, Dict[str, str]]:
    """Return ``properties``, which must have Id and Names, of each unit by its Id and by each of its aliases."""
    return parse_units(_shown(runner, units, properties, timeout_s)) if units else {}


def parse_units(text: str) -> Dict[str, Dict[str, str]]:
    """Return the properties of each unit that ``systemctl show`` printed, by its Id and by each of its aliases."""
    units: Dict[str, Dict[str, str]] = {}
    aliases: Dict[str, Dict[str, str]] = {}
    for unit in _blocks(text):
        if unit.get("Id"):
            units[unit["Id"]] = unit
            aliases.update((alias, unit) for alias in unit.get("Names", "").split())
    return dict(aliases, **units)


def _shown(runner: Runner, units: Sequence[str], properties: Sequence[str], timeout_s: int = 60) -> str:
    # `show` prints key=value on every systemd since EL 8; list-units has JSON only since systemd 246.
    words = ["systemctl", "show", "--no-pager", "--property=" + ",".join(properties), "--"]
    return runner.run(words + list(units), timeout_s=timeout_s).stdout


def _blocks(text: str) -> List[Dict[str, str]]:
    blocks = text.strip("\n").split("\n\n")
    return [dict(line.split("=", 1) for line in block.split("\n") if "=" in line) for block in blocks]
