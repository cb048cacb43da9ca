# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens and closes a rollback that a person asks for."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers, opening, plan, rollback
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """``opened`` returns the hosts in order, ``refused`` leaves one as it was, ``closed`` says which those are."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "state": {"type": "str", "required": True, "choices": ["opened", "refused", "closed"]},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "updates": {"type": "list", "elements": "str", "default": []},
        "reason": {"type": "str", "default": ""},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        if arguments["state"] == "opened":
            return self._open(run, arguments, task_vars)
        if arguments["state"] == "refused":
            if not self._task.check_mode:
                run.record(task_vars["inventory_hostname"], *rollback.REFUSED, reason=arguments["reason"])
            return {"changed": False}
        return self._close(run)

    def _open(self, run: Run, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        approved = run.plan()
        opening.require_whole_run(approved, task_vars.get("ansible_limit"))
        plan.verify_plan(approved, known_hosts=set(task_vars["groups"]["all"]), groups=set(task_vars["groups"]))
        if not arguments["reason"].strip():
            raise PatchingError(
                f"rollback of run {run.run_id}", "no reason", "why it is taken back", "give -e \"rollback_reason='…'\""
            )
        transactions = {host: stage["transaction"] for host, stage in run.stages().items()}
        asked = {key: arguments[key] for key in ("updates", "reason")}
        circumstances = opening.circumstances(approved, approved["digest"])
        with nullcontext() if self._task.check_mode else controllers.opening(run):
            records = run.ledger.read()
            self._require_closed(run, records)
            asked["hosts"] = rollback.choose(
                plan.order(approved), records, transactions, arguments["hosts"], arguments["updates"]
            )
            if not self._task.check_mode:
                run.record(None, "gate", "begin", **{**circumstances, "approval": "a person's request"}, rollback=asked)
        facts = {
            "run_id": run.run_id,
            "evidence_dir": arguments["evidence_dir"],
            "controller": circumstances["controller"],
            "by": circumstances["started_by"],
            "updates_of": {host: rollback.own(transactions[host], asked["updates"]) for host in asked["hosts"]},
            **asked,
        }
        return {"changed": False, "hosts": asked["hosts"], "ansible_facts": {"patching_run": facts}}

    def _require_closed(self, run: Run, records: list[dict[str, Any]]) -> None:
        """A run that goes on, or was killed, has hosts in flight that nobody else may touch."""
        controllers.require_alone(run, records, self.clock)
        if controllers.driver(records) is not None:
            raise PatchingError(
                f"run {run.run_id}", "it was killed and has not been closed", "a closed run", "start recover.yml first"
            )

    def _close(self, run: Run) -> dict[str, Any]:
        if self._task.check_mode:
            return {"changed": False, "bad": ""}
        missing = rollback.not_taken_back(run.ledger.read())
        run.record(None, "record", "done", not_taken_back=missing)
        bad = "; ".join(f"{host} was not taken back: {why}" for host, why in missing.items())
        return {"changed": False, "bad": bad}
