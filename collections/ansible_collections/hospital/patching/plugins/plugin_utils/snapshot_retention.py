# SPDX-License-Identifier: GPL-3.0-or-later
"""Which restore points housekeeping deletes, and why every other one stays.

Nothing here reads or deletes: what is known of the run that made a restore point, and of its host, comes in.
What nobody can tell keeps a restore point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers, outcomes, watching
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import ID
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

#: Why one is deleted.
EXPIRED, ORPHAN, PROVEN, ASKED = "expired", "orphan", "proven", "asked"
#: Why one stays: it is none of ours, somebody needs it, or nobody can tell; or its time has not come.
FOREIGN, NEEDED, UNKNOWN, KEPT = "foreign", "needed", "unknown", "kept"
#: A restore point that was made further in the future comes from a wrong clock, by which nothing is old.
AHEAD_S = 300
#: What else a provider may list, such as what a revert has set aside, has only its own expiry.
RESTORE_POINT = "restore_point"
FIELDS = ("id", "provider", "run_id", "host", "created", "expires")


@dataclass(frozen=True)
class Owner:
    """What the evidence says of the run that made a restore point, as to one host.

    ``state`` is ``open`` (begun and not closed), ``closed``, ``gone`` (there is no such run in the evidence directory)
    or ``unreadable``, and ``seen`` what is told of an unreadable one. ``named`` says whether the ledger names the host
    at all, ``recorded`` which restore points it names for it, ``changed`` whether it has changed packages there, or
    may have, ``outcome`` and ``ended`` what became of the host, and when.
    """

    state: str
    seen: str = ""
    named: bool = False
    recorded: frozenset[str] = frozenset()
    changed: bool = False
    outcome: str | None = None
    ended: datetime | None = None


@dataclass(frozen=True)
class Standing:
    """Where the host stands now: by its own journal, and by the newest run that names it.

    ``problem`` says why nobody can tell, ``holder`` which run holds it, ``pending`` which run's ``snapshot_pending``
    its journal ends in, ``out`` why it is out of service, and ``worked`` which runs have changed packages there.
    """

    problem: str = ""
    holder: str | None = None
    pending: str | None = None
    out: str = ""
    worked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """What is asked for: ids to be dropped early, and after how long those of proven hosts go, if they go early."""

    now: datetime
    drop: frozenset[str] = field(default_factory=frozenset)
    verified_keep_s: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What becomes of one restore point; ``overdue`` says that it stays although its retention has ended."""

    id: str
    run_id: str
    delete: bool
    cause: str
    why: str
    overdue: bool = False


def judge(
    host: str, provider: str, snapshot: Mapping[str, Any], owner: Owner, standing: Standing, wanted: Wanted
) -> Verdict:
    """Return what becomes of one restore point that ``provider`` has listed for ``host``."""
    found = {key: str(snapshot.get(key) or "") for key in FIELDS}
    expires = _moment(found["expires"])
    expired = expires is not None and expires <= wanted.now

    def keep(cause: str, why: str) -> Verdict:
        return Verdict(found["id"], found["run_id"], False, cause, why, expired and cause != FOREIGN)

    def delete(cause: str, why: str) -> Verdict:
        return Verdict(found["id"], found["run_id"], True, cause, why)

    foreign = _foreign(host, provider, found)
    if foreign:
        return keep(FOREIGN, foreign)
    needed = _needed(owner, standing, found["run_id"])
    if needed:
        return keep(*needed)
    if found["id"] in wanted.drop:
        return delete(ASKED, "it was asked for by its id")
    unknown = _unknown(owner, found, expires, wanted.now)
    if unknown:
        return keep(UNKNOWN, unknown)
    if expired:
        return delete(EXPIRED, f"its retention ended at {found['expires']}")
    if _kind(snapshot) == RESTORE_POINT:
        orphan = _orphan(found["id"], owner, found["run_id"] in standing.worked)
        if orphan:
            return delete(ORPHAN, orphan)
        proven = _proven(found["id"], owner, wanted)
        if proven:
            return delete(PROVEN, proven)
    return keep(KEPT, f"it is kept until {found['expires']}")


