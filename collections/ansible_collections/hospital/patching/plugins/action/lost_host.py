# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that a host is lost, stolen or found again, and tells the security contact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import lost, lost_alarm, opening, paging
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Writes the host's file of reports; contacts no host."""

    ARGUMENTS = {
        "host": {"type": "str", "required": True},
        "state": {"type": "str", "default": "lost", "choices": [*lost.STATES, "found"]},
        "reported_by": {"type": "str", "required": True},
        "time": {"type": "str", "required": True},
        "last_seen": {"type": "str", "default": ""},
        "patient_data": {"type": "str", "default": "unknown", "choices": list(lost.PATIENT_DATA)},
        "reason": {"type": "str", "default": ""},
        "evidence_dir": {"type": "path", "default": "evidence"},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        root, now, check = Path(arguments["evidence_dir"]), self.clock.now(), bool(self._task.check_mode)
        given = {key: arguments[key] for key in lost.Report.__dataclass_fields__}
        report = lost.check(lost.Report(**given), task_vars["groups"]["all"], now)
        changed = lost.record(root, report, opening.asker(), now, check_only=check)
        message = lost_alarm.notice(report)
        needless = report.state == "found" and not changed
        said = f"{report.host} was not reported lost: nothing changed" if needless else message
        contact = (task_vars["hostvars"][report.host]).get("patching_security_contact")
        problems = [] if check else lost_alarm.tell(contact, message, paging.page_all)
        path = str(lost.path_of(root, report.host).resolve())
        result = {
            "changed": changed,
            "path": path,
            "notified": bool(contact) and not check and not problems,
            "problems": problems,
            "text": [said, f"{'It would be' if check else 'Reports are'} recorded in {path}", *problems],
        }
        if problems and contact:
            # The report stands; but nobody may believe that somebody was told.
            told = f"the report on {report.host} is recorded, but the security contact was not told: "
            result.update(failed=True, msg=told + "; ".join(problems) + ". Call them, then run this again")
        return result
