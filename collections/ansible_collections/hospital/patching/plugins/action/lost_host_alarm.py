# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages the security contact when a host that is marked lost or stolen answered in this playbook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import lost, lost_alarm, paging
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Contacts no host. Fails for this host alone when nobody was told: an alarm may not end green."""

    ARGUMENTS = {"evidence_dir": {"type": "path", "default": "evidence"}}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        variables = task_vars["hostvars"][host]
        seen = (variables.get("ansible_facts") or {}).get("patching_assessment") or {}
        found = lost.mark(Path(arguments["evidence_dir"]), host) if seen.get("answered") else None
        if found is None:
            return {"changed": False, "alarm": None, "notified": False}
        message = lost_alarm.alarm(host, found, str(variables.get("ansible_host") or host))
        if self._task.check_mode:
            return {"changed": False, "alarm": message, "notified": False}
        problems = lost_alarm.tell(variables.get("patching_security_contact"), message, paging.page_all)
        result = {"changed": not problems, "alarm": message, "notified": not problems}
        if problems:
            told = f"{message} The security contact was not told: {'; '.join(problems)}. Call them now."
            result.update(failed=True, msg=told)
        return result
