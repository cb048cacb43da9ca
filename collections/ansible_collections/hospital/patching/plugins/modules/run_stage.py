# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_stage
short_description: Keep what stage learned of a host in the run's directory
version_added: 0.1.0
description:
  - The transaction kept here is what the host is held to in the window.
  - A transaction into which another update has brought a blocked one is refused.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  stage:
    description: Result of M(hospital.patching.update_stage).
    type: dict
    required: true
  blocked:
    description: What was left out because it is blocked, as M(hospital.patching.run_host) returned it.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Keep what was staged
  hospital.patching.run_stage:
    run_id: 20261122T010000Z-ab12cd34
    stage: "{{ staged }}"
"""

RETURN = r"""
transaction:
  description: Digest of the transaction.
  type: str
  returned: success
"""
