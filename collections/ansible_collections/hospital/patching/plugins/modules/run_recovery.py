# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_recovery
short_description: Secure what a killed run left behind
version_added: 0.1.0
description:
  - V(opened) finds runs that were begun, not closed, and have given no sign of life for O(silent_s), and the hosts that
    they left out of service; a named run that is alive or closed is refused.
  - V(judged) says for one host whether the installation stands, was never begun, or has to be taken back, and whether
    anything may be restarted for it.
  - V(closed) gives every host of those runs an outcome.
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
  run_id:
    description: The run; with O(state=opened), empty means every run in O(evidence_dir).
    type: str
    default: ''
  evidence_dir:
    description: Directory on the controller that keeps plans, ledgers and reports.
    type: path
    default: evidence
  silent_s:
    description: A run with a sign of life younger than that is left alone.
    type: int
    default: 120
  at_to:
    description: With O(state=judged), every version is at the transaction's target.
    type: bool
    default: false
  at_from:
    description: With O(state=judged), every version is the one from before.
    type: bool
    default: false
  runs:
    description: With O(state=closed), the runs that were opened.
    type: list
    elements: str
    default: []
  unreadable:
    description: With O(state=closed), what kept other runs from being looked at.
    type: list
    elements: str
    default: []
  page_command:
    description: With O(state=closed), words of a command that is given what needs a person on its standard input.
    type: list
    elements: str
    default: []
  page_url:
    description: With O(state=closed), a notification service as apprise writes it.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Find what killed runs left behind
  hospital.patching.run_recovery:
    state: opened
"""

RETURN = r"""
opened:
  description: The runs that are recovered.
  type: list
  elements: str
  returned: when O(state=opened)
hosts:
  description: The hosts that they left out of service.
  type: list
  elements: str
  returned: when O(state=opened)
ansible_facts:
  description: The fact C(patching_run) with runs by host.
  type: dict
  returned: when O(state=opened)
back:
  description: Whether the preserved packages are put back.
  type: bool
  returned: when O(state=judged)
restart:
  description: Whether what uses replaced files is restarted.
  type: bool
  returned: when O(state=judged)
expect:
  description: Which end of the transaction the host then has, V(to) or V(from).
  type: str
  returned: when O(state=judged)
outcome:
  description: What the host is once it is proven and returned.
  type: str
  returned: when O(state=judged)
reason:
  description: Why.
  type: str
  returned: when O(state=judged)
release:
  description: What the host's journal is told when it is released.
  type: dict
  returned: when O(state=judged)
bad:
  description: Hosts that need a person; empty when none does.
  type: str
  returned: when O(state=closed)
"""
