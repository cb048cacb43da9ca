# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what an earlier assessment kept of a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.first_seen import known_since


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Contacts no host."""

    ARGUMENTS = {"evidence_dir": {"type": "path", "default": "evidence"}}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        store = evidence.Evidence(Path(arguments["evidence_dir"]))
        document = store.assessment(task_vars["inventory_hostname"]) or {}
        return {
            "changed": False,
            "time": document.get("time"),
            "status": document.get("status"),
            "first_seen": known_since(document),
        }
