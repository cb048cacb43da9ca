# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hold a host for one run, and release it."""

DOCUMENTATION = r"""
module: host_journal
short_description: Hold a host for one run in its own journal, or release it
version_added: 0.1.0
description:
  - Writes V(held) or V(released) to the host's append-only journal.
  - While one run holds the host, every other is refused.
  - While the host is held, competing updaters (C(apt-daily.timer), C(apt-daily-upgrade.timer),
    C(unattended-upgrades.service), C(dnf-automatic.timer) and its variants) are stopped; what was stopped is journalled
    first, and exactly that is started again on release.
  - An update that such a program is already doing is awaited, never killed.
  - A hold is never cleared by time, and never by another run.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - The journal's new records are under RV(records_tail).
  idempotent:
    support: full
    details:
      - A second call by the same run changes nothing, unless a reboot brought updaters back; they are stopped again.
options:
  state:
    description:
      - V(held) holds the host for O(run_id).
      - V(released) gives it up; a host that nobody holds is left as it is.
    type: str
    choices: [held, released]
    required: true
  detail:
    description:
      - What else to record, such as the run's services, or why the host is given back. Whole numbers only, and no
        secrets.
    type: dict
    default: {}
  controller:
    description:
      - Where the run was started, for people who find the host held.
      - Without it, the address from which this connection came, if the host can tell.
    type: str
  controller_time:
    description: The controller's time in UTC, like V(2026-11-22T01:00:03Z); a host whose own differs is not held.
    type: str
  clock_limit_s:
    description: By how many seconds the two clocks may differ.
    type: int
    default: 300
  breaks:
    description:
      - Id of a dead run that holds the host. Its hold is handed over to O(run_id) by one record, so that at no moment
        nobody holds the host. Only a person says that a run is dead.
    type: str
    default: ''
  updaters_wait_s:
    description: How long to wait for an update that a competing updater is already doing.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Hold the host for this run
  hospital.patching.host_journal:
    run_id: 20261122T010000Z-ab12cd34
    state: held
    controller: "{{ lookup('ansible.builtin.env', 'HOSTNAME') }}"

- name: Release the host
  hospital.patching.host_journal:
    run_id: 20261122T010000Z-ab12cd34
    state: released
"""

RETURN = r"""
holder:
  description: The journal's record of the run that holds this host now; null when none does.
  type: dict
  returned: always
  sample:
    schema: 1
    time: "2026-11-22T01:00:03Z"
    run_id: 20261122T010000Z-ab12cd34
    step: lock
    event: held
    detail: {controller: 10.0.0.5, suspended: [apt-daily.timer]}
records_tail:
  description: The last 20 records of the journal, the oldest first.
  type: list
  elements: dict
  returned: always
torn:
  description: Whether the journal's last line was cut off while it was written; it is dropped by the next record.
  type: bool
  returned: always
boot:
  description: C(boot_id), which changes with every start of the host (or container), and C(booted), when that was.
  type: dict
  returned: always
  sample: {boot_id: 3d3c2b60-5ab0-4c8d-b6f1-0e6f0b1a2c3d+24, booted: "2026-11-21T22:14:09Z"}
suspended:
  description: Competing updaters that are stopped for this run, or, on release, that were.
  type: list
  elements: str
  returned: always
  sample: [apt-daily.timer, apt-daily-upgrade.timer]
not_resumed:
  description: Those that could not be started again on release; somebody has to look at them.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.boot import read_boot
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock, require_agreement
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host_lock import HostLock, caller
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

TAIL = 20


def main():
    module = AnsibleModule(
        argument_spec=dict(
            arguments.RUN,
            state=dict(type="str", choices=["held", "released"], required=True),
            detail=dict(type="dict", default={}),
            controller=dict(type="str"),
            controller_time=dict(type="str"),
            clock_limit_s=dict(type="int", default=300),
            breaks=dict(type="str", default=""),
            updaters_wait_s=dict(type="int", default=120),
        ),
        supports_check_mode=True,
    )
    wanted, write = module.params, not module.check_mode
    clock = Clock()
    journal = Journal(wanted["state_dir"], clock)
    lock = HostLock(journal, Runner(), clock, wanted["updaters_wait_s"])
    try:
        if wanted["state"] == "held":
            if wanted["controller_time"]:
                controller = wanted["controller"] or caller()
                require_agreement(clock, controller, wanted["controller_time"], wanted["clock_limit_s"])
            detail = dict(wanted["detail"], controller=wanted["controller"] or caller())
            result = lock.hold(wanted["run_id"], detail, write, wanted["breaks"])
        else:
            result = lock.release(wanted["run_id"], wanted["detail"], write)
        answer = dict(
            changed=result.changed,
            holder=journal.holder(),
            records_tail=journal.read()[-TAIL:],
            torn=journal.torn(),
            boot=read_boot(),
            suspended=result.suspended,
            not_resumed=result.not_resumed,
        )
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    for name in result.not_resumed:
        module.warn("{} was stopped for the run and does not start again; start it by hand".format(name))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
