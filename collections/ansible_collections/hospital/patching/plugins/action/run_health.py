# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges health: fit to start before a patch, unharmed after it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import verification
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Without ``after`` the host must be fit to start; with it nothing healthy may have broken."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "step": {"type": "str", "required": True, "choices": ["health_before", "verify"]},
        "before": {"type": "list", "elements": "dict", "required": True},
        "after": {"type": "list", "elements": "dict"},
        "versions": {"type": "dict", "default": {}},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        if self._task.check_mode and arguments["after"] is not None:
            return {
                "changed": False,
                "verdict": "ok",
                "findings": [],
                "note": "health after a patch is not predictable",
            }
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        terms = verification.Terms.of(run.host(host))
        judged = verification.judge(host, arguments["before"], arguments["after"], arguments["versions"], terms)
        result: dict[str, Any] = {"changed": False, "verdict": judged.verdict, "findings": judged.findings}
        failed = judged.verdict != "ok"
        if not self._task.check_mode:
            probes = arguments["before"] if arguments["after"] is None else arguments["after"]
            event = "failed" if failed else "done"
            run.record(host, arguments["step"], event, probes=probes, **judged.evidence())
        if failed:
            result.update(failed=True, msg=judged.message)
        return result
