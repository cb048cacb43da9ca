# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: update_block
short_description: Block an update on the whole fleet, or withdraw that
version_added: 0.1.0
description:
  - Writes the file of blocks, C(patching_blocks_file) or C(blocks.yml) in the evidence directory, as a whole or not at
    all. Where hosts name several files the block stands in each.
  - Assess, plan, stage and the gate read it anew, and so does every host of a running wave right before it installs.
  - Says where the update is pending and where a run has installed it, with the command that takes it back.
  - Contacts no host.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
options:
  item:
    description: What is blocked, as C(NAME), C(NAME=VERSION) with the new version, or the id of an advisory.
    type: str
    required: true
  reason:
    description: Why. A block without a reason is refused.
    type: str
    default: ''
  hosts:
    description:
      - Shell patterns of host names. Empty means every host.
      - One that names no host of the inventory is refused; groups are not looked up.
    type: list
    elements: str
    default: []
  state:
    description: V(absent) withdraws every block of O(item); it stays in the file with who withdrew it and why.
    type: str
    choices: [present, absent]
    default: present
  evidence_dir:
    description: Directory on the controller that keeps evidence.
    type: path
    default: evidence
"""

EXAMPLES = r"""
- name: Nobody installs this version any more
  hospital.patching.update_block:
    item: ehr-portal=1.1.0
    reason: label printing fails
"""

RETURN = r"""
paths:
  description: The files that hold the block.
  type: list
  elements: str
  returned: success
text:
  description: What holds now, where the update is, and what to do next.
  type: list
  elements: str
  returned: success
"""