def _foreign(host: str, provider: str, found: Mapping[str, str]) -> str | None:
    """Return why it is none of ours, whatever its name says."""
    if not found["id"]:
        return "it has no id"
    if found["provider"] != provider or found["host"] != host:
        return f"it says that it is of host {found['host'] or '?'} and provider {found['provider'] or '?'}"
    if not ID.fullmatch(found["run_id"]):
        return f"{found['run_id']!r} is no id of a run"
    return None


def _needed(owner: Owner, standing: Standing, run_id: str) -> tuple[str, str] | None:
    """Return cause and reason why somebody may need it for the way back."""
    if standing.problem:
        return UNKNOWN, f"nobody can tell where the host stands: {standing.problem}"
    if owner.state == "unreadable":
        return UNKNOWN, f"nobody can tell what became of run {run_id}: {owner.seen}"
    if owner.state == "open":
        return NEEDED, f"run {run_id} is not closed; if its controller is dead, recover.yml closes it"
    if standing.holder:
        return NEEDED, f"run {standing.holder} holds the host; return.yml returns it"
    if standing.pending:
        return NEEDED, (
            f"the host's journal ends in a snapshot of run {standing.pending}: the host may be one that was put back;"
            " return.yml returns it"
        )
    if standing.out:
        return NEEDED, f"the host is {standing.out}; return.yml returns it"
    return None


def _unknown(owner: Owner, found: Mapping[str, str], expires: datetime | None, now: datetime) -> str | None:
    """Return what keeps it until a person names it by its id."""
    created = _moment(found["created"])
    if expires is None or created is None:
        return f"its times cannot be read (created {found['created']!r}, expires {found['expires']!r})"
    if created > now + timedelta(seconds=AHEAD_S):
        return f"it was made at {found['created']}, which is not yet: a clock is wrong"
    if owner.state == "closed" and not owner.named:
        return f"the ledger of run {found['run_id']} does not name the host at all"
    return None


def _orphan(identity: str, owner: Owner, worked: bool) -> str | None:
    """Return why no way back can need it although its retention has not ended.

    Of a run that is not in the evidence directory, which may be another controller's, nothing counts as an orphan.
    """
    if owner.state != "closed":
        return None
    if not owner.changed and not worked:
        return "its run is closed and has changed nothing on the host"
    if owner.recorded and identity not in owner.recorded:
        return "its run is closed, and has another restore point of the host: a killed call left this one"
    return None


def _proven(identity: str, owner: Owner, wanted: Wanted) -> str | None:
    if wanted.verified_keep_s is None or owner.state != "closed" or identity not in owner.recorded:
        return None
    if owner.outcome != "patched" or owner.ended is None:
        return None
    if wanted.now - owner.ended < timedelta(seconds=wanted.verified_keep_s):
        return None
    return f"the host was proven patched at {stamp(owner.ended)}"


def _kind(snapshot: Mapping[str, Any]) -> str:
    detail = snapshot.get("detail")
    return str((detail.get("kind") if isinstance(detail, Mapping) else None) or RESTORE_POINT)


def _moment(text: str) -> datetime | None:
    try:
        return read_stamp(text)
    except PatchingError:
        return None


# --- what ledgers and the journal say -----------------------------------------

#: Outcomes of a host on which the run has changed nothing: of any other it may have, whatever was recorded.
UNTOUCHED = frozenset({"not_started", "refused"})


def owner_of(records: Sequence[Mapping[str, Any]], host: str) -> Owner:
    """Return what a run's ledger says of the run, as to ``host``."""
    mine = [record for record in records if record["host"] == host]
    state = outcomes.host_states(mine).get(host)
    outcome = state.outcome if state else None
    installed = any(record["step"] == "install" for record in mine)
    return Owner(
        state=_state(records),
        seen="its ledger knows no beginning and no end of it",
        named=bool(mine),
        recorded=frozenset(str(made["id"]) for _host, made in recorded(mine)),
        changed=installed or outcome not in UNTOUCHED,
        outcome=outcome,
        ended=state.time if state and outcome else None,
    )


