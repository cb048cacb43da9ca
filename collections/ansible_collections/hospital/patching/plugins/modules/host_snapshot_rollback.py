# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put one host back to its restore point."""

DOCUMENTATION = r"""
module: host_snapshot_rollback
short_description: Put one host back to a restore point, confirmed by the snapshot's id
version_added: 0.1.0
description:
  - With V(container), recreates the host's container from the snapshot's image, by the command that created it.
  - With V(aws_ebs), makes volumes from the snapshots, stops the instance, puts them in the place of the old ones and
    starts it. After an interruption the same call goes on.
  - With V(btrfs) and V(snapper), unmounts the subvolumes, puts writable copies of their snapshots in their places and
    mounts them again; of C(/) and of what is named in C(at_reboot) the host has the copies after its next reboot, which
    is left to the caller and said by C(reboot) in RV(reverted). A call that was cut off is ended or undone by the next
    one.
  - With V(lvm), unmounts the volumes, merges their snapshots into them and mounts them again; C(/) and what is named in
    C(at_reboot) are merged when the host is rebooted, which is left to the caller and said by C(reboot) in
    RV(reverted). Call it once more after the reboot, as C(again) says; it waits for the merges and ends the revert. An
    archived C(/boot) goes back with C(/). A call that was cut off is gone on with by the next one. The restore point is
    used up.
  - With V(vsphere), V(libvirt) and V(proxmox), shuts the machine down, sets its present state aside in a snapshot,
    goes back to the other one, and starts it. After an interruption the same call goes on.
  - With V(hook), has the site's own command do it.
  - Everything that the host wrote since the snapshot is lost, its journal too. Never use it on a host with a
    database, a directory or other data that has moved on; roll packages back there.
  - What was replaced is kept, and returned; not by V(lvm), whose merge overwrites it. The container is stopped and kept
    under another name; volumes of V(aws_ebs) until the snapshot is deleted; subvolumes, and a virtual machine's
    snapshot, for as long as the snapshot was to be. If the reverted container, instance or machine does not start, what
    was replaced is put back, and the message says what runs.
  - Of containers podman's only; docker does not tell by which command a container was created.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run
attributes:
  check_mode:
    support: full
    details:
      - Proves that the snapshot exists and is of this host and run, and changes nothing.
  diff_mode:
    support: none
    details:
      - There is nothing to compare.
  idempotent:
    support: none
    details:
      - Each call reverts the host.
options:
  provider:
    description: Name of the provider.
    type: str
    choices: [aws_ebs, btrfs, container, hook, libvirt, lvm, proxmox, snapper, vsphere]
    required: true
  options:
    description: Options of the provider, the same with which M(hospital.patching.host_snapshot) made it.
    type: dict
    default: {}
  id:
    description: Id of the snapshot, from the run's ledger.
    type: str
    required: true
  host:
    description: Inventory name of the host that is put back.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Put the host back
  hospital.patching.host_snapshot_rollback:
    id: "{{ restore_point.snapshot.id }}"
    run_id: 20261122T010000Z-ab12cd34
    host: portal1
    provider: container
  delegate_to: localhost

- name: Put a subvolume back, on the host itself
  hospital.patching.host_snapshot_rollback:
    id: "{{ restore_point.snapshot.id }}"
    run_id: 20261122T010000Z-ab12cd34
    host: db1
    provider: btrfs
    options:
      subvolumes: [/srv/data]
"""

RETURN = r"""
snapshot:
  description: The snapshot that the host was put back to.
  type: dict
  returned: always
reverted:
  description:
    - What was done; null in check mode.
    - "Of V(btrfs) and V(snapper): C(snapshot), its id; C(subvolumes), each with C(mount), C(path) and its new C(uuid);
      C(kept), the id of what was set aside, C(kept_at) and C(kept_until); C(carried) and C(left), subvolumes within
      that went along or stayed with what was set aside; C(reboot), whether one is needed; C(resumed), whether an
      earlier call had been cut off and was only ended."
    - "Of V(vsphere), V(libvirt) and V(proxmox): C(machine), C(machine_name) and C(snapshot); C(kept), the id of what
      was set aside, and C(kept_until); C(lost_s), how long the machine had run on since the snapshot; C(power_state)
      and C(resumed); of V(vsphere) also C(tools)."
    - "Of V(lvm): C(snapshot), its id; C(volumes), each with C(mount), C(volume), C(uuid) and C(at_reboot); C(boot),
      what of C(/boot) was C(restored) and C(removed), or null; C(reboot), whether one is needed, and C(again), whether
      this has to be called once more after it; C(resumed), whether an earlier call had begun."
  type: dict
  returned: always
  sample:
    container: portal1
    image: sha256:0c1d
    kept: portal1-before-revert-20261122T013000Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import create_provider


def main():
    module = AnsibleModule(
        argument_spec=dict(
            arguments.RUN,
            provider=dict(
                type="str",
                choices=["aws_ebs", "btrfs", "container", "hook", "libvirt", "lvm", "proxmox", "snapper", "vsphere"],
                required=True,
            ),
            options=dict(type="dict", default={}),
            id=dict(type="str", required=True),
            host=dict(type="str", required=True),
        ),
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        provider = create_provider(wanted["provider"], wanted["options"], Runner(), Clock())
        snapshot = keeping.require(provider, wanted["id"], wanted["run_id"], wanted["host"])
        reverted = None if module.check_mode else provider.revert(snapshot.id, wanted["host"])
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=True, snapshot=dict(snapshot._asdict()), reverted=reverted)


if __name__ == "__main__":
    main()
