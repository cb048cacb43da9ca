# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: lost_host_info
short_description: Look whether a host that is marked lost or stolen answers
version_added: 0.1.0
description:
  - Opens a TCP connection to the host's login port and closes it. It never logs in, so that a stolen machine is handed
    no password.
  - Does not touch a host without a mark, and none whose address may not be contacted.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
options:
  evidence_dir:
    description: Directory on the controller that keeps evidence.
    type: path
    default: evidence
  timeout_s:
    description: How long an address may take to answer.
    type: int
    default: 5
"""

EXAMPLES = r"""
- name: Look whether it answers
  hospital.patching.lost_host_info:
  register: lost
"""

RETURN = r"""
state:
  description:
    - V(lost), V(stolen), or V(unreadable) when the report is damaged, which counts as lost; null without a mark.
  type: str
  returned: success
  sample: stolen
answered:
  description: Whether it answers; null when that is not known.
  type: bool
  returned: success
addresses:
  description: The addresses that answered.
  type: list
  elements: str
  returned: success
  sample: ["10.20.0.7"]
reason:
  description: Who reported it, and why nobody looked.
  type: str
  returned: success
"""
