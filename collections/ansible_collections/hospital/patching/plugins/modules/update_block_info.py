# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: update_block_info
short_description: Read which updates are blocked on a host
version_added: 0.1.0
description:
  - Reads the file of blocks, C(patching_blocks_file) or C(blocks.yml) in the evidence directory, and contacts no host.
  - Does not fail when that cannot be read, because assess changes nothing; plan, stage and gate are closed then.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
options:
  evidence_dir:
    description: Directory on the controller that keeps evidence.
    type: path
    default: evidence
"""

EXAMPLES = r"""
- name: Read what is blocked
  hospital.patching.update_block_info:
  register: blocked
"""

RETURN = r"""
deny:
  description: What is blocked, as O(hospital.patching.pending_updates_info#module:deny) takes it.
  type: list
  elements: dict
  returned: success
  sample: [{item: ehr-portal=1.1.0, reason: label printing fails, fleet: true}]
problem:
  description: Why the blocks cannot be read; empty when they can.
  type: str
  returned: success
  sample: ''
"""
