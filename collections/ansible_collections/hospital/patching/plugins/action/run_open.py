# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a run: holds the plan against its digest, the inventory and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    answering,
    controllers,
    gate_live,
    opening,
    plan,
    rehearsal,
    rehearsal_request,
    stateful,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Refuses before anything is touched; returns the hosts in plan order and the sizes of their waves."""

    ARGUMENTS = {
        "plan": {"type": "str", "required": True},
        "evidence_dir": {"type": "path", "default": "evidence"},
        "approved_by": {"type": "str", "default": ""},
        "rehearse": {"type": "list", "elements": "str", "default": []},
        "step": {"type": "str", "required": True, "choices": ["stage", "gate"]},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        approved = Evidence(Path(arguments["evidence_dir"])).load_plan(arguments["plan"]).plan
        opening.require_whole_run(approved, task_vars.get("ansible_limit"))
        groups = set(task_vars["groups"])
        plan.verify_plan(approved, known_hosts=set(task_vars["groups"]["all"]), groups=groups)
        asked = self._rehearsals(approved, arguments, task_vars)
        # Only now, so that a refused start leaves no run behind.
        run = Run.start(arguments["evidence_dir"], arguments["plan"], check=bool(self._task.check_mode))
        circumstances = opening.circumstances(approved, arguments["plan"], arguments["approved_by"])
        if not self._task.check_mode:
            with controllers.opening(run):
                controllers.require_alone(run, run.ledger.read(), self.clock)
                if arguments["step"] == "gate":
                    controllers.require_no_rollback(run, run.ledger.read())
                    opening.require_digest(approved, arguments["plan"], run.ledger.read())
                run.record(None, arguments["step"], "begin", **circumstances, **asked)
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

    @staticmethod
    def _rehearsals(approved: dict[str, Any], arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what the ledger is told of reverts to rehearse, and of those that earlier runs have proven.

        Raises:
            PatchingError: a host that is named is not fit for it.
        """
        if arguments["step"] != "gate":
            return {}
        run = Run(arguments["evidence_dir"], str(approved["plan_id"]))

        def look(host: str) -> tuple[int, str]:
            variables = task_vars["hostvars"].get(host) or {}
            tier = min(int(approved["hosts"][host]["tier"]), gate_live.tier_of(variables))
            return tier, stateful.why(run.evidence, host, variables)

        asked = rehearsal_request.require_fit(approved, run.ledger.read(), arguments["rehearse"], look)
        proofs = rehearsal_request.known_proofs(run.evidence)
        return {**({rehearsal.ASKED: list(asked)} if asked else {}), **({rehearsal.PROVEN: proofs} if proofs else {})}
