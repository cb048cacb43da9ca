# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a run's evidence, and fails with what is wrong."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.run_verification import verify_run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Only reads; a failed result carries all findings, its message the first of them."""

    ARGUMENTS = {**RUN_ARGUMENTS, "head": {"type": "str", "default": ""}}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        verified = verify_run(Evidence(Path(arguments["evidence_dir"])), arguments["run_id"], arguments["head"])
        result = {
            "changed": False,
            "findings": [asdict(finding) for finding in verified.findings],
            "head": asdict(verified.head),
            "records": verified.head.count,
            "text": verified.text(),
        }
        if verified.findings:
            error = verified.refusal()
            result.update(failed=True, msg=str(error), **error.parts())
        return result
