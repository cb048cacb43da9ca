# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: lost_host
short_description: Record that a host is lost, stolen or found again
version_added: 0.1.0
description:
  - Adds the report to the host's file under C(lost/) in the evidence directory. A host whose newest report is not
    V(found) is in no plan, and assess does not log in to it.
  - Tells the security contact, the host's C(patching_security_contact). The report stands when that fails, and the
    task fails.
  - Contacts no host.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
attributes:
  check_mode:
    support: full
    details:
      - Writes nothing in check mode and tells nobody.
  diff_mode:
    support: none
    details:
      - There is nothing to compare.
  idempotent:
    support: full
    details:
      - The same report again is not recorded twice, but the security contact is told again.
options:
  host:
    description: The host's name in the inventory.
    type: str
    required: true
  state:
    description:
      - V(found) takes the mark back and wants a O(reason).
    type: str
    choices: [lost, stolen, found]
    default: lost
  reported_by:
    description: Who reports it.
    type: str
    required: true
  time:
    description: When it was lost or found, in UTC. It may not lie ahead.
    type: str
    required: true
  last_seen:
    description: Where it was seen last.
    type: str
    default: ''
  patient_data:
    description: Whether it held patient data.
    type: str
    choices: ["yes", "no", unknown]
    default: unknown
  reason:
    description: Circumstances; of V(found) who has it and why it may be trusted again.
    type: str
    default: ''
  evidence_dir:
    description: Directory on the controller that keeps evidence.
    type: path
    default: evidence
"""

EXAMPLES = r"""
- name: Record a stolen laptop
  hospital.patching.lost_host:
    host: ws1
    state: stolen
    reported_by: Ada Nurse, ward 3
    time: "2026-11-22T08:00:00Z"
    last_seen: ward 3, the trolley beside the lift
    patient_data: unknown

- name: It is there again
  hospital.patching.lost_host:
    host: ws1
    state: found
    reported_by: Ben Guard
    time: "2026-11-23T10:00:00Z"
    reason: it was in the lost property office, and was installed anew
"""

RETURN = r"""
path:
  description: Path of the host's file of reports.
  type: str
  returned: success
notified:
  description: Whether the security contact was told, every address of it.
  type: bool
  returned: success
problems:
  description: Why somebody was not told.
  type: list
  elements: str
  returned: success
  sample: ["nobody is told: patching_security_contact is not set"]
text:
  description: What was told, and what went wrong.
  type: list
  elements: str
  returned: success
"""
