# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens and judges the return of a host that a person puts back into service, or holds out of it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers, opening, plan, recovery
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """``opened`` holds the request against the run; ``judged`` says what a returned host is."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "state": {"type": "str", "required": True, "choices": ["opened", "judged"]},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "reason": {"type": "str", "default": ""},
        "at_to": {"type": "bool", "default": False},
        "at_from": {"type": "bool", "default": False},
        "proven": {"type": "bool", "default": False},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        if arguments["state"] == "opened":
            return self._open(run, arguments, task_vars)
        installed = recovery.installed(run.ledger.read(), task_vars["inventory_hostname"])
        outcome = recovery.returned(arguments["at_to"], arguments["at_from"], arguments["proven"], installed)
        return {"changed": False, "outcome": outcome, "release": recovery.release(outcome)}

    def _open(self, run: Run, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        approved = run.plan()
        opening.require_whole_run(approved, task_vars.get("ansible_limit"))
        plan.verify_plan(approved, known_hosts=set(task_vars["groups"]["all"]), groups=set(task_vars["groups"]))
        for host in arguments["hosts"]:
            run.host(host)
        if not arguments["hosts"] or not arguments["reason"].strip():
            raise PatchingError(
                f"return of run {run.run_id}",
                "no reason" if arguments["hosts"] else "no host",
                "the hosts by name, and why",
                "give -e return_hosts=HOST,HOST -e \"return_reason='…'\"",
            )
        circumstances = opening.circumstances(approved, approved["digest"])
        asked = {"hosts": arguments["hosts"], "reason": arguments["reason"]}
        if not self._task.check_mode:
            with controllers.opening(run):
                controllers.require_alone(run, run.ledger.read(), self.clock)
                run.record(None, "return", "note", asked_by=circumstances["started_by"], **asked)
        facts = {
            "run_id": run.run_id,
            "evidence_dir": arguments["evidence_dir"],
            "controller": circumstances["controller"],
            "by": circumstances["started_by"],
            **asked,
        }
        return {"changed": False, "ansible_facts": {"patching_run": facts}}
