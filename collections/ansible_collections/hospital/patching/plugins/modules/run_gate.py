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
    service, no earlier failure in the run, and no stop file.
  - In check mode it stops nothing and returns what it would have said.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
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
"""
