# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_report
short_description: Write a run's report as JSON and HTML, and return it as text
version_added: 0.1.0
description:
  - Reads plan, stage results and ledger; contacts no host and reports no change, because evidence is no state.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
"""

EXAMPLES = r"""
- name: Write the report
  hospital.patching.run_report:
    run_id: 20261122T010000Z-ab12cd34
  register: made
"""

RETURN = r"""
report:
  description: The report, as in C(report.json).
  type: dict
  returned: success
paths:
  description: Paths of the files that were written.
  type: dict
  returned: success
text:
  description: The report for a terminal, line by line.
  type: list
  elements: str
  returned: success
"""
