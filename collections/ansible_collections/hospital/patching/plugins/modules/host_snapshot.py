# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make or delete a host's restore point."""

DOCUMENTATION = r"""
module: host_snapshot
short_description: Make or delete a restore point of a host
version_added: 0.1.0
description:
  - Makes a restore point before a host is changed, and deletes it when it is no longer needed.
  - Runs where the provider is. Delegate it to the machine with the container engine for V(container), to one with
    boto3 and a login at AWS for V(aws_ebs), to one whose virsh reaches the hypervisor for V(libvirt), to one with
    pyVmomi and a login at vCenter for V(vsphere), to one that reaches the API for V(proxmox); run it on the host
    itself for V(btrfs), V(lvm), V(preserved) and V(snapper).
  - A snapshot is known by the provider's own id. One that belongs to another run is never touched.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.run
attributes:
  check_mode:
    support: full
    details:
      - Says whether a restore point could be made, without making it.
  diff_mode:
    support: none
    details:
      - There is nothing to compare.
  idempotent:
    support: full
    details:
      - A run makes one restore point of a host; a second call returns the same one.
options:
  state:
    description: Whether the restore point is to exist.
    type: str
    choices: [present, absent]
    default: present
  provider:
    description:
      - V(aws_ebs) makes snapshots of all EBS volumes of an EC2 instance at one instant, as after a power failure, and
        waits until AWS has completed them. Needs the Python library boto3 where it runs; the login comes from boto3's
        own chain there (environment, profile, instance role).
      - V(btrfs) makes read-only snapshots of the host's own subvolumes. Subvolumes within them are not part of it.
      - V(container) commits a podman or docker container to an image. Volumes are not part of it.
      - V(libvirt) makes a snapshot of the host's domain within its qcow2 images, by virsh. Of a domain that runs it
        holds the memory as well, for which C(memory) has to be true; it is never resumed from there.
      - V(lvm) makes snapshots of the host's own logical volumes, thick or thin. C(/boot) is kept as an archive where it
        is a file system of its own.
      - V(preserved) proves that every package which the transaction replaces was preserved by
        M(hospital.patching.update_stage); nothing is made.
      - V(proxmox) has Proxmox VE make a snapshot of the host's virtual machine, without its memory unless asked, by an
        API token whose secret comes from a file or the environment where it runs.
      - V(snapper) holds the host's own subvolumes as V(btrfs) does, in snapshots that snapper makes and lists.
      - V(vsphere) has vCenter make a snapshot of the host's virtual machine, without its memory, quiesced where the
        guest can be. Needs the Python library pyVmomi where it runs; the password comes from a file or the environment
        there.
      - V(hook) has a site's own commands do it, which print JSON; see C(docs/snapshots.md).
      - V(none) records that there is no way back, with a reason.
    type: str
    choices: [aws_ebs, btrfs, container, hook, libvirt, lvm, none, preserved, proxmox, snapper, vsphere]
    required: true
  options:
    description:
      - Options of the provider.
      - "V(aws_ebs): C(instance_id), or C(instance_tags), a dictionary of tags that one living instance has; C(exclude),
        ids or device names of data volumes that are left out; C(profile) and C(region) of boto3's configuration;
        C(endpoint_url) of another API than the region's; C(connect_timeout_s) (default 10), C(read_timeout_s) (default
        30) and C(attempts) (default 3) of one call; C(complete_timeout_s) (default 3600) for the set to be completed;
        for a revert C(volume_timeout_s) and C(stop_timeout_s) (default 600), C(start_timeout_s) (default 900) and
        C(status_checks) (default true), whether AWS's status checks have to pass; C(poll_s) (default 5)."
      - "V(btrfs): C(subvolumes), by mount point (default C([/])); C(at_reboot), those that are in use, so that their
        revert waits for a reboot, as that of C(/) always does; C(folder) on the file system's top level, in which
        snapshots are kept (default C(hospital-patching)); C(min_free_bytes) (default 1 GiB) and C(min_metadata_bytes)
        (default 128 MiB), which must be free."
      - "V(container): C(engine), the command line's first words (default C([podman])); C(container) (default O(host));
        C(pause) (default true), whether processes stop while the commit is made; C(min_free_bytes) (default 1 GiB),
        which must be free beside the container's own changes."
      - "V(hook): C(create), C(info), C(delete) and C(revert), each a command as a list of words; C(timeout_s) (default
        600) and, of C(info), C(info_timeout_s) (default 60); C(min_free_bytes) (default 0), which must be free in
        every room that C(info) tells of."
      - "V(libvirt): C(uri) (default C(qemu:///system)), as virsh takes it, C(qemu+ssh://HYPERVISOR/system) for one;
        C(virsh), the command line's first words (default C([virsh])). C(dmi_uuid), the UUID in the host's own
        firmware, by which its domain is found, and C(name), which that domain must have. C(memory) (default false).
        C(quiesce): whether the guest agent freezes the file systems meanwhile, C(preferred) (default), C(required) or
        C(none), within C(quiesce_timeout_s) (default 60). C(change_bytes) and C(min_free_bytes) (default 2 GiB each)
        must be free, and the memory's size; C(max_depth) (default 3) of snapshots. For a revert C(keep_replaced)
        (default true), whether what it replaces is kept, and C(wait_for_agent) (default true), where it answered
        before. C(timeout_s) (default 60) of one command; C(create_timeout_s), C(remove_timeout_s) and
        C(revert_timeout_s) (default 1800), C(stop_timeout_s) (default 300), C(start_timeout_s) (default 900),
        C(poll_s) (default 2)."
      - "V(lvm): C(volumes), by mount point (default C([/])); C(at_reboot), those that are in use, so that their revert
        waits for a reboot, as that of C(/) always does; C(change_bytes) (default 2 GiB), what is expected to change on
        each volume, which is the size of a thick snapshot and what a thin pool must have left; C(change_bytes_of),
        other sizes by mount point; C(min_free_bytes) (default 0) that stay free in the volume group;
        C(max_pool_percent) (default 90) and C(max_metadata_percent) (default 80) of a thin pool; C(max_snapshots)
        (default 8) of a volume, and how deep it may be a snapshot of snapshots; C(boot), C(archive) (the default) or
        C(leave); C(boot_folder), where the archive is kept (default C(/var/lib/hospital-patching/boot)); for a revert
        C(merge_timeout_s) (default 3600) and C(poll_s) (default 2)."
      - "V(preserved): C(transaction), as M(hospital.patching.update_stage) returned it, and C(preserved_dir), which by
        default is where that module preserves packages."
      - "V(proxmox): C(server), C(port) (default 8006) and C(token_id) (C(USER@REALM!NAME)), C(token_file), a file
        with the secret that only its owner may read; without them C(PROXMOX_HOST), C(PROXMOX_TOKEN_ID) and
        C(PROXMOX_TOKEN_SECRET) of the environment; C(ca_file) and C(validate_certs) (default true). C(dmi_uuid), the
        UUID in the host's own firmware, by which its machine is found, and C(name) or C(vmid), which that machine
        must have. C(memory) (default false). C(quiesce), C(preferred) (default) or C(required): whether the guest
        agent has to answer, by which Proxmox VE freezes the file systems. C(change_bytes) and C(min_free_bytes)
        (default 2 GiB each) must be free; C(max_depth) (default 3) of snapshots. For a revert C(keep_replaced)
        (default true), whether what it replaces is kept, and C(wait_for_agent) (default true), where it answered
        before. C(timeout_s) (default 60) and C(attempts) (default 3) of one call; C(create_timeout_s),
        C(remove_timeout_s) and C(revert_timeout_s) (default 1800), C(stop_timeout_s) (default 300),
        C(start_timeout_s) (default 900), C(poll_s) (default 2)."
      - "V(snapper): C(configs) of snapper (default C([root])), each of one subvolume; C(snapper), the command line's
        first words (default C([snapper, --no-dbus])); C(at_reboot), C(min_free_bytes) and C(min_metadata_bytes) as for
        V(btrfs); C(folder) (default C(hospital-patching-snapper)), which keeps the records and what a revert replaces."
      - "V(vsphere): C(server), C(port) (default 443) and C(user) of vCenter, C(password_file), a file that only its
        owner may read; without them C(VMWARE_HOST), C(VMWARE_USER) and C(VMWARE_PASSWORD) of the environment;
        C(ca_file) and C(validate_certs) (default true). C(dmi_uuid), the UUID in the host's own firmware, by which its
        machine is found, and C(name) or C(moid), which that machine must have. C(quiesce): C(preferred) (default, else
        as after a power failure), C(required) or C(none), within C(quiesce_timeout_s) (default 180); C(memory)
        (default false); C(without_disks), labels of disks that no snapshot holds. C(change_bytes), or
        C(change_percent) (default 10) of the disks' size, and C(min_free_bytes) (default 10 GiB) must be free;
        C(max_depth) (default 3) of snapshots; C(heed_backups) (default true), and C(backup_names), names of their
        snapshots. For a revert C(keep_replaced) (default true), whether what it replaces is kept, and
        C(wait_for_tools) (default true). C(timeout_s) (default 60) and C(attempts) (default 3) of one call;
        C(create_timeout_s) and C(revert_timeout_s) (default 1800), C(remove_timeout_s) (default 7200),
        C(stop_timeout_s) (default 300), C(start_timeout_s) (default 900), C(poll_s) (default 3)."
    type: dict
    default: {}
  host:
    description: Inventory name of the host that is secured.
    type: str
    required: true
  reason:
    description: Why it is made, or, with O(provider=none), why there is none.
    type: str
    default: ""
  expires:
    description: When it may be deleted, in UTC as C(2026-11-25T01:00:00Z). Without it O(retention_s) from now.
    type: str
  retention_s:
    description: Seconds after which it may be deleted.
    type: int
    default: 259200
  id:
    description: Id of the snapshot to delete; required with O(state=absent).
    type: str
"""

