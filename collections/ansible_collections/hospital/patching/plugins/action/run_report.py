# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the run's report as JSON and HTML, and returns it as text."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import report as reports
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Reads plan, stage results and ledger; contacts no host."""

    ARGUMENTS = RUN_ARGUMENTS

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        made = reports.build_report(run.plan(), run.ledger.read(), run.stages(), run.traffic(), run.findings())
        paths = {} if self._task.check_mode else run.write_report(made, reports.render_html(made))
        return {
            "changed": False,
            "report": made,
            "paths": paths,
            "text": reports.render_text(made, path=paths.get("html")).splitlines(),
        }
