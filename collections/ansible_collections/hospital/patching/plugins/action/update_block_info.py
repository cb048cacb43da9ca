# SPDX-License-Identifier: GPL-3.0-or-later
"""Says which updates are blocked on a host, without contacting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import gate_live
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Assess goes on when the blocks cannot be read: it changes nothing, and the plan says why it is closed."""

    ARGUMENTS = {"evidence_dir": {"type": "path", "default": "evidence"}}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        try:
            known = gate_live.blocks_of(task_vars["hostvars"].get(host) or {}, Path(arguments["evidence_dir"]))
        except PatchingError as error:
            return {"changed": False, "deny": [], "problem": str(error)}
        mine = [block for block in known if block.holds and block.is_for(host)]
        deny = [{"item": one.item, "reason": one.told(), "fleet": True} for one in mine]
        return {"changed": False, "deny": deny, "problem": ""}
