# SPDX-License-Identifier: GPL-3.0-or-later
"""The domain that is a host: found, proven to be it, and judged by whether a snapshot can be a way back."""

import os
from typing import Any, Callable, Dict, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.snapshots import libvirt_text, machine_records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import NotSecurable, Room
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.hypervisor import (
    Guest,
    require_no_revert,
    uuids_of,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.libvirt_text import Domain
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.libvirt_virsh import (
    OFF,
    RUNNING,
    Snapshots,
    Virsh,
)

#: The domain as it is now.
Machine = NamedTuple("Machine", [("domain", Domain), ("power", str), ("snapshots", Snapshots)])


def guest(machine: Machine) -> Guest:
    """Return the domain in the words of every hypervisor."""
    uuid = machine.domain.uuid
    return Guest(uuid, machine.domain.name, uuid, machine.snapshots.tree, [])


def find(virsh: Virsh, options: Dict[str, Any], host: str) -> Machine:
    """Return the domain that is ``host``, by the UUID in the host's own firmware.

    Raises:
        NotSecurable: none, or it is not the one that the site names.
    """
    forms = uuids_of(options, host)
    found = [uuid for uuid in virsh.domains() if uuid.lower() in forms]
    if len(found) != 1:
        raise NotSecurable(
            "host {}".format(host),
            "there {} of UUID {} at {}".format(
                "are {} domains".format(len(found)) if found else "is no domain", " or ".join(forms), virsh.shown
            ),
            "the host's domain",
            "correct dmi_uuid (the host's /sys/class/dmi/id/product_uuid) or uri in patching_snapshot",
        )
    machine = read(virsh, found[0])
    if options["name"] not in (None, machine.domain.name):
        raise NotSecurable(
            "host {}".format(host),
            "its firmware says UUID {}, which is the domain {}".format(forms[0], machine.domain.name),
            "the domain that patching_snapshot names, {}".format(options["name"]),
            "correct name or dmi_uuid in the host's patching_snapshot; nothing was touched",
        )
    return machine


def read(virsh: Virsh, uuid: str) -> Machine:
    """Return the domain of that UUID."""
    return Machine(virsh.domain(uuid), virsh.power(uuid), virsh.snapshots(uuid))


def securable(virsh: Virsh, options: Dict[str, Any], host: str, free: Callable[[str], int]) -> Machine:
    """Return the host's domain, of which a snapshot can be made.

    Raises:
        NotSecurable: it cannot, with the reason.
    """
    machine = find(virsh, options, host)
    if machine.power not in (RUNNING, OFF):
        raise _unfit(machine, "it is {}".format(machine.power), "a domain that is running or shut off")
    require_no_revert(_shown(machine), machine.snapshots.tree, machine.domain.uuid)
    persistent = libvirt_text.fields(virsh.run(["dominfo", machine.domain.uuid]).stdout).get("Persistent")
    if persistent != "yes":
        raise _unfit(machine, "it is transient", "a domain that is defined, because a revert stops and starts it")
    _require_internal(machine, options)
    if machine.power == RUNNING:
        _require_idle(virsh, machine)
    _require_room(virsh, machine, options, free)
    return machine


def _require_internal(machine: Machine, options: Dict[str, Any]) -> None:
    """Only snapshots within qcow2 images are made: they are the ones that every libvirt reverts to."""
    domain = machine.domain
    if not domain.disks:
        raise _unfit(machine, "it has no disk that could be put back", "at least one")
    wrong = ["{} is {}".format(disk.target, disk.format) for disk in domain.disks if disk.format != "qcow2"]
    wrong += ["{} is shared with other domains".format(disk.target) for disk in domain.disks if disk.shared]
    wrong += ["{} is transient".format(disk.target) for disk in domain.disks if disk.transient]
    if wrong:
        raise _unfit(machine, ", ".join(wrong), "disks in qcow2 images of this domain alone, which hold snapshots")
    if machine.snapshots.external:
        raise _unfit(
            machine,
            "it has external snapshots: {}".format(", ".join(machine.snapshots.external)),
            "none, because libvirt does not go back past them",
            "merge them (virsh blockcommit), then run again",
        )
    depth = max([machine_records.chain_depth(machine.snapshots.tree)] + [disk.chain for disk in domain.disks])
    if depth >= options["max_depth"]:
        raise _unfit(
            machine,
            "{} snapshots or backing images lie under its present state already".format(depth),
            "fewer than {}".format(options["max_depth"]),
            "delete those that nobody needs; max_depth in patching_snapshot is the limit",
        )
    if machine.power != RUNNING:
        return
    if not options["memory"]:
        raise _unfit(
            machine,
            "it is running, and a snapshot within its images would hold its memory as well",
            "memory: true in patching_snapshot, which asks for that, or a domain that is shut off",
            "say memory: true if the guest may stand still while its memory is written; it is never resumed from there",
        )
    if domain.pflash:
        raise _unfit(
            machine,
            "it has UEFI firmware (pflash), of which libvirt makes no snapshot while it runs",
            "BIOS firmware, or a domain that is shut off",
        )


def _require_idle(virsh: Virsh, machine: Machine) -> None:
    uuid = machine.domain.uuid
    job = virsh.job(uuid)
    disks = virsh.block_jobs(machine.domain)
    seen = "a job is under way ({})".format(job) if job else ""
    seen = seen or ("a job is under way on {}".format(", ".join(disks)) if disks else "")
    seen = seen or ("a backup is under way" if virsh.has_backup(uuid) else "")
    if seen:
        raise _unfit(
            machine,
            seen,
            "a domain that nobody else is working on",
            "wait until it has ended (virsh domjobinfo, virsh blockjob), then run again",
        )


def _require_room(virsh: Virsh, machine: Machine, options: Dict[str, Any], free: Callable[[str], int]) -> None:
    needed = options["min_free_bytes"] + options["change_bytes"]
    needed += machine.domain.memory_bytes if machine.power == RUNNING else 0
    for disk in machine.domain.disks:
        room = room_of(virsh, disk, free, free)
        if room is None:
            raise _unfit(
                machine,
                "how much is free at {} is not seen from here".format(disk.source),
                "images in a storage pool of libvirt that is active",
                "define a pool for that folder (virsh pool-define-as), then run again",
            )
        if room.free_bytes < needed:
            raise _unfit(
                machine,
                "{} {} has {} bytes free".format(room.kind, room.name, room.free_bytes),
                "{}: {} that the update may change, {} beside{}".format(
                    needed,
                    options["change_bytes"],
                    options["min_free_bytes"],
                    ", and its memory" if machine.power == RUNNING else "",
                ),
                "free space there, by deleting expired snapshots above all; change_bytes and min_free_bytes of"
                " patching_snapshot are the limits",
            )


def room_of(
    virsh: Virsh, disk: libvirt_text.Disk, free: Callable[[str], int], size: Callable[[str], int]
) -> Optional[Room]:
    """Return the pool, or the folder on this machine, that an image fills; None where that is not seen."""
    source = disk.source or "?"
    pool = virsh.run(["vol-pool", source], check=False)
    if pool.rc == 0 and pool.stdout.strip():
        name = pool.stdout.strip()
        virsh.run(["pool-refresh", name], check=False)  # what is free is as of the last refresh
        facts = libvirt_text.fields(virsh.run(["pool-info", "--bytes", name]).stdout)
        sizes = [libvirt_text.bytes_of(facts, key) for key in ("Capacity", "Available")]
        if sizes[1] is None:
            return None
        return Room("pool", "{} of {}".format(name, virsh.shown), sizes[0] or 0, sizes[1])
    folder = os.path.dirname(source)
    if source.startswith("/") and _is_here(virsh.uri) and os.path.exists(source):
        return Room("file system", folder, size(folder), free(folder))
    return None


def _is_here(uri: str) -> bool:
    """``qemu:///system`` has no host between the slashes."""
    return ":///" in uri and "+" not in uri.partition(":")[0]


def _unfit(machine: Machine, seen: str, expected: str, next_step: Optional[str] = None) -> NotSecurable:
    return NotSecurable(
        _shown(machine),
        seen,
        expected,
        next_step or "correct patching_snapshot, or give the host another snapshot provider",
    )


def _shown(machine: Machine) -> str:
    return "domain {} ({})".format(machine.domain.name, machine.domain.uuid)
