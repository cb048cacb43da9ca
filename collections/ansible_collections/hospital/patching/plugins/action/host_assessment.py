# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what assess or stage learned of a host in the evidence directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import assessments, evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork

KEPT = ("status", "reason", "software", "pending", "holder", "addresses", "answered", "shortened", "restore_points")
#: What of the software a plan needs.
PLANNED = ("competing_updaters", "reboot_required")


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """One document a host; the newest replaces the one before."""

    ARGUMENTS = {
        "evidence_dir": {"type": "path", "default": "evidence"},
        "status": {
            "type": "str",
            "required": True,
            "choices": ["assessed", "not_contacted", "unreachable", "failed", "lost"],
        },
        "reason": {"type": "str", "default": ""},
        "software": {"type": "dict"},
        "pending": {"type": "dict"},
        "holder": {"type": "dict"},
        "addresses": {"type": "list", "elements": "str", "default": []},
        "answered": {"type": "bool"},
        "shortened": {"type": "list", "elements": "str", "default": []},
        "restore_points": {"type": "dict"},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        document = {key: arguments[key] for key in KEPT}
        document.update(host=host, time=Clock().stamp(), problems=[])
        store = evidence.Evidence(Path(arguments["evidence_dir"]))
        assessments.carry_over(document, store, host)
        if not self._task.check_mode:
            assessments.keep(document, store, host)
        software = document["software"] or {}
        known = {**document, "software": {key: software[key] for key in PLANNED if key in software}}
        # The fact lets check mode plan without a file, and the plan of one night skip reading them back.
        return {"changed": False, "ansible_facts": {"patching_assessment": known}}
