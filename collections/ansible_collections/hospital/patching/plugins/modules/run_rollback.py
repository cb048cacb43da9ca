# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_rollback
short_description: Open or close a rollback that a person asks for
version_added: 0.1.0
description:
  - V(opened) refuses hosts and packages that the run does not know, C(--limit), and a request without a reason,
    a run that another controller drives or that was killed; records who asked for what, and sets the fact
    C(patching_run).
  - With O(run_id=all), O(updates) or O(advisories) are taken back on every host on which any run of the evidence
    directory has installed them, the newest run first, each host by its own transaction.
  - A host on which a later run has built upon it is left as it is, because what would come back is not what was there
    before; the request is refused where that holds for every host.
  - V(refused) leaves a host as it was, and says why.
  - V(closed) says which of the hosts were not taken back and proven.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  state:
    description: Which end of the rollback it is.
    type: str
    required: true
    choices: [opened, refused, closed]
  hosts:
    description: The hosts to take back; V(all) alone means every host on which the run has installed something.
    type: list
    elements: str
    default: []
  updates:
    description:
      - Take back only these, by C(NAME) or C(NAME=VERSION); empty means all that the run has installed on each host.
    type: list
    elements: str
    default: []
  advisories:
    description: Take back only what these advisories or CVEs are about.
    type: list
    elements: str
    default: []
  runs:
    description: With O(state=closed), the runs that were opened; empty means O(run_id) alone.
    type: list
    elements: str
    default: []
  reason:
    description: Why it is taken back, or refused, for the evidence.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Take one host back
  hospital.patching.run_rollback:
    run_id: 20261122T010000Z-ab12cd34
    state: opened
    hosts: [portal1]
    reason: label printing fails since the update
"""

RETURN = r"""
hosts:
  description: The hosts in the order in which they are taken back, the reverse of the plan's.
  type: list
  elements: str
  returned: when O(state=opened)
  sample: [portal2, portal1]
ansible_facts:
  description:
    - The fact C(patching_run) with run_id, evidence_dir, controller, by, hosts, updates, advisories and reason; the
      runs that were opened; and by host its run and the packages that are taken back.
  type: dict
  returned: when O(state=opened)
text:
  description: Hosts that are left as they are and why, and what else is to be known.
  type: list
  elements: str
  returned: when O(state=opened)
  sample: []
bad:
  description: What was not taken back and why; empty when all was.
  type: str
  returned: when O(state=closed)
  sample: ''
"""
