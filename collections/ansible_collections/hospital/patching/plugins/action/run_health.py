# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges health: fit to start before a patch, unharmed after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import verification
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.figure_history import FigureHistory
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
        path = run.evidence.figures_path(host)
        known, trouble = _known(path)
        terms = verification.Terms.of(run.host(host), known.usual())
        judged = verification.judge(host, arguments["before"], arguments["after"], arguments["versions"], terms)
        result: dict[str, Any] = {"changed": False, "verdict": judged.verdict, "findings": judged.findings}
        failed = judged.verdict != "ok"
        if not self._task.check_mode:
            probes = arguments["before"] if arguments["after"] is None else arguments["after"]
            if not failed and not trouble:
                trouble = _keep(known, path, host, f"run {run.run_id} {arguments['step']}", probes)
            judged.findings.extend({"finding": told, "verdict": "ok"} for told in trouble)
            event = "failed" if failed else "done"
            numbers = known.changed(arguments["before"], arguments["after"] or [])
            run.record(host, arguments["step"], event, probes=probes, figures=numbers, **judged.evidence())
        if failed:
            result.update(failed=True, msg=judged.message)
        return result


def _known(path: Path) -> tuple[FigureHistory, list[str]]:
    """Return the host's numbers of earlier readings, or none and why: that only makes the judgement stricter."""
    try:
        return FigureHistory.read(path), []
    except PatchingError as error:
        return FigureHistory(), [f"numbers of earlier readings were not used: {error}"]


def _keep(known: FigureHistory, path: Path, host: str, by: str, probes: list[dict[str, Any]]) -> list[str]:
    """Add what was read; that it cannot be kept is told, and no reason to put a healthy host back."""
    try:
        known.with_reading(Clock().stamp(), by, probes).write(path, host)
    except PatchingError as error:
        return [f"the numbers of this reading were not kept: {error}"]
    return []
