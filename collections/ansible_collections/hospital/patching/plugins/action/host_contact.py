# SPDX-License-Identifier: GPL-3.0-or-later
"""Says whether a host may be contacted at all, without contacting it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import contacts
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """The address is resolved on the controller and held against the device segments."""

    ARGUMENTS = {}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        variables = task_vars["hostvars"][host]
        address = str(variables.get("ansible_host") or host)
        found = contacts.decide(host, address, variables)
        return {"changed": False, "allowed": found.allowed, "reason": found.reason, "addresses": list(found.addresses)}
