# SPDX-License-Identifier: GPL-3.0-or-later
"""Housekeeping of restore points: where each host may have some, who owns them, and what is recorded and told.

A housekeeping has an id and a chain of its own, ``EVIDENCE/housekeeping/ledger.jsonl``: a closed run's ledger, whose
head was given away, is not written to any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import PROVIDERS
from ansible_collections.hospital.patching.plugins.plugin_utils import settings, snapshot_retention
from ansible_collections.hospital.patching.plugins.plugin_utils.contacts import RUN_VARIABLES
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import ID, Evidence, read_json
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import Ledger, Record
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.restore_point import found_out, place
from ansible_collections.hospital.patching.plugins.plugin_utils.snapshot_retention import Owner, RoomLeft, Verdict

#: How many of the newest runs are asked for places that the inventory does not name any more, and for what they made.
PLANS = 30
#: How full a place is, the worst last.
LEVELS = ("ok", "unknown", "low", "critical")

Place = dict[str, Any]


def require_evidence(root: Path) -> Evidence:
    """Return the evidence directory.

    Raises:
        PatchingError: it cannot be listed: then every run would look as if it were gone.
    """
    try:
        next(root.iterdir(), None)
    except OSError as error:
        raise PatchingError(
            f"the evidence directory {root}",
            str(error),
            "the directory in which runs keep their ledgers",
            "mount it or correct patching_evidence_dir; until then no restore point is deleted",
        ) from error
    return Evidence(root)


def ledger_path(root: Path) -> Path:
    """Return where all housekeepings are recorded."""
    return root / "housekeeping" / "ledger.jsonl"


# --- where restore points may be ----------------------------------------------


@dataclass(frozen=True)
class Places:
    """Where each host has, or may have, restore points; a host that has none anywhere is not among them."""

    by_host: dict[str, list[Place]]
    problems: list[str]


def places(store: Evidence, hosts: Sequence[str], hostvars: Mapping[str, Any]) -> Places:
    """Return where restore points of ``hosts`` may be: by the inventory, and by the newest plans."""
    planned, problems = _planned(store)
    found: dict[str, list[Place]] = {}
    for host in hosts:
        try:
            known = settings.effective(host, hostvars[host], also_known=RUN_VARIABLES)
        except PatchingError as error:
            problems.append(str(error))
            continue
        wanted = [_found_out(store, host, known.snapshot), *planned.get(host, [])]
        asked = [place(host, one) for one in wanted if _makes(one)]
        mine = [one for number, one in enumerate(asked) if one not in asked[:number]]
        if mine and known.policy == "vendor_locked":
            problems.append(
                f"host {host} is vendor_locked and never connected to: its restore points are left as they are"
            )
        elif mine:
            found[host] = mine
    return Places(found, problems)


def _found_out(store: Evidence, host: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return found_out(wanted, (store.assessment(host) or {}).get("restore_points"))[0]
    except (PatchingError, ValueError, AttributeError):
        return wanted  # an assessment that cannot be read; plans tell as well


def _makes(wanted: Mapping[str, Any]) -> bool:
    provider = PROVIDERS.get(str(wanted.get("provider")))
    return provider is not None and provider.MAKES


def _planned(store: Evidence) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """Return the ``patching_snapshot`` of each host by the newest runs' plans, and what could not be read."""
    found: dict[str, list[dict[str, Any]]] = {}
    problems = []
    for run_id in store.runs()[-PLANS:]:
        try:
            for host, entry in read_json(store.run_dir(run_id) / "plan.json")["hosts"].items():
                found.setdefault(str(host), []).append(dict(entry["snapshot"]))
        except (PatchingError, KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"run {run_id}: its plan does not tell where its restore points are: {error}")
    return found, problems


