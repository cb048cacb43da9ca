# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: may this host be disrupted now? Go, wait, or stop, with the reason.

It is asked before the first disruptive step of a host.
What it does not know counts as no.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import FAILURES, HostState
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import Contact
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp
from ansible_collections.hospital.patching.plugins.plugin_utils.windows import Window


@dataclass(frozen=True)
class Gate:
    """The answer. After ``wait``, ask again from time to time; at ``until`` at the latest it is no longer ``wait``."""

    decision: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True)
class Question:
    """Everything the answer depends on."""

    plan: Mapping[str, Any]
    host: str
    now: datetime
    states: Mapping[str, HostState]
    contact: Contact
    stop_requested: bool
    approvers: Collection[str]
    failure_budget: int

    @property
    def entry(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.plan["hosts"][self.host]
        return found

    @property
    def need(self) -> timedelta:
        return timedelta(seconds=self.entry["estimate_s"] + self.entry["way_back_s"])

    @property
    def end(self) -> datetime | None:
        window = self.entry["window"]
        return read_stamp(window["end"]) if window else None

    @property
    def latest_start(self) -> datetime | None:
        """The last moment at which the work and the way back still fit; None without a window."""
        return self.end - self.need if self.end else None


Check = Callable[[Question], Gate | None]


def decide(
    plan: Mapping[str, Any],
    host: str,
    now: datetime,
    states: Mapping[str, HostState],
    contact: Contact,
    stop_requested: bool,
    approvers: Collection[str] = (),
    failure_budget: int = 0,
) -> Gate:
    """Say whether ``host`` may be disrupted at ``now``; the gravest answer of all checks counts.

    Args:
        plan: verified by its caller.
        states: what the run's ledger says of every host it names.
        contact: whether the host's address may be contacted, decided just now.
        stop_requested: somebody asked the run to stop.
        approvers: who has verifiably signed the plan's digest.
        failure_budget: how many failed hosts the run may have and still go on.
    """
    if host not in plan["hosts"]:
        return Gate("stop", f"plan {plan['plan_id']} does not name {host}")
    question = Question(plan, host, now, states, contact, stop_requested, approvers, failure_budget)
    return _gravest(question, CHECKS) or Gate("go", "window open, work and way back fit, enough peers in service")


def decide_way_back(
    plan: Mapping[str, Any],
    host: str,
    now: datetime,
    states: Mapping[str, HostState],
    contact: Contact,
    outside_window: bool,
) -> Gate:
    """Say whether a person may have ``host`` taken back at ``now``.

    Nothing new is installed, so approval, soak, and earlier failures do not
    count; hands-off, the window and the service's other hosts do. A person who
    takes it upon himself may say that it cannot wait for the window.
    """
    question = Question(plan, host, now, states, contact, False, (), 0)
    checks = CHECKS_BACK[:-1] if outside_window else CHECKS_BACK
    return _gravest(question, checks) or Gate("go", "enough peers in service")


def _gravest(question: Question, checks: Iterable[Check]) -> Gate | None:
    answers = [answer for check in checks if (answer := check(question)) is not None]
    for decision in ("stop", "wait"):
        for answer in answers:
            if answer.decision == decision:
                return answer
    return None


def _stop_file(question: Question) -> Gate | None:
    return Gate("stop", "somebody asked the run to stop") if question.stop_requested else None


def _hands_off(question: Question) -> Gate | None:
    return None if question.contact.allowed else Gate("stop", question.contact.reason)


def _approved(question: Question) -> Gate | None:
    needed, given = question.entry["approvals"], len(set(question.approvers))
    if given >= needed:
        return None
    return Gate("stop", f"tier {question.entry['tier']} needs {needed} signed approvals of the plan, {given} are there")


def _budget(question: Question) -> Gate | None:
    """One bad patch must not meet a second host: by default the first failure stops the run."""
    failed = [host for host in question.plan["hosts"] if _outcome(question, host) in FAILURES]
    if len(failed) <= question.failure_budget:
        return None
    seen = ", ".join(f"{host} is {str(_outcome(question, host)).replace('_', ' ')}" for host in failed)
    return Gate(
        "stop",
        f"{seen}: the run stopped before it could harm another (failed hosts allowed: {question.failure_budget})",
    )


def _outcome(question: Question, host: str) -> str | None:
    state = question.states.get(host)
    return state.outcome if state else None


def _window(question: Question) -> Gate | None:
    """Hold the time against the plan's window and against the rule as it evaluates now."""
    window, end = question.entry["window"], question.end
    if window is None or end is None:
        return None
    start, now = read_stamp(window["start"]), question.now
    if now + question.need > end:
        seconds = int(question.need.total_seconds())
        return Gate("stop", f"work and way back need {seconds} s, but the window ends at {stamp(end)}; plan again")
    if now < start:
        return Gate("wait", f"the window opens at {stamp(start)}", start)
    live = Window.parse(window["text"]).open_at(now)
    if live is None or now + question.need > live.end:
        return Gate("stop", f"the plan's window {window['text']!r} is not open long enough now; plan again")
    return None


def _peers(question: Question) -> Gate | None:
    """Count the hosts of the service that are out; this one would be one more."""
    name = question.entry["service"]
    if name is None:
        return None
    service = question.plan["services"][name]
    allowance = len(service["hosts"]) - service["min_healthy"]
    out = _out(question, service)
    if len(out) < allowance:
        return None
    reason = f"{name}: {allowance} of {len(service['hosts'])} hosts may be out, and {', '.join(out) or 'none'} is"
    return _wait_for(question, out, reason, room=allowance - 1)


def _partners(question: Question) -> Gate | None:
    """Services that are never disrupted together: whichever of the two says so."""
    mine = question.entry["service"]
    services = question.plan["services"]
    if mine is None:
        return None
    partners = {name for name, service in services.items() if mine in service["never_with"]}
    for name in sorted(partners | set(services[mine]["never_with"])):
        out = _out(question, services[name]) if name in services else []
        if name not in services:
            return Gate("stop", f"{mine} is never disrupted with {name}, which the plan does not know")
        if out:
            reason = f"{mine} is never disrupted with {name}, of which {', '.join(out)} is out"
            return _wait_for(question, out, reason, room=0)
    return None


def _balancers(question: Question) -> Gate | None:
    """A host and the one that drains it are never out together."""
    hosts = question.plan["hosts"]
    related = [host for host, entry in hosts.items() if entry["drain"].get("host") == question.host]
    if question.entry["drain"].get("host"):
        related.append(question.entry["drain"]["host"])
    out = [host for host in related if _is_out(question, host)]
    if not out:
        return None
    return _wait_for(question, out, f"{', '.join(out)} is out, which drains it or is drained by it", room=0)


def _out(question: Question, service: Mapping[str, Any]) -> list[str]:
    return [
        host
        for host in service["hosts"]
        if host != question.host and (host in service["out"] or _is_out(question, host))
    ]


def _is_out(question: Question, host: str) -> bool:
    state = question.states.get(host)
    return state is not None and state.out


def _wait_for(question: Question, out: Iterable[str], reason: str, room: int) -> Gate:
    """Wait while enough of the hosts that are out are still being worked on, else stop."""
    staying = [host for host in out if not _in_progress(question, host)]
    if len(staying) > room:
        return Gate("stop", f"{reason}; it does not come back by itself")
    return _wait(question, reason)


def _in_progress(question: Question, host: str) -> bool:
    state = question.states.get(host)
    return state is not None and state.out and state.outcome is None


def _wait(question: Question, reason: str, until: datetime | None = None) -> Gate:
    """Wait until ``until``, at most to the last moment at which the work still fits."""
    latest = question.latest_start
    if latest is not None and (question.now >= latest or (until is not None and until > latest)):
        return Gate("stop", f"{reason}; after {stamp(latest)} work and way back no longer fit in the window")
    return Gate("wait", reason, until or latest)


def _ring_before(question: Question) -> Gate | None:
    """The earlier rings of the service must be patched and must have run well for the soak time."""
    entry = question.entry
    if entry["service"] is None:
        return None
    for host in question.plan["services"][entry["service"]]["hosts"]:
        earlier = question.plan["hosts"].get(host)
        if earlier is None or host == question.host or earlier["kind"] != entry["kind"]:
            continue
        if RINGS.index(earlier["ring"]) < RINGS.index(entry["ring"]):
            answer = _proven(question, host, earlier["ring"])
            if answer is not None:
                return answer
    return None


def _proven(question: Question, host: str, ring: str) -> Gate | None:
    state = question.states.get(host)
    if state is None or state.outcome is None:
        return _wait(question, f"{host} ({ring}) is not finished yet")
    if state.outcome == "nothing_to_do":
        return None
    if state.outcome != "patched":
        return Gate("stop", f"{host} ({ring}) is {state.outcome}, so nothing is proven; plan again without it")
    until = state.time + timedelta(seconds=question.entry["soak_s"])
    if question.now < until:
        return _wait(question, f"{host} ({ring}) must have run well until {stamp(until)}", until)
    return None


def _window_for_way_back(question: Question) -> Gate | None:
    """Any window of the host's rule will do: the plan's own may have passed long ago."""
    window = question.entry["window"]
    if window is None:
        return None
    live = Window.parse(window["text"]).open_at(question.now)
    need = timedelta(seconds=question.entry["way_back_s"])
    if live is not None and question.now + need <= live.end:
        return None
    seen = f"its window {window['text']!r} is not open for the {question.entry['way_back_s']} s that the way back takes"
    return Gate("stop", f"{seen}; wait for it, or say rollback_outside_window=true")


CHECKS: tuple[Check, ...] = (
    _stop_file,
    _hands_off,
    _approved,
    _budget,
    _window,
    _peers,
    _partners,
    _balancers,
    _ring_before,
)
#: The window last, which a person may do without.
CHECKS_BACK: tuple[Check, ...] = (_hands_off, _peers, _partners, _balancers, _window_for_way_back)
