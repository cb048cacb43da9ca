# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the batch that Ansible runs with the wave that the plan wrote."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import plan
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """A batch's first task: any difference stops the run before a host is touched."""

    ARGUMENTS = RUN_ARGUMENTS

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        approved, states = run.plan(), run.states()
        ended = {name for name, state in states.items() if state.outcome is not None}
        plan.check_batch(approved, list(task_vars["ansible_play_batch"]), ended)
        return {"changed": False, "wave": plan.wave_of(approved, task_vars["inventory_hostname"])["number"]}
