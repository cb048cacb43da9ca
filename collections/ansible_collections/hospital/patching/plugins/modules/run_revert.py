# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_revert
short_description: Open the revert of one host's disk, and keep what it will erase
version_added: 0.1.0
description:
  - V(located) refuses a restore point that the run did not make of the host, and says where its provider is asked.
  - V(opened) refuses a restore point that the run did not make of the host, a host that a newer run has changed,
    C(--limit), a request without a reason, and a run that another controller drives or that was killed. It says what
    is lost, records who asked for what, and sets the fact C(patching_run).
  - A host whose data moves on is refused unless O(loses_data) names it. C(patching_stateful) says whether it does;
    where the site does not say, one on which a package is installed that owns data.
  - V(kept) writes down, outside the host, what the host's journal is about to lose and that the disk is about to be put
    back. A host that does not answer is known by what the run's ledger has of it.
  - V(rehearsed) records that a host on which nothing was installed yet was put back to its restore point and proven,
    and in which time. Without the host's own record that it was put back it refuses.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  state:
    description: Which part of the revert it is.
    type: str
    required: true
    choices: [located, opened, kept, rehearsed]
  host:
    description: Inventory name of the host.
    type: str
    required: true
  snapshot:
    description: The provider's id of the restore point, as the run's report and ledger have it.
    type: str
    required: true
  reason:
    description: Why it is put back, for the evidence.
    type: str
    default: ''
  loses_data:
    description: The host's name again, by which a person accepts that data which moved on is lost.
    type: str
    default: ''
  journal:
    description: With O(state=kept), all records of the host's journal; without it, the host did not answer.
    type: list
    elements: dict
  told:
    description:
      - What M(hospital.patching.host_snapshot_info) has answered with its option C(loss_of), or why it could not.
      - With O(state=opened) it is told, with O(state=kept) it is recorded, and in the report.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Open the revert
  hospital.patching.run_revert:
    run_id: 20261122T010000Z-ab12cd34
    state: opened
    host: portal1
    snapshot: sha256:0c1d
    reason: it does not start since the update
"""

RETURN = r"""
text:
  description: What is put back to what, and what that loses.
  type: str
  returned: when O(state=opened)
place:
  description: Where to ask what a revert loses, with C(provider), its C(options), and C(on), the machine.
  type: dict
  returned: when O(state=located)
tail_digest:
  description: Digest of what the revert erases, for the first record of the reverted journal.
  type: str
  returned: when O(state=kept)
source:
  description: Whether that was read from the host's C(journal) or from the run's C(ledger).
  type: str
  returned: when O(state=kept)
provider:
  description: Who has put it back.
  type: str
  returned: when O(state=rehearsed)
took_s:
  description: Seconds from the intent to put the disk back until it was proven.
  type: int
  returned: when O(state=rehearsed)
ansible_facts:
  description: The fact C(patching_run) with run_id, evidence_dir, controller, by, reason, snapshot, hosts and opened.
  type: dict
  returned: when O(state=opened)
"""
