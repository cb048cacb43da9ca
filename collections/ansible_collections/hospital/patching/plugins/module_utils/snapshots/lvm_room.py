# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes are held, whether they can be, and whether there is room for what will change."""

import math
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import Mount
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import base
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_commands import Lvm
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_text import (
    Volume,
    broken,
    full_name,
    is_merging,
    is_thin,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import mounted_at

#: What a thick snapshot can be made of; of others LVM makes none, or cannot merge it.
THICK = ("linear", "striped", "raid")
#: A thick snapshot keeps 16 bytes for each chunk of 4 KiB, and a header: room for all of its volume is a little more.
TABLES, HEADER = 1.01, 1024 * 1024

#: ``size_bytes`` is that of a thick snapshot, None for a thin one.
Held = NamedTuple("Held", [("mount", str), ("volume", Volume), ("size_bytes", Optional[int])])


def filling(lvm: Lvm, paths: List[str], uuids: Set[str]) -> List[base.Room]:
    """Return what fills up with thin snapshots of the volumes mounted at ``paths`` or that have one of ``uuids``.

    That is data and metadata of their pools. A thick snapshot has all of its room from its group when it is made, and
    a group with nothing left to give away is no trouble by itself.

    Raises:
        PatchingError: LVM does not tell how full a pool is.
    """
    volumes, mounts = lvm.volumes(), lvm.mounts()
    seen = [mounted_at(path, mounts) for path in paths]
    devices = {mount.device for mount in seen if mount is not None}
    held = [one for one in volumes if one.uuid in uuids or (one.device and one.device in devices)]
    rooms = []
    sizes = {(one.group, one.name): one.size_bytes for one in volumes}
    for group, name in sorted({(one.group, one.pool) for one in held if is_thin(one)}):
        pool = next((one for one in volumes if (one.group, one.name) == (group, name)), None)
        metadata = sizes.get((group, name + "_tmeta"))
        if pool is None or metadata is None or pool.data_percent is None or pool.metadata_percent is None:
            raise _refused("thin pool", group + "/" + name, "LVM does not tell how full it is", "an active pool")
        for kind, size, used in (
            ("thin pool", pool.size_bytes, pool.data_percent),
            ("thin pool metadata", metadata, pool.metadata_percent),
        ):
            rooms.append(base.Room(kind, full_name(pool), size, int(size * (100 - used) / 100)))
    return rooms


class Room:
    """The volumes that policy wants held, as they are now."""

    def __init__(self, lvm: Lvm, options: Dict[str, Any]) -> None:
        self.lvm = lvm
        self.options = options
        self.volumes = lvm.volumes()
        self.groups = {group.name: group for group in lvm.groups()}
        self.mounts = lvm.mounts()

    def checked(self) -> Tuple[List[Held], List[str]]:
        """Return what is held, and what may go wrong with it.

        Raises:
            PatchingError: a volume cannot be held or put back, or there is no room.
        """
        held = [self._held(mount) for mount in self.options["volumes"]]
        if len({one.volume.uuid for one in held}) < len(held):
            raise PatchingError(
                "snapshot provider lvm",
                "volumes is {!r}".format(self.options["volumes"]),
                "each volume once",
                "correct patching_snapshot",
            )
        for module, needed in (
            ("dm_snapshot", any(one.size_bytes is not None for one in held)),
            ("dm_thin_pool", any(one.size_bytes is None for one in held)),
        ):
            why = self.lvm.missing_module(module) if needed else None
            if why:
                raise PatchingError(
                    "kernel module {}".format(module),
                    why,
                    "one that it can load",
                    "boot a kernel that has it (a kernel whose modules were removed by an update needs its reboot), "
                    "or choose another snapshot provider",
                )
        risks: List[str] = []
        for one in held:
            risks += self._chain(one)
        self._require_groups(held)
        return held, risks + self._require_pools(held)

    def outside(self, held: List[Held], besides: List[str]) -> List[str]:
        """Return the mount points of disks that are not held."""
        devices = {one.volume.device for one in held}
        return sorted(
            {
                mount.path
                for mount in self.mounts
                if mount.source.startswith("/dev/") and mount.device not in devices and mount.path not in besides
            }
        )

    def _held(self, path: str) -> Held:
        seen = mounted_at(path, self.mounts)
        if seen is None:
            raise _refused("mount", path, "nothing is mounted there", "the mount point of a logical volume")
        volume = next((one for one in self.volumes if one.device and one.device == seen.device), None)
        if volume is None:
            raise _refused(
                "mount",
                path,
                "{} from {} is no logical volume".format(seen.kind, seen.source),
                "a file system that is on a logical volume itself",
                "choose another snapshot provider"
                + (", such as btrfs" if seen.kind == "btrfs" else ", or leave it out of volumes"),
            )
        if seen.root != "/" or seen.read_only_device:
            raise _refused(
                "mount",
                path,
                "{} of {} is mounted there{}".format(
                    seen.root, full_name(volume), ", read-only" if seen.read_only_device else ""
                ),
                "a whole file system that can be written",
            )
        self._require_usable(volume)
        return Held(path, volume, None if is_thin(volume) else self._thick_size(path, volume))

    def _require_usable(self, volume: Volume) -> None:
        name, why = full_name(volume), broken(volume)
        group = self.groups[volume.group]
        if group.missing or group.attributes[3:4] == "p":
            raise _refused("volume group", group.name, "a disk of it is missing", "all its disks", "replace the disk")
        if group.attributes[5:6] in ("c", "s"):
            raise _refused("volume group", group.name, "it is shared by several hosts", "one of this host alone")
        if why:
            raise _refused("logical volume", name, why, "one in order", "repair it first (lvs -o +lv_health_status)")
        if is_merging(volume):
            raise _refused(
                "logical volume",
                name,
                "a snapshot is being merged into it",
                "one that nothing is merged into",
                "let it end: lvs -a shows it; one that waits for the next activation needs a reboot",
            )
        if volume.attributes[1:2] != "w":
            raise _refused("logical volume", name, "it is read-only", "one that can be written")
        if not is_thin(volume) and ("snapshot" in volume.roles or not set(volume.layout[:1]) <= set(THICK)):
            raise _refused(
                "logical volume",
                name,
                "it is {}".format("a snapshot itself" if "snapshot" in volume.roles else ", ".join(volume.layout)),
                "thin, or {}: of others no snapshot can be merged".format(", ".join(THICK)),
            )
        if "thickorigin" in volume.roles and is_thin(volume):
            raise _refused(
                "logical volume", name, "a thin volume with thick snapshots", "one with thin snapshots alone"
            )

    def _change(self, path: str) -> int:
        return int(self.options["change_bytes_of"].get(path, self.options["change_bytes"]))

    def _thick_size(self, path: str, volume: Volume) -> int:
        """Return the bytes for what is expected to change, in whole extents; never more than all of the volume."""
        extent = self.groups[volume.group].extent_bytes
        most = volume.size_bytes * TABLES + HEADER
        return math.ceil(min(self._change(path) * TABLES + HEADER, most) / extent) * extent

    def _chain(self, one: Held) -> List[str]:
        name, most = full_name(one.volume), self.options["max_snapshots"]
        there = [volume for volume in self.volumes if volume.origin_uuid == one.volume.uuid]
        if len(there) >= most:
            raise _refused(
                "logical volume",
                name,
                "{} snapshots: {}".format(len(there), ", ".join(volume.name for volume in there)),
                "fewer than {}".format(most),
                "delete those that have expired, or raise max_snapshots",
            )
        depth, above = 0, one.volume
        while above.origin_uuid:
            found = [volume for volume in self.volumes if volume.uuid == above.origin_uuid]
            if not found or depth > most:
                break
            depth, above = depth + 1, found[0]
        if depth >= most:
            raise _refused(
                "logical volume",
                name,
                "a snapshot of a snapshot, {} deep".format(depth),
                "less than {}".format(most),
                "move its data to a volume of its own, or raise max_snapshots",
            )
        risks = ["{} has {} snapshots already: {}".format(name, len(there), ", ".join(v.name for v in there))]
        if one.size_bytes is not None and there:
            risks.append("each write to {} is copied to each of its snapshots".format(name))
        chain = ["{} is itself a snapshot, {} deep".format(name, depth)] if depth else []
        return (risks if there else []) + chain

    def _require_groups(self, held: List[Held]) -> None:
        for name in sorted({one.volume.group for one in held}):
            thick = [one for one in held if one.volume.group == name and one.size_bytes is not None]
            needed, group = sum(one.size_bytes or 0 for one in thick), self.groups[name]
            left = self.options["min_free_bytes"]
            if thick and group.free_bytes < needed + left:
                raise _refused(
                    "volume group",
                    name,
                    "{} bytes free".format(group.free_bytes),
                    "{} for the snapshots of {}{}".format(
                        needed,
                        ", ".join(one.mount for one in thick),
                        ", and {} that stay free".format(left) if left else "",
                    ),
                    "add a disk (vgextend), delete expired snapshots, or expect less change (change_bytes)",
                )

    def _require_pools(self, held: List[Held]) -> List[str]:
        risks = []
        thin = [one for one in held if one.size_bytes is None]
        for group, name in sorted({(one.volume.group, one.volume.pool) for one in thin}):
            pool = next((one for one in self.volumes if (one.group, one.name) == (group, name)), None)
            if pool is None or pool.data_percent is None or pool.metadata_percent is None:
                raise _refused("thin pool", group + "/" + name, "LVM does not tell how full it is", "an active pool")
            why = broken(pool)
            if why:
                raise _refused("thin pool", full_name(pool), why, "one in order", "repair or extend it (lvmthin(7))")
            needed = sum(
                self._change(one.mount) for one in thin if (one.volume.group, one.volume.pool) == (group, name)
            )
            after = pool.data_percent + 100.0 * needed / pool.size_bytes
            most, most_metadata = self.options["max_pool_percent"], self.options["max_metadata_percent"]
            if after > most:
                raise _refused(
                    "thin pool",
                    full_name(pool),
                    "{:.1f} % of its {} bytes are used, {:.1f} % after {} bytes of change".format(
                        pool.data_percent, pool.size_bytes, after, needed
                    ),
                    "at most {} %".format(most),
                    "extend it (lvextend), delete expired snapshots, or expect less change (change_bytes)",
                )
            if pool.metadata_percent > most_metadata:
                raise _refused(
                    "thin pool",
                    full_name(pool),
                    "{:.1f} % of its metadata are used".format(pool.metadata_percent),
                    "at most {} %".format(most_metadata),
                    "extend it: lvextend --poolmetadatasize +SIZE {}".format(full_name(pool)),
                )
            promised = sum(one.size_bytes for one in self.volumes if (one.group, one.pool) == (group, name))
            if promised > pool.size_bytes:
                risks.append(
                    "thin pool {} has promised {} bytes and has {}: other volumes can fill it meanwhile".format(
                        full_name(pool), promised, pool.size_bytes
                    )
                )
        return risks


def _refused(
    kind: str, name: str, seen: str, expected: str, next_step: str = "correct patching_snapshot"
) -> PatchingError:
    return PatchingError("{} {}".format(kind, name), seen, expected, next_step)


def mounts_of(volume: Volume, mounts: List[Mount]) -> List[Mount]:
    """Return where a volume is mounted, in mount order."""
    return [mount for mount in mounts if volume.device and mount.device == volume.device]