def expected(
    root: Path, hosts: Iterable[str], inventory: Iterable[str], now: str
) -> tuple[list[dict[str, str]], list[str]]:
    """Return the restore points of ``hosts`` that should be there by the newest ledgers, and what people are told.

    Args:
        inventory: all hosts that it has; those of another one are not looked at, which is told.
        now: only those that are to be kept longer than that.

    Raises:
        PatchingError: the chain of all housekeepings is damaged: nobody could tell what was deleted.
    """
    store, wanted = Evidence(root), set(hosts)
    gone = {
        (record["host"], record["detail"]["snapshot"])
        for record in Ledger(ledger_path(root)).read()
        if (record["step"], record["event"]) == ("snapshot", "done")
    }
    found: dict[tuple[str, str], dict[str, str]] = {}
    problems, strangers, known = [], set(), set(inventory)
    for run_id in store.runs()[-PLANS:]:
        try:
            records = Ledger(store.ledger_path(run_id)).read()
        except PatchingError as error:
            problems.append(f"run {run_id}: {error}")
            continue
        for host, made in snapshot_retention.recorded(records):
            if not _makes(made) or (host, str(made["id"])) in gone:
                continue
            if host not in known:
                strangers.add(host)
            if host in wanted and str(made.get("expires") or "") > now:
                told = {key: str(made[key]) for key in ("id", "provider", "expires")}
                found[host, told["id"]] = {"host": host, "run_id": run_id, **told}
    problems += [
        f"host {host} has had restore points and is not in the inventory: nobody looks at them; delete them by hand"
        for host in sorted(strangers)
    ]
    return list(found.values()), problems


# --- who owns them ------------------------------------------------------------


class Ledgers:
    """The ledgers that one judgement needs, each read once."""

    def __init__(self, store: Evidence) -> None:
        self.store = store
        self.records: dict[str, list[Record]] = {}
        self.problems: dict[str, str] = {}

    def read(self, run_id: str) -> list[Record]:
        """Return a run's records; of one that cannot be read, none, and :attr:`problems` says why."""
        if run_id not in self.records:
            try:
                self.records[run_id] = Ledger(self.store.ledger_path(run_id)).read()
            except PatchingError as error:
                self.records[run_id], self.problems[run_id] = [], str(error)
        return self.records[run_id]

    def owner(self, run_id: str, host: str) -> Owner:
        """Return what is known of the run that made a restore point."""
        if not self.store.run_dir(run_id).is_dir():
            return Owner("gone")
        records = self.read(run_id)
        if run_id in self.problems:
            return Owner("unreadable", seen=self.problems[run_id])
        return snapshot_retention.owner_of(records, host)

    def out_of_service(self, since: str, host: str) -> tuple[str, str]:
        """Return why the host is out of service by the runs from ``since`` on, and what cannot be told of them."""
        newer = [run_id for run_id in self.store.runs() if run_id >= since]
        ledgers = {run_id: self.read(run_id) for run_id in newer}
        unread = "; ".join(f"run {run_id}: {self.problems[run_id]}" for run_id in newer if run_id in self.problems)
        return snapshot_retention.out_of_service(ledgers, host), unread


def judge(
    ledgers: Ledgers,
    host: str,
    asked: Place,
    listed: Sequence[Mapping[str, Any]],
    journal: Mapping[str, Any],
    wanted: snapshot_retention.Wanted,
) -> list[Verdict]:
    """Return what becomes of each restore point that the provider has listed for ``host``."""
    ids = sorted(str(one.get("run_id")) for one in listed if ID.fullmatch(str(one.get("run_id"))))
    out, unread = ledgers.out_of_service(ids[0], host) if ids else ("", "")
    standing = snapshot_retention.standing_of(journal, out)
    if unread and not standing.problem:
        standing = snapshot_retention.Standing(problem=unread)
    nobody = Owner("unreadable", seen="it has no id of a run")
    return [
        snapshot_retention.judge(
            host,
            asked["provider"],
            one,
            ledgers.owner(str(one.get("run_id")), host) if str(one.get("run_id")) in ids else nobody,
            standing,
            wanted,
        )
        for one in listed
    ]


# --- what is told -------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What a housekeeping has done and found, for people; ``bad`` is empty when nobody has to do anything."""

    lines: list[str]
    bad: list[str]


def result_of(
    host: str, asked: Place, verdicts: Iterable[Verdict], rooms: Iterable[RoomLeft], listed: bool = True
) -> dict[str, Any]:
    """Return one host and place as the tasks hand it on; ``listed`` says whether the provider gave an answer."""
    return {
        "host": host,
        "provider": asked["provider"],
        "on": asked["on"],
        "listed": listed,
        "verdicts": [vars(verdict) for verdict in verdicts],
        "rooms": [vars(room) for room in rooms],
        "problems": [],
    }


