# SPDX-License-Identifier: GPL-3.0-or-later
"""What was to be installed on a host, what was, and what was put back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key

Key = tuple[str, str]


def updates_section(
    planned: Iterable[Mapping[str, Any]],
    stage: Mapping[str, Any],
    installed: Iterable[Mapping[str, Any]],
    put_back: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return the host's updates, those for security first.

    The transaction's versions count before the plan's, and what was installed
    before both; an entry that only the transaction or the host names is shown
    too. ``cves`` is null where neither a changelog nor a feed named any list.
    """
    rows: dict[Key, dict[str, Any]] = {}
    for update in planned:
        _row(rows, update).update(_facts(update))
    for entry in (stage.get("transaction") or {}).get("entries") or []:
        _row(rows, entry)
    for entry in installed:
        _row(rows, entry)["state"] = "installed"
    for entry in put_back:
        # A rollback goes from the new version to the old one: its direction must not replace the update's.
        _row(rows, {"name": entry.get("name"), "arch": entry.get("arch")})["state"] = "put_back"
    named = stage.get("cves") or {}
    for row in rows.values():
        if row["cves"] is None and named.get(row["name"]) is not None:
            row["cves"] = sorted({str(cve) for cve in named[row["name"]]}, key=natural_key)
        row["kind"] = row["kind"] or _kind(row)
    return sorted(rows.values(), key=lambda row: (not row["security"], natural_key(row["name"]), row["arch"]))


def _row(rows: dict[Key, dict[str, Any]], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row that ``entry`` is about, with its versions taken over."""
    key = (str(entry.get("name")), str(entry.get("arch") or ""))
    if key not in rows and not key[1]:
        key = next((known for known in rows if known[0] == key[0]), key)
    row = rows.setdefault(
        key,
        {
            "name": key[0],
            "arch": key[1],
            "from": None,
            "to": None,
            "kind": None,
            "origin": None,
            "class": None,
            "security": False,
            "cves": None,
            "state": "not_installed",
        },
    )
    for version in ("from", "to"):
        if version in entry:
            row[version] = entry[version]
    row["origin"] = entry.get("origin") or row["origin"]
    return row


def _facts(update: Mapping[str, Any]) -> dict[str, Any]:
    cves = update.get("cves")
    return {
        "kind": update.get("kind"),
        "class": update.get("class"),
        "security": bool(update.get("security")),
        "cves": None if cves is None else sorted({str(cve) for cve in cves}, key=natural_key),
    }


def _kind(row: Mapping[str, Any]) -> str:
    if row["from"] is None:
        return "new_install"
    return "removal" if row["to"] is None else "upgrade"


def cves_of(updates: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return every CVE that the installed updates name, each once."""
    named = {cve for update in updates if update["state"] == "installed" for cve in update["cves"] or []}
    return sorted(named, key=natural_key)
