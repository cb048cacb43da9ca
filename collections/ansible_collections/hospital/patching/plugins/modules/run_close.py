# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_close
short_description: >-
  Close a run: every host has an outcome
version_added: 0.1.0
description:
  - Hosts without an outcome become V(not_started).
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
"""

EXAMPLES = r"""
- name: Close the run
  hospital.patching.run_close:
    run_id: 20261122T010000Z-ab12cd34
  register: closed
"""

RETURN = r"""
outcomes:
  description: Outcome of every host of the plan.
  type: dict
  returned: success
bad:
  description: Why the run must not exit 0; empty when it may.
  type: str
  returned: success
"""
