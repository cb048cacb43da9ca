# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks, per host, whether it may be disrupted now: go, wait, or stop."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import contacts, gate
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Waits while the answer is ``wait``; a ``stop`` is recorded and fails the host."""

    ARGUMENTS = {**RUN_ARGUMENTS, "poll_s": {"type": "int", "default": 2}}
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        started, approved = self.clock.monotonic(), run.plan()
        answer = self._ask(run, approved, host, task_vars)
        while answer.decision == "wait" and not self._task.check_mode:
            self._display.v(f"{host}: the gate waits: {answer.reason}")
            self.clock.sleep(arguments["poll_s"])
            answer = self._ask(run, approved, host, task_vars)
        result = {"changed": False, "decision": answer.decision, "reason": answer.reason}
        if self._task.check_mode:
            return result
        stopped = answer.decision != "go"
        took_ms = int((self.clock.monotonic() - started) * 1000)
        run.record(host, "gate", "refused" if stopped else "done", took_ms=took_ms, **result)
        if stopped:
            result.update(failed=True, msg=answer.reason)
        return result

    def _ask(self, run: Run, approved: dict[str, Any], host: str, task_vars: dict[str, Any]) -> gate.Gate:
        return gate.decide(
            approved,
            host,
            self.clock.now(),
            run.states(),
            contacts.journey(host, approved["hosts"][host]["drain"].get("host"), task_vars["hostvars"]),
            stop_requested=run.stop_requested(),
        )
