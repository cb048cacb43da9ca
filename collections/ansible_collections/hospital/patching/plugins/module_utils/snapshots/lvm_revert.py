# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging snapshots into their volumes, in steps that a later call can go on with.

All that has to be known is in the labels ``revert.`` of LVM's own metadata, because the disk that is put back forgets.
Before anything is merged a revert can be undone; after the first merge was asked for it can only be finished.
"""

import contextlib
import json
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import Mount
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import lvm_sets
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.boot_archive import BootArchive
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_commands import Lvm
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_room import mounts_of
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_sets import (
    REVERT,
    Member,
    Part,
    Revert,
    Set,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_text import (
    PREFIX,
    Volume,
    broken,
    full_name,
    is_merging,
    is_open,
    is_thin,
    label,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import holders, mounted_at, read_text

Limits = NamedTuple("Limits", [("merge_timeout_s", int), ("poll_s", int)])
#: udev looks into a volume for a moment after it was unmounted.
CLOSE_TRIES = 10
#: Of a part: its snapshot is there; is being merged, or is to be; is no more.
WAITING, MERGING, MERGED = "waiting", "merging", "merged"
#: Labels of the set that the result of a later call needs.
KEPT = ("run_id", "host", "reason", "created", "expires", "number", "count", "mount", "origin")


class Reverts:
    """The reverts of one host."""

    def __init__(self, lvm: Lvm, boot: BootArchive, clock: Clock, limits: Limits) -> None:
        self.lvm = lvm
        self.boot = boot
        self.clock = clock
        self.limits = limits

    def under_way(self) -> Optional[Revert]:
        found = lvm_sets.reverts_of(self.lvm.volumes())
        return found[0] if found else None

    @staticmethod
    def is_stale(revert: Revert) -> bool:
        """Return whether nothing of it was done yet, or everything: a killed call has left labels alone."""
        untouched = all(part.labels["asked"] == "no" and part.labels["state"] == "begun" for part in revert.parts)
        return untouched or _done(revert)

    def drop(self, revert: Revert) -> None:
        """Take the labels of a stale one off, and mount what it had unmounted."""
        if _done(revert):
            self.boot.forget(revert.name)
        else:
            self._mount(revert.parts)
        self._clear(revert)

    def is_over(self, revert: Revert) -> bool:
        """Return whether nothing but the reboot's merges was left, and these are done."""
        return all(part.labels["state"] == "scheduled" for part in revert.parts) and not self.pending(revert)

    def pending(self, revert: Revert) -> List[str]:
        """Return the mount points of what is not merged yet."""
        volumes = self.lvm.volumes()
        return [part.labels["mount"] for part in revert.parts if self._state(part, volumes) != MERGED]

    @staticmethod
    def identity(revert: Revert) -> str:
        return revert.labels["id"].replace("+", ",")

    def run(self, chosen: Set, at_reboot: List[str]) -> Dict[str, Any]:
        """Put the volumes of the restore point ``chosen`` back and return what was done.

        Raises:
            PatchingError: refused, with nothing changed, or cut off, which the message says.
        """
        volumes = self.lvm.volumes()
        planned = [self._planned(chosen, member, volumes, at_reboot) for member in chosen.members]
        self._require_free([one for one in planned if one["later"] == "no"], volumes)
        digest = chosen.labels.get("boot")
        if digest:
            self.boot.require(chosen.name, digest)
        try:
            for member, labels in zip(chosen.members, planned):
                self._begin(member, labels)
            revert = self._found(chosen.name)
            self._free([part for part in revert.parts if part.labels["later"] == "no"])
        except PatchingError:
            left = [one for one in lvm_sets.reverts_of(self.lvm.volumes()) if one.name == chosen.name]
            for one in left:
                self.drop(one)
            raise
        return self.advance(revert)

    def advance(self, revert: Revert) -> Dict[str, Any]:
        """Do what is left to do, and return what was done. It may be called again at any time.

        Raises:
            PatchingError: it is half done; the message says how to go on.
        """
        now = [part for part in revert.parts if part.labels["later"] == "no"]
        later = [part for part in revert.parts if part.labels["later"] == "yes"]
        boot = {"restored": [], "removed": []}  # type: Dict[str, List[str]]
        try:
            self._free([part for part in now if self._state_now(part) != MERGED])
            for part in now:
                self._merge(part)
            kept = self._keeps_boot(later)
            if kept:
                self._label(revert, {"state": "going"})
                boot["restored"] = self.boot.put_back(revert.name)
            # Before the merges are asked for: LVM labels no snapshot that is being merged.
            self._label(revert, {"state": "scheduled"})
            for part in later:
                if self._state_now(part) == WAITING:
                    self._ask(part)
            if kept:
                boot["removed"] = self.boot.prune(revert.name)
            self._mount(now)
            if not self._waits_for_reboot(later):
                for part in later:
                    self._await(part)
        except PatchingError as error:
            with contextlib.suppress(PatchingError):
                self._mount(now)  # broken or not, the host has its file systems
            raise self._cut_off(revert, error)
        reboot = self._waits_for_reboot(later)
        if not reboot:
            self.end(self._found(revert.name))
        return self._told(revert, boot if kept else None, reboot)

    def end(self, revert: Revert) -> None:
        """Take the labels off a revert that is done."""
        self._label(revert, {"state": "done"})
        self._clear(self._found(revert.name))
        self.boot.forget(revert.name)

    def _planned(self, chosen: Set, member: Member, volumes: List[Volume], at_reboot: List[str]) -> Dict[str, str]:
        origin = _find(volumes, member.labels["origin"])
        mount, mounts = member.labels["mount"], self.lvm.mounts()
        if origin is None:
            raise _refused("volume of {}".format(mount), "it is gone", "the volume that was held", "look at the disk")
        why = broken(origin) or broken(member.volume)
        if why or is_merging(origin):
            raise _refused(
                "logical volume {}".format(full_name(origin)),
                why or "another snapshot is being merged into it",
                "a volume and a snapshot in order",
                "look at lvs -a; nothing was changed",
            )
        if is_open(member.volume):
            raise _refused(
                "snapshot {}".format(full_name(member.volume)),
                "it is mounted, or a program has it open",
                "one that nobody uses",
                "unmount it; nothing was changed",
            )
        seen, places = mounted_at(mount, mounts), mounts_of(origin, mounts)
        if seen is not None and seen.device != origin.device:
            raise _refused(
                "mount {}".format(mount),
                "{} is mounted there".format(seen.source),
                "{}, which the snapshot is of".format(full_name(origin)),
                "mount what belongs there; nothing was changed",
            )
        later = mount == "/" or mount in at_reboot
        labels = {key: member.labels[key] for key in KEPT}
        labels.update(
            set=chosen.name,
            id="+".join(chosen.expected),
            snapshot=member.volume.uuid,
            later="yes" if later else "no",
            places=json.dumps([] if later else [[place.path, place.options, place.kind] for place in places]),
            boot=chosen.labels.get("boot") or "",
            boot_id="",
            asked="no",
            state="begun",
        )
        return labels

    def _require_free(self, planned: List[Dict[str, str]], volumes: List[Volume]) -> None:
        """What would keep a volume from being unmounted, said before anything is done."""
        mounts = self.lvm.mounts()
        leaving = [place[0] for labels in planned for place in json.loads(labels["places"])]
        for labels in planned:
            origin = _find(volumes, labels["origin"])
            own = mounts_of(origin, mounts) if origin else []
            bound = [mount.path for mount in own if mount.root != "/"]
            beneath = [
                mount.path
                for mount in mounts
                if any(mount.path.startswith(place.path.rstrip("/") + "/") for place in own)
            ]
            blocking = sorted(set(bound) | (set(beneath) - set(leaving)))
            if blocking:
                raise _refused(
                    "mount {}".format(labels["mount"]),
                    "folders of it are mounted, or something is mounted within it: {}".format(", ".join(blocking)),
                    "a volume that can be unmounted",
                    "unmount these and try again, or give it in at_reboot to have it reverted by a reboot",
                )

    def _begin(self, member: Member, labels: Dict[str, str]) -> None:
        tags = [label(REVERT + key, value) for key, value in sorted(labels.items())]
        left = [tag for tag in lvm_sets.ours_among(member.volume.tags, REVERT) if tag not in tags]
        self.lvm.tag(member.volume.uuid, tags, left)
        self.lvm.tag(labels["origin"], tags, [])

    def _found(self, name: str) -> Revert:
        for revert in lvm_sets.reverts_of(self.lvm.volumes()):
            if revert.name == name:
                return revert
        raise _refused("revert", "its labels are gone from LVM's tags", "those that were set", "look at lvs -o +tags")

    def _state(self, part: Part, volumes: List[Volume]) -> str:
        snapshot, origin = _find(volumes, part.labels["snapshot"]), _find(volumes, part.labels["origin"])
        if snapshot is not None:
            return MERGING if is_merging(snapshot) else WAITING
        if origin is not None and lvm_sets.part_of(origin, part.labels["set"]).get("asked") == "yes":
            return MERGED
        raise _refused(
            "snapshot {} of {}".format(part.labels["snapshot"], part.labels["mount"]),
            "it was removed behind the run's back",
            "the snapshot that the run made",
            "take the tags hospital.patching.revert.* off the volume (lvchange --deltag) and look at its content",
        )

    def _state_now(self, part: Part) -> str:
        return self._state(part, self.lvm.volumes())

    def _free(self, parts: List[Part]) -> None:
        """Unmount volumes and prove that nobody has them open; else LVM would put the merge off without a word."""
        volumes, mounts = self.lvm.volumes(), self.lvm.mounts()
        places: List[Mount] = []
        for part in parts:
            origin = _find(volumes, part.labels["origin"])
            places += mounts_of(origin, mounts) if origin else []
        for place in sorted(places, key=lambda mount: -len(mount.path)):
            result = self.lvm.runner.run(["umount", place.path], check=False)
            if result.rc != 0:
                raise _refused(
                    "mount {}".format(place.path),
                    "it cannot be unmounted ({}); in use by {}".format(
                        result.stderr.strip()[-200:], ", ".join(holders(place.path)) or "nobody that /proc shows"
                    ),
                    "a file system that nobody uses while it is reverted",
                    "stop them and try again, or give it in at_reboot to have it reverted by a reboot",
                )
        for part in parts:
            self._require_closed(part)

    def _require_closed(self, part: Part) -> None:
        for attempt in range(CLOSE_TRIES):
            origin = self.lvm.volume(part.labels["origin"])
            if origin is None or not is_open(origin):
                return
            if attempt + 1 < CLOSE_TRIES:
                self.clock.sleep(1)
        raise _refused(
            "logical volume of {}".format(part.labels["mount"]),
            "it is still open: in the mounts of a service of its own (PrivateMounts), or as a device",
            "one that nobody has open",
            "look at fuser -vm /dev/{} and stop it, or give the volume in at_reboot".format(full_name(part.volume)),
        )

    def _merge(self, part: Part) -> None:
        """Merge a volume that is unmounted, to its end."""
        state = self._state_now(part)
        if state == WAITING:
            self._ask(part)
        if self._state_now(part) == MERGING:
            # Asked for while it was open, or cut off: it goes on when the volume is activated.
            self.lvm.reactivate(part.labels["origin"])
            self._await(part)

    def _ask(self, part: Part) -> None:
        snapshot = self.lvm.volume(part.labels["snapshot"])
        if snapshot is None or lvm_sets.is_full(snapshot):
            raise _refused(
                "snapshot of {}".format(part.labels["mount"]),
                "it is gone" if snapshot is None else "it filled up, so it holds nothing any more",
                "the snapshot that the run made",
                "roll the packages back by update_rollback",
            )
        if is_thin(snapshot):
            self._make_like_its_origin(snapshot, part)
        self._label_part(part, {"asked": "yes", "boot_id": self.lvm.boot_id()})
        self.lvm.merge(snapshot.uuid, self.limits.merge_timeout_s)
        if self._state_now(part) == WAITING:
            raise _refused(
                "snapshot {}".format(full_name(snapshot)),
                "LVM was asked to merge it, and did not",
                "one that is being merged",
                "look at lvs -a and at LVM's messages",
            )

    def _make_like_its_origin(self, snapshot: Volume, part: Part) -> None:
        """A merged thin snapshot takes its origin's name and UUID; flags and tags may be its own, so they are alike."""
        origin = self.lvm.volume(part.labels["origin"])
        theirs = [tag for tag in origin.tags if not tag.startswith(PREFIX)] if origin else []
        if set(theirs) - set(snapshot.tags):
            self.lvm.tag(snapshot.uuid, theirs, [])
        self.lvm.activate_at_boot(snapshot.uuid)

    def _await(self, part: Part) -> None:
        deadline = self.clock.monotonic() + self.limits.merge_timeout_s
        polled = False
        while True:
            volumes = self.lvm.volumes()
            if self._state(part, volumes) == MERGED:
                return
            snapshot = _find(volumes, part.labels["snapshot"])
            why = broken(snapshot) if snapshot else None
            if why and "tables" not in why:
                raise _refused(
                    "merge into {}".format(part.labels["mount"]),
                    why,
                    "a merge that ends",
                    "look at lvs -a and at the kernel's messages; the volume holds a mixture until it is merged",
                )
            if self.clock.monotonic() >= deadline:
                raise _refused(
                    "merge into {}".format(part.labels["mount"]),
                    "not done after {} s".format(self.limits.merge_timeout_s),
                    "its end within that time (merge_timeout_s)",
                    "look whether lvs -a shows progress (data_percent falls)",
                )
            if not polled:
                self.lvm.poll(part.labels["origin"])
                polled = True
            self.clock.sleep(self.limits.poll_s)

    def _keeps_boot(self, later: List[Part]) -> bool:
        """Return whether ``/boot`` goes back now: with the root, and never once that is merged."""
        return any(
            part.labels["mount"] == "/" and part.labels["boot"] and not self._after_reboot(part) for part in later
        )

    def _after_reboot(self, part: Part) -> bool:
        asked_at = self._labels_now(part).get("boot_id")
        return self._state_now(part) == MERGED or (bool(asked_at) and asked_at != self.lvm.boot_id())

    def _waits_for_reboot(self, later: List[Part]) -> bool:
        return any(not self._after_reboot(part) for part in later)

    def _labels_now(self, part: Part) -> Dict[str, str]:
        origin = self.lvm.volume(part.labels["origin"])
        return lvm_sets.part_of(origin, part.labels["set"]) if origin else {}

    def _label(self, revert: Revert, changes: Dict[str, str]) -> None:
        for part in revert.parts:
            self._label_part(part, changes)

    def _label_part(self, part: Part, changes: Dict[str, str]) -> None:
        """Change labels of a part, on the snapshot first: it may be what is left."""
        for uuid in (part.labels["snapshot"], part.labels["origin"]):
            volume = self.lvm.volume(uuid)
            if volume is None or (is_merging(volume) and uuid == part.labels["snapshot"]):
                continue  # LVM changes nothing of a snapshot that is being merged
            add = [label(REVERT + key, value) for key, value in sorted(changes.items())]
            old = [
                tag for key in changes for tag in volume.tags if tag.startswith("{}{}{}=".format(PREFIX, REVERT, key))
            ]
            if [tag for tag in add if tag not in old]:
                self.lvm.tag(uuid, [tag for tag in add if tag not in old], [tag for tag in old if tag not in add])

    def _clear(self, revert: Revert) -> None:
        """Take our labels off the volumes; of snapshots that are still there only those of the revert."""
        for part in revert.parts:
            snapshot = self.lvm.volume(part.labels["snapshot"])
            if snapshot is not None:
                tags = lvm_sets.ours_among(snapshot.tags, REVERT)
                if tags:
                    self.lvm.tag(snapshot.uuid, [], tags)
        for part in revert.parts:
            origin = self.lvm.volume(part.labels["origin"])
            tags = lvm_sets.ours_among(origin.tags) if origin else []
            if tags:
                self.lvm.tag(part.labels["origin"], [], tags)

    def _mount(self, parts: List[Part]) -> None:
        """Mount again what was unmounted, as fstab says or as it was."""
        wanted = []
        for part in parts:
            for path, options, kind in json.loads(part.labels["places"]):
                wanted.append((path, options, kind, part))
        for path, options, kind, part in sorted(wanted, key=lambda one: len(one[0])):
            seen, origin = mounted_at(path, self.lvm.mounts()), self.lvm.volume(part.labels["origin"])
            if origin is None or (seen is not None and seen.device == origin.device):
                continue
            words = ["mount", "-t", kind, "-o", options, "/dev/" + full_name(origin), path]
            self.lvm.runner.run(["mount", path] if path in _in_fstab(self.lvm.places.fstab) else words)

    def _cut_off(self, revert: Revert, error: PatchingError) -> PatchingError:
        return PatchingError(
            error.subject,
            "{}; the revert to {} is half done".format(error.seen, self.identity(revert)),
            error.expected,
            "{}; then call host_snapshot_rollback again, which goes on with it".format(error.next_step),
        )

    def _told(self, revert: Revert, boot: Optional[Dict[str, List[str]]], reboot: bool) -> Dict[str, Any]:
        """Return what host_snapshot_rollback says."""
        return {
            "snapshot": self.identity(revert),
            "volumes": [
                {
                    "mount": part.labels["mount"],
                    "volume": full_name(part.volume),
                    "uuid": part.labels["origin"],
                    "at_reboot": part.labels["later"] == "yes",
                }
                for part in revert.parts
            ],
            "boot": boot,
            "reboot": reboot,
            "again": reboot,
            "resumed": False,
        }


def _find(volumes: List[Volume], uuid: str) -> Optional[Volume]:
    return next((volume for volume in volumes if volume.uuid == uuid), None)


def _done(revert: Revert) -> bool:
    return any(part.labels["state"] == "done" for part in revert.parts)


def _in_fstab(path: str) -> List[str]:
    lines = [line.split() for line in read_text(path).splitlines()]
    return [fields[1] for fields in lines if len(fields) >= 4 and not fields[0].startswith("#")]


def _refused(subject: str, seen: str, expected: str, next_step: str) -> PatchingError:
    return PatchingError(subject, seen, expected, next_step)
