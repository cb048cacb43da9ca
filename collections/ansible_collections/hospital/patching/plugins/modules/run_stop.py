# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_stop
short_description: Ask a run to stop in good order, or take that back
version_added: 0.1.0
description:
  - Writes the file C(stop) into the run's folder and a note into its ledger. The gate obeys the file, so hosts in
    flight are finished or secured, none is started, and the rest becomes C(not_started).
  - While the file is there the run cannot be continued.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - The line that is written or removed is RV(line).
  idempotent:
    support: full
    details:
      - A request that is there already is kept, with the name, time and reason of whoever made it.
options:
  state:
    description:
      - V(requested) asks the run to stop; V(withdrawn) takes the request back, whoever made it.
    type: str
    choices: [requested, withdrawn]
    default: requested
  reason:
    description:
      - Why. It stands in the file and in the ledger.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Ask the run to stop
  hospital.patching.run_stop:
    run_id: 20261122T010000Z-ab12cd34
    reason: the emergency department diverts to us

- name: Let it be continued
  hospital.patching.run_stop:
    run_id: 20261122T010000Z-ab12cd34
    state: withdrawn
"""

RETURN = r"""
path:
  description: Path of the stop file.
  type: str
  returned: success
line:
  description: The file's first line, who asked when and why; of a request that was withdrawn too; empty without one.
  type: str
  returned: success
  sample: '2026-11-22T08:00:00Z nightly@controller1: the emergency department diverts to us'
text:
  description: What holds now, and what to do next.
  type: str
  returned: success
"""
