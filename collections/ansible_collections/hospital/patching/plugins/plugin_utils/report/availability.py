# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host did not serve, as far as the run itself saw it.

Probes look only now and then, so what they tell of a host is a span in which it
may have been away and, within that, spans in which it was seen to be. A host
that was drained was away from its users for just as long as that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import STAYS_OUT
from ansible_collections.hospital.patching.plugins.plugin_utils.report import looks, spans, timeline
from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import Absence, Part

_TOUCHES = frozenset({"drain", "snapshot", "install", "restart", "rollback"})


@dataclass(frozen=True)
class Presence:
    """When a host may have been away, and when it surely was; both are empty for one that was left alone."""

    maybe: tuple[Absence, ...]
    surely: tuple[Absence, ...]


def unavailable(parts: Sequence[Part], names: Collection[str]) -> Presence | None:
    """Return when the host's probes were not ok or not read; None when they were never seen to be ok.

    A host may have been away from its last good reading before it was touched
    to its first good one afterwards. A reading from an earlier piece of the
    run's work, days before, does not count: there it is from the touch on.
    """
    good: looks.Look | None = None
    work = 0
    since: datetime | None = None
    maybe: list[Absence] = []
    surely: list[Absence] = []
    for part in parts:
        if part.step in _TOUCHES and part.status != "refused" and good is not None:
            since = since or (good.since if part.work == work else part.start)
        look = looks.look(part, names)
        if look is None:
            continue
        if since is not None and look.not_ok is not None:
            surely.append(look.not_ok)
        if since is not None and look.ok:
            maybe.append(Absence(since, look.until))
            since = None
        good, work = (look, part.work) if look.ok else (good, work)
    if since is not None:
        maybe.append(Absence(since, None))
    return None if good is None else Presence(tuple(maybe), tuple(surely))


def presence(parts: Sequence[Part], names: Collection[str], outcome: str | None) -> Presence | None:
    """Return when users did without the host; None when the run never saw it serve."""
    found = unavailable(parts, names)
    if found is None:
        return None
    drained = timeline.absences(parts)
    if drained:
        surely = [span for one in drained if one.sure for span in _surely_drained(parts, one)]
        seen = Presence((), ()) if all(one.sure for one in drained) else found
        maybe = sorted((*seen.maybe, *drained), key=lambda span: span.start)
        found = Presence(tuple(maybe), (*seen.surely, *surely))
    if outcome in STAYS_OUT:
        *before, last = found.maybe or (Absence(parts[0].start, None),)
        found = Presence((*before, Absence(last.start, None)), found.surely)
    return found


def out_of_service(parts: Sequence[Part]) -> list[tuple[str, Absence]]:
    """Return how a host that was touched was out of service, and when each time.

    It was ``drained``, ``perhaps drained`` when its drain failed, or only ``held``.
    """
    drained = timeline.absences(parts)
    if drained:
        return [("drained" if one.sure else "perhaps drained", one) for one in drained]
    return [("held", one) for one in _held(parts)]


def _held(parts: Sequence[Part]) -> list[Absence]:
    """Return each time that the host was locked and touched, to its next return."""
    found: list[Absence] = []
    since: datetime | None = None
    touched = False
    for part in parts:
        if part.step == "lock":
            since = since or part.start
        touched = touched or part.step in _TOUCHES
        if part.step == "return" and part.status == "done" and since is not None:
            found += [Absence(since, part.end)] if touched else []
            since, touched = None, False
    return [*found, Absence(since, None)] if since is not None and touched else found


def witnessed(span: Absence, seen: Sequence[looks.Look]) -> bool:
    """Whether a peer with these readings was ok within an absence, or on both sides of it."""
    before, inside, after = [], [], []
    for one in seen:
        if one.since < span.start:
            before.append(one.ok)
        elif span.end is not None and one.until > span.end:
            after.append(one.ok)
        else:
            inside.append(one.ok)
    return all(inside) and (bool(inside) or (before[-1:] == after[:1] == [True]))


def together(hosts: Sequence[Presence | None], until: datetime) -> dict[str, int | None]:
    """Return ``{"at_least_s", "at_most_s"}``: how long all hosts were away at the same time.

    A host of which nothing is known may always have been away. What has not
    ended has no upper limit.
    """
    known = [one for one in hosts if one is not None]
    surely = spans.overlap([one.surely for one in known], until) if len(known) == len(hosts) else timedelta()
    maybe = [one.maybe for one in known]
    most = None if spans.open_ended(maybe) else -(-spans.overlap(maybe, until) // timedelta(seconds=1))
    return {"at_least_s": surely // timedelta(seconds=1), "at_most_s": most}


def _surely_drained(parts: Sequence[Part], drained: Absence) -> tuple[Absence, ...]:
    """Return from when to when the host was drained for certain: neither draining still nor returning already."""
    drains = [part.end for part in parts if part.step == "drain" and part.status == "done"]
    done = max(end for end in drains if drained.end is None or end <= drained.end) + looks.CUT
    back = next((part.start for part in parts if part.step == "return" and part.end == drained.end), None)
    return (Absence(done, back),) if back is None or back > done else ()
