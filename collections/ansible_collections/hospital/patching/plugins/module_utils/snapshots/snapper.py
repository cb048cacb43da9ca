# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``snapper``: the host's own subvolumes as ``btrfs`` holds them, in snapshots that snapper makes and lists.

snapper gives the number of a deleted snapshot again. So the UUIDs that btrfs gave are the identity, and a number is
deleted only while its userdata names the set that it was made for. A revert is btrfs's: the copy takes the subvolume's
place, and becomes the default subvolume where that one was. ``snapper rollback`` only does the latter, which has no
effect where ``/`` is mounted by path, and knows of ``/`` alone.
"""

import re
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_volume as volume
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs import (
    BtrfsProvider,
    Held,
    nothing_mounted,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs_sets import RESTORE_POINT, Set, Sets
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import mounted_at
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.snapper_commands import OURS, Snapper


class SnapperSets(Sets):
    """Restore points whose snapshots are snapper's; what a revert sets aside is kept as ``btrfs`` does.

    Entries of a restore point have ``config`` as well and, once it is made, ``number``.
    """

    def __init__(self, top: volume.TopLevel, folder: str, snapper: Snapper) -> None:
        super().__init__(top, folder)
        self.snapper = snapper

    def make(self, one: Set, number: int) -> None:
        record, entry = one.record, one.record["subvolumes"][number]
        said = {OURS: one.name, "run": record["run_id"], "host": record["host"], "expires": record["expires"]}
        text = "hospital.patching: {}".format(record["reason"] or "restore point")
        entry["number"] = self.snapper.create(entry["config"], text, said)

    def place(self, one: Set, number: int) -> Optional[str]:
        if one.record["kind"] != RESTORE_POINT:
            return super().place(one, number)
        entry = one.record["subvolumes"][number]
        found = self._number(one, entry)
        return None if found is None else self._from_top(entry, found)

    def require_removable(self, one: Set, number: int, place: str) -> None:
        if one.record["kind"] == RESTORE_POINT:
            self._require_ours(one, number, place)

    def remove(self, one: Set, number: int, place: str) -> None:
        if one.record["kind"] != RESTORE_POINT:
            super().remove(one, number, place)
            return
        self.snapper.delete(one.record["subvolumes"][number]["config"], self._require_ours(one, number, place))

    def _require_ours(self, one: Set, number: int, place: str) -> int:
        """Return the number under which snapper has the snapshot at ``place``, with the userdata of its set."""
        entry = one.record["subvolumes"][number]
        found = self._number(one, entry)
        if found is None or self._from_top(entry, found) != place:
            raise PatchingError(
                "snapshot {} of snapper's config {}".format(entry.get("number"), entry["config"]),
                "snapper lists none whose userdata has {}={} and that is at /{}".format(OURS, one.name, place),
                "the userdata that it was made with",
                "if nobody needs it, delete it by hand (snapper, or btrfs subvolume delete), then delete this id again",
            )
        return found

    def _number(self, one: Set, entry: Dict[str, Any]) -> Optional[int]:
        mount = entry["mount"]
        if mounted_at(mount, volume.mounts(self.top.places)) is None:
            raise nothing_mounted(mount)  # snapper would list what lies beneath
        listed = self.snapper.listed(entry["config"])
        return next((found.number for found in listed if found.userdata.get(OURS) == one.name), None)

    def _from_top(self, entry: Dict[str, Any], number: int) -> Optional[str]:
        return self.top.inside("{}/{}/snapshot".format(snapshots_of(entry["mount"]), number))


class SnapperProvider(BtrfsProvider):
    """Runs on the host itself, as root; ``configs`` are snapper's, each of one subvolume."""

    NAME = "snapper"
    NAMED_BY = "configs"
    MOUNT_OPTIONS = ("at_reboot",)
    OPTIONS = dict(
        {key: rule for key, rule in BtrfsProvider.OPTIONS.items() if key != "subvolumes"},
        configs={"type": "list", "elements": "str", "default": ["root"]},
        folder={"type": "str", "default": "hospital-patching-snapper"},
        snapper={"type": "list", "elements": "str", "default": ["snapper", "--no-dbus"]},
    )

    def __init__(
        self, options: Dict[str, Any], runner: Runner, clock: Clock, places: volume.Places = volume.PLACES
    ) -> None:
        super().__init__(options, runner, clock, places)
        for config in self.options["configs"]:
            if not re.match(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\Z", config):
                raise self.bad_option("configs", "names of snapper's configs", config)
        if not self.options["snapper"]:
            raise self.bad_option("snapper", "the first words of a command line")
        self.snapper = Snapper(runner, self.options["snapper"])
        self._mounts: Optional[List[str]] = None

    def held_mounts(self) -> List[str]:
        if self._mounts is None:
            self._mounts = [self.snapper.subvolume(config) for config in self.options["configs"]]
        return self._mounts

    def sets(self, top: volume.TopLevel) -> Sets:
        return SnapperSets(top, self.options["folder"], self.snapper)

    def entry(self, one: Held) -> Dict[str, Any]:
        return dict(super().entry(one), config=self.options["configs"][self.held_mounts().index(one.mount)])

    def told(self, entry: Dict[str, Any], place: Optional[str]) -> Dict[str, Any]:
        return dict(super().told(entry, place), config=entry.get("config"), number=entry.get("number"))

    def held(self, top: volume.TopLevel, mount: str) -> Held:
        """Refuse also where ``.snapshots`` would be in the way of a revert."""
        one, folder = super().held(top, mount), snapshots_of(mount)
        place = top.inside(folder)
        if place is None or top.at(place) is None:
            raise PatchingError(
                folder,
                "no subvolume of that file system",
                "the subvolume in which snapper keeps its snapshots of {}".format(mount),
                "mount it, or have snapper make it (create-config)",
            )
        within, later = place.startswith(one.path + "/"), mount == "/" or mount in self.options["at_reboot"]
        if within and later:
            raise PatchingError(
                folder,
                "it lies within subvolume /{}, whose revert waits for a reboot and would leave it behind".format(
                    one.path
                ),
                "a subvolume outside of it, mounted there, as openSUSE has it",
                "move its snapshots to such a subvolume and name that in /etc/fstab{}".format(
                    "" if mount == "/" else ", or take {} out of at_reboot".format(mount)
                ),
            )
        if not within and not later:
            raise PatchingError(
                folder,
                "it is mounted there, so that {} could not be unmounted for a revert".format(mount),
                "a subvolume that can be unmounted, or one whose revert waits for a reboot",
                "give {} in at_reboot".format(mount),
            )
        return one


def snapshots_of(mount: str) -> str:
    """Return the folder in which snapper keeps the snapshots of what is mounted there."""
    return mount.rstrip("/") + "/.snapshots"
