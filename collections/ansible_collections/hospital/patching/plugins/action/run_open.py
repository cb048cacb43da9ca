# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a run: holds the plan against its digest, the inventory and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import answering, controllers, opening, plan
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Refuses before anything is touched; returns the hosts in plan order and the sizes of their waves."""

    ARGUMENTS = {
        "plan": {"type": "str", "required": True},
        "evidence_dir": {"type": "path", "default": "evidence"},
        "approved_by": {"type": "str", "default": ""},
        "step": {"type": "str", "required": True, "choices": ["stage", "gate"]},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        approved = Evidence(Path(arguments["evidence_dir"])).load_plan(arguments["plan"]).plan
        opening.require_whole_run(approved, task_vars.get("ansible_limit"))
        groups = set(task_vars["groups"])
        plan.verify_plan(approved, known_hosts=set(task_vars["groups"]["all"]), groups=groups)
        # Only now, so that a refused start leaves no run behind.
        run = Run.start(arguments["evidence_dir"], arguments["plan"], check=bool(self._task.check_mode))
        circumstances = opening.circumstances(approved, arguments["plan"], arguments["approved_by"])
        if not self._task.check_mode:
            with controllers.opening(run):
                controllers.require_alone(run, run.ledger.read(), self.clock)
                if arguments["step"] == "gate":
                    controllers.require_no_rollback(run, run.ledger.read())
                    opening.require_digest(approved, arguments["plan"], run.ledger.read())
                run.record(None, arguments["step"], "begin", **circumstances)
            for told in answering.ask_now(run, approved, task_vars.get("hostvars") or {}):
                self._display.display(told)
        facts = {
            "run_id": run.run_id,
            "evidence_dir": arguments["evidence_dir"],
            "controller": circumstances["controller"],
            "hosts": plan.order(approved),
            # An empty list would mean "all remaining hosts"; no hosts need no waves.
            "serial": plan.serial(approved) or [1],
        }
        return {"changed": False, "ansible_facts": {"patching_run": facts}}
