# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a run to stop in good order, or takes that back."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import opening, stopping
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Writes or removes the stop file, and notes it in the ledger."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "reason": {"type": "str", "default": ""},
        "state": {"type": "str", "default": "requested", "choices": ["requested", "withdrawn"]},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run, by = Run(arguments["evidence_dir"], arguments["run_id"]), opening.asker()
        reason, check = arguments["reason"], bool(self._task.check_mode)
        if arguments["state"] == "requested":
            asked = stopping.request(run, by, reason, self.clock.now(), check=check)
        else:
            asked = stopping.withdraw(run, by, reason, check=check)
        text = stopping.explain(run, arguments["state"], asked)
        return {"changed": asked.changed, "path": str(run.stop_path.resolve()), "line": asked.line, "text": text}
