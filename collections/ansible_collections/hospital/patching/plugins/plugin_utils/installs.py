# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs have installed on hosts and not taken back since, as their ledgers tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.pending_filters import matches
from ansible_collections.hospital.patching.plugins.plugin_utils import blocks, plan
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Installs:
    """Of one run: its hosts in the plan's order, each with the entries of its transaction that stand."""

    run_id: str
    hosts: Mapping[str, tuple[dict[str, Any], ...]]

    def about(self, host: str, items: Iterable[str]) -> list[dict[str, Any]]:
        """Return the entries that any item is about: NAME, NAME=VERSION, an advisory's or a CVE's id; all without."""
        wanted = list(items)
        return [one for one in self.hosts.get(host, ()) if not wanted or any(is_about(one, item) for item in wanted)]


def is_about(entry: Mapping[str, Any], item: str) -> bool:
    """Return whether an item, also a CVE's id, is about an entry."""
    return matches(dict(entry), item) or item in entry["cves"]


def read(store: Evidence, run_id: str) -> Installs:
    """Return what a run has installed, each entry with the ``advisories`` and ``cves`` that the run knows of it.

    Raises:
        PatchingError: its plan, ledger or stage cannot be read.
    """
    run = Run(str(store.root), run_id)
    records = run.ledger.read()
    begun = {record["host"] for record in records if record["host"] and record["step"] == "install"}
    begun |= {one["host"] for one in records if one["event"] == "outcome" and one["detail"]["outcome"] == "patched"}
    if not begun:
        return Installs(run_id, {})
    approved = run.plan()
    advisories, cves = blocks.advisories_of(approved), _cves_of(approved)
    hosts = {}
    for host in plan.order(approved):
        if host not in begun:
            continue
        stage = run.stage(host)
        entries = stage["transaction"]["entries"]
        names = _standing(records, host, {entry["name"] for entry in entries})
        named = stage.get("cves") or {}
        hosts[host] = tuple(
            {
                **entry,
                "advisories": sorted(advisories.get((key := _key(entry)), ())),
                "cves": sorted({*cves.get(key, ()), *(named.get(entry["name"]) or ())}),
            }
            for entry in entries
            if entry["name"] in names
        )
    return Installs(run_id, {host: entries for host, entries in hosts.items() if entries})


def _key(update: Mapping[str, Any]) -> tuple[str, str, str | None]:
    return update["name"], update["arch"], update["to"]


def _cves_of(approved: Mapping[str, Any]) -> dict[tuple[str, str, str | None], set[str]]:
    found: dict[tuple[str, str, str | None], set[str]] = {}
    for entry in approved["hosts"].values():
        for update in entry["updates"]:
            found.setdefault(_key(update), set()).update(update["cves"] or ())
    return found


def _standing(records: Records, host: str, everything: set[str]) -> set[str]:
    """Return the names of the packages that the run has changed on ``host`` and not taken back.

    What is not certain stands: a failed installation may have changed anything.
    """
    standing: set[str] = set()
    asked: set[str] = set()
    told = False  # whether the ledger has said of packages since the last outcome
    for record in records:
        detail = record["detail"]
        if record["host"] is None and detail.get("rollback"):
            asked = set(detail["rollback"].get("updates") or ())
        if record["host"] != host:
            continue
        if record["step"] == "install" and record["event"] in ("done", "failed"):
            told = told or record["event"] == "done"
            standing = _after(standing, detail, record["event"], everything)
        elif record["event"] == "outcome":
            if detail["outcome"] == "patched" and not told:
                standing = set(everything)  # it was killed before it could say what it had installed, and proven since
            if detail["outcome"] == "rolled_back" and not told:
                standing -= asked or everything  # nothing was left to take back
            told = False
    return standing


def _after(standing: set[str], detail: Mapping[str, Any], event: str, everything: set[str]) -> set[str]:
    names = {str(one["name"]) for key in ("installed", "already") for one in detail.get(key) or ()}
    if str(detail.get("module", "")).endswith("update_rollback"):
        return standing - names if event == "done" else standing
    return standing | (names if event == "done" else everything)


def where(store: Evidence, item: str) -> tuple[dict[str, str], list[str]]:
    """Return host → newest run that has installed what ``item`` is about, and the runs that cannot be read."""
    found: dict[str, str] = {}
    unreadable = []
    for run_id in store.runs():
        try:
            known = read(store, run_id)
        except (PatchingError, KeyError, TypeError, ValueError) as error:
            unreadable.append(f"run {run_id} cannot be read: {error}")
            continue
        found.update({host: run_id for host in known.hosts if known.about(host, [item])})
    return found, unreadable
