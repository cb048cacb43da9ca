# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_verify
short_description: Check a run's evidence
version_added: 0.1.0
description:
  - Reads the run's folder, contacts no host and changes nothing. It fails when anything is found wrong.
  - Changed, dropped, added and reordered records, a torn last line and records of other runs break the ledger's chain.
    That its end was cut off, or that all of it was written anew, is only seen against a head that was kept before.
  - The plan must have the digest that the run was opened with, its manifests and the staged transactions their own,
    and each transaction must lie within the manifest that binds its host.
  - The report is no evidence of its own. C(report.json) and C(report.html) are made again from the plan, the stages and
    the ledger up to the head that the report carries, and compared; of a report that another version made, RV(text)
    says that its content was not checked. C(traffic.json), which somebody may have measured beside the run, is taken
    as it is.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
  - hospital.patching.controller
options:
  head:
    description:
      - The ledger's head as it was kept where this machine cannot change it, as C(COUNT:sha256:HASH).
      - The records up to it must still be there with that hash; later ones may follow. It is compared with the head in
        the run's C(report.json) too, which protects less, because it lies in the same folder.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Check the evidence against the head that was mailed to the auditor
  hospital.patching.run_verify:
    run_id: 20261122T010000Z-ab12cd34
    head: 42:sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

RETURN = r"""
findings:
  description: All that is wrong; empty on success.
  type: list
  elements: dict
  returned: when there is such a run
  contains:
    file:
      description: The file, seen from the run's folder.
      type: str
      sample: ledger.jsonl
    line:
      description: The line, counted from 1; null for the whole file.
      type: int
      sample: 3
    seen:
      description: What was seen.
      type: str
      sample: its content does not fit its hash, so it was changed
    expected:
      description: What was expected.
      type: str
      sample: the record that was written there
head:
  description: The ledger's head as it is now, to be kept where this machine cannot change it.
  type: dict
  returned: when there is such a run
  contains:
    count:
      description: How many records there are.
      type: int
      sample: 42
    hash:
      description: The hash of the last; zeros when it is no record, or when there are none.
      type: str
      sample: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
records:
  description: How many records the ledger has.
  type: int
  returned: when there is such a run
  sample: 42
text:
  description: The result for a terminal, line by line.
  type: list
  elements: str
  returned: when there is such a run
"""
