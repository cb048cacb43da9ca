# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_gate
short_description: Ask whether a host may be disrupted now
version_added: 0.1.0
description:
  - Says go, wait or stop, and why. Waits while the answer is wait; records the answer; a stop fails the host.
  - Go needs an open window into which the remaining work and the way back fit, a finished soak, enough peers in
    service, no more failed hosts than the plan's failure budget allows, no stop file of the run, no freeze file, and no
    freeze of C(patching_freezes) over work and way back. Calendars are read again each time.
  - It waits at most until the remaining work and the way back just fit in the window; a host without a window waits no
    longer than its soak, work and way back take.
  - The failure budget (C(patching_failure_budget)) is a number of failed hosts for the run, for each ring and for each
    service; the plan carries the numbers. Too many failed hosts stop the whole run, that ring and the later ones, or
    that service. V(rolled_back), V(unverified), V(stuck) and V(unreachable) are failures, and one failed host of tier 1
    stops the run. By default the first failure does.
  - The freeze file (C(patching_freeze_file), by default C(freeze) in the evidence directory) stops every host while it
    is there; the file C(stop) in the run's directory stops the run's hosts that have not begun. The first line of
    either is the reason. A file that cannot be read, or whose folder is missing, counts as there.
  - An update of the host that is blocked (C(patching_blocks_file), by default C(blocks.yml) in the evidence directory)
    stops it, as does a file of blocks that cannot be read. It is read again right before the host installs. A host
    whose packages the run has begun to change is finished or put back.
  - An inhibit (C(patching_inhibits)) that does not say go lets the host wait; one that gives no answer does not say go.
    Before a reboot and for a rollback inhibits do not count.
  - A host of tier 1, by the plan or by the inventory, waits while no watcher on a second machine has looked within ten
    minutes and seen this run (M(hospital.patching.run_watch)); the record of a go names the one that counted. One that
    is out already is finished, and a reboot and the way back do not ask for it.
  - In check mode it stops nothing and returns what it would have said.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  before:
    description:
      - What would begin. Before a reboot the host is out of service already, so only a freeze, hands-off and the time
        for the reboot, the settling and the way back count, and the answer is never wait.
      - A stop before a reboot fails the host, which has to be put back.
      - Before it installs only blocks count, which may be younger than its gate. A go is not recorded again.
    type: str
    choices: [host, install, reboot]
    default: host
  transaction:
    description: With O(before=install), what is about to be installed.
    type: dict
    default: {}
  way_back:
    description: Ask for a rollback, which needs no approval, soak or faultless run and may use any window of the host.
    type: bool
    default: false
  outside_window:
    description: With O(way_back=true), a person has said that it cannot wait for a window.
    type: bool
    default: false
  poll_s:
    description: Seconds between two questions while the answer is wait.
    type: int
    default: 2
"""

EXAMPLES = r"""
- name: Ask the gate
  hospital.patching.run_gate:
    run_id: 20261122T010000Z-ab12cd34

- name: Ask the gate before a reboot
  hospital.patching.run_gate:
    run_id: 20261122T010000Z-ab12cd34
    before: reboot
"""

RETURN = r"""
decision:
  description: The answer.
  type: str
  returned: always
  sample: go
reason:
  description: Why.
  type: str
  returned: always
before:
  description: What was asked for, as in O(before).
  type: str
  returned: always
  sample: host
"""
