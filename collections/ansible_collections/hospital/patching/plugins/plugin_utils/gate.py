# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: may this host be disrupted now? Go, wait, or stop, with the reason.

It is asked before the first disruptive step of a host, before each reboot, and
before a person takes a host back. What it does not know counts as no.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import break_glass, failure_budget
from ansible_collections.hospital.patching.plugins.plugin_utils.answers import Standing
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_peers import (
    balancers,
    partners,
    peers,
    rehearsed,
    ring_before,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_people import asked_people
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_question import Check, Gate, Question, wait
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_time import (
    no_freeze,
    no_freeze_for_reboot,
    no_freeze_for_way_back,
    window,
    window_for_reboot,
    window_for_way_back,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import HostState
from ansible_collections.hospital.patching.plugins.plugin_utils.rehearsal import Rehearsals
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import Contact
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.plugins.plugin_utils.watchers import Watch


def decide(
    plan: Mapping[str, Any],
    host: str,
    now: datetime,
    states: Mapping[str, HostState],
    contact: Contact,
    stop_requested: str | None,
    frozen: str | None,
    approvers: Collection[str] = (),
    asked: datetime | None = None,
    inhibited: str | None = None,
    freezes: Sequence[str] = (),
    approvals: int = 0,
    tier: int = 4,
    watch: Watch | str | None = None,
    taken: bool = False,
    people: Mapping[str, Standing] | None = None,
    rehearsals: Rehearsals | None = None,
) -> Gate:
    """Say whether ``host`` may be disrupted at ``now``; the gravest answer of all checks counts.

    Args:
        plan: verified by its caller.
        states: what the run's ledger says of every host it names.
        contact: whether the host's address may be contacted, decided just now.
        stop_requested: what the run's stop file tells; None when there is none.
        frozen: what the freeze file tells; None when there is none.
        approvers: who has verifiably signed the plan's digest.
        asked: when this was asked first, so that a host without a window does not wait for ever.
        inhibited: the first of the host's inhibits that does not say go; None when all do.
        freezes: those of the inventory by now; the plan's count besides.
        approvals: how many the inventory's tier asks for by now; the plan cannot lower it.
        tier: the inventory's by now; the plan's counts if it is stricter.
        watch: the watcher that counts, or what was seen instead of one; None means that nobody has looked.
        taken: whether this run has disrupted the host already and not finished it.
        people: how the questions to people of its service stand, by the probe's name.
        rehearsals: whose revert is to be rehearsed in this run, and where that is proven.
    """
    if host not in plan["hosts"]:
        return Gate("stop", f"plan {plan['plan_id']} does not name {host}")
    question = Question(
        plan,
        host,
        now,
        contact,
        frozen,
        states,
        stop_requested,
        approvers,
        asked,
        inhibited,
        freezes,
        approvals,
        tier,
        watch,
        taken=taken,
        people=people or {},
        rehearsals=rehearsals or Rehearsals(),
    )
    return _gravest(question, CHECKS) or Gate("go", "window open, work and way back fit, enough peers in service")


def decide_reboot(
    plan: Mapping[str, Any],
    host: str,
    now: datetime,
    contact: Contact,
    frozen: str | None,
    freezes: Sequence[str] = (),
) -> Gate:
    """Say whether ``host``, whose updates are installed, may be rebooted at ``now``; it never waits.

    The host is out already, so it is finished whatever its peers, other
    failures and the stop file say; a stop has it put back.
    """
    answer = _gravest(Question(plan, host, now, contact, frozen, freezes=freezes, taken=True), CHECKS_REBOOT)
    if answer is None:
        return Gate("go", "reboot, settling and way back fit in the window")
    return replace(answer, reason=f"the reboot was not begun: {answer.reason}")


def decide_way_back(
    plan: Mapping[str, Any],
    host: str,
    now: datetime,
    states: Mapping[str, HostState],
    contact: Contact,
    frozen: str | None,
    outside_window: bool,
    freezes: Sequence[str] = (),
) -> Gate:
    """Say whether a person may have ``host`` taken back at ``now``.

    Nothing new is installed, so approval, soak, and earlier failures do not
    count; hands-off, a freeze, the window and the service's other hosts do. A
    person who takes it upon himself may say that it cannot wait for the window.
    """
    checks = CHECKS_BACK[:-1] if outside_window else CHECKS_BACK
    question = Question(plan, host, now, contact, frozen, states, freezes=freezes)
    return _gravest(question, checks) or Gate("go", "enough peers in service")


def _gravest(question: Question, checks: Iterable[Check]) -> Gate | None:
    answers = [answer for check in checks if (answer := check(question)) is not None]
    for decision in ("stop", "wait"):
        for answer in answers:
            if answer.decision == decision:
                return answer
    return None


def _stop_file(question: Question) -> Gate | None:
    if question.stop_requested is None:
        return None
    told = f"the run is asked to stop: {question.stop_requested}"
    return Gate("stop", f"{told}; to go on, withdraw that and start the same plan again")


def _frozen(question: Question) -> Gate | None:
    if question.frozen is None:
        return None
    told = f"nothing may be disrupted: {question.frozen}"
    return Gate("stop", f"{told}; to go on, have the freeze ended and start again")


def _inhibited(question: Question) -> Gate | None:
    """What is a reason not to start now may end; until then the host waits, at most to its cut-off."""
    return wait(question, f"not now: {question.inhibited}") if question.inhibited is not None else None


def _hands_off(question: Question) -> Gate | None:
    return None if question.contact.allowed else Gate("stop", question.contact.reason)


def _approved(question: Question) -> Gate | None:
    needed, given = max(question.entry["approvals"], question.approvals), len(set(question.approvers))
    if given >= needed:
        return None
    told = f"its tier needs signed approvals of the plan by {needed} people, and {given} have signed (see approve.yml)"
    stricter = "; the inventory's tier is stricter than the plan's: plan again" * (needed > question.entry["approvals"])
    return Gate("stop", told + stricter)


def _glass(question: Question) -> Gate | None:
    """What was broken in one night is whole again the day after. A host that is out already is finished."""
    since = break_glass.over_since(question.plan, question.now)
    if since is None or question.taken:
        return None
    return Gate(
        "stop", f"the plan's break-glass is over since {stamp(since)}; plan again, with emergency.yml or as ever"
    )


def _watched(question: Question) -> Gate | None:
    """A host of tier 1 is not begun unless somebody would be told of the controller's death.

    It waits, because a timer that is late or a machine that restarts comes back.
    One that is out already is finished.
    """
    if min(question.entry["tier"], question.tier) > 1 or question.taken:
        return None
    if isinstance(question.watch, Watch):
        return None
    seen = question.watch or "nobody has looked for one"
    return wait(question, f"tier 1, and no watcher on a second machine: {seen}; see to watch.yml there")


def _budget(question: Question) -> Gate | None:
    """One bad patch must not meet a second host: by default the first failure stops the run."""
    reason = failure_budget.exceeded(question.plan, question.host, question.states)
    return Gate("stop", reason) if reason else None


CHECKS: tuple[Check, ...] = (
    _stop_file,
    _frozen,
    no_freeze,
    _hands_off,
    _approved,
    _glass,
    _budget,
    window,
    _inhibited,
    _watched,
    peers,
    partners,
    balancers,
    rehearsed,
    ring_before,
    asked_people,
)
CHECKS_REBOOT: tuple[Check, ...] = (_frozen, no_freeze_for_reboot, _hands_off, window_for_reboot)
#: The window last, which a person may do without.
CHECKS_BACK: tuple[Check, ...] = (
    _frozen,
    no_freeze_for_way_back,
    _hands_off,
    peers,
    partners,
    balancers,
    window_for_way_back,
)
