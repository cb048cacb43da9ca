# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's software and pending updates as CSV (RFC 4180, with line feeds), one row an item.

Cells that a spreadsheet would take for a formula are prefixed with an
apostrophe, because package names and origins come from hosts (OWASP, "CSV
Injection").
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

from ansible_collections.hospital.patching.plugins.plugin_utils.end_of_life import Finding
from ansible_collections.hospital.patching.plugins.plugin_utils.installed import Installed, Item, text

SOFTWARE_COLUMNS = (
    "host",
    "host_state",
    "as_of",
    "kind",
    "name",
    "version",
    "arch",
    "origin",
    "installed_at",
    "held",
    "automatic",
    "eol",
    "eol_state",
    "advice",
    "cves",
    "path",
)
PENDING_COLUMNS = (
    "host",
    "host_state",
    "as_of",
    "kind",
    "name",
    "arch",
    "from",
    "to",
    "class",
    "security",
    "origin",
    "advisories",
    "cves",
    "download_bytes",
    "reason",
)
#: With these a spreadsheet begins a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Table:
    """Writes rows of fixed columns; a column that a row does not name stays empty."""

    def __init__(self, handle: TextIO, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self._writer = csv.writer(handle, lineterminator="\n")
        self._writer.writerow(columns)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._writer.writerows([cell(row.get(column)) for column in self.columns] for row in rows)


def cell(value: Any) -> str:
    """Return a value as a cell: unknown is empty, lists are separated by blanks."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    words = " ".join(text(item) or "" for item in value) if isinstance(value, list | tuple) else text(value) or ""
    return f"'{words}" if words.startswith(FORMULA) else words


def software_rows(
    host: str,
    state: str,
    as_of: str | None,
    system: Mapping[str, Any] | None,
    installed: Installed,
    findings: Iterable[Finding],
) -> Iterator[dict[str, Any]]:
    """Yield the host's own row, then one an installed thing, then one a part that is unknown.

    Args:
        system: the ``os`` part; its first finding is the one without items.
    """
    judged: dict[Item, Finding] = {}
    base = {"host": host, "host_state": state, "as_of": as_of}
    own: Finding | None = None
    for finding in findings:
        own = own if finding.items else own or finding
        judged.update(dict.fromkeys(finding.items, finding))
    known = system or {}
    yield base | {
        "kind": "os",
        "name": known.get("id"),
        "version": known.get("version_id"),
        "arch": known.get("architecture"),
        **_end(own),
    }
    for item in installed.items:
        row = {column: getattr(item, column, None) for column in SOFTWARE_COLUMNS[3:]}
        yield base | row | _end(judged.get(item))
    for part in installed.unknown:
        yield base | {"kind": "unknown", "name": part}


def pending_rows(
    host: str, state: str, as_of: str | None, pending: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    """Yield one row an update, and one a held package; a host whose updates are unknown has a row that says so."""
    base = {"host": host, "host_state": state, "as_of": as_of}
    if not isinstance(pending, Mapping):
        yield base | {"kind": "unknown", "reason": "pending updates are not known"}
        return
    for update in pending.get("updates") or ():
        yield base | {column: update.get(column) for column in PENDING_COLUMNS[3:]}
    for held in pending.get("held") or ():
        yield base | {
            "kind": "held",
            "name": held.get("name"),
            "arch": held.get("arch"),
            "from": held.get("version"),
            "to": held.get("candidate"),
            "security": held.get("security"),
            "reason": held.get("reason"),
        }


def _end(finding: Finding | None) -> dict[str, Any]:
    return {"eol": finding.eol, "eol_state": finding.state} if finding else {}
