# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine of Proxmox VE that is a host: found, proven to be it, and judged by whether it can have a snapshot."""

import re
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.snapshots import machine_records as records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import NotSecurable, Room
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.hypervisor import (
    Guest,
    require_no_revert,
    uuids_of,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_records import Found, Tree
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.proxmox_api import ApiError, Proxmox

RUNNING, STOPPED = "running", "stopped"
#: A disk's or the EFI variables' key in a machine's configuration.
_DISK = re.compile(r"(?:ide|sata|scsi|virtio|efidisk|tpmstate)\d+\Z")
_UUID = re.compile(r"(?:^|,)uuid=([0-9a-fA-F-]{36})(?:,|\Z)")

#: The machine as it is now. ``unfinished`` are the ids of snapshots that are being made or deleted, or whose making or
#: deleting was broken off.
Machine = NamedTuple(
    "Machine",
    [
        ("vmid", str),
        ("node", str),
        ("name", str),
        ("uuid", str),
        ("config", Dict[str, Any]),
        ("power", str),
        ("tree", Tree),
        ("unfinished", List[str]),
    ],
)


def guest(machine: Machine) -> Guest:
    """Return the machine in the words of every hypervisor."""
    return Guest(machine.vmid, machine.name, machine.uuid, machine.tree, machine.unfinished)


def path_of(machine: Machine) -> List[str]:
    """Return the path of a machine in the API."""
    return ["nodes", machine.node, "qemu", machine.vmid]


def places(api: Proxmox) -> List[Dict[str, Any]]:
    """Return vmid, node and status of all machines that the token may see; containers and templates are none."""
    found = api.ask("cluster", "resources", type="vm")
    machines = [one for one in found if one.get("type") == "qemu" and not one.get("template")]
    return sorted(machines, key=lambda one: int(one["vmid"]))


def find(api: Proxmox, options: Dict[str, Any], host: str) -> Machine:
    """Return the machine that is ``host``, by the UUID in the host's own firmware.

    Raises:
        NotSecurable: none, or it is not the one that the site names.
    """
    forms = uuids_of(options, host)
    found, silent = [], []
    for place in places(api):
        vmid, node = str(place["vmid"]), str(place["node"])
        if options["vmid"] not in (None, int(vmid)):
            continue
        if place.get("status") == "unknown":  # its node does not answer
            silent.append(vmid)
        elif _uuid(_config(api, node, vmid)) in forms:
            found.append((node, vmid))
    if len(found) != 1:
        raise NotSecurable(
            "host {}".format(host),
            "there {} of UUID {}{}{}".format(
                "are {} machines".format(len(found)) if found else "is no machine",
                " or ".join(forms),
                "" if options["vmid"] is None else " and VMID {}".format(options["vmid"]),
                "; of {} the node does not answer".format(", ".join(silent)) if silent else "",
            ),
            "the host's machine, which the token may see (VM.Audit)",
            "correct dmi_uuid (the host's /sys/class/dmi/id/product_uuid), vmid or server in patching_snapshot",
        )
    machine = read(api, *found[0])
    if options["name"] not in (None, machine.name):
        raise NotSecurable(
            "host {}".format(host),
            "its firmware says UUID {}, which is machine {} ({})".format(forms[0], machine.name, machine.vmid),
            "the machine that patching_snapshot names, {}".format(options["name"]),
            "correct name or dmi_uuid in the host's patching_snapshot; nothing was touched",
        )
    return machine


def again(api: Proxmox, machine: Machine) -> Machine:
    """Return the machine as it is now, wherever it was moved to; proven to be the same."""
    found = of_vmid(api, machine.vmid)
    if found is None or found.uuid != machine.uuid:
        raise ApiError(
            api.server,
            "machine {} ({}) is gone".format(machine.name, machine.vmid),
            "the machine that was there before",
            "look who deletes machines in Proxmox VE",
            500,
        )
    return found


def of_vmid(api: Proxmox, vmid: str) -> Optional[Machine]:
    """Return the machine of that number, or None."""
    node = next((str(one["node"]) for one in places(api) if str(one["vmid"]) == vmid), None)
    return None if node is None else read(api, node, vmid)


def read(api: Proxmox, node: str, vmid: str) -> Machine:
    """Return the machine of that number on that node."""
    config = _config(api, node, vmid)
    listed = api.ask("nodes", node, "qemu", vmid, "snapshot")
    status = api.ask("nodes", node, "qemu", vmid, "status", "current")
    return Machine(
        vmid,
        node,
        str(config.get("name") or status.get("name") or vmid),
        _uuid(config),
        config,
        str(status.get("status")),
        read_tree(vmid, listed),
        ["{}/{}".format(vmid, one["name"]) for one in listed if one.get("snapstate")],
    )


def read_tree(vmid: str, listed: List[Dict[str, Any]]) -> Tree:
    """Return the snapshots of the API's list, parents before their children."""
    by_name = {str(one["name"]): one for one in listed}

    def depth(name: str) -> int:
        count, seen = 0, set()
        while name in by_name and name not in seen:
            seen.add(name)
            count, name = count + 1, str(by_name[name].get("parent") or "")
        return count

    found = [
        Found(
            "{}/{}".format(vmid, name),
            name,
            str(one.get("description") or ""),
            RUNNING if int(one.get("vmstate") or 0) else STOPPED,
            depth(name),
            "{}/{}".format(vmid, one["parent"]) if one.get("parent") else None,
        )
        for name, one in by_name.items()
        if name != "current"
    ]
    below = by_name.get("current", {}).get("parent")
    return Tree(sorted(found, key=lambda one: (one.depth, one.id)), "{}/{}".format(vmid, below) if below else None)


def securable(api: Proxmox, options: Dict[str, Any], host: str) -> Machine:
    """Return the host's machine, of which a snapshot can be made.

    Raises:
        NotSecurable: it cannot, with the reason.
    """
    machine = find(api, options, host)
    if machine.power not in (RUNNING, STOPPED):
        raise _unfit(
            machine,
            "it is {}".format(machine.power),
            "a machine that is running or stopped",
            "resume it, or look at it in Proxmox VE",
        )
    if machine.config.get("lock"):
        raise _unfit(
            machine,
            "it is locked ({})".format(machine.config["lock"]),
            "a machine that nobody else is working on",
            "wait until its task has ended; if none runs, look why, then qm unlock",
        )
    require_no_revert(_shown(machine), machine.tree, machine.uuid)
    if machine.unfinished:
        raise _unfit(
            machine,
            "the making or deleting of {} was broken off".format(", ".join(machine.unfinished)),
            "snapshots that are whole",
            "look at it in Proxmox VE, and delete it there (qm delsnapshot, with --force if need be)",
        )
    depth = records.chain_depth(machine.tree)
    if depth >= options["max_depth"]:
        raise _unfit(
            machine,
            "it is {} snapshots deep".format(depth),
            "less than max_depth, {}".format(options["max_depth"]),
            "delete snapshots that nobody needs, or raise max_depth",
        )
    if not api.ask(*path_of(machine), "feature", feature="snapshot").get("hasFeature"):
        raise _unfit(
            machine,
            "Proxmox VE says that its disks hold no snapshots ({})".format(", ".join(storages(machine)) or "none"),
            "disks that do: qcow2, LVM-thin, ZFS, RBD",
            "move its disks, or choose another snapshot provider",
        )
    _require_storages(api, options, machine)
    return machine


def storages(machine: Machine) -> List[str]:
    """Return the storages that the machine's disks are on."""
    disks = [str(value) for key, value in machine.config.items() if _DISK.match(key)]
    volumes = [disk.split(",")[0] for disk in disks if "media=cdrom" not in disk.split(",")]
    return sorted({volume.split(":")[0] for volume in volumes if ":" in volume and not volume.startswith("/")})


def rooms(api: Proxmox, machine: Machine) -> List[Room]:
    """Return the room of the storages of the machine's disks."""
    found = []
    for storage in storages(machine):
        state = api.ask("nodes", machine.node, "storage", storage, "status")
        name = "{} of {} ({})".format(storage, machine.node, api.server)
        found.append(Room("storage", name, int(state.get("total") or 0), int(state.get("avail") or 0)))
    return found


def _require_storages(api: Proxmox, options: Dict[str, Any], machine: Machine) -> None:
    needed = options["change_bytes"] + options["min_free_bytes"]
    for storage in storages(machine):
        state = api.ask("nodes", machine.node, "storage", storage, "status")
        if not state.get("active"):
            raise _unfit(machine, "storage {} is not active".format(storage), "one that is", "look at the node")
        if int(state.get("avail") or 0) < needed:
            raise _unfit(
                machine,
                "storage {} has {} bytes free".format(storage, state.get("avail")),
                "{}: change_bytes and min_free_bytes".format(needed),
                "delete expired snapshots, or make room there",
            )
        # pvesm refuses to roll a ZFS volume back past a newer snapshot, such as the one that is set aside.
        if state.get("type") in ("zfspool", "zfs") and options["keep_replaced"]:
            raise _unfit(
                machine,
                "storage {} is ZFS, which goes back to the newest snapshot only".format(storage),
                "keep_replaced: false, because a snapshot of what is replaced would be newer",
                "say so in patching_snapshot: a revert then loses what it replaces",
            )


def agent_answers(api: Proxmox, machine: Machine) -> bool:
    """Return whether the guest agent is configured and answers."""
    said = str(machine.config.get("agent") or "0").partition(",")[0]
    if machine.power != RUNNING or said.replace("enabled=", "") != "1":
        return False
    try:
        api.change("POST", *path_of(machine), "agent", "ping")
    except ApiError as error:
        if error.status == 500:  # "QEMU guest agent is not running"
            return False
        raise
    return True


def _config(api: Proxmox, node: str, vmid: str) -> Dict[str, Any]:
    return dict(api.ask("nodes", node, "qemu", vmid, "config"))


def _uuid(config: Dict[str, Any]) -> str:
    match = _UUID.search(str(config.get("smbios1") or ""))
    return match.group(1).lower() if match else ""


def _unfit(machine: Machine, seen: str, expected: str, next_step: str) -> NotSecurable:
    return NotSecurable(_shown(machine), seen, expected, next_step)


def _shown(machine: Machine) -> str:
    return "machine {} ({})".format(machine.name, machine.vmid)
