# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications of the catalogue that are on this host; none of them is started."""

import os
import re
from typing import Any, Dict, List, Optional, Sequence, Set

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.application_catalogue import Entry, entries
from ansible_collections.hospital.patching.plugins.module_utils.software.local_disks import LocalDisks
from ansible_collections.hospital.patching.plugins.module_utils.software.owners import Owners

#: Found by one entry; more are a pattern that is too wide.
FOUND = 200


def collect(host: Host, more: Sequence[Dict[str, Any]] = (), owners: Optional[Owners] = None) -> List[Dict[str, Any]]:
    """Return ``[{name, path, version, product, advice, package}]`` sorted by path.

    Args:
        more: the site's own catalogue entries.

    ``version`` is None where it cannot be read; ``package`` is the package that
    owns the path, None for what was unpacked by hand.

    Raises:
        PatchingError: an entry of ``more`` has not the catalogue's shape, or rpm does not answer.
    """
    disks = LocalDisks(host.root)
    found: Dict[str, Dict[str, Any]] = {}
    for entry in entries(more):
        for path in _matches(disks, entry):
            # A link beside the application (firefox -> firefox-128.0) is no second one.
            inside = disks.resolve(path)
            if inside is not None and inside not in found and _is_it(disks, entry, inside):
                found[inside] = {
                    "name": entry.name,
                    "path": inside,
                    "version": _version(disks, entry, inside),
                    "product": entry.product,
                    "advice": entry.advice,
                }
    owned = (owners or Owners(host)).of(found) if found else {}
    for path, application in found.items():
        application["package"] = owned.get(path)
    return [application for _path, application in sorted(found.items())]


def _matches(disks: LocalDisks, entry: Entry) -> List[str]:
    """Return what the globs find; a file only where it is called by its full name (not ``firefox.tar.bz2``)."""
    found: Set[str] = set()
    for pattern in entry.globs:
        named = not any(character in os.path.basename(pattern) for character in "*?[")
        found.update(path for path in disks.expand(pattern) if named or disks.is_directory(path))
    return sorted(found)[:FOUND]


def _is_it(disks: LocalDisks, entry: Entry, path: str) -> bool:
    """Return whether ``path`` is the application and not just named like it: its version file proves a directory."""
    if disks.is_file(path) or entry.version_file is None:
        return disks.is_file(path) or disks.is_directory(path)
    return disks.is_file(os.path.join(path, entry.version_file))


def _version(disks: LocalDisks, entry: Entry, path: str) -> Optional[str]:
    if entry.version_pattern is None:
        return None
    text: Optional[str] = path
    if entry.version_file is not None:
        directory = path if disks.is_directory(path) else os.path.dirname(path)
        text = disks.head(os.path.join(directory, entry.version_file))
    match = re.search(entry.version_pattern, text or "")
    return match.group(1) if match else None
