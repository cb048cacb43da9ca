# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting subvolumes back to a restore point, in steps that a later call can finish or undo.

A writable snapshot of ours changes places with the subvolume: one step of the kernel, the path is never empty, and
what was there lies in our folder. Whatever mounts it by path, or as the default subvolume, has the reverted one.
"""

import contextlib
import os
import time
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import STAMP, Clock, seconds_of
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import Mount
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_text
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs_sets import (
    RESTORE_POINT,
    SET_ASIDE,
    Set,
    Sets,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs_text import Shown
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs_volume import (
    TopLevel,
    is_subvolume,
    mounts,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import mounted_at, read_text


class Reverts:
    """The reverts of one file system."""

    def __init__(self, top: TopLevel, sets: Sets, clock: Clock) -> None:
        self.top = top
        self.sets = sets
        self.clock = clock

    def unfinished(self) -> Optional[Set]:
        """Return a revert that was cut off after it had begun to exchange subvolumes."""
        return next((one for one in self.sets.all() if one.state == "switching"), None)

    def settle(self) -> List[Dict[str, Any]]:
        """End what a killed call has begun to exchange, undo what it had only prepared; return what was ended.

        Raises:
            PatchingError: a subvolume is in use, or is not one that belongs to the revert.
        """
        ended = []
        for one in self.sets.all():
            if one.state == "switching":
                ended.append(dict(self._switch(one), resumed=True))
            elif one.state == "making" and one.record["kind"] == SET_ASIDE:
                self._undo(one)
        return ended

    def run(self, chosen: Set, identity: str, at_reboot: List[str]) -> Dict[str, Any]:
        """Put the subvolumes of the restore point ``chosen`` back and return what was done.

        Raises:
            PatchingError: refused, with nothing changed, or cut off, which the message says.
        """
        found = [self._found(chosen, number) for number in range(len(chosen.record["subvolumes"]))]
        entries = [self._planned(entry, at_reboot) for entry in chosen.record["subvolumes"]]
        self._require_free(entries)
        one = self.sets.begin(self._record(chosen, identity, entries), reserve=chosen.name)
        try:
            for number, place in enumerate(found):
                self.top.snapshot(place, self.sets.path(one.name, number), read_only=False)
            self._unmount(entries)
            one = self.sets.advance(one, "switching")
        except PatchingError:
            self._undo(one)
            raise
        return self._switch(one)

    def _record(self, chosen: Set, identity: str, entries: List[Dict[str, Any]]) -> Dict[str, Any]:
        old, now = chosen.record, self.clock.stamp()
        kept_s = max(0, seconds_of(old["expires"]) - seconds_of(old["created"]))
        return {
            "kind": SET_ASIDE,
            "of": identity,
            "of_set": chosen.name,
            "run_id": old["run_id"],
            "host": old["host"],
            "reason": "set aside by the revert to {}".format(identity),
            "created": now,
            "expires": time.strftime(STAMP, time.gmtime(seconds_of(now) + kept_s)),
            "subvolumes": entries,
        }

    def _planned(self, entry: Dict[str, Any], at_reboot: List[str]) -> Dict[str, Any]:
        mount, path = entry["mount"], entry["path"]
        current = self._current(entry)
        later = mount == "/" or mount in at_reboot
        places = self.top.mounts_of(path)
        seen = mounted_at(mount, mounts(self.top.places))
        if seen is not None and (seen.device != self.top.device or seen.root != "/" + path):
            raise PatchingError(
                "mount {}".format(mount),
                "{} of {} is mounted there".format(seen.root, seen.source),
                "subvolume /{}, which the snapshot is of".format(path),
                "if an earlier revert is waiting for its reboot, reboot; else mount what belongs there",
            )
        number = btrfs_text.boots_by_id(mount, read_text(self.top.places.fstab), read_text(self.top.places.cmdline))
        if number:
            raise by_id(mount, number)
        if later:
            self._require_empty(path)
        return {
            "mount": mount,
            "path": path,
            "uuid": current.uuid,
            "snapshot": entry["uuid"],
            "at_reboot": later,
            "was_default": self.top.default() == current.id,
            "mounts": [] if later else [{"path": place.path, "options": place.options} for place in places],
        }

    def _found(self, chosen: Set, number: int) -> str:
        """Return where a snapshot of a restore point is, proven to be as it was made."""
        entry = chosen.record["subvolumes"][number]
        place = self.top.locate(entry["uuid"], self.sets.path(chosen.name, number))
        shown = self.top.at(place) if place else None
        if place is None or shown is None:
            raise PatchingError(
                "snapshot {} of {}".format(entry["uuid"], entry["mount"]),
                "it was removed behind the run's back",
                "the snapshot that the run made",
                "roll the packages back by update_rollback; nothing was changed",
            )
        if not shown.read_only or shown.parent_uuid != entry["source_uuid"]:
            raise PatchingError(
                "snapshot {} of {}".format(entry["uuid"], entry["mount"]),
                "it was made writable",
                "a read-only snapshot, as the run made it",
                "look at who changed it; roll the packages back by update_rollback",
            )
        return place

    def _current(self, entry: Dict[str, Any]) -> Shown:
        """Return the subvolume that would be set aside: the one that was held, or what a revert has put there."""
        shown = self.top.at(entry["path"])
        ours = set()
        for one in self.sets.all():
            for other in one.record["subvolumes"]:
                if other["path"] == entry["path"]:
                    ours.add(other["uuid"] if one.record["kind"] == RESTORE_POINT else other["snapshot"])
        if shown is not None and (shown.uuid == entry["source_uuid"] or shown.parent_uuid in ours - {None}):
            return shown
        raise PatchingError(
            "subvolume /{}".format(entry["path"]),
            "another one is there ({})".format(shown.uuid) if shown else "none is there",
            "{}, which was held".format(entry["source_uuid"]),
            "look at who has put it there; nothing was changed",
        )

    def _require_empty(self, path: str) -> None:
        """A subvolume within one that is in use cannot move along while programs work in it."""
        full = [inner for inner in self.top.nested(path) if os.listdir(self.top.full(inner))]
        if full:
            raise PatchingError(
                "subvolume /{}".format(path),
                "within it lie subvolumes that no snapshot holds: {}".format(", ".join("/" + inner for inner in full)),
                "none with files in one that is reverted by a reboot",
                "move them to the top level and mount them, or roll the packages back by update_rollback",
            )

    def _require_free(self, entries: List[Dict[str, Any]]) -> None:
        """What would keep a subvolume from being unmounted, said before anything is done."""
        leaving = [place["path"] for entry in entries for place in entry["mounts"]]
        for entry in entries:
            if entry["at_reboot"]:
                continue
            bound = [mount.path for mount in self.top.mounts_within(entry["path"])]
            beneath = [
                mount.path
                for mount in mounts(self.top.places)
                if any(mount.path.startswith(place["path"].rstrip("/") + "/") for place in entry["mounts"])
            ]
            blocking = sorted(set(bound + beneath) - set(leaving) - {self.top.point})
            if blocking:
                raise PatchingError(
                    "mount {}".format(entry["mount"]),
                    "folders of it are mounted, or something is mounted within it: {}".format(", ".join(blocking)),
                    "a subvolume that can be unmounted",
                    "unmount these and try again, or give it in at_reboot to have it reverted by a reboot",
                )

    def _unmount(self, entries: List[Dict[str, Any]]) -> None:
        places: List[Mount] = []
        for entry in entries:
            if not entry["at_reboot"]:
                places += self.top.mounts_of(entry["path"])
        for place in sorted(places, key=lambda mount: -len(mount.path)):
            self.top.unmount(place)

    def _mount(self, entries: List[Dict[str, Any]]) -> None:
        wanted = [(place, entry["path"]) for entry in entries for place in entry["mounts"]]
        for place, path in sorted(wanted, key=lambda pair: len(pair[0]["path"])):
            seen = mounted_at(place["path"], mounts(self.top.places))
            if seen is None or seen.device != self.top.device or seen.root != "/" + path:
                self.top.mount(path, place["path"], place["options"])

    def _undo(self, one: Set) -> None:
        self._mount(one.record["subvolumes"])
        self.sets.undo(one)

    def _switch(self, one: Set) -> Dict[str, Any]:
        """Exchange what is not yet exchanged, mount it, and keep what was set aside. It may be called again."""
        entries = one.record["subvolumes"]
        moved: Dict[str, List[str]] = {"carried": [], "left": []}
        try:
            waiting = [entry for entry in entries if not self._switched(entry)]
            self._unmount(waiting)
            for number, entry in enumerate(entries):
                aside = self.sets.path(one.name, number)
                if entry in waiting:
                    self.top.exchange(entry["path"], aside)
                if entry["was_default"]:
                    self.top.set_default(self._require(entry["path"]).id)
                for inner in self.top.nested(aside):
                    done = not entry["at_reboot"] and self._carry(inner, aside, entry["path"])
                    moved["carried" if done else "left"].append("/" + inner[len(aside) + 1 :])
            self.top.sync()
        except PatchingError as error:
            with contextlib.suppress(PatchingError):
                self._mount(entries)  # broken or not, the host has its file systems
            raise self._cut_off(one, error)
        try:
            self._mount(entries)
        except PatchingError as error:
            raise self._cut_off(one, error)
        return self.told(self.sets.advance(one, "whole"), moved)

    def _switched(self, entry: Dict[str, Any]) -> bool:
        shown = self.top.at(entry["path"])
        if shown is not None and shown.uuid == entry["uuid"]:
            return False
        if shown is not None and shown.parent_uuid == entry["snapshot"] and not shown.read_only:
            return True
        raise PatchingError(
            "subvolume /{}".format(entry["path"]),
            "another one is there ({})".format(shown.uuid) if shown else "none is there",
            "{}, or the snapshot's copy in its place".format(entry["uuid"]),
            "look at who has put it there, and put back what belongs there",
        )

    def _carry(self, inner: str, aside: str, path: str) -> bool:
        """Move a subvolume that no snapshot holds along to its place, unless the snapshot has something else there."""
        target = self.top.full(path + inner[len(aside) :])
        parent = os.path.dirname(target)
        # Users may have made links of these folders: nothing is moved through one.
        if os.path.realpath(parent) != os.path.realpath(self.top.point) + parent[len(self.top.point) :]:
            return False
        try:
            if os.path.lexists(target):
                if is_subvolume(target):
                    return False
                os.rmdir(target)
            os.rename(self.top.full(inner), target)
        except OSError:
            return False
        return True

    def _require(self, path: str) -> Shown:
        shown = self.top.at(path)
        if shown is None:
            raise PatchingError("subvolume /{}".format(path), "it is gone", "the reverted one", "look at the disk")
        return shown

    def _cut_off(self, one: Set, error: PatchingError) -> PatchingError:
        return PatchingError(
            error.subject,
            "{}; the revert to {} is half done".format(error.seen, one.record["of"]),
            error.expected,
            "{}; then call host_snapshot_rollback again, which ends it".format(error.next_step),
        )

    def told(self, one: Set, moved: Dict[str, List[str]]) -> Dict[str, Any]:
        """Return what host_snapshot_rollback says of a revert that is done."""
        entries = one.record["subvolumes"]
        return {
            "snapshot": one.record["of"],
            "subvolumes": [
                {"mount": entry["mount"], "path": entry["path"], "uuid": self._require(entry["path"]).uuid}
                for entry in entries
            ],
            "kept": ",".join(entry["uuid"] for entry in entries),
            "kept_at": [self.sets.path(one.name, number) for number in range(len(entries))],
            "kept_until": one.record["expires"],
            "carried": moved["carried"],
            "left": moved["left"],
            "reboot": any(entry["at_reboot"] for entry in entries),
            "resumed": False,
        }


def by_id(mount: str, number: str) -> PatchingError:
    """Return why a subvolume that is mounted by its number cannot be put back."""
    return PatchingError(
        "mount {}".format(mount),
        number,
        "a mount by path (subvol=), or of the default subvolume: the reverted one has another number",
        "name it there by subvol= alone",
    )
