# SPDX-License-Identifier: GPL-3.0-or-later
"""Flatpaks of the system, also runtimes: ``flatpak list`` separates columns by tabs when not on a terminal."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below

#: What flatpak calls them (flatpak-list(1)), and what they are called here.
COLUMNS = (("application", "id"), ("branch", "branch"), ("arch", "arch"), ("version", "version"), ("origin", "origin"))
INSTALLED = ("var/lib/flatpak/app", "var/lib/flatpak/runtime")


def collect(host: Host, timeout_s: int = 20) -> List[Dict[str, Any]]:
    """Return ``[{id, branch, arch, version, origin}]`` sorted by id and branch; ``[]`` without flatpaks.

    Raises:
        PatchingError: flatpaks are installed, but the command fails or is missing.
    """
    if not any(_has_entries(below(host.root, path)) for path in INSTALLED):
        return []
    columns = ",".join(name for name, _ours in COLUMNS)
    result = host.runner.run(["flatpak", "list", "--system", "--columns=" + columns], timeout_s=timeout_s)
    return parse_list(result.stdout)


def _has_entries(path: str) -> bool:
    try:
        return bool(os.listdir(path))
    except OSError:
        return False


def parse_list(text: str) -> List[Dict[str, Any]]:
    """Return the rows of ``flatpak list``; empty columns are None.

    Raises:
        ValueError: a row has another number of columns.
    """
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        values = line.split("\t")
        if len(values) != len(COLUMNS):
            raise ValueError("flatpak list printed {} columns, not {}: {!r}".format(len(values), len(COLUMNS), line))
        found.append({ours: value or None for (_name, ours), value in zip(COLUMNS, values)})
    return sorted(found, key=lambda row: (row["id"] or "", row["branch"] or "", row["arch"] or ""))
