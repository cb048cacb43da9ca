# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_exclusion
short_description: Decide whether a run may go to the host that it holds
version_added: 0.1.0
description:
  - Comes after the hold, and after a look that began when the hold stood in the host's journal. Two runs may both back
    off; they can never both go.
  - A host that cannot be read, is held by any run, was given up as unverified, or does not serve its users counts as
    out.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  state:
    description:
      - V(decided) says go, or again, or fails with what has to be mended first.
      - V(witnessed) records that the other hosts were seen to serve while this one was out.
      - V(waited) waits a few seconds, drawn by chance, before the next look.
    type: str
    required: true
    choices: [decided, waited, witnessed]
  looks:
    description: What M(hospital.patching.run_look) saw of the other hosts.
    type: list
    elements: dict
    default: []
  probes:
    description: Results of the probes that M(hospital.patching.run_host) returned as C(look_probes).
    type: list
    elements: dict
    default: []
  peers:
    description: With O(state=witnessed), the hosts that O(probes) are of.
    type: list
    elements: str
    default: []
  given_back:
    description: With O(state=waited), the host was given back meanwhile, so it stays away for longer.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Decide
  hospital.patching.run_exclusion:
    run_id: 20261122T010000Z-ab12cd34
    state: decided
    looks: "{{ look.looks }}"
"""

RETURN = r"""
decision:
  description: V(go), V(again), or V(stop).
  type: str
  returned: when O(state=decided)
  sample: go
reason:
  description: What forbids to go; empty when nothing does.
  type: str
  returned: when O(state=decided)
give_back:
  description: Whether the host has to be given back before the next look.
  type: bool
  returned: when O(state=decided)
"""