EXAMPLES = r"""
- name: Make a restore point of the host's container
  hospital.patching.host_snapshot:
    provider: container
    options:
      engine: [podman, --root, /srv/containers]
    run_id: 20261122T010000Z-ab12cd34
    host: "{{ inventory_hostname }}"
    reason: before the monthly update
  delegate_to: localhost
  register: restore_point

- name: Make a restore point of an EC2 instance
  hospital.patching.host_snapshot:
    provider: aws_ebs
    options:
      instance_id: i-0a1b2c3d4e5f60718
      region: eu-central-1
      profile: patching
    run_id: 20261122T010000Z-ab12cd34
    host: "{{ inventory_hostname }}"
    reason: before the monthly update
  delegate_to: localhost

- name: Make a restore point of a domain of libvirt, and let it stand still while its memory is written
  hospital.patching.host_snapshot:
    provider: libvirt
    options:
      uri: qemu+ssh://patching@hypervisor1.hospital.example/system
      dmi_uuid: "{{ ansible_facts['product_uuid'] }}"
      memory: true
    run_id: 20261122T010000Z-ab12cd34
    host: "{{ inventory_hostname }}"
    reason: before the monthly update
  delegate_to: localhost

- name: Make a restore point of a virtual machine of vSphere
  hospital.patching.host_snapshot:
    provider: vsphere
    options:
      server: vcenter.hospital.example
      user: patching@vsphere.local
      password_file: /etc/hospital-patching/vcenter-password
      dmi_uuid: "{{ ansible_facts['product_uuid'] }}"
    run_id: 20261122T010000Z-ab12cd34
    host: "{{ inventory_hostname }}"
    reason: before the monthly update
  delegate_to: localhost

- name: Delete it
  hospital.patching.host_snapshot:
    state: absent
    provider: container
    run_id: 20261122T010000Z-ab12cd34
    host: "{{ inventory_hostname }}"
    id: "{{ restore_point.snapshot.id }}"
  delegate_to: localhost
"""

