# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""List restore points."""

DOCUMENTATION = r"""
module: host_snapshot_info
short_description: List the restore points that runs have made
version_added: 0.1.0
description:
  - Lists snapshots that carry this collection's labels, tags or records; foreign ones are never listed.
  - With V(btrfs) and V(snapper) it also lists what a revert has set aside (C(detail.kind) is C(set_aside)), and says in
    C(detail.missing) what was removed behind a run's back.
  - With V(vsphere), V(libvirt) and V(proxmox) all machines that the login may see are looked through; what a revert
    has set aside is listed as well (C(detail.kind)). C(detail.consistency) is C(quiesced), C(crash), C(off) or
    C(memory), and C(detail.note) says why it is not what was preferred.
  - With V(lvm) it also lists what is being put back (C(detail.kind) is C(reverting)).
  - The providers V(none) and V(preserved) keep no snapshots of their own, so their list is empty.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
options:
  provider:
    description: Name of the provider.
    type: str
    choices: [aws_ebs, btrfs, container, hook, libvirt, lvm, none, preserved, proxmox, snapper, vsphere]
    required: true
  options:
    description: Options of the provider, the same with which M(hospital.patching.host_snapshot) made what is listed.
    type: dict
    default: {}
  run_id:
    description: Only snapshots of this run.
    type: str
  host:
    description: Only snapshots of this host.
    type: str
  loss_of:
    description: Id of a snapshot of O(host), of which RV(loss) tells what a revert to it would lose.
    type: str
"""

EXAMPLES = r"""
- name: List all restore points of a host
  hospital.patching.host_snapshot_info:
    provider: container
    host: portal1
  delegate_to: localhost

- name: List what a host has made of its own subvolumes
  hospital.patching.host_snapshot_info:
    provider: btrfs
    options:
      subvolumes: [/srv/data]
    host: db1
"""

RETURN = r"""
snapshots:
  description:
    - The snapshots, the oldest first, each with C(id), C(provider), C(run_id), C(host), C(reason), C(created),
      C(expires) and C(detail).
    - With V(lvm) C(detail.lacks) says why nothing can be put back to it, such as a thick snapshot that filled up, or is
      null.
    - With V(aws_ebs) one set of snapshots is one entry; C(detail.lacks) says why nothing can be put back to it, or is
      null. The volumes that a revert replaced are deleted with their set, which stays listed as long as they do.
  type: list
  elements: dict
  returned: always
rooms:
  description:
    - What fills up with restore points, each with C(kind), such as a file system, C(name), C(size_bytes) and
      C(free_bytes).
    - Empty where nothing does, or the provider does not know.
  type: list
  elements: dict
  returned: always
rooms_problem:
  description: Why RV(rooms) could not be read; null when they were.
  type: str
  returned: always
loss:
  description:
    - What putting O(host) back to the snapshot O(loss_of) would lose; null where that was not asked.
    - C(size_bytes) is what was written since, as far as the provider knows it, or null; C(unknown) is what of it is not
      known and why, or null.
    - V(lvm) counts what thick snapshots have kept, and knows nothing of thin ones; V(btrfs) what was written to files
      and is still there; V(vsphere) the delta disks; V(container) by how much the container's own layer has grown;
      V(hook) tells C(changed_bytes) of the site's command. V(libvirt) and V(aws_ebs) cannot know it.
  type: dict
  returned: always
time:
  description: The time of the machine that was asked, in UTC.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import NO_SUCH, Loss
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import PROVIDERS, create_provider


def main():
    module = AnsibleModule(
        argument_spec=dict(
            provider=dict(type="str", choices=sorted(PROVIDERS), required=True),
            options=dict(type="dict", default={}),
            run_id=dict(type="str"),
            host=dict(type="str"),
            loss_of=dict(type="str"),
        ),
        required_by={"loss_of": ["host"]},
        supports_check_mode=True,
    )
    clock, problem = Clock(), None
    try:
        provider = create_provider(module.params["provider"], module.params["options"], Runner(), clock)
        found = provider.list(module.params["run_id"], module.params["host"])
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    try:
        rooms = provider.rooms()
    except (PatchingError, OSError) as error:
        rooms, problem = [], str(error)
    wanted, loss = module.params["loss_of"], None
    if wanted:
        try:
            mine = any(one.id == wanted for one in found)
            loss = provider.loss(wanted, module.params["host"]) if mine else NO_SUCH
        except (PatchingError, OSError) as error:
            loss = Loss(None, str(error))
    module.exit_json(
        changed=False,
        snapshots=[dict(snapshot._asdict()) for snapshot in found],
        rooms=[dict(room._asdict()) for room in rooms],
        rooms_problem=problem,
        loss=dict(loss._asdict()) if loss else None,
        time=clock.stamp(),
    )


if __name__ == "__main__":
    main()
