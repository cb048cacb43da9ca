# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks, per host, whether it may be disrupted now: go, wait, or stop."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import contacts, gate, outcomes, rollback
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import Contact


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Waits while the answer is ``wait``; a ``stop`` is recorded and fails the host."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "way_back": {"type": "bool", "default": False},
        "outside_window": {"type": "bool", "default": False},
        "poll_s": {"type": "int", "default": 2},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        started, approved = self.clock.monotonic(), run.plan()
        ask = self._ask_way_back if arguments["way_back"] else self._ask
        answer = ask(run, approved, host, arguments, task_vars)
        while answer.decision == "wait" and not self._task.check_mode:
            self._display.v(f"{host}: the gate waits: {answer.reason}")
            self.clock.sleep(arguments["poll_s"])
            answer = ask(run, approved, host, arguments, task_vars)
        result = {"changed": False, "decision": answer.decision, "reason": answer.reason}
        if self._task.check_mode:
            return result
        stopped = answer.decision != "go"
        took_ms = int((self.clock.monotonic() - started) * 1000)
        run.record(host, "gate", "refused" if stopped else "done", took_ms=took_ms, **result)
        if stopped:
            result.update(failed=True, msg=answer.reason)
        return result

    def _ask(
        self, run: Run, approved: dict[str, Any], host: str, _arguments: dict[str, Any], task_vars: dict[str, Any]
    ) -> gate.Gate:
        contact = self._contact(approved, host, task_vars)
        return gate.decide(approved, host, self.clock.now(), run.states(), contact, run.stop_requested())

    def _ask_way_back(
        self, run: Run, approved: dict[str, Any], host: str, arguments: dict[str, Any], task_vars: dict[str, Any]
    ) -> gate.Gate:
        records = run.ledger.read()
        stopped = None if self._task.check_mode else rollback.stopped_by(records, host)
        if stopped:
            return gate.Gate("stop", stopped)
        contact, states = self._contact(approved, host, task_vars), outcomes.host_states(records)
        return gate.decide_way_back(
            approved, host, self.clock.now(), states, contact, outside_window=arguments["outside_window"]
        )

    @staticmethod
    def _contact(approved: dict[str, Any], host: str, task_vars: dict[str, Any]) -> Contact:
        return contacts.journey(host, approved["hosts"][host]["drain"].get("host"), task_vars["hostvars"])
