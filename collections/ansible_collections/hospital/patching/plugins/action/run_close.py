# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes a run: every host gets an outcome, and the run says whether it may exit 0."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import outcomes
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """No host stays without an outcome; ``bad`` says why the run must not exit 0."""

    ARGUMENTS = RUN_ARGUMENTS

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            return {"changed": False, "outcomes": {}, "bad": ""}
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        found = run.close()
        return {"changed": False, "outcomes": found, "bad": outcomes.exit_reason(found) or ""}
