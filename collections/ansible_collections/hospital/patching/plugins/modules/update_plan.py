# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: update_plan
short_description: >-
  Make the plan: which hosts, in which waves, with which updates
version_added: 0.1.0
description:
  - Reads settings from the inventory and assessments from the evidence directory; contacts no host.
  - The same inputs give the same waves and the same digest.
  - A host of tier 1 is refused while no watcher on a second machine has looked within ten minutes
    (M(hospital.patching.run_watch)).
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.emergency
options:
  hosts:
    description:
      - Names of the hosts to plan for.
      - The other hosts of the inventory are left alone. They count in their services as their last assessments say,
        which each run's look at the service's hosts has to confirm; without one they count as out.
    type: list
    elements: str
    required: true
  pattern:
    description:
      - The pattern that O(hosts) came from. A plain name in it that the inventory does not know is refused, where
        Ansible only warns.
    type: str
    default: ''
  evidence_dir:
    description: Directory on the controller that keeps evidence.
    type: path
    default: evidence
  parallel:
    description:
      - The most hosts of one wave. Ansible works at as many hosts at a time as C(forks) says; a larger wave takes
        longer than planned, which RV(text) then says.
    type: int
    default: 10
  canaries:
    description:
      - The most canaries of one wave. Where it is 1, a canary goes alone; the first host of each manifest always does.
    type: int
    default: 1
  emergency:
    description:
      - Plan an emergency. It needs O(cve), and hosts with C(patching_exposed) go before the others of their kind.
      - The plan, its approvals and its reports say that it is one.
    type: bool
    default: false
  shards:
    description: Into how many parts the fleet is cut, each of whole services and of what they have to be planned with.
    type: int
    default: 1
  shard:
    description:
      - The part that this plan is for, to be given where there are several.
      - Hosts of the others serve, and are not planned.
    type: int
    default: 0
  derive_from:
    description:
      - The digest or id of a kept plan. Nothing is planned anew then. The plan is that one without O(drop) and
        O(drop_updates), which needs no new approval; at least one of the two has to be given.
      - Refused for a plan whose run has begun with a host, together with O(cve), and with limits or shards other than
        that plan has.
    type: str
    default: ''
  drop:
    description: Names of the hosts to leave out of the plan that O(derive_from) names.
    type: list
    elements: str
    default: []
  drop_updates:
    description:
      - The updates to leave out on all hosts, each NAME, NAME=VERSION (the new one) or the id of an advisory. A host
        that is left with none is left out.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Make the plan
  hospital.patching.update_plan:
    hosts: "{{ groups['hospital'] }}"
  register: made

- name: Leave a host out of an approved plan
  hospital.patching.update_plan:
    hosts: "{{ groups['hospital'] }}"
    derive_from: "{{ approved_digest }}"
    drop: [web3]
"""

RETURN = r"""
plan:
  description: The plan.
  type: dict
  returned: success
plan_id:
  description: Id of the plan, and of the run that will execute it.
  type: str
  returned: success
digest:
  description: Digest of the plan, to which an approval binds.
  type: str
  returned: success
page:
  description: Path of the plan as a page for a browser, with a chart of waves, windows and freezes; null in check mode.
  type: str
  returned: success
text:
  description: The plan as a table, line by line.
  type: list
  elements: str
  returned: success
"""
