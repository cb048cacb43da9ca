# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: fleet_inventory
short_description: Write the fleet's inventory from what assess kept
version_added: 0.1.0
description:
  - Writes C(inventory/fleet.json), C(inventory/fleet.csv) (one row an installed item) and C(inventory/pending.csv) (one
    row an update or held package) into the evidence directory. Cells that a spreadsheet would take for a formula are
    prefixed with an apostrophe.
  - A host is V(stolen), V(lost), V(outside_segment), V(unseen), V(unreachable), V(failed), V(never_assessed),
    V(not_contacted) or V(assessed). Only the last can be C(up_to_date), and only when nothing about it is unknown.
  - Of a host that is away, the software that was known last is listed, with the time it was collected.
  - Contacts no host.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
options:
  hosts:
    description: Hosts that the inventory lists.
    type: list
    elements: str
    required: true
  evidence_dir:
    description: Directory on the controller that keeps evidence.
    type: path
    default: evidence
"""

EXAMPLES = r"""
- name: Write the fleet's inventory
  hospital.patching.fleet_inventory:
    hosts: "{{ query('ansible.builtin.inventory_hostnames', 'hospital') }}"
    evidence_dir: /srv/patching/evidence
"""

RETURN = r"""
path:
  description: Path of C(fleet.json).
  type: str
  returned: success
alarms:
  description: Lost and stolen hosts that answered, with C(host), C(severity) and C(reason).
  type: list
  elements: dict
  returned: success
  sample: []
summary:
  description: How many C(hosts) there are, how many are C(up_to_date), and how many are in which of the C(states).
  type: dict
  returned: success
  sample: {hosts: 3, up_to_date: 2, states: {unreachable: 1, assessed: 2}}
problems:
  description: What a feed could not tell.
  type: list
  elements: str
  returned: success
  sample: []
text:
  description: Alarms, then missing hosts, the worst first, then the sums.
  type: list
  elements: str
  returned: success
"""
