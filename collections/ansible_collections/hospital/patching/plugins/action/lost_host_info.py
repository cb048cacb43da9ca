# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks whether a host that is marked lost or stolen answers, without logging in to it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import contacts, lost, lost_alarm
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Opens a TCP connection to the login port and closes it: a stolen machine is handed no key and no password."""

    ARGUMENTS = {
        "evidence_dir": {"type": "path", "default": "evidence"},
        "timeout_s": {"type": "int", "default": 5},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        variables = task_vars["hostvars"][host]
        found = lost.mark(Path(arguments["evidence_dir"]), host)
        result: dict[str, Any] = {"changed": False, "state": found.state if found else None, "answered": None}
        result.update(reason=found.reason if found else "", addresses=[])
        if found is None:
            return result
        contact = contacts.decide(host, str(variables.get("ansible_host") or host), variables)
        if not contact.allowed:
            return result | {"reason": f"{found.reason}; whether it answers is not known: {contact.reason}"}
        port = lost_alarm.login_port(variables)
        answering = [address for address in contact.addresses if _answers(address, port, arguments["timeout_s"])]
        return result | {"answered": bool(answering), "addresses": answering}


def _answers(address: str, port: int, timeout_s: float) -> bool:
    try:
        with socket.create_connection((address, port), timeout=timeout_s):
            return True
    except OSError:
        return False
