# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_record
short_description: Record a host's outcome in the run's ledger
version_added: 0.1.0
description:
  - Each host ends a run with exactly one outcome and its reason.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  outcome:
    description: The outcome.
    type: str
    required: true
    choices: [excluded, not_started, nothing_to_do, patched, refused, rolled_back, stuck, unreachable, unverified]
  reason:
    description: Why it is so, for a person who reads it in the morning.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Record the outcome
  hospital.patching.run_record:
    run_id: 20261122T010000Z-ab12cd34
    outcome: patched
    reason: 25 updates installed and proven
"""

RETURN = r"""
outcome:
  description: The outcome that was recorded.
  type: str
  returned: success
reason:
  description: Its reason.
  type: str
  returned: success
"""
