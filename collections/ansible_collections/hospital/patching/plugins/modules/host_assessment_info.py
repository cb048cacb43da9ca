# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: host_assessment_info
short_description: Read what an earlier assessment kept of a host
version_added: 0.1.0
description:
  - Tells when the host was assessed last, and since when each of its pending versions is known, which is how long they
    have waited.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
options:
  evidence_dir:
    description: Directory on the controller that keeps evidence.
    type: path
    default: evidence
"""

EXAMPLES = r"""
- name: Read what was known before
  hospital.patching.host_assessment_info:
  register: before

- name: Resolve what has waited for two weeks
  hospital.patching.pending_updates_info:
    min_age_days: 14
    first_seen: "{{ before.first_seen }}"
"""

RETURN = r"""
time:
  description: When the host was assessed last; null if it never was.
  type: str
  returned: success
  sample: "2026-11-22T01:00:03Z"
status:
  description: How that assessment ended; null if there was none.
  type: str
  returned: success
  sample: assessed
first_seen:
  description: When each pending version was seen first, for the option of M(hospital.patching.pending_updates_info).
  type: dict
  returned: success
  sample: {"libssl3:amd64=3.0.17-1~deb12u2": "2026-11-08T01:00:03Z"}
"""
