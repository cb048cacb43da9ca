# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting one host's disk back to a restore point of a run: which one, what is lost by it, and what is kept first.

A revert erases the host's journal since the restore point, so that part is kept on
the controller, with the intent, before anything is done; the first record of the
reverted journal carries its digest (DESIGN.md, "Reverts and the journal").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.journal import STAGE_STEP, lost_tail, tail_digest
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import PROVIDERS
from ansible_collections.hospital.patching.plugins.plugin_utils import sizes
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

Records = Sequence[Mapping[str, Any]]

#: Under this key of a note the ledger has the intent to put a disk back.
INTENT = "revert"


def points(records: Iterable[Mapping[str, Any]], host: str) -> list[dict[str, Any]]:
    """Return the restore points that the run has made of ``host``'s disk, the oldest first."""
    made = [
        record["detail"].get("snapshot")
        for record in records
        if record["host"] == host
        and (record["step"], record["event"]) == ("snapshot", "done")
        and str(record["detail"].get("module", "")).endswith("host_snapshot")
    ]
    return [dict(one) for one in made if one and one["provider"] in PROVIDERS and PROVIDERS[one["provider"]].MAKES]


def choose(records: Records, run_id: str, host: str, snapshot_id: str) -> dict[str, Any]:
    """Return the restore point with that very id.

    Raises:
        PatchingError: the run's ledger has no such one of ``host``; the message lists those that it has.
    """
    made = points(records, host)
    found = [one for one in made if one["id"] == snapshot_id]
    if found:
        return found[-1]
    listed = ", ".join(f"{one['id']} of {one['created']}" for one in made)
    raise PatchingError(
        f"host {host}",
        f"run {run_id} made no restore point {snapshot_id!r} of it" if snapshot_id else "no id of a restore point",
        f"one of {listed}" if listed else "a restore point, but the run made none of its disk",
        f"give -e revert_snapshot=ID -e revert_host={host}"
        if listed
        else f"take its packages back: rollback.yml -e patching_run_id={run_id} -e rollback_hosts={host}",
    )


def allowed(entry: Mapping[str, Any], moves_on: str) -> dict[str, Any]:
    """Return whether the run may put the disk back by itself, where packages cannot be, and why not.

    Args:
        entry: the plan's entry of the host.
        moves_on: why its data moves on, or nothing.
    """
    provider = str(entry["snapshot"]["provider"])
    if not entry.get("disk_revert"):
        why_not = "patching_disk_revert does not allow it"
    elif moves_on:
        why_not = f"its data moves on: {moves_on}"
    elif not (provider in PROVIDERS and PROVIDERS[provider].MAKES):
        why_not = f"patching_snapshot is {provider}, which holds no disk"
    else:
        why_not = ""
    return {"allowed": not why_not, "why_not": why_not}


def require_accepted(host: str, why: str, lost: str, accepted: str) -> None:
    """Refuse to put a stateful host's disk back unless somebody has typed whose data that loses.

    Raises:
        PatchingError: nobody has.
    """
    if why and accepted != host:
        raise PatchingError(
            f"host {host}",
            f"its data moves on ({why}); {lost}",
            "a person who is responsible for that data, and accepts it",
            f"take its packages back by rollback.yml; or, if that person says so, add -e revert_loses_data={host}",
        )


