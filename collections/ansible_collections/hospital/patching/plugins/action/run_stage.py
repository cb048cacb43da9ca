# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what stage learned of a host in the run's directory."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.restore_point import restore_point
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run

#: What the run and the report need of a stage result.
KEPT = (
    "transaction",
    "stage_dir",
    "preserved_dir",
    "preserved",
    "not_preserved",
    "space",
    "change_bytes",
    "cves",
    "download_bytes",
    "nothing_to_do",
)


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """The transaction kept here is what the host is held to in the window."""

    ARGUMENTS = {**RUN_ARGUMENTS, "stage": {"type": "dict", "required": True}}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        kept = {key: arguments["stage"].get(key) for key in KEPT}
        kept["listed"] = ((run.evidence.assessment(host) or {}).get("pending") or {}).get("listed")
        if not self._task.check_mode:
            run.save_stage(host, kept)
            run.record(host, "stage", "note", transaction=kept["transaction"]["digest"])
        if not kept["nothing_to_do"]:
            restore_point(host, run.run_id, run.host(host), kept)  # a host without a way back is refused today
        return {"changed": False, "transaction": kept["transaction"]["digest"]}
