# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_return
short_description: Open or judge the return of a host by a person
version_added: 0.1.0
description:
  - V(opened) refuses hosts that the run's plan does not name, C(--limit), and a request without a reason, and records
    who asked for what.
  - V(judged) says which outcome a returned host has.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  state:
    description: What is done.
    type: str
    required: true
    choices: [opened, judged]
  hosts:
    description: With O(state=opened), the hosts.
    type: list
    elements: str
    default: []
  reason:
    description: With O(state=opened), why, for the evidence.
    type: str
    default: ''
  at_to:
    description: With O(state=judged), every version is at the transaction's target.
    type: bool
    default: false
  at_from:
    description: With O(state=judged), every version is the one from before.
    type: bool
    default: false
  proven:
    description: With O(state=judged), the probes found the host as healthy as before.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Open the return
  hospital.patching.run_return:
    run_id: 20261122T010000Z-ab12cd34
    state: opened
    hosts: [portal1]
    reason: the vendor has repaired it
"""

RETURN = r"""
outcome:
  description: What the host is from now on.
  type: str
  returned: when O(state=judged)
  sample: patched
release:
  description: What the host's journal is told when it is released.
  type: dict
  returned: when O(state=judged)
ansible_facts:
  description: The fact C(patching_run) with run_id, evidence_dir, controller, hosts, reason and by.
  type: dict
  returned: when O(state=opened)
"""