def loss(point: Mapping[str, Any], now: datetime, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what putting the disk back loses: ``since``, the ``seconds`` since then, ``size_bytes``, ``unknown``.

    Args:
        told: what ``host_snapshot_info`` has answered with ``loss_of``, also where it failed.
    """
    seconds = max(0, int((now - read_stamp(point["created"])).total_seconds()))
    answer = told.get("loss")
    if not isinstance(answer, Mapping):
        why = " ".join(str(told.get("msg") or "").split()) or "its provider has not said"
        answer = {"size_bytes": None, "unknown": why}
    size_bytes, unknown = answer.get("size_bytes"), answer.get("unknown")
    return {"since": point["created"], "seconds": seconds, "size_bytes": size_bytes, "unknown": unknown}


def loss_text(lost: Mapping[str, Any]) -> str:
    """Return it as a sentence: in minutes, and in bytes as far as they are known."""
    text = f"whatever it has written in the {lost['seconds'] // 60} minutes since {lost['since']} is lost"
    if lost["size_bytes"] is None:
        return f"{text}; how many bytes that is, is not known: {lost['unknown']}"
    size = sizes.in_words(lost["size_bytes"])
    return f"{text}: at least {size}; {lost['unknown']}" if lost["unknown"] else f"{text}: about {size}"


def reverts(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the last disk revert of each host that had one: ``snapshot``, whether it is ``done``, and its ``loss``."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        host, detail = str(record.get("host")), record.get("detail") or {}
        intent = detail.get(INTENT)
        if record["event"] == "note" and intent:
            found[host] = {"snapshot": intent["snapshot"], "done": False, "loss": intent.get("loss")}
        elif host in found and (detail.get("record") or {}).get("event") == "reverted":
            found[host]["done"] = True
    return found


@dataclass(frozen=True)
class Tail:
    """What a revert erases: its records, their digest, and where it was read."""

    digest: str
    records: list[dict[str, Any]]
    source: str


def tail(journal: Records | None, records: Records, host: str, snapshot_id: str) -> Tail:
    """Return what the revert erases, or has erased already.

    A host that does not answer cannot say; what the ledger has mirrored of it stands
    for its journal. Where an earlier attempt was cut off, the journal may have been
    put back already, and says nothing any more: then that attempt's tail counts.

    Args:
        journal: all records of the host's journal, or None.
        records: the run's ledger.
    """
    earlier = unfinished(records, host, snapshot_id)
    now = None if journal is None else lost_tail([dict(record) for record in journal])
    if any(record.get("step") != STAGE_STEP for record in now or []):
        return _tail(now or [], "journal")
    if earlier is not None:
        return earlier
    if now is not None:
        return _tail(now, "journal")
    return _tail(_mirrored(records, host), "ledger")


def unfinished(records: Records, host: str, snapshot_id: str) -> Tail | None:
    """Return the tail of an attempt to revert to that restore point which was not journalled as done."""
    found: Tail | None = None
    for record in records:
        if record["host"] != host:
            continue
        intent = record["detail"].get(INTENT)
        if record["event"] == "note" and intent:
            same = intent["snapshot"] == snapshot_id
            found = Tail(intent["tail_digest"], [], intent["source"]) if same else None
        elif (record["detail"].get("record") or {}).get("event") == "reverted":
            found = None
    return found


def reverted_since(records: Records, host: str, snapshot_id: str) -> datetime | None:
    """Return when the last attempt to revert to that restore point was begun that the host has journalled as done."""
    begun: datetime | None = None
    found: datetime | None = None
    for record in records:
        if record["host"] != host:
            continue
        intent, journalled = record["detail"].get(INTENT), record["detail"].get("record") or {}
        if record["event"] == "note" and intent:
            begun, found = (read_stamp(record["time"]) if intent["snapshot"] == snapshot_id else None), None
        elif journalled.get("event") == "reverted" and journalled["detail"].get("snapshot") == snapshot_id:
            found = begun
    return found


def _mirrored(records: Records, host: str) -> list[dict[str, Any]]:
    """Return what the ledger has of a host since its last restore point was announced."""
    own = [dict(record) for record in records if record["host"] == host]
    places = [n for n, one in enumerate(own) if (one["step"], one["event"]) == ("snapshot", "begin")]
    return own[places[-1] + 1 :] if places else own


def _tail(records: Records, source: str) -> Tail:
    kept = [dict(record) for record in records]
    return Tail(tail_digest(kept), kept, source)
