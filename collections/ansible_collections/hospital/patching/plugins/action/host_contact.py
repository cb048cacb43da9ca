# SPDX-License-Identifier: GPL-3.0-or-later
"""Says whether a host may be contacted at all, without contacting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import contacts, lost
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """The address is resolved on the controller and held against the device segments."""

    ARGUMENTS = {"evidence_dir": {"type": "path"}}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        variables = task_vars["hostvars"][host]
        address = str(variables.get("ansible_host") or host)
        found = contacts.decide(host, address, variables)
        result = {"changed": False, "allowed": found.allowed, "reason": found.reason, "lost": False}
        result["addresses"] = list(found.addresses)
        missing = lost.mark(Path(arguments["evidence_dir"]), host) if arguments["evidence_dir"] else None
        return result | {"allowed": False, "reason": missing.reason, "lost": True} if missing else result
