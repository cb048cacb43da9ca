# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: snapshot_retention
short_description: Judge which restore points housekeeping deletes
version_added: 0.1.0
description:
  - V(opened) finds out where hosts may have restore points, by the inventory and by the newest plans.
  - V(judged) says of each restore point that M(hospital.patching.host_snapshot_info) has listed whether it is deleted
    and why. One that an open run, a held, stuck or unproven host, or a journal that ends in a snapshot may need stays,
    and so does one of which nobody can tell.
  - V(closed) tells what was deleted, what stays, where room runs out, and what a person has to do.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
options:
  state:
    description: What is done.
    type: str
    required: true
    choices: [opened, judged, closed]
  evidence_dir:
    description: Directory on the controller that keeps plans, ledgers and reports.
    type: path
    default: evidence
  hosts:
    description: With O(state=opened), the hosts whose restore points are looked at.
    type: list
    elements: str
    default: []
  drop:
    description:
      - Ids of restore points that go before their retention ends; a list, or text with blanks between them.
      - One that a run or host may need is refused.
    type: raw
    default: []
  place:
    description: With O(state=judged), C(provider), C(options) and C(on) as O(state=opened) has returned them.
    type: dict
    default: {}
  journal:
    description: With O(state=judged), what M(hospital.patching.host_journal_info) has returned of the host.
    type: dict
    default: {}
  listed:
    description: With O(state=judged), what M(hospital.patching.host_snapshot_info) has returned.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Find out where restore points may be
  hospital.patching.snapshot_retention:
    state: opened
    hosts: "{{ query('ansible.builtin.inventory_hostnames', 'portal') }}"
"""

RETURN = r"""
ansible_facts:
  description: The fact C(patching_run) with the housekeeping's id, hosts and places.
  type: dict
  returned: when O(state=opened)
delete:
  description: The restore points to be deleted, each with C(id), C(run_id), C(cause) and C(why).
  type: list
  elements: dict
  returned: when O(state=judged)
result:
  description: All C(verdicts), the C(rooms) that were read, and C(problems).
  type: dict
  returned: when O(state=judged)
deleted:
  description: Ids of what was deleted.
  type: list
  elements: str
  returned: when O(state=closed)
text:
  description: What is told to people, what they have to do first.
  type: list
  elements: str
  returned: when O(state=closed)
bad:
  description: What a person has to do; empty when nothing is.
  type: str
  returned: when O(state=closed)
"""
