# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: host_step
short_description: Run one module of another collection as a step of a host's journey
version_added: 0.1.0
description:
  - Checks the address of the connection against the device segments before it is made.
  - Turns a lost connection into a failed result, because an unreachable host runs neither rescue nor always.
  - Mirrors the result in the run's ledger before the next step can begin.
  - The modules of this collection that reach a host need no such wrapping; they are routed here by themselves.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  step:
    description: Name of the journey's step that this call is; without it nothing is recorded.
    type: str
  module:
    description: Full name of the module or action to run.
    type: str
    required: true
  arguments:
    description: Its options.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Drain the host at its load balancer
  hospital.patching.host_step:
    run_id: 20261122T010000Z-ab12cd34
    step: drain
    module: community.general.haproxy
    arguments:
      state: disabled
      host: portal1
      backend: portal
      drain: true
      wait: true
  delegate_to: lb1
"""

RETURN = r"""
lost_connection:
  description: V(true) when the host did not answer or stopped answering.
  type: bool
  returned: when the connection was lost
"""
