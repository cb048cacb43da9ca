# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read a host's journal."""

DOCUMENTATION = r"""
module: host_journal_info
short_description: Read the journal that a host keeps of what runs did to it
version_added: 0.1.0
description:
  - Returns the records of the host's append-only journal and who holds the host.
  - A last line that was cut off while it was written is left out and told; any other damage is an error,
    because nothing may be installed on a host whose past is unknown.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
options:
  state_dir:
    description: Directory on the host that holds the journal.
    type: path
    default: /var/lib/hospital-patching
  run_id:
    description:
      - Return only the records of this run; RV(holder) is told whoever it is, and RV(tail_digest) is of all records.
    type: str
"""

EXAMPLES = r"""
- name: Read who holds the host
  hospital.patching.host_journal_info:
  register: journal
"""

RETURN = r"""
records:
  description: The records, the oldest first; empty when the host has no journal.
  type: list
  elements: dict
  returned: always
holder:
  description: The record of the run that holds this host; null when none does.
  type: dict
  returned: always
pending:
  description: The C(snapshot_pending) record in which the journal ends; null when it ends otherwise.
  type: dict
  returned: always
released:
  description: The last record by which a run gave the host up; C(detail.out) says as what, if not as serving.
  type: dict
  returned: always
worked:
  description: The runs that have begun to change packages here, forward or back.
  type: list
  elements: str
  returned: always
tail_digest:
  description:
    - Digest of the records after the last C(snapshot_pending), which a revert to that snapshot would erase; null when
      no snapshot was ever begun.
    - Keep it before a revert, with RV(records) read without O(run_id); M(hospital.patching.host_journal) asks for it
      with C(state=reverted).
  type: str
  returned: always
  sample: sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945
torn:
  description: Whether the last line was cut off while it was written.
  type: bool
  returned: always
boot:
  description: C(boot_id), which changes with every start of the host (or container), and C(booted), when that was.
  type: dict
  returned: always
  sample: {boot_id: 3d3c2b60-5ab0-4c8d-b6f1-0e6f0b1a2c3d+24, booted: "2026-11-21T22:14:09Z"}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils.boot import read_boot
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import STATE_DIR
from ansible_collections.hospital.patching.plugins.module_utils.journal import (
    WORK_STEPS,
    Journal,
    lost_tail,
    tail_digest,
)


def main():
    module = AnsibleModule(
        argument_spec=dict(state_dir=dict(type="path", default=STATE_DIR), run_id=dict(type="str")),
        supports_check_mode=True,
    )
    journal = Journal(module.params["state_dir"])
    run_id = module.params["run_id"]
    try:
        everything = journal.read()
        tail = lost_tail(everything)
        answer = dict(
            records=[record for record in everything if run_id in (None, record["run_id"])],
            holder=journal.holder(),
            pending=journal.pending(),
            released=next((record for record in reversed(everything) if record["event"] == "released"), None),
            worked=sorted({record["run_id"] for record in everything if record.get("step") in WORK_STEPS}),
            tail_digest=None if tail is None else tail_digest(tail),
            torn=journal.torn(),
            boot=read_boot(),
        )
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=False, **answer)


if __name__ == "__main__":
    main()
