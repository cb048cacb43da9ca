# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_look
short_description: Look at the journals of many hosts at once
version_added: 0.1.0
description:
  - The look that follows an intent. Every host is connected to at the same time, each by
    M(hospital.patching.host_journal_info), after its address was held against the device segments.
  - A host that does not answer fails nothing here; M(hospital.patching.run_exclusion) counts it as out.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  peers:
    description: Inventory names of the hosts to look at.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Look at every host that may not be out beside this one
  hospital.patching.run_look:
    run_id: 20261122T010000Z-ab12cd34
    peers: [portal2, portal3]
  register: look
"""

RETURN = r"""
looks:
  description: One entry a host, in the order of O(peers).
  type: list
  elements: dict
  returned: success
  contains:
    peer:
      description: The host.
      type: str
    records:
      description: Its journal, the oldest record first; absent when it could not be read.
      type: list
      elements: dict
    holder:
      description: The record of the run that holds it; null when none does.
      type: dict
    torn:
      description: Whether the journal's last line was cut off while it was written.
      type: bool
    no_journal:
      description: Why it has none by policy; it counts by its probes alone.
      type: str
    msg:
      description: Why it could not be read.
      type: str
"""
