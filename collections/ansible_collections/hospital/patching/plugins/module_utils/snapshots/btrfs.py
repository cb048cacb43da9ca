# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``btrfs``: read-only snapshots of the host's own subvolumes, on the host itself.

The UUIDs that btrfs gave the snapshots are the identity. Run, host, reason and expiry are in a record beside them.
"""

import contextlib
import json
import os
import re
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import Mount
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_text
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_volume as volume
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import (
    NO_SUCH,
    Loss,
    Room,
    Snapshot,
    SnapshotProvider,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs_revert import Reverts, by_id
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs_sets import (
    RESTORE_POINT,
    Set,
    Sets,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import mounted_at, read_text

#: Above this number btrfs's own tools, balance and deletion grow slow (btrfs-subvolume(8), "Subvolume and snapshot").
MANY_SNAPSHOTS = 100
#: Where so little is not yet given to data or metadata, one of the two can be full while the other has room.
LITTLE_UNALLOCATED = 1024 * 1024 * 1024

Held = NamedTuple("Held", [("mount", str), ("path", str), ("shown", btrfs_text.Shown)])
_Open = NamedTuple("_Open", [("top", volume.TopLevel), ("sets", Sets), ("reverts", Reverts)])


class BtrfsProvider(SnapshotProvider):
    """Runs on the host itself, as root; ``subvolumes`` are named by where they are mounted."""

    NAME = "btrfs"
    MAKES = True
    #: Option that says what is held.
    NAMED_BY = "subvolumes"
    #: Options that list mount points.
    MOUNT_OPTIONS: Tuple[str, ...] = ("subvolumes", "at_reboot")
    OPTIONS = {
        "subvolumes": {"type": "list", "elements": "path", "default": ["/"]},
        "at_reboot": {"type": "list", "elements": "path", "default": []},
        "folder": {"type": "str", "default": "hospital-patching"},
        "min_free_bytes": {"type": "int", "default": 1024 * 1024 * 1024},
        "min_metadata_bytes": {"type": "int", "default": 128 * 1024 * 1024},
    }

    def __init__(
        self, options: Dict[str, Any], runner: Runner, clock: Clock, places: volume.Places = volume.PLACES
    ) -> None:
        super().__init__(options, runner, clock)
        self.places = places
        self.require_absolute(*self.MOUNT_OPTIONS)
        named = self.options[self.NAMED_BY]
        if not named or len(set(named)) < len(named):
            raise self.bad_option(self.NAMED_BY, "at least one, and each once")
        if not re.match(r"^[A-Za-z0-9@_][A-Za-z0-9@._-]*\Z", self.options["folder"]):
            raise self.bad_option("folder", "the name of a folder on the top level")

    def held_mounts(self) -> List[str]:
        """Return what is held, by where it is mounted."""
        return list(self.options["subvolumes"])

    def sets(self, top: volume.TopLevel) -> Sets:
        """Return the sets of a file system."""
        return Sets(top, self.options["folder"])

    def available(self, host: str) -> Optional[str]:
        try:
            with self._opened() as (top, _sets, reverts):
                cut_off = reverts.unfinished()
                if cut_off is not None:
                    raise _half_done(cut_off)
                self._checked(top)
        except PatchingError as error:
            return "{}: {}; it needs {}".format(error.subject, error.seen, error.expected)
        return None

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        """Make read-only snapshots of all the subvolumes, one after the other.

        What a killed call of this run left is removed first. A revert that was cut off is ended, and then refused.
        """
        with self._opened() as (top, sets, reverts):
            ended = self._settled(reverts)
            if ended:
                raise PatchingError(
                    "host {}".format(host),
                    "a revert to {} had been cut off, and was ended just now".format(ended[0]["snapshot"]),
                    "a host that was looked at after its revert",
                    "reboot it, prove it healthy, then run again"
                    if ended[0]["reboot"]
                    else "prove it healthy, then run again",
                )
            sets.sweep()
            self._clear(top, sets, run_id, host)
            held, risks = self._checked(top)
            record = {
                "kind": RESTORE_POINT,
                "run_id": run_id,
                "host": host,
                "reason": reason,
                "created": self.clock.stamp(),
                "expires": expires,
                "outside": sorted("/" + inner for one in held for inner in top.nested(one.path)),
                "risks": risks,
                "subvolumes": [dict(self.entry(one), uuid=None) for one in held],
            }
            return self._snapshot(top, self._make(top, sets, record), sets)

    def entry(self, one: Held) -> Dict[str, Any]:
        """Return what a restore point's record says of a subvolume before its snapshot is made."""
        return {"mount": one.mount, "path": one.path, "source_uuid": one.shown.uuid}

    def _make(self, top: volume.TopLevel, sets: Sets, record: Dict[str, Any]) -> Set:
        one = sets.begin(record)
        try:
            for number, entry in enumerate(record["subvolumes"]):
                sets.make(one, number)
                entry["uuid"] = _made(sets, one, number)
            top.sync()
            return sets.finish(one, record)
        except PatchingError:
            sets.undo(one)
            raise

    def _clear(self, top: volume.TopLevel, sets: Sets, run_id: str, host: str) -> None:
        """Remove what a killed call of this run has left; refuse where its restore point was taken away.

        Another one would hold what the run has changed since.
        """
        for one in sets.all():
            record = one.record
            if (record["kind"], record["run_id"], record["host"]) != (RESTORE_POINT, run_id, host):
                continue
            if one.state == "making":
                sets.undo(one)
                continue
            missing = _missing(one, _places(top, one, sets))
            if missing:
                raise PatchingError(
                    "restore point {}".format(_identity(one)),
                    "{} of it was removed behind the run's back".format(", ".join(missing)),
                    "the snapshots that this run has made",
                    "delete the rest of it by its id (host_snapshot state=absent), and start another run",
                )

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        """What a revert has set aside is listed as well, with ``kind`` ``set_aside``; it is deleted like a snapshot."""
        with self._opened() as (top, sets, _reverts):
            found = [self._snapshot(top, one, sets) for one in sets.all() if _told(one)]
        return [
            one
            for one in found
            if one.id and (run_id is None or one.run_id == run_id) and (host is None or one.host == host)
        ]

    def present(self, run_id: str, host: str) -> Optional[Snapshot]:
        whole = [
            one
            for one in self.list(run_id, host)
            if one.detail["kind"] == RESTORE_POINT and one.detail["complete"] and not one.detail["missing"]
        ]
        return whole[-1] if whole else None

    def rooms(self) -> List[Room]:
        """Return the file system: its size as it is mounted, and what btrfs says can be written at least."""
        with self._opened() as (top, _sets, _reverts):
            state = os.statvfs(top.point)
            return [Room("file system", top.source, state.f_blocks * state.f_frsize, top.usage().free)]

    def loss(self, snapshot_id: str, host: str) -> Loss:
        """Return the length of what was written to files since, and is still there, by the trees' generations."""
        with self._opened() as (top, sets, _reverts):
            one = next((one for one in sets.all() if _told(one) and _identity_now(one, sets) == snapshot_id), None)
            if one is None:
                return NO_SUCH
            if one.state != "whole" or one.record["kind"] != RESTORE_POINT:
                return Loss(None, "it was set aside by a revert, or is not complete")
            written = 0
            for entry, place in zip(one.record["subvolumes"], _places(top, one, sets)):
                if place is None or top.at(entry["path"]) is None:
                    return Loss(None, "{} or its snapshot is gone".format(entry["mount"]))
                # A snapshot is made as its generation ends: what it does not have begins with the next.
                written += top.written_since(entry["path"], top.generation(place) + 1)
            return Loss(written, None)

    def delete(self, snapshot_id: str) -> bool:
        """Delete it, unless one of its subvolumes is in use; then nothing of it is deleted."""
        with self._opened() as (top, sets, reverts):
            self._settled(reverts)
            for one in sets.all():
                if _told(one) and _identity_now(one, sets) == snapshot_id:
                    found = enumerate(_places(top, one, sets))
                    places = [(number, place) for number, place in found if place is not None]
                    for number, place in places:
                        _require_unused(top, place)
                        sets.require_removable(one, number, place)
                    for number, place in places:
                        sets.remove(one, number, place)
                    sets.forget(one)
                    return True
        return False

    def revert(self, snapshot_id: str, host: str) -> Dict[str, Any]:
        """Put the subvolumes back; what they held is kept, as ``kept`` tells, for as long as the snapshot was to be.

        With ``reboot`` true the host runs on what was set aside until it is rebooted; that is left to the caller.
        """
        with self._opened() as (top, sets, reverts):
            ended = [told for told in self._settled(reverts) if told["snapshot"] == snapshot_id]
            if ended:
                return ended[0]
            chosen = next((one for one in sets.all() if _told(one) and _identity_now(one, sets) == snapshot_id), None)
            if chosen is None or chosen.state != "whole" or chosen.record["kind"] != RESTORE_POINT:
                raise PatchingError(
                    "snapshot {}".format(snapshot_id),
                    "no such snapshot" if chosen is None else "it was set aside by a revert, or is not complete",
                    "a complete restore point",
                    "take the id from the run's ledger, step snapshot",
                )
            if chosen.record["host"] != host:
                raise PatchingError(
                    "snapshot {}".format(snapshot_id),
                    "it is of host {}".format(chosen.record["host"]),
                    "a restore point of host {}".format(host),
                    "take the id from the run's ledger, step snapshot",
                )
            self._remember(top.source)
            try:
                return reverts.run(chosen, snapshot_id, self.options["at_reboot"])
            finally:
                if reverts.unfinished() is None:
                    self._remember(None)

    def _settled(self, reverts: Reverts) -> List[Dict[str, Any]]:
        """Settle what was cut off and return what had to be ended."""
        ended = reverts.settle()
        self._remember(None)
        return ended

    @contextlib.contextmanager
    def _opened(self) -> Iterator[_Open]:
        with volume.opened(self.runner, self.clock, self._source(), self.places) as top:
            sets = self.sets(top)
            yield _Open(top, sets, Reverts(top, sets, self.clock))

    def _source(self) -> str:
        """Return the device of the file system; of a revert that was killed while all is unmounted, what it noted."""
        noted = read_text(self._note())
        known = json.loads(noted) if noted else {}
        for mount in self.held_mounts():
            seen = mounted_at(mount, volume.mounts(self.places))
            if seen is not None:
                return _btrfs(seen).source
            if known.get("mounts") == self.held_mounts():
                return str(known["source"])
        raise nothing_mounted(self.held_mounts()[0])

    def _note(self) -> str:
        return os.path.join(self.places.work, "reverting.json")

    def _remember(self, source: Optional[str]) -> None:
        if source is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._note())
            return
        with open(self._note() + ".new", "w", encoding="utf-8") as handle:
            json.dump({"mounts": self.held_mounts(), "source": source}, handle)
        os.rename(self._note() + ".new", self._note())

    def _checked(self, top: volume.TopLevel) -> Tuple[List[Held], List[str]]:
        """Return the subvolumes that can be held and put back, and what may go wrong with them.

        Raises:
            PatchingError: one cannot, or there is no room.
        """
        held = [self.held(top, mount) for mount in self.held_mounts()]
        if len({one.path for one in held}) < len(held):
            raise self.bad_option(self.NAMED_BY, "each subvolume once")
        if self.options["folder"] in [one.path for one in held]:
            raise self.bad_option("folder", "a folder outside of the subvolumes that are held")
        return held, self._room(top, held)

    def held(self, top: volume.TopLevel, mount: str) -> Held:
        """Return the subvolume that is mounted there.

        Raises:
            PatchingError: it cannot be held, or not be put back.
        """
        seen = mounted_at(mount, volume.mounts(self.places))
        if seen is None:
            raise nothing_mounted(mount)
        if _btrfs(seen).device != top.device:
            raise PatchingError(
                "mount {}".format(mount),
                "it is of another file system than {}".format(self.held_mounts()[0]),
                "subvolumes of one file system",
                "hold those of one, in patching_snapshot",
            )
        if seen.read_only_device:
            raise PatchingError("mount {}".format(mount), "read-only", "a file system that can be written", "look why")
        path = seen.root[1:]
        shown = top.at(path) if path else None
        if shown is None:
            raise PatchingError(
                "mount {}".format(mount),
                "it is the file system's top level" if not path else "{} of it is no subvolume".format(seen.root),
                "a mounted subvolume: nothing else can change places with its snapshot",
                "move the data to a subvolume, or choose another snapshot provider",
            )
        if shown.read_only:
            raise PatchingError(
                "mount {}".format(mount),
                "subvolume {} is read-only, as a transactional system's is".format(seen.root),
                "a subvolume that updates are written to",
                "choose another snapshot provider, such as preserved",
            )
        number = btrfs_text.boots_by_id(mount, read_text(self.places.fstab), read_text(self.places.cmdline))
        if number:
            raise by_id(mount, number)
        return Held(mount, path, shown)

    def _room(self, top: volume.TopLevel, held: List[Held]) -> List[str]:
        usage, listed = top.usage(), top.listing()
        least, least_metadata = self.options["min_free_bytes"], self.options["min_metadata_bytes"]
        if usage.missing:
            raise _no_room("a device of it is missing", "all its devices", "replace the disk")
        if usage.free < least:
            raise _no_room(
                "{} bytes free".format(usage.free),
                "{}: what is overwritten after a snapshot needs its room twice".format(least),
                "delete expired snapshots or files",
            )
        if usage.metadata < least_metadata:
            raise _no_room(
                "{} bytes left for metadata".format(usage.metadata),
                str(least_metadata),
                "free whole data block groups: btrfs balance start -dusage=10",
            )
        risks = []
        for one in held:
            quotas = top.quotas(one.path)
            room = None if quotas is None else btrfs_text.quota_room(quotas)
            if room is not None and room < least:
                raise _no_room(
                    "quota of {} leaves {} bytes".format(one.mount, room),
                    str(least),
                    "raise its limit by btrfs qgroup limit, or free space",
                )
            if quotas is not None:
                risks.append("quotas are on: deleting a snapshot of {} can hold the host up".format(one.mount))
        snapshots = sum(1 for one in listed if one.parent_uuid)
        if snapshots:
            risks.append("{} snapshots are there already".format(snapshots))
        if snapshots > MANY_SNAPSHOTS:
            risks.append("more than {} snapshots slow btrfs down".format(MANY_SNAPSHOTS))
        if usage.unallocated < LITTLE_UNALLOCATED:
            risks.append(
                "only {} bytes are unallocated: data or metadata can be full while the other has room".format(
                    usage.unallocated
                )
            )
        if usage.mixed_profiles:
            risks.append("block groups of several profiles: a conversion was not ended")
        return risks

    def told(self, entry: Dict[str, Any], place: Optional[str]) -> Dict[str, Any]:
        """Return what is said of a subvolume of a set, whose snapshot is at ``place``."""
        return {"mount": entry["mount"], "path": entry["path"], "uuid": entry["uuid"], "kept_at": place}

    def _snapshot(self, top: volume.TopLevel, one: Set, sets: Sets) -> Snapshot:
        record, places = one.record, _places(top, one, sets)
        entries = record["subvolumes"]
        return Snapshot(
            id=_identity_now(one, sets),
            provider=self.NAME,
            run_id=record["run_id"],
            host=record["host"],
            reason=record["reason"],
            created=record["created"],
            expires=record["expires"],
            detail={
                "kind": record["kind"],
                "complete": one.state == "whole",
                "missing": _missing(one, places),
                "subvolumes": [self.told(entry, place) for entry, place in zip(entries, places)],
                "outside": record.get("outside") or [],
                "risks": record.get("risks") or [],
            },
        )


