# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what assess or stage learned of a host in the evidence directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """One document a host; the newest replaces the one before."""

    ARGUMENTS = {
        "evidence_dir": {"type": "path", "default": "evidence"},
        "status": {"type": "str", "required": True, "choices": ["assessed", "not_contacted", "unreachable", "failed"]},
        "reason": {"type": "str", "default": ""},
        "software": {"type": "dict"},
        "pending": {"type": "dict"},
        "holder": {"type": "dict"},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        document = {key: arguments[key] for key in ("status", "reason", "software", "pending", "holder")}
        document.update(host=host, time=Clock().stamp())
        store = evidence.Evidence(Path(arguments["evidence_dir"]))
        if not self._task.check_mode:
            store.save_assessment(host, document)
        known = {key: document[key] for key in ("host", "time", "status", "reason", "pending", "holder")}
        # The fact lets check mode plan without a file, and the plan of one night skip reading them back.
        return {"changed": False, "ansible_facts": {"patching_assessment": known}}
