# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks, per host, whether it may be disrupted or rebooted now: go, wait, or stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    answering,
    answers,
    break_glass,
    broken_freezes,
    contacts,
    gate,
    hooks,
    lost,
    outcomes,
    rehearsal,
    resumption,
    rollback,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.answers import Standing
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_live import Live
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_question import Gate
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import Contact


@dataclass(frozen=True)
class Case:
    """One host at the gate since ``asked``; what may change while it waits is looked up at each question."""

    run: Run
    plan: dict[str, Any]
    host: str
    asked: datetime
    hostvars: Mapping[str, Mapping[str, Any]]
    waiting: answering.Waiting

    @property
    def contact(self) -> Contact:
        entry = self.plan["hosts"][self.host]
        others = hooks.hosts_of(entry.get("hooks") or [])
        return contacts.journey(self.host, entry["drain"].get("host"), self.hostvars, others)

    def taken(self, records: Sequence[Mapping[str, Any]]) -> bool:
        return resumption.taken(records, self.host) is not None

    def installed(self, records: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the run has begun to change packages: such a host is finished or put back, whatever is blocked."""
        found = resumption.taken(records, self.host)
        return found is not None and found.installed

    @property
    def asks(self) -> bool:
        """Whether the host waits for people."""
        return self.host in self.plan["hosts"] and answers.waits(self.plan, self.host)

    @property
    def missing(self) -> lost.Mark | None:
        """A report that the host is lost or stolen, which may be younger than the plan."""
        return lost.mark(self.run.evidence.root, self.host)

    def frozen(self, now: datetime, taken: bool, inventorys: str | None) -> str | None:
        """Return what a freeze file tells: the plan's, or the inventory's by now. The plan may break a very one."""
        broken = break_glass.holding(self.plan, now, taken)
        for path in dict.fromkeys((self.plan["hosts"][self.host]["freeze_file"], inventorys)):
            told = self.run.frozen(path)
            if told is not None and not broken_freezes.is_broken(broken, self.run.freeze_path(path)):
                return told
        return None


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Waits while the answer is ``wait``; a ``stop`` is recorded and fails the host."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "before": {"type": "str", "default": "host", "choices": ["host", "install", "reboot"]},
        "transaction": {"type": "dict", "default": {}},
        "way_back": {"type": "bool", "default": False},
        "outside_window": {"type": "bool", "default": False},
        "poll_s": {"type": "int", "default": 2},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        started = self.clock.monotonic()
        variables = task_vars["hostvars"].get(host) or {}
        live = Live(run, host, variables, list(task_vars.get("ansible_inventory_sources") or []), self.clock)
        case = Case(run, dict(live.loaded.plan), host, self.clock.now(), task_vars["hostvars"], answering.Waiting(live))
        with run.heartbeat(check=self._task.check_mode):
            answer = self._ask(case, arguments, live)
            while answer.decision == "wait" and not self._task.check_mode:
                self._display.v(f"{host}: the gate waits: {answer.reason}")
                self.clock.sleep(arguments["poll_s"])
                answer = self._ask(case, arguments, live)
        result = {"changed": False, "decision": answer.decision, "reason": answer.reason, "before": arguments["before"]}
        if self._task.check_mode:
            return result
        stopped = answer.decision != "go"
        if arguments["before"] == "install" and not stopped:
            return result  # the journey's go is on record already
        if not stopped and arguments["before"] == "host" and not arguments["way_back"]:
            result.update(live.evidence())
        took_ms = int((self.clock.monotonic() - started) * 1000)
        run.record(host, "gate", "refused" if stopped else "done", took_ms=took_ms, **result)
        if stopped:
            result.update(failed=True, msg=answer.reason)
        return result

    def _ask(self, case: Case, arguments: dict[str, Any], live: Live) -> Gate:
        if arguments["before"] == "reboot":
            now = self.clock.now()
            frozen = case.frozen(now, True, live.freeze_file)
            return gate.decide_reboot(case.plan, case.host, now, case.contact, frozen, freezes=live.freezes)
        if case.missing is not None:
            return Gate("stop", case.missing.reason)
        if arguments["before"] == "install":
            return _before_install(case, live, arguments["transaction"])
        if arguments["way_back"]:
            return self._ask_way_back(case, live, arguments["outside_window"])
        refusal = live.refusal(load_extra_vars(self._loader))
        if refusal:
            return Gate("stop", refusal)
        blocked = None if case.installed(case.run.ledger.read()) else live.blocked()
        if blocked:
            return Gate("stop", blocked)
        answer = self._decide(case, live)
        # Only whoever could go at once asks: an inhibit is not polled all evening for a window that opens at night.
        # One that the run has taken is finished: inhibits are reasons not to start.
        if answer.decision != "go" or case.taken(case.run.ledger.read()) or not live.has_inhibits:
            return answer
        inhibited = live.no_go()
        # It may have taken a minute to answer: everything else is asked again, now.
        return self._decide(case, live, inhibited)

    def _decide(self, case: Case, live: Live, inhibited: str | None = None) -> Gate:
        approvers, contact, records = live.approvers(), case.contact, case.run.ledger.read()
        now, taken, people = self.clock.now(), case.taken(records), case.waiting.standings(records)
        answer = gate.decide(
            case.plan,
            case.host,
            now,
            outcomes.host_states(records),
            contact,
            stop_requested=case.run.stop_requested(),
            frozen=case.frozen(now, taken, live.freeze_file),
            approvers=approvers,
            asked=case.asked,
            inhibited=inhibited,
            freezes=live.freezes,
            approvals=live.needed,
            tier=live.tier,
            watch=live.watch(),
            taken=taken,
            people=people,
            rehearsals=rehearsal.Rehearsals.read(records),
        )
        if answer.decision == "wait" and not self._task.check_mode and case.asks:
            self._ask_people(case, people)
        return replace(answer, reason=answer.reason + live.not_counted()) if answer.decision == "stop" else answer

    def _ask_people(self, case: Case, people: Mapping[str, Standing]) -> None:
        """Whoever is waited for is told, once, as soon as there is something to answer."""
        for one in people.values():
            problems = answering.ask(case.run, one, case.hostvars)
            if problems is not None:
                self._display.display("; ".join([answers.told(one), *problems]))

    def _ask_way_back(self, case: Case, live: Live, outside_window: bool) -> Gate:
        records = case.run.ledger.read()
        stopped = None if self._task.check_mode else _earlier(case, records)
        if stopped is None and rollback.asked_since(records, case.run.stop_path):
            stopped = case.run.stop_requested()
        if stopped:
            return Gate("stop", stopped)
        states, now = outcomes.host_states(records), self.clock.now()
        return gate.decide_way_back(
            case.plan,
            case.host,
            now,
            states,
            case.contact,
            case.frozen(now, False, live.freeze_file),
            outside_window,
            freezes=live.freezes,
        )


def _before_install(case: Case, live: Live, transaction: Mapping[str, Any]) -> Gate:
    """A block may be younger than the host's gate: it was held, measured, drained and snapshotted meanwhile."""
    blocked = None if case.installed(case.run.ledger.read()) else live.blocked(transaction.get("entries"))
    return Gate("stop", f"nothing was installed: {blocked}") if blocked else Gate("go", "nothing of it is blocked")


def _earlier(case: Case, records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why a rollback goes no further: an earlier host, or a newer run of the same request, was not proven."""
    root = str(case.run.evidence.root)
    newer = rollback.stopped_by_runs(records, lambda run_id: Run(root, run_id).ledger.read())
    return newer or rollback.stopped_by(records, case.host)