RETURN = r"""
snapshot:
  description: The restore point; null when it was deleted, did not exist, or would only have been made (check mode).
  type: dict
  returned: always
  contains:
    id:
      description: The provider's own id; of V(btrfs), V(lvm) and V(snapper) the UUIDs of the snapshots, separated by
        commas; of V(libvirt) the domain's UUID and the snapshot's name; of V(proxmox) the VMID and
        the snapshot's name; of V(vsphere) the managed object id.
      type: str
    provider:
      description: Name of the provider.
      type: str
    run_id:
      description: Run that made it.
      type: str
    host:
      description: Host that it secures.
      type: str
    reason:
      description: Why it was made.
      type: str
    created:
      description: When it was made, in UTC.
      type: str
    expires:
      description: When it may be deleted, in UTC.
      type: str
    detail:
      description: What else the provider tells.
      type: dict
"""

import re
from datetime import timedelta

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.clock import STAMP, Clock, seconds_of
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import PROVIDERS, create_provider

#: What can be a folder of the evidence directory.
RUN_ID = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._-]*\Z")


def _expires(wanted, clock):
    """Return when the restore point may be deleted.

    Raises:
        PatchingError: it would never be, because no run can own it or nobody can read the time, or at once.
    """
    if not RUN_ID.match(wanted["run_id"]):
        raise PatchingError(
            "run_id of host {}".format(wanted["host"]),
            repr(wanted["run_id"]),
            "the id of a plan or run, as 20261122T010000Z-ab12cd34",
            "correct it: what no run owns is never deleted",
        )
    if wanted["retention_s"] <= 0:
        raise PatchingError(
            "retention_s of host {}".format(wanted["host"]),
            "{}".format(wanted["retention_s"]),
            "seconds, more than 0",
            "correct it",
        )
    if wanted["expires"] is None:
        return (clock.now() + timedelta(seconds=wanted["retention_s"])).strftime(STAMP)
    try:
        seconds_of(wanted["expires"])
    except ValueError:
        raise PatchingError(
            "expires of host {}".format(wanted["host"]),
            repr(wanted["expires"]),
            "a time in UTC, as 2026-11-25T01:00:00Z",
            "correct it: what cannot be read is never deleted",
        )
    return wanted["expires"]


def main():
    module = AnsibleModule(
        argument_spec=dict(
            arguments.RUN,
            state=dict(type="str", choices=["present", "absent"], default="present"),
            provider=dict(type="str", choices=sorted(PROVIDERS), required=True),
            options=dict(type="dict", default={}),
            host=dict(type="str", required=True),
            reason=dict(type="str", default=""),
            expires=dict(type="str"),
            retention_s=dict(type="int", default=259200),
            id=dict(type="str"),
        ),
        required_if=[("state", "absent", ["id"])],
        supports_check_mode=True,
    )
    wanted, clock, write = module.params, Clock(), not module.check_mode
    try:
        expires = _expires(wanted, clock)
        provider = create_provider(wanted["provider"], wanted["options"], Runner(), clock)
        if wanted["state"] == "present":
            kept = keeping.present(provider, wanted["run_id"], wanted["host"], wanted["reason"], expires, write)
        else:
            kept = keeping.absent(provider, wanted["run_id"], wanted["id"], write, wanted["host"])
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=kept.changed, snapshot=kept.snapshot and dict(kept.snapshot._asdict()))


if __name__ == "__main__":
    main()
