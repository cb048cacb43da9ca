# SPDX-License-Identifier: GPL-3.0-or-later
"""The two parts of a transaction: what the package manager does, and the declared software."""

from typing import Any, Dict, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import transaction

Entry = Dict[str, Any]


def software(entries: List[Entry]) -> List[Entry]:
    """Return the entries of declared software, in the order in which they are installed."""
    return sorted((entry for entry in entries if entry.get("installer")), key=lambda entry: entry["order"])


def declared(wanted: Dict[str, Any]) -> List[Entry]:
    """Return the declared software of a transaction; one that is damaged is its package manager's to refuse."""
    entries = wanted.get("entries")
    return software(entries) if isinstance(entries, list) else []


def packages(entries: List[Entry]) -> List[Entry]:
    """Return the entries of packages."""
    return [entry for entry in entries if not entry.get("installer")]


def of_packages(wanted: Dict[str, Any], names: List[str]) -> Tuple[Dict[str, Any], List[str]]:
    """Return the package manager's part of a transaction and of ``names``.

    One without declared software is returned as it is, so that its digest and
    folders stay. Where ``names`` are of software only, the part is empty.
    """
    if not declared(wanted):
        return wanted, names
    transaction.validate(wanted)
    transaction.part(wanted, names)
    entries = packages(wanted["entries"])
    part = transaction.build(wanted["host"], wanted["manager"], wanted["manifest"], entries)
    known = {entry["name"] for entry in entries}
    own = [name for name in names if name in known]
    if names and not own:
        return transaction.build(wanted["host"], wanted["manager"], wanted["manifest"], []), []
    return part, own
