# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

DOCUMENTATION = r"""
module: run_host
short_description: Read what the approved plan says of a host
version_added: 0.1.0
description:
  - The plan binds the run; the inventory may have changed since it was made.
  - Updates that were blocked since (C(patching_blocks_file)) are left out when the host is staged, which needs no new
    approval. Refused when nothing is left, or when the blocks cannot be read.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.controller.promises
  - hospital.patching.controller
options:
  part:
    description: What to return beside the host's entry, the manifest (to stage) or the staged transaction (to install).
    type: str
    required: true
    choices: [manifest, transaction]
"""

EXAMPLES = r"""
- name: Read what the plan says of the host
  hospital.patching.run_host:
    run_id: 20261122T010000Z-ab12cd34
    part: transaction
  register: planned
"""

RETURN = r"""
host:
  description:
    - The plan's entry of the host. With O(part=transaction), C(snapshot) is what M(hospital.patching.host_snapshot)
      needs, with C(on), where that runs, and C(pending), whether the host's journal has to say so first.
  type: dict
  returned: success
hooks:
  description: The site's hooks, as lists under C(before) and C(after) of each step that may have some.
  type: dict
  returned: success
counterparts:
  description: By C(stage) and C(drain), the hooks that undo those before it, where the host is refused after them.
  type: dict
  returned: success
manifest:
  description: The manifest that binds the host.
  type: dict
  returned: when O(part=manifest)
updates:
  description: The plan's updates of the host without those that are blocked by now.
  type: list
  elements: dict
  returned: when O(part=manifest)
window_end:
  description: When the host's window ends, as UTC ISO 8601 with C(Z); empty where it has none.
  type: str
  returned: when O(part=manifest)
blocked:
  description: What was left out, each with C(name), C(arch), C(to), and the block's C(item) and C(reason).
  type: list
  elements: dict
  returned: when O(part=manifest)
transaction:
  description: The transaction that stage resolved.
  type: dict
  returned: when O(part=transaction)
data_rules:
  description:
    - By the inventory as it is now, C(owners), patterns of packages that own data, and C(safe), downgrades of such that
      somebody answers for. Where the inventory cannot be read, every package owns data.
  type: dict
  returned: when O(part=transaction)
rehearsal:
  description: Whether a revert of the host's disk is to be rehearsed in this run.
  type: dict
  returned: when O(part=transaction)
  contains:
    asked:
      description: Whether the newest start of the run asks for it.
      type: bool
    due:
      description: Whether it is still to be done, before anything is installed.
      type: bool
    why_not:
      description: Why it must not be done, by the inventory as it is now; empty when it may.
      type: str
left_out:
  description: What the transaction leaves out because it was blocked, as the end of a sentence; empty for nothing.
  type: str
  returned: when O(part=transaction)
health_before:
  description: The probes' readings just before the run touched the host; empty when it has not.
  type: list
  elements: dict
  returned: when O(part=transaction)
named_before:
  description: Those of the probes that the site has named.
  type: list
  elements: dict
  returned: when O(part=transaction)
outcome:
  description: The outcome that the run's ledger has of the host; V(not_started) when it has none.
  type: str
  returned: when O(part=transaction)
intent:
  description: What the run writes into the host's journal when it holds it.
  type: dict
  returned: when O(part=transaction)
mirror:
  description: What the run's ledger says of the host's snapshots, for M(hospital.patching.host_journal).
  type: dict
  returned: when O(part=transaction)
  contains:
    pending:
      description: Hashes of the ledger records that announced a snapshot, after which nothing was installed.
      type: list
      elements: str
    touched:
      description: Hashes of those after which an install was begun.
      type: list
      elements: str
    snapshot:
      description: The provider's id of the last snapshot made; null when none was.
      type: str
look_at:
  description: The hosts that may not be out beside this one.
  type: list
  elements: str
  returned: when O(part=transaction)
look_probes:
  description: The probes by which those are seen to serve from where users are.
  type: list
  elements: dict
  returned: when O(part=transaction)
finished:
  description: Whether this run is done with the host, for good or until a person has looked at it.
  type: bool
  returned: success
out:
  description: Whether an interrupted start of this run left the host held or out of service.
  type: bool
  returned: success
unsaid:
  description: C(outcome) and C(reason) of a host that was returned before the run could say so; empty for others.
  type: dict
  returned: when O(part=transaction)
held_only:
  description: Whether an interrupted start of this run holds the host and has done nothing more to it.
  type: bool
  returned: when O(part=transaction)
taken:
  description: Whether an interrupted start of this run has disrupted the host, or was about to; it is taken up there.
  type: bool
  returned: when O(part=transaction)
baseline:
  description: The probes' readings from before that; empty when RV(taken) is false.
  type: list
  elements: dict
  returned: when O(part=transaction)
failure:
  description: Why the host was on its way back then; empty when it was not.
  type: str
  returned: when O(part=transaction)
installed:
  description: Whether packages had been changed then, forward or back.
  type: bool
  returned: when O(part=transaction)
"""
