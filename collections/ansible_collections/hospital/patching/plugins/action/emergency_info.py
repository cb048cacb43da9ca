# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what an emergency asks for, before anybody waits for anything."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import emergency, opening
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import (
    EMERGENCY_ARGUMENTS,
    ControllerWork,
)


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Refuses what can never be, and says what is shortened; reads and changes nothing."""

    ARGUMENTS = EMERGENCY_ARGUMENTS
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        found = emergency.read({**arguments, "emergency": True}, lambda: opening.user(task_vars), self.clock.now())
        glass = found.glass if found is not None else None
        return {"changed": False, "shortens": list(glass.shortens) if glass is not None else []}
