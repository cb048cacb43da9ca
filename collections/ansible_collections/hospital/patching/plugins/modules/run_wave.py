# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_wave
short_description: Compare Ansible's batch with the plan's wave
version_added: 0.1.0
description:
  - A batch's first task; any difference stops the run before a host is touched.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
"""

EXAMPLES = r"""
- name: Compare the batch with the plan's wave
  hospital.patching.run_wave:
    run_id: 20261122T010000Z-ab12cd34
"""

RETURN = r"""
wave:
  description: Number of the wave, from 1.
  type: int
  returned: success
"""
