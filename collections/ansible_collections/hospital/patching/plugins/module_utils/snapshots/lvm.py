# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``lvm``: snapshots of the host's own logical volumes, thick or thin, on the host itself.

The UUIDs that LVM gave the snapshots are the identity. Run, host, reason and expiry are tags of theirs. ``/boot`` is
kept as an archive, where it is a file system that is not held.
"""

import contextlib
import math
import re
import uuid
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import STATE_DIR
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import base, lvm_initramfs, lvm_sets
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import (
    NO_SUCH,
    Loss,
    Snapshot,
    SnapshotProvider,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.boot_archive import BootArchive
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_commands import PLACES, Lvm, Places
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_revert import Limits, Reverts
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_room import Held, Room, filling
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_sets import Revert, Set
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_text import full_name, is_open, is_thin
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import locked, mounted_at

GIB = 1024 * 1024 * 1024
#: Bytes that an archive of /boot leaves free beside it.
BESIDE_ARCHIVE = 64 * 1024 * 1024
RESTORE_POINT, REVERTING = "restore_point", "reverting"

_Open = NamedTuple("_Open", [("lvm", Lvm), ("boot", BootArchive), ("reverts", Reverts)])


class LvmProvider(SnapshotProvider):
    """Runs on the host itself, as root; ``volumes`` are named by where they are mounted."""

    NAME = "lvm"
    MAKES = True
    OPTIONS = {
        "volumes": {"type": "list", "elements": "path", "default": ["/"]},
        "at_reboot": {"type": "list", "elements": "path", "default": []},
        "change_bytes": {"type": "int", "default": 2 * GIB},
        "change_bytes_of": {"type": "dict", "default": {}},
        "min_free_bytes": {"type": "int", "default": 0},
        "max_pool_percent": {"type": "int", "default": 90},
        "max_metadata_percent": {"type": "int", "default": 80},
        "max_snapshots": {"type": "int", "default": 8},
        "boot": {"type": "str", "choices": ["archive", "leave"], "default": "archive"},
        "boot_folder": {"type": "path", "default": STATE_DIR + "/boot"},
        "merge_timeout_s": {"type": "int", "default": 3600},
        "poll_s": {"type": "int", "default": 2},
    }

    def __init__(self, options: Dict[str, Any], runner: Runner, clock: Clock, places: Places = PLACES) -> None:
        super().__init__(options, runner, clock)
        self.places = places
        self.require_absolute("volumes", "at_reboot")
        if not self.options["volumes"] or len(set(self.options["volumes"])) < len(self.options["volumes"]):
            raise self.bad_option("volumes", "mount points, each once")
        if not set(self.options["at_reboot"]) <= set(self.options["volumes"]):
            raise self.bad_option("at_reboot", "some of volumes")
        sizes = self.options["change_bytes_of"]
        good = all(str(size).isdigit() and int(size) for size in sizes.values())
        if not good or not set(sizes) <= set(self.options["volumes"]):
            raise self.bad_option("change_bytes_of", "bytes by mount points of volumes")
        if self.options["change_bytes"] < 1:
            raise self.bad_option("change_bytes", "bytes, more than 0")

    def available(self, host: str) -> Optional[str]:
        try:
            with self._opened() as (lvm, boot, reverts):
                revert = reverts.under_way()
                if revert is not None and not (reverts.is_stale(revert) or reverts.is_over(revert)):
                    raise _half_done(revert)
                self._checked(lvm, boot)
        except PatchingError as error:
            return "{}: {}; it needs {}".format(error.subject, error.seen, error.expected)
        return None

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        """Make snapshots of all the volumes, one after the other.

        What a killed call of this run left is removed first. A revert that was cut off is ended, and then refused.
        """
        with self._opened() as (lvm, boot, reverts):
            self._settle(host, reverts)
            self._clear(lvm, boot, run_id, host)
            boot.sweep(_names(lvm))
            held, risks, outside, kept = self._checked(lvm, boot)
            name = uuid.uuid4().hex
            labels = {
                "run_id": run_id,
                "host": host,
                "reason": reason,
                "created": self.clock.stamp(),
                "expires": expires,
                "count": str(len(held)),
                "boot": boot.make(name) if kept else "",
            }
            try:
                self._make(lvm, name, held, labels, {"outside": outside, "risks": risks})
            except PatchingError:
                _undo(lvm, boot, name)
                raise
            return self._told(next(one for one in lvm_sets.sets_of(lvm.volumes()) if one.name == name))

    def _make(self, lvm: Lvm, name: str, held: List[Held], labels: Dict[str, str], told: Dict[str, List[str]]) -> None:
        stamp = re.sub(r"[^0-9T]", "", labels["created"])
        for number, one in enumerate(held):
            tags = lvm_sets.facts(name, labels, number, one.mount, one.volume.uuid, told)
            lvm.snapshot(one.volume, "hp-{}-{}-{}".format(stamp, name[:8], number), tags, one.size_bytes)
        made = [one for one in lvm_sets.sets_of(lvm.volumes()) if one.name == name]
        members = made[0].members if made else []
        if [member.labels["origin"] for member in members] != [one.volume.uuid for one in held]:
            raise PatchingError(
                "snapshots of {}".format(", ".join(one.mount for one in held)),
                "LVM shows {} of them".format(len(members)),
                "one of each volume, with the tags that it was made with",
                "look at what else works on these volumes (lvs -a -o +tags), then run again",
            )
        for member in members:
            if lvm_sets.is_full(member.volume):
                raise PatchingError(
                    "snapshot of {}".format(member.labels["mount"]),
                    "it filled up at once",
                    "room for what is written meanwhile",
                    "raise change_bytes, then run again",
                )
        uuids = [member.volume.uuid for member in members]
        for own in uuids:
            lvm.tag(own, lvm_sets.seal(own, uuids), [])

    def _clear(self, lvm: Lvm, boot: BootArchive, run_id: str, host: str) -> None:
        """Remove what a killed call of this run has left; refuse where its restore point is not what it was.

        Another one would hold what the run has changed since.
        """
        for one in lvm_sets.sets_of(lvm.volumes()):
            if (one.labels["run_id"], one.labels["host"]) != (run_id, host):
                continue
            if not one.whole:
                _undo(lvm, boot, one.name)
                continue
            raise PatchingError(
                "restore point {}".format(lvm_sets.identity(one)),
                str(lvm_sets.lacks(one)),
                "the snapshots that this run has made",
                "delete the rest of it by its id (host_snapshot state=absent), and start another run",
            )

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        """What is being put back is listed as well, with ``kind`` ``reverting``, under the id that it was."""
        with self._opened() as (lvm, _boot, reverts):
            volumes = lvm.volumes()
            under_way = lvm_sets.reverts_of(volumes)
            found = [self._told_reverting(revert, reverts) for revert in under_way]
            names = [revert.name for revert in under_way]
            found += [self._told(one) for one in lvm_sets.sets_of(volumes) if one.name not in names]
        return [
            one
            for one in sorted(found, key=lambda snapshot: (snapshot.created, snapshot.id))
            if (run_id is None or one.run_id == run_id) and (host is None or one.host == host)
        ]

    def present(self, run_id: str, host: str) -> Optional[Snapshot]:
        good = [
            one
            for one in self.list(run_id, host)
            if one.detail["kind"] == RESTORE_POINT and one.detail["lacks"] is None
        ]
        return good[-1] if good else None

    def rooms(self) -> List[base.Room]:
        """Return the pools of the volumes that are held by policy, and of those with a snapshot of ours."""
        with self._opened() as (lvm, _boot, _reverts):
            sets = lvm_sets.sets_of(lvm.volumes())
            origins = {member.labels["origin"] for one in sets for member in one.members}
            return filling(lvm, self.options["volumes"], origins)

    def loss(self, snapshot_id: str, host: str) -> Loss:
        """Return what thick snapshots have kept of what was overwritten, in whole chunks with their tables.

        Of a thin one LVM tells how much it holds, and not how much of that differs from its origin.
        """
        with self._opened() as (lvm, _boot, _reverts):
            sets = [one for one in lvm_sets.sets_of(lvm.volumes()) if lvm_sets.identity(one) == snapshot_id]
        if not sets:
            return NO_SUCH
        why = lvm_sets.lacks(sets[0])
        if why:
            return Loss(None, why)
        thick = [one.volume for one in sets[0].members if not is_thin(one.volume)]
        thin = [one.labels["mount"] for one in sets[0].members if is_thin(one.volume)]
        kept = [int(one.size_bytes * one.data_percent / 100) for one in thick if one.data_percent is not None]
        if len(kept) < len(thick):
            return Loss(None, "LVM does not tell how full the snapshots are")
        unknown = "LVM does not tell what thin volumes have changed: {}".format(", ".join(thin)) if thin else None
        return Loss(sum(kept) if thick else None, unknown)

    def delete(self, snapshot_id: str) -> bool:
        """Delete it, unless one of its snapshots is in use; then nothing of it is deleted."""
        with self._opened() as (lvm, boot, reverts):
            revert = reverts.under_way()
            if revert is not None and reverts.identity(revert) == snapshot_id:
                if reverts.is_stale(revert):
                    reverts.drop(revert)
                elif reverts.pending(revert):
                    raise _half_done(revert)
                else:
                    reverts.end(revert)
                    return True
            for one in lvm_sets.sets_of(lvm.volumes()):
                if lvm_sets.identity(one) == snapshot_id:
                    used = [full_name(member.volume) for member in one.members if is_open(member.volume)]
                    if used:
                        raise PatchingError(
                            "snapshot {}".format(", ".join(used)),
                            "it is mounted, or a program has it open",
                            "one that nobody uses any more",
                            "unmount it, then delete it again",
                        )
                    _undo(lvm, boot, one.name)
                    return True
        return False

    def revert(self, snapshot_id: str, host: str) -> Dict[str, Any]:
        """Merge the snapshots into their volumes, which uses them up: the restore point is gone afterwards.

        With ``reboot`` true the host runs on what it has until it is rebooted, which is left to the caller; called once
        more afterwards, it waits for the merges and ends the revert.
        """
        with self._opened() as (lvm, _boot, reverts):
            revert = reverts.under_way()
            if revert is not None and reverts.is_stale(revert):
                reverts.drop(revert)
                revert = None
            if revert is not None:
                if reverts.identity(revert) != snapshot_id:
                    raise _half_done(revert)
                return dict(reverts.advance(revert), resumed=True)
            chosen = next(
                (one for one in lvm_sets.sets_of(lvm.volumes()) if lvm_sets.identity(one) == snapshot_id), None
            )
            why = "no such snapshot" if chosen is None else lvm_sets.lacks(chosen)
            if chosen is None or why:
                raise PatchingError(
                    "snapshot {}".format(snapshot_id),
                    str(why),
                    "a complete restore point",
                    "roll the packages back by update_rollback; nothing was changed",
                )
            if chosen.labels["host"] != host:
                raise PatchingError(
                    "snapshot {}".format(snapshot_id),
                    "it is of host {}".format(chosen.labels["host"]),
                    "a restore point of host {}".format(host),
                    "take the id from the run's ledger, step snapshot",
                )
            return reverts.run(chosen, self.options["at_reboot"])

    def _settle(self, host: str, reverts: Reverts) -> None:
        """End a revert whose host has been rebooted; refuse where one was cut off, or waits for its reboot."""
        revert = reverts.under_way()
        if revert is None:
            return
        if reverts.is_stale(revert):
            reverts.drop(revert)
            return
        if reverts.is_over(revert):
            reverts.end(revert)
            return
        told = reverts.advance(revert)
        raise PatchingError(
            "host {}".format(host),
            "a revert to {} {}".format(
                told["snapshot"],
                "waits for the host's reboot" if told["reboot"] else "had been cut off, and was ended just now",
            ),
            "a host that was looked at after its revert",
            "reboot it, prove it healthy, then run again" if told["reboot"] else "prove it healthy, then run again",
        )

    @contextlib.contextmanager
    def _opened(self) -> Iterator[_Open]:
        with locked(self.clock, self.places.work, "LVM"):
            lvm = Lvm(self.runner, self.places)
            boot = BootArchive(self.options["boot_folder"], self.places.boot)
            limits = Limits(self.options["merge_timeout_s"], self.options["poll_s"])
            yield _Open(lvm, boot, Reverts(lvm, boot, self.clock, limits))

    def _checked(self, lvm: Lvm, boot: BootArchive) -> Tuple[List[Held], List[str], List[str], bool]:
        """Return what is held, what may go wrong, which mount points are outside, and whether ``/boot`` is archived.

        Raises:
            PatchingError: a volume or ``/boot`` cannot be held, no root could be merged, or there is no room.
        """
        room = Room(lvm, self.options)
        held, risks = room.checked()
        for one in held:
            if one.mount == "/":
                thin = is_thin(one.volume)
                risks += lvm_initramfs.require(self.runner, self.places.boot, self.places.modules, thin)
        kept = self._keeps_boot(room, boot)
        outside = room.outside(held, [self.places.boot] if kept else [])
        if self.options["boot"] == "leave" and self.places.boot in outside and "/" in self.options["volumes"]:
            risks.append("{} is not held: after a revert its kernel may lack modules".format(self.places.boot))
        return held, risks, outside, kept

    def _keeps_boot(self, room: Room, boot: BootArchive) -> bool:
        seen = mounted_at(self.places.boot, room.mounts)
        inside = "/" not in self.options["volumes"] or self.places.boot in self.options["volumes"]
        if seen is None or inside or self.options["boot"] == "leave":
            return False
        if seen.read_only_device or "ro" in seen.options.split(","):
            raise PatchingError(
                "mount {}".format(self.places.boot),
                "read-only",
                "one that can be written, so that it can be put back with the root",
                "mount it for writing, or say boot: leave in patching_snapshot",
            )
        needed, free = boot.room()
        if free < needed + BESIDE_ARCHIVE:
            raise PatchingError(
                "folder {}".format(self.options["boot_folder"]),
                "{} bytes free".format(free),
                "{} for the archive of {}".format(needed + BESIDE_ARCHIVE, self.places.boot),
                "make room there, or give another boot_folder",
            )
        return True

    def _snapshot(self, identity: str, labels: Dict[str, str], detail: Dict[str, Any]) -> Snapshot:
        facts = {key: labels[key] for key in ("run_id", "host", "reason", "created", "expires")}
        return Snapshot(id=identity, provider=self.NAME, detail=detail, **facts)

    def _told(self, one: Set) -> Snapshot:
        return self._snapshot(
            lvm_sets.identity(one),
            one.labels,
            {
                "kind": RESTORE_POINT,
                "complete": one.whole,
                "missing": lvm_sets.missing(one),
                "lacks": lvm_sets.lacks(one),
                "volumes": [
                    {
                        "mount": member.labels["mount"],
                        "snapshot": full_name(member.volume),
                        "uuid": member.volume.uuid,
                        "origin": member.volume.origin,
                        "thin": is_thin(member.volume),
                        "size_bytes": member.volume.size_bytes,
                        "filled_percent": None if is_thin(member.volume) else _whole(member.volume.data_percent),
                        "full": lvm_sets.is_full(member.volume),
                    }
                    for member in one.members
                ],
                "boot": one.labels.get("boot") or None,
                "outside": lvm_sets.told(one, "outside"),
                "risks": lvm_sets.told(one, "risks"),
            },
        )

    def _told_reverting(self, revert: Revert, reverts: Reverts) -> Snapshot:
        detail = {
            "kind": REVERTING,
            "complete": False,
            "missing": [],
            "lacks": "it is being put back",
            "pending": reverts.pending(revert),
        }  # type: Dict[str, Any]
        return self._snapshot(reverts.identity(revert), revert.labels, detail)


def _undo(lvm: Lvm, boot: BootArchive, name: str) -> None:
    """Remove all that is there of a set."""
    for one in lvm_sets.sets_of(lvm.volumes()):
        for member in one.members if one.name == name else []:
            lvm.remove(member.volume.uuid)
    boot.forget(name)


def _names(lvm: Lvm) -> List[str]:
    volumes = lvm.volumes()
    return [one.name for one in lvm_sets.sets_of(volumes)] + [one.name for one in lvm_sets.reverts_of(volumes)]


def _whole(percent: Optional[float]) -> Optional[int]:
    """Records carry whole numbers only; a snapshot is never less full than it is told."""
    return None if percent is None else math.ceil(percent)


def _half_done(revert: Revert) -> PatchingError:
    labels = revert.labels
    return PatchingError(
        "host {}".format(labels["host"]),
        "the revert to {} of run {} is not done".format(labels["id"].replace("+", ","), labels["run_id"]),
        "a revert that is done",
        "reboot the host if it was to be rebooted, and call host_snapshot_rollback with that id and run again, which "
        "ends it",
    )