def _made(sets: Sets, one: Set, number: int) -> str:
    """Return the UUID of the snapshot that was just made, proven to be of the subvolume that was meant."""
    shown, entry = sets.subvolume(one, number), one.record["subvolumes"][number]
    if shown is None:
        raise PatchingError(
            "snapshot of {}".format(entry["mount"]),
            "btrfs shows none, or of another subvolume",
            "one of {}".format(entry["source_uuid"]),
            "look at what else works on this file system, then run again",
        )
    return shown.uuid


def _told(one: Set) -> bool:
    """A revert that is not done has set nothing aside yet."""
    return one.state == "whole" or one.record["kind"] == RESTORE_POINT


def _identity(one: Set) -> str:
    return ",".join(entry["uuid"] for entry in one.record["subvolumes"] if entry["uuid"])


def _identity_now(one: Set, sets: Sets) -> str:
    """The same, of a set that a killed call was making: of what it has made."""
    if one.state != "making":
        return _identity(one)
    shown = [sets.subvolume(one, number) for number in range(len(one.record["subvolumes"]))]
    return ",".join(found.uuid for found in shown if found)


def _places(top: volume.TopLevel, one: Set, sets: Sets) -> List[Optional[str]]:
    """Return where each subvolume of a set is now, or None."""
    places: List[Optional[str]] = []
    for number, entry in enumerate(one.record["subvolumes"]):
        hint = sets.path(one.name, number)
        if one.state == "making":
            places.append(sets.place(one, number) if sets.subvolume(one, number) else None)
        else:
            places.append(top.locate(entry["uuid"], hint))
    return places


