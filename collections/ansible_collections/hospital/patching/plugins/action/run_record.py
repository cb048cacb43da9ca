# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a host's outcome into the run's ledger."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import outcomes
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """One record for the host the task runs for."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "outcome": {"type": "str", "required": True, "choices": sorted(outcomes.OUTCOMES)},
        "reason": {"type": "str", "required": True},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        outcome = {"outcome": arguments["outcome"], "reason": arguments["reason"]}
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        if not self._task.check_mode and not run.keeps(host, arguments["outcome"]):
            run.record(host, "record", "outcome", **outcome)
        return {"changed": False, **outcome}
