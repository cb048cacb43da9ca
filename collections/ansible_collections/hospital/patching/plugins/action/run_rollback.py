# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens and closes a rollback that a person asks for."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import opening, plan, rollback
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """``opened`` returns the hosts in the order in which they are taken back; ``closed`` says what was not."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "state": {"type": "str", "required": True, "choices": ["opened", "closed"]},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "updates": {"type": "list", "elements": "str", "default": []},
        "reason": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        return self._open(run, arguments, task_vars) if arguments["state"] == "opened" else self._close(run)

    def _open(self, run: Run, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        approved = run.plan()
        opening.require_whole_run(approved, task_vars.get("ansible_limit"))
        plan.verify_plan(approved, known_hosts=set(task_vars["groups"]["all"]), groups=set(task_vars["groups"]))
        if not arguments["reason"].strip():
            raise PatchingError(
                f"rollback of run {run.run_id}", "no reason", "why it is taken back", "give -e rollback_reason='…'"
            )
        transactions = {host: stage["transaction"] for host, stage in run.stages().items()}
        asked = {key: arguments[key] for key in ("updates", "reason")}
        asked["hosts"] = rollback.choose(
            plan.order(approved), run.ledger.read(), transactions, arguments["hosts"], arguments["updates"]
        )
        circumstances = opening.circumstances(approved, approved["digest"])
        if not self._task.check_mode:
            run.record(None, "gate", "begin", **{**circumstances, "approval": "a person's request"}, rollback=asked)
        facts = {
            "run_id": run.run_id,
            "evidence_dir": arguments["evidence_dir"],
            "controller": circumstances["controller"],
            "by": circumstances["started_by"],
            **asked,
        }
        return {"changed": False, "hosts": asked["hosts"], "ansible_facts": {"patching_run": facts}}

    def _close(self, run: Run) -> dict[str, Any]:
        if self._task.check_mode:
            return {"changed": False, "bad": ""}
        missing = rollback.not_taken_back(run.ledger.read())
        run.record(None, "record", "done", not_taken_back=missing)
        bad = "; ".join(f"{host} was not taken back: {why}" for host, why in missing.items())
        return {"changed": False, "bad": bad}
