# SPDX-License-Identifier: GPL-3.0-or-later
"""For each sort of trouble: how urgent it is, what to do about it, and the one command to start with."""

from __future__ import annotations

from typing import NamedTuple

NOW = "now"
TODAY = "today"
NEXT_WINDOW = "next window"
_UNDERSTOOD = "Once the cause above is settled, assess and plan again with prepare.yml"

PLAN_AGAIN = "ansible-playbook -i INVENTORY playbooks/prepare.yml"
REPORT = "ansible-playbook -i INVENTORY playbooks/report.yml -e patching_run_id={run}"
RESUME = "ansible-playbook -i INVENTORY playbooks/patch.yml -e patching_plan={run}"
EXPLAIN = "ansible-playbook -i INVENTORY playbooks/explain.yml -l {host}"
REBOOT = "ansible -i INVENTORY {host} -b -m ansible.builtin.reboot"
RETURN = (
    "ansible-playbook -i INVENTORY playbooks/return.yml"
    " -e patching_run_id={run} -e return_hosts={host} -e \"return_reason='…'\""
)
READ_HEALTH = "ansible -i INVENTORY {host} -b -m hospital.patching.app_health_info -a builtin=true"


class Kind(NamedTuple):
    """How one sort of trouble is told."""

    rank: int
    deadline: str
    next: str
    command: str
    together: bool = False  # many hosts in one line


KINDS = {
    "device_contacted": Kind(0, NOW, "Find out what connected to it, and declare its network segment", EXPLAIN),
    "stuck": Kind(1, NOW, "Repair it from its console, then return it: that proves it first", RETURN),
    "unreachable": Kind(
        2, NOW, "Look at it from its console; once it answers, read its health, then plan it again", READ_HEALTH
    ),
    "unverified": Kind(3, NOW, "Read its health, and find out why the probe could not tell", READ_HEALTH),
    "unfinished": Kind(4, NOW, "Start the same run again: it goes on where it was cut off", RESUME, together=True),
    "evidence": Kind(5, TODAY, "Leave the ledger as it is, and report again once its keeper has seen it", REPORT),
    "break_glass": Kind(6, TODAY, "Have it reviewed by somebody who took no part", REPORT),
    "rolled_back": Kind(
        7, NEXT_WINDOW, "Ask the maker of the update; once settled, assess and plan again with prepare.yml", PLAN_AGAIN
    ),
    "taken_back": Kind(
        8,
        NEXT_WINDOW,
        "Settle with {by} what becomes of the update; then assess and plan again with prepare.yml",
        PLAN_AGAIN,
    ),
    "felt": Kind(9, TODAY, "Hold the times of the failures against the timeline below", REPORT),
    "refused": Kind(
        10,
        NEXT_WINDOW,
        "Put right what is named, then assess and plan again with prepare.yml",
        PLAN_AGAIN,
        together=True,
    ),
    "not_started": Kind(11, NEXT_WINDOW, _UNDERSTOOD, PLAN_AGAIN, together=True),
    "marks": Kind(12, TODAY, "Put its marks and holds back as they were", EXPLAIN),
    "reboot_owed": Kind(13, NEXT_WINDOW, "Drain it and reboot it in its window", REBOOT, together=True),
    "conffile": Kind(14, NEXT_WINDOW, "Take over or delete the files that packages propose", EXPLAIN, together=True),
}
