# SPDX-License-Identifier: GPL-3.0-or-later
"""Says whether a host may be contacted at all, without contacting it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import contacts, lost, settings
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.restore_point import AUTO

#: What tells whether it is asked; other settings, some of which have a vault asked, are not read for that.
TELLING = ("patching_policy", "patching_service", "patching_snapshot")


def _asks_snapshot_provider(host: str, variables: Mapping[str, Any]) -> bool:
    """Return whether it is patched, and its site does not say what makes its restore points."""
    try:
        known = settings.effective(host, {name: variables[name] for name in TELLING if name in variables})
    except PatchingError:
        return False  # said when it is planned; whether it may be contacted is another question
    return known.managed and known.snapshot["provider"] == AUTO


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
        result["asks_snapshot_provider"] = _asks_snapshot_provider(host, variables)
        missing = lost.mark(Path(arguments["evidence_dir"]), host) if arguments["evidence_dir"] else None
        return result | {"allowed": False, "reason": missing.reason, "lost": True} if missing else result
