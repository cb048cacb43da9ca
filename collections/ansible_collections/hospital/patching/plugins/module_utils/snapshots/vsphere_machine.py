# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual machine that is a host: found, proven to be it, and judged by whether a snapshot can be a way back."""

import fnmatch
from typing import Any, Dict, List, NamedTuple, Optional, Set

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import machine_records as records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import NotSecurable
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.hypervisor import (
    Guest,
    require_no_revert,
    uuids_of,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_records import Found, Tree
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_api import ApiError, Vsphere

MIB = 1024 * 1024
#: What a list of snapshots needs to know of a machine.
FEW = ["name", "config.instanceUuid", "snapshot"]
#: What is asked again and again while something is waited for.
STATE = FEW + [
    "runtime.powerState",
    "runtime.consolidationNeeded",
    "runtime.question",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "recentTask",
]
PATHS = STATE + [
    "config.uuid",
    "config.template",
    "config.hardware.device",
    "config.hardware.memoryMB",
    "runtime.connectionState",
    "datastore",
    "disabledMethod",
]
#: Names that backup programs give the snapshots under which they read a machine's disks; letters' case is ignored.
BACKUP_NAMES = [
    "*VEEAM BACKUP TEMPORARY SNAPSHOT*",
    "*GX_BACKUP*",
    "NBU_SNAPSHOT*",
    "Avamar-*",
    "Consolidate Helper*",
]
#: What backup programs switch off while they read the disks (VMware's virtual disk development kit, "VADP").
BACKUP_METHOD = "RelocateVM_Task"

Machine = NamedTuple("Machine", [("moid", str), ("properties", Dict[str, Any]), ("tree", Tree)])


def guest(machine: Machine) -> Guest:
    """Return the machine in the words of every hypervisor."""
    facts = machine.properties
    return Guest(machine.moid, facts["name"], facts["config.instanceUuid"], machine.tree, [])


def find(api: Vsphere, options: Dict[str, Any], host: str) -> Machine:
    """Return the one machine that is ``host``, by the UUID in the host's own firmware.

    Raises:
        NotSecurable: none, several, or the one that the site names is another.
    """
    forms = uuids_of(options, host)
    ids = {one._moId for form in forms for one in _of_uuid(api, form)}
    machines = read(api, sorted(ids), PATHS)
    told = [one for one in machines if _is_named(one, options)]
    if len(told) == 1:
        return told[0]
    named = ", ".join("{} ({})".format(one.properties["name"], one.moid) for one in told or machines)
    if machines and not told:
        raise NotSecurable(
            "host {}".format(host),
            "its firmware says UUID {}, which is the machine {}".format(forms[0], named),
            "the machine that patching_snapshot names, {}".format(_wanted(options)),
            "correct name, moid or dmi_uuid in the host's patching_snapshot; nothing was touched",
        )
    if told:
        raise NotSecurable(
            "host {}".format(host),
            "{} machines have its UUID {}: {}".format(len(told), forms[0], named),
            "one, because a copy that kept the UUID cannot be told from the host",
            "name the host's by moid in its patching_snapshot, or give the copy a UUID of its own",
        )
    raise NotSecurable(
        "host {}".format(host),
        "there is no machine of UUID {} that this login may see".format(" or ".join(forms)),
        "the host's machine in vCenter {}".format(api.server),
        "correct dmi_uuid (the host's /sys/class/dmi/id/product_uuid) or server in patching_snapshot",
    )


def _of_uuid(api: Vsphere, uuid: str) -> List[Any]:
    """Return the machines of every datacenter whose firmware has that UUID."""
    index = api.content.searchIndex
    return list(
        api.ask("a search for UUID {}".format(uuid), lambda: index.FindAllByUuid(None, uuid, True, False)) or []
    )


def _is_named(one: Machine, options: Dict[str, Any]) -> bool:
    return options["name"] in (None, one.properties["name"]) and options["moid"] in (None, one.moid)


def _wanted(options: Dict[str, Any]) -> str:
    return " and ".join("{} {}".format(key, options[key]) for key in ("name", "moid") if options[key])


def read_tree(info: Any) -> Tree:
    """Return a machine's property ``snapshot`` as a list, parents before their children; an absent one is empty."""
    found: List[Found] = []

    def walk(items: Any, depth: int, parent: Optional[str]) -> None:
        for item in items or []:
            moid = item.snapshot._moId
            found.append(Found(moid, item.name, item.description or "", str(item.state), depth, parent))
            walk(item.childSnapshotList, depth + 1, moid)

    if info is not None:
        walk(info.rootSnapshotList, 1, None)
    current = getattr(info, "currentSnapshot", None)
    return Tree(found, current._moId if current is not None else None)


def read(api: Vsphere, ids: List[str], paths: List[str]) -> List[Machine]:
    """Return machines as they are now; one that does not exist (any more) is left out."""
    machines = []
    for moid in ids:
        try:
            properties = api.read(api.vim.VirtualMachine, [api.machine(moid)], paths)
        except ApiError as error:
            if error.fault != "ManagedObjectNotFound":
                raise
            continue
        if moid in properties:
            machines.append(Machine(moid, properties[moid], read_tree(properties[moid]["snapshot"])))
    return machines


def again(api: Vsphere, moid: str) -> Machine:
    """Return the machine as it is now, its state only.

    Raises:
        PatchingError: it is gone.
    """
    found = read(api, [moid], STATE)
    if not found:
        raise PatchingError(
            "machine {}".format(moid), "it is gone", "a machine in vCenter {}".format(api.server), "ask who removed it"
        )
    return found[0]


def running_tasks(api: Vsphere, machine: Machine) -> Dict[str, str]:
    """Return what is being done to the machine: the kind of each task that is queued or runs, by the task's id."""
    running = {}
    for task in machine.properties["recentTask"] or []:
        paths = ["info.state", "info.descriptionId"]
        try:
            info = api.read(api.vim.Task, [task], paths).get(task._moId)
        except ApiError as error:
            # vCenter forgets tasks that ended some time ago.
            if error.fault != "ManagedObjectNotFound":
                raise
            continue
        if info and info["info.state"] in ("queued", "running"):
            running[task._moId] = str(info["info.descriptionId"])
    return running


def securable(api: Vsphere, options: Dict[str, Any], host: str) -> Machine:
    """Return the host's machine, of which a snapshot can be made.

    Raises:
        NotSecurable: it cannot, with the reason.
    """
    machine = find(api, options, host)
    facts = machine.properties
    if facts["config.template"]:
        raise _unfit(machine, "it is a template", "a machine")
    if facts["runtime.connectionState"] != "connected":
        raise _unfit(
            machine, "it is {}".format(facts["runtime.connectionState"]), "a machine whose ESX host vCenter reaches"
        )
    if facts["runtime.powerState"] not in ("poweredOn", "poweredOff"):
        raise _unfit(machine, "it is {}".format(facts["runtime.powerState"]), "a machine that is on or off")
    _require_no_question(machine)
    require_no_revert(_shown(machine), machine.tree, facts["config.instanceUuid"])
    if facts["runtime.consolidationNeeded"]:
        raise _unfit(
            machine,
            "its disks need consolidation: a snapshot was deleted and its disks could not be merged",
            "disks that are merged",
            "consolidate them in the vSphere Client (Snapshots, Consolidate), then run again",
        )
    _require_shallow(machine, options)
    _require_snapshots_of_disks(machine, options)
    _require_idle(api, machine, options)
    _require_space(api, machine, options)
    return machine


def _require_no_question(machine: Machine) -> None:
    question = machine.properties["runtime.question"]
    if question is not None:
        raise _unfit(
            machine,
            "it waits for an answer: {}".format(str(question.text)[:200]),
            "a machine that waits for nobody",
            "answer it in the vSphere Client, then run again",
        )


def _require_shallow(machine: Machine, options: Dict[str, Any]) -> None:
    depth = records.chain_depth(machine.tree)
    links = [_links(disk) - 1 for disk in disks(machine)]
    # More links than snapshots are left-overs that the snapshot manager does not show.
    depth = max([depth] + links)
    if depth >= options["max_depth"]:
        names = ", ".join(one.name for one in machine.tree.snapshots) or "none that the snapshot manager shows"
        raise _unfit(
            machine,
            "{} snapshots lie under its present state already ({})".format(depth, names),
            "fewer than {}, because every one slows its disks down and can fill the datastore".format(
                options["max_depth"]
            ),
            "delete those that nobody needs, or consolidate the disks; max_depth in patching_snapshot is the limit",
        )


def grown_since(layout: Any, snapshot_id: str) -> Optional[int]:
    """Return the bytes of the disks' files that the machine writes to and the snapshot did not have.

    ``layout`` is the machine's ``layoutEx``. None where vCenter names none, as some storage keeps no such files.
    """
    held = next((one for one in getattr(layout, "snapshot", None) or [] if one.key._moId == snapshot_id), None)
    if held is None or not _files(held.disk):
        return None
    sizes = {one.key: int(one.size) for one in layout.file or []}
    since = _files(layout.disk) - _files(held.disk)
    return sum(sizes[key] for key in since) if since and since <= set(sizes) else None


def _files(chains: Any) -> Set[int]:
    return {key for disk in chains or [] for link in disk.chain or [] for key in link.fileKey or []}


def disks(machine: Machine) -> List[Any]:
    """Return the machine's virtual disks."""
    devices = machine.properties["config.hardware.device"] or []
    return [one for one in devices if type(one).__name__.rpartition(".")[2] == "VirtualDisk"]


def _links(disk: Any) -> int:
    count, backing = 0, disk.backing
    while backing is not None:
        count, backing = count + 1, getattr(backing, "parent", None)
    return count


def _require_snapshots_of_disks(machine: Machine, options: Dict[str, Any]) -> None:
    shared = [
        one.deviceInfo.label
        for one in machine.properties["config.hardware.device"] or []
        if getattr(one, "sharedBus", None) not in (None, "noSharing")
    ]
    if shared:
        raise _unfit(
            machine, "{} shares its bus with other machines".format(", ".join(shared)), "disks of this machine alone"
        )
    outside = {}
    for disk in disks(machine):
        backing, label = disk.backing, disk.deviceInfo.label
        if getattr(backing, "sharing", None) == "sharingMultiWriter":
            raise _unfit(
                machine, "{} is written by several machines".format(label), "disks that only this machine writes to"
            )
        mode, raw = str(getattr(backing, "diskMode", "")), getattr(backing, "compatibilityMode", None)
        if mode.startswith("independent"):
            outside[label] = "mode {}".format(mode)
        elif raw == "physicalMode":
            outside[label] = "a raw device in physical mode"
    unknown = sorted(set(options["without_disks"]) - set(outside))
    if unknown:
        raise _unfit(
            machine,
            "without_disks names {}".format(", ".join(unknown)),
            "disks that snapshots leave out: {}".format(", ".join(sorted(outside)) or "there are none"),
        )
    forgotten = ["{} ({})".format(label, why) for label, why in sorted(outside.items())]
    if set(outside) - set(options["without_disks"]):
        raise _unfit(
            machine,
            "no snapshot holds {}".format(", ".join(forgotten)),
            "all of its disks in the restore point",
            "name those that a revert need not put back in without_disks of patching_snapshot, or give the host another"
            " snapshot provider",
        )


def _require_idle(api: Vsphere, machine: Machine, options: Dict[str, Any]) -> None:
    disabled = machine.properties["disabledMethod"] or []
    if "CreateSnapshot_Task" in disabled:
        raise _unfit(
            machine,
            "vCenter allows no snapshot of it now",
            "a machine that snapshots can be made of",
            "look at its tasks, and whether fault tolerance or a backup program forbids it",
        )
    tasks = running_tasks(api, machine)
    if tasks:
        raise _unfit(
            machine,
            "{} is under way".format(", ".join("{} ({})".format(kind, key) for key, kind in sorted(tasks.items()))),
            "a machine that nobody else is working on",
            "wait until it has ended (a backup?), then run again",
        )
    if not options["heed_backups"]:
        return
    names = [one.name for one in machine.tree.snapshots if _is_backup(one.name, options)]
    if names:
        raise _unfit(
            machine,
            "a backup program's snapshot is there: {}".format(", ".join(names)),
            "no backup under way, because its end would merge the disks during the patch",
            "wait until the backup has ended; if it has and its snapshot was left, delete that in the vSphere Client",
        )
    if BACKUP_METHOD in disabled:
        raise _unfit(
            machine,
            "a backup program has switched off its migration, as it does while it reads the disks",
            "no backup under way",
            "wait until it has ended; what a crashed one left is lifted as VMware's KB 1029926 says, and"
            " heed_backups: false in patching_snapshot overrides this",
        )


def _is_backup(name: str, options: Dict[str, Any]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in options["backup_names"])


def _require_space(api: Vsphere, machine: Machine, options: Dict[str, Any]) -> None:
    changing: Dict[str, int] = {}
    for disk in disks(machine):
        store = getattr(disk.backing, "datastore", None)
        if store is not None and disk.deviceInfo.label not in options["without_disks"]:
            size = int(disk.capacityInBytes or 0) or int(disk.capacityInKB or 0) * 1024
            changing[store._moId] = changing.get(store._moId, 0) + size * options["change_percent"] // 100
    if options["change_bytes"] is not None:
        # On which of its disks the update writes is not known from here.
        changing = dict.fromkeys(changing, max(options["change_bytes"], 0))
    stores = machine.properties["datastore"] or []
    paths = ["summary.name", "summary.accessible", "summary.freeSpace", "summary.maintenanceMode"]
    for moid, facts in sorted(api.read(api.vim.Datastore, list(stores), paths).items()):
        name = facts["summary.name"]
        if not facts["summary.accessible"]:
            raise _unfit(machine, "datastore {} is not accessible".format(name), "datastores that can be written to")
        needed = changing.get(moid, 0) + options["min_free_bytes"]
        if options["memory"]:
            needed += int(machine.properties["config.hardware.memoryMB"] or 0) * MIB
        free = int(facts["summary.freeSpace"] or 0)
        if free < needed:
            raise _unfit(
                machine,
                "datastore {} has {} bytes free".format(name, free),
                "{}: {} that the update may change, and {} beside{}".format(
                    needed,
                    changing.get(moid, 0),
                    options["min_free_bytes"],
                    ", and its memory" if options["memory"] else "",
                ),
                "free space there, by deleting expired snapshots above all; min_free_bytes, and change_bytes or"
                " change_percent, of patching_snapshot are the limits",
            )


def _unfit(machine: Machine, seen: str, expected: str, next_step: Optional[str] = None) -> NotSecurable:
    return NotSecurable(
        _shown(machine),
        seen,
        expected,
        next_step or "correct patching_snapshot, or give the host another snapshot provider",
    )


def _shown(machine: Machine) -> str:
    return "machine {} ({})".format(machine.properties["name"], machine.moid)
