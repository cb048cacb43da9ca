# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: host_assessment
short_description: Keep what assess learned of a host
version_added: 0.1.0
description:
  - Writes one document a host into the evidence directory; the newest replaces the one before.
  - Writes the host's SBOM too, C(sbom/HOST.cdx.json), as CycloneDX 1.6. Of a host that could not be assessed the last
    one stays, and so does the software that was known of it.
  - Sets the fact C(patching_assessment), so that a plan of the same playbook needs no file.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
options:
  evidence_dir:
    description: Directory on the controller that keeps evidence.
    type: path
    default: evidence
  status:
    description: How the assessment ended.
    type: str
    required: true
    choices: [assessed, not_contacted, unreachable, failed, lost]
  reason:
    description: Why it ended so.
    type: str
    default: ''
  software:
    description: The host's software, as M(hospital.patching.software_facts) returns it.
    type: dict
  holder:
    description: The record by which a run holds the host, as M(hospital.patching.host_journal_info) returns it.
    type: dict
  pending:
    description: The host's pending updates, as M(hospital.patching.pending_updates_info) returns them.
    type: dict
  addresses:
    description: Addresses at which the host answers, as M(hospital.patching.host_contact) returns them.
    type: list
    elements: str
    default: []
  answered:
    description: Whether a lost or stolen host answers, as M(hospital.patching.lost_host_info) returns it.
    type: bool
  shortened:
    description:
      - What an emergency shortened when the updates were resolved. A plan as on any other night is not made from it.
    type: list
    elements: str
    default: []
  restore_points:
    description: What M(hospital.patching.snapshot_provider_info) has found out, where that was asked.
    type: dict
"""

EXAMPLES = r"""
- name: Keep the assessment
  hospital.patching.host_assessment:
    status: assessed
    software: "{{ ansible_facts['patching_software'] }}"
    pending: "{{ pending }}"
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(patching_assessment) with host, time, status, reason and pending updates, C(seen), when it was
    assessed last, and C(problems), which did not keep the assessment from being kept.
  type: dict
  returned: success
"""
