# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: emergency_info
short_description: Check what an emergency asks for
version_added: 0.1.0
description:
  - Refuses what is incomplete or can never be shortened, before anybody waits for an assessment.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
  - hospital.patching.emergency
"""

EXAMPLES = r"""
- name: Check the request
  hospital.patching.emergency_info:
    cve: CVE-2026-1519
    break_glass: [soak, freeze]
    break_glass_reason: the portal is being attacked
    break_glass_second: Dr. Jane Roe, administrator on call
"""

RETURN = r"""
shortens:
  description: What is shortened.
  type: list
  elements: str
  returned: success
  sample: [soak, freeze]
"""
