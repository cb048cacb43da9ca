# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what stage learned of a host in the run's directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import blocks, gate_live
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
    "dmi_uuid",
    "cves",
    "download_bytes",
    "nothing_to_do",
    "way_back_tried",
)


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """The transaction kept here is what the host is held to in the window."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "stage": {"type": "dict", "required": True},
        "blocked": {"type": "list", "elements": "dict", "default": []},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        kept = {key: arguments["stage"].get(key) for key in KEPT}
        kept["blocked"] = arguments["blocked"]
        _require_unblocked(run, host, kept["transaction"], task_vars)
        kept["listed"] = ((run.evidence.assessment(host) or {}).get("pending") or {}).get("listed")
        if not self._task.check_mode:
            run.save_stage(host, kept)
            left_out = {"blocked": kept["blocked"]} if kept["blocked"] else {}
            run.record(host, "stage", "note", transaction=kept["transaction"]["digest"], **left_out)
        if not kept["nothing_to_do"]:
            restore_point(host, run.run_id, run.host(host), kept)  # a host without a way back is refused today
        return {"changed": False, "transaction": kept["transaction"]["digest"]}


def _require_unblocked(run: Run, host: str, transaction: Mapping[str, Any], task_vars: Mapping[str, Any]) -> None:
    """Refuse a transaction into which another update has brought a blocked one again.

    Raises:
        PatchingError: naming both.
    """
    known = gate_live.blocks_of(task_vars["hostvars"].get(host) or {}, run.evidence.root)
    found = blocks.hits(known, host, transaction["entries"], blocks.advisories_of(run.plan()))
    if found:
        raise PatchingError(
            f"host {host}",
            f"what is left of its updates needs {found[0].told()}",
            "updates that can be had without it",
            "assess and plan again: assess finds out which updates need it, and leaves them out too",
        )