def _state(records: Sequence[Mapping[str, Any]]) -> str:
    if controllers.driver(records) is not None:
        return "open"
    return "closed" if any(watching.is_closing(record) for record in records) else "unreadable"


def recorded(records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the host and the restore point of every record that one was made."""
    for record in records:
        if (record["step"], record["event"]) == ("snapshot", "done"):
            made = record["detail"].get("snapshot") or {}
            if made.get("id"):
                yield str(record["host"]), made


def out_of_service(ledgers: Mapping[str, Sequence[Mapping[str, Any]]], host: str) -> str:
    """Return why the host is out of service by the newest word of these runs, or nothing.

    Args:
        ledgers: records by run id.
    """
    words = []
    for run_id, records in ledgers.items():
        state = outcomes.host_states(record for record in records if record["host"] == host).get(host)
        if state is not None:
            words.append((state.time, run_id, state))
    if not words:
        return ""
    _time, run_id, state = max(words, key=lambda word: word[:2])
    if state.outcome in outcomes.STAYS_OUT:
        return f"{state.outcome} in run {run_id}"
    return f"out of service in run {run_id}" if state.out else ""


def standing_of(journal: Mapping[str, Any], out: str) -> Standing:
    """Return where a host stands by what ``host_journal_info`` has returned, and by ``out`` of its runs' ledgers."""
    if "holder" not in journal or "pending" not in journal:
        return Standing(problem=" ".join(str(journal.get("msg") or "it gave no answer").split()))
    released = journal.get("released") or {}
    marked = (released.get("detail") or {}).get("out")
    by_journal = f"{marked} by its journal, in run {released.get('run_id')}" if marked else ""
    return Standing(
        holder=(journal["holder"] or {}).get("run_id"),
        pending=(journal["pending"] or {}).get("run_id"),
        out=out or by_journal,
        worked=frozenset(str(run_id) for run_id in journal.get("worked") or ()),
    )


# --- room ---------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """Of how many per cent free room people are warned, and with how many housekeeping fails."""

    low: int
    critical: int


@dataclass(frozen=True)
class RoomLeft:
    """What is left of a datastore, pool or file system; ``level`` is ``ok``, ``low``, ``critical`` or ``unknown``."""

    on: str
    kind: str
    name: str
    level: str
    told: str


def room_left(on: str, room: Mapping[str, Any], limits: Limits) -> RoomLeft:
    """Return how full the place is that a provider told of; what cannot be read is ``unknown``."""
    kind, name = str(room.get("kind") or "place"), str(room.get("name") or "?")
    size, free = _bytes(room.get("size_bytes")), _bytes(room.get("free_bytes"))
    subject = f"{kind} {name} on {on}"
    if not size or free is None or free > size:
        told = PatchingError(
            subject,
            f"{room.get('free_bytes')!r} of {room.get('size_bytes')!r} bytes free",
            "a size, and no more free than that",
            "look at it there; nobody is warned before it is full",
        )
        return RoomLeft(on, kind, name, "unknown", str(told))
    # Against the limits exactly; a percentage that was rounded up would hide the last step.
    level = next((word for word in ("critical", "low") if free * 100 < getattr(limits, word) * size), "ok")
    told_limit = limits.critical if level == "critical" else limits.low
    message = PatchingError(
        subject,
        f"{free * 100 // size} % free ({free} of {size} bytes)",
        f"{told_limit} % or more",
        "make room, or drop restore points early: housekeeping.yml -e housekeeping_drop=ID",
    )
    return RoomLeft(on, kind, name, level, "" if level == "ok" else str(message))


def _bytes(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
