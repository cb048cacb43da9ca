# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: lost_host_alarm
short_description: Page when a lost or stolen host answers
version_added: 0.1.0
description:
  - Tells the security contact, the host's C(patching_security_contact), when the host is marked lost or stolen and
    M(hospital.patching.lost_host_info) saw it answer in this playbook. Otherwise it does nothing.
  - Fails, for this host alone, when nobody was told.
  - Contacts no host.
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
- name: Page when a lost host answers
  hospital.patching.lost_host_alarm:
    evidence_dir: /srv/patching/evidence
"""

RETURN = r"""
alarm:
  description: What is told; null where there is nothing to tell.
  type: str
  returned: success
notified:
  description: Whether the security contact was told.
  type: bool
  returned: success
"""