def summary(
    judged: Sequence[Mapping[str, Any]],
    removed: Sequence[Mapping[str, Any]],
    drop: Iterable[str],
    problems: Sequence[str],
    check: bool,
) -> Told:
    """Return what is told of a whole housekeeping: what people have to do first, then every deletion, then the rest."""
    seen = {verdict["id"] for one in judged for verdict in one["verdicts"]}
    bad = [str(_not_found(identity)) for identity in sorted(set(drop) - seen)]
    bad += [problem for one in judged for problem in one["problems"]]
    bad += [str(one["problem"]) for one in removed if one.get("problem")]
    rooms = _worst(room for one in judged for room in one["rooms"])
    bad += [str(room["told"]) for room in rooms if room["level"] == "critical"]
    warned = [str(room["told"]) for room in rooms if room["level"] in ("low", "unknown")]
    gone = [_removed(one, check) for one in removed if not one.get("problem")]
    overdue = [_stays(one, verdict) for one in judged for verdict in one["verdicts"] if verdict["overdue"]]
    others = [
        _stays(one, verdict)
        for one in judged
        for verdict in one["verdicts"]
        if not verdict["delete"] and not verdict["overdue"]
    ]
    lines = [f"Needs you: {line}" for line in bad]
    lines += [f"Warning: {line}" for line in [*problems, *warned]]
    lines += [f"Overdue: {line}" for line in overdue] + gone + others
    return Told(lines or ["no host has a restore point"], bad)


def missing(judged: Sequence[Mapping[str, Any]], awaited: Iterable[Mapping[str, str]]) -> list[str]:
    """Return what is told of restore points that should be there, and that no provider which gave an answer lists."""
    silent = {(one["host"], one["provider"]) for one in judged if not one["listed"]}
    asked = {(one["host"], one["provider"]) for one in judged} - silent
    seen = {(one["host"], verdict["id"]) for one in judged for verdict in one["verdicts"]}
    return [
        f"{one['provider']} restore point {one['id']} of {one['host']} (run {one['run_id']}) was to be kept until"
        f" {one['expires']} and is not there: somebody has deleted it, or a revert has used it up"
        for one in awaited
        if (one["host"], one["provider"]) in asked and (one["host"], one["id"]) not in seen
    ]


def _worst(rooms: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return each place once, as the host with the strictest limits sees it."""
    found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for room in rooms:
        key = (str(room["on"]), str(room["kind"]), str(room["name"]))
        if key not in found or LEVELS.index(room["level"]) > LEVELS.index(found[key]["level"]):
            found[key] = room
    return list(found.values())


def _removed(one: Mapping[str, Any], check: bool) -> str:
    what = f"{one['provider']} restore point {one['id']} of {one['host']} (run {one['run_id']})"
    if not one["changed"]:
        return f"Gone already: {what}"
    return f"{'Would delete' if check else 'Deleted'}: {what}: {one['why']}"


def _stays(one: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    return f"Stays: {one['provider']} restore point {verdict['id']} of {one['host']}: {verdict['why']}"


def _not_found(identity: str) -> PatchingError:
    return PatchingError(
        f"restore point {identity}",
        "none of ours has that id on the hosts that were asked",
        "an id from a run's ledger, step snapshot",
        "compare it with what this housekeeping lists; several ids are a list or are separated by blanks",
    )


def needed(host: str, verdict: Verdict) -> PatchingError:
    """Return the refusal of a restore point that was named to be dropped and has to stay."""
    return PatchingError(
        f"restore point {verdict.id} of host {host}",
        verdict.why,
        "one that no run and no host needs",
        "put that in order, then name it again",
    )


def ids_of(given: object) -> list[str]:
    """Return the ids that were named, from a list or from text with blanks; ids of btrfs hold commas.

    Raises:
        PatchingError: it is neither.
    """
    words = plain(given)
    if isinstance(words, str):
        words = words.split()
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise PatchingError(
            "housekeeping_drop", repr(given), "ids of restore points", "give them as a list, or separated by blanks"
        )
    return list(dict.fromkeys(words))