def _missing(one: Set, places: List[Optional[str]]) -> List[str]:
    pairs = zip(one.record["subvolumes"], places)
    return [entry["uuid"] or entry["mount"] for entry, place in pairs if place is None]


def _require_unused(top: volume.TopLevel, path: str) -> None:
    """Refuse to delete what is mounted, what the next boot mounts, or what holds somebody's subvolume."""
    shown, why = top.at(path), None
    users = top.mounts_of(path) + top.mounts_within(path)
    if users:
        why = "it is mounted at {}".format(", ".join(sorted(mount.path for mount in users)))
    elif shown is not None and top.default() == shown.id:
        why = "it is the file system's default subvolume"
    else:
        for inner in reversed(top.nested(path)):
            try:
                os.rmdir(top.full(inner))  # goes only where nothing is in it
            except OSError:
                why = "subvolume /{} lies within it".format(inner)
    if why:
        raise PatchingError(
            "subvolume /{}".format(path),
            why,
            "one that nobody uses any more",
            "reboot if a revert waits for it, or unmount or move what is named; then delete it again",
        )


def _btrfs(seen: Mount) -> Mount:
    if seen.kind != "btrfs":
        raise PatchingError(
            "mount {}".format(seen.path),
            "it is {}".format(seen.kind),
            "btrfs",
            "give the options that name the subvolumes, or choose another snapshot provider",
        )
    return seen


def nothing_mounted(mount: str) -> PatchingError:
    """Return why what is not mounted cannot be held."""
    return PatchingError(
        "mount {}".format(mount),
        "nothing is mounted there",
        "the mount point of a btrfs subvolume",
        "mount it, or correct patching_snapshot",
    )


def _no_room(seen: str, expected: str, next_step: str) -> PatchingError:
    return PatchingError("btrfs file system", seen, expected, next_step)


def _half_done(one: Set) -> PatchingError:
    identity = one.record["of"]
    return PatchingError(
        "host {}".format(one.record["host"]),
        "the revert to {} of run {} was cut off".format(identity, one.record["run_id"]),
        "a revert that is done",
        "call host_snapshot_rollback with that id and run again, which ends it",
    )
