# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, which calls host_snapshot where the provider is."""

DOCUMENTATION = r"""
module: snapshot_removal
short_description: Delete one restore point that housekeeping has judged, and record it
version_added: 0.1.0
description:
  - Deletes it by M(hospital.patching.host_snapshot) while the run that made it cannot be begun again, and records that
    in the chain of all housekeepings, C(housekeeping/ledger.jsonl) in O(evidence_dir).
  - Never fails; what could not be deleted is returned, so that the others are deleted all the same.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says whether it would be deleted.
  diff_mode:
    support: none
    details:
      - There is nothing to compare.
  idempotent:
    support: full
    details:
      - One that is gone already is no change.
options:
  housekeeping:
    description: Id of the housekeeping.
    type: str
    required: true
  evidence_dir:
    description: Directory on the controller that keeps plans, ledgers and reports.
    type: path
    default: evidence
  place:
    description: C(provider), C(options) and C(on), as M(hospital.patching.snapshot_retention) has returned them.
    type: dict
    required: true
  owner:
    description: The run that made it.
    type: str
    required: true
  id:
    description: The restore point's id.
    type: str
    required: true
  cause:
    description: One word for why, as M(hospital.patching.snapshot_retention) has returned it.
    type: str
    required: true
  why:
    description: Why it is deleted.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Delete what expired
  hospital.patching.snapshot_removal:
    housekeeping: 20261125T120000Z-0a1b2c3d
    place: {provider: container, options: {}, "on": localhost}
    owner: 20261122T010000Z-ab12cd34
    id: 0d1b5c
    cause: expired
    why: its retention ended at 2026-11-25T01:00:00Z
  delegate_to: localhost
"""

RETURN = r"""
problem:
  description: Why it was not deleted; empty when it was, or was gone already.
  type: str
  returned: always
id:
  description: The restore point's id.
  type: str
  returned: always
run_id:
  description: The run that made it.
  type: str
  returned: always
host:
  description: The host that it secures.
  type: str
  returned: always
provider:
  description: Name of the provider.
  type: str
  returned: always
why:
  description: Why it is deleted.
  type: str
  returned: always
"""
