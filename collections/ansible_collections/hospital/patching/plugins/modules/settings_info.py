# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: settings_info
short_description: Explain every effective setting of a host and where it comes from
version_added: 0.1.0
description:
  - Reads the inventory again, place by place, in Ansible's order of precedence; contacts no host.
  - Says, too, what people are asked about the host's service in runs that are not closed, and how they answer.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
options:
  evidence_dir:
    description: Directory on the controller that keeps runs.
    type: path
    default: evidence
"""

EXAMPLES = r"""
- name: Explain the host's settings
  hospital.patching.settings_info:
  register: explained
"""

RETURN = r"""
settings:
  description: One row a setting, with name, value, source and meaning.
  type: list
  elements: dict
  returned: success
text:
  description: The rows as an aligned table, line by line, and what people are asked.
  type: list
  elements: str
  returned: success
"""
