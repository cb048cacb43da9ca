# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what an offline host needs carried to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.action.host_step import ActionModule as HostStep
from ansible_collections.hospital.patching.plugins.plugin_utils.carried_folder import CarriedFolder


class ActionModule(HostStep):
    """Reads the host and writes on the controller."""

    def _execute(self, module: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        result = super()._execute(module, arguments, task_vars)
        request = result.pop("request", None)
        if request is None:
            return result
        host, path = str(task_vars["inventory_hostname"]), None
        if not self._task.check_mode:
            path = str(CarriedFolder(Path(arguments["folder"])).save_request(host, request))
        return {**result, "request": path, "platform": request["platform"]}
