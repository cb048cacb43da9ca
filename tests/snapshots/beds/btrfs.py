# SPDX-License-Identifier: GPL-3.0-or-later
"""Bed of the provider btrfs: a real file system on a loop device, mounted here alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.hospital.patching.tests.unit.plugins.module_utils.snapshots import btrfs_disk
from tests.snapshots.beds.base import FilesBed, Point

MIB = btrfs_disk.MIB


class BtrfsBed(FilesBed):
    """A host whose application has a subvolume of its own."""

    NAME = "btrfs"
    LAST_CALLS = ("snapshot",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.disk: btrfs_disk.Disk | None = None

    def lacks(self) -> str | None:
        tried = self.folder / "tried"
        tried.mkdir()
        return btrfs_disk.lacking(tried)

    def start(self) -> None:
        self.disk = btrfs_disk.Disk(self.folder)
        self.app = self.disk.path("app", "portal")
        Path(self.app).mkdir()
        self.options = {
            "subvolumes": [self.disk.path("app")],
            "min_free_bytes": 32 * MIB,
            "min_metadata_bytes": 8 * MIB,
        }

    def stop(self) -> None:
        if self.disk is not None:
            # A killed call leaves its own mount of the top level behind until the next one.
            for mount in reversed(btrfs_disk.mounted()):
                if mount.source == self.disk.device:
                    subprocess.run(["umount", mount.path], check=False)
            self.disk.close()

    def words(self, script: str) -> list[str]:
        return ["/bin/sh", "-c", script]

    def everything(self) -> set[str]:
        assert self.disk is not None
        with self.disk.top() as top:
            lines = btrfs_disk.sh("btrfs", "subvolume", "list", "-u", top).splitlines()
        return {line.split(" uuid ")[1].split()[0] for line in lines}

    def parts(self, point: Point) -> set[str]:
        return set(point["id"].split(","))

    def foreign(self, point: Point) -> str:
        assert self.disk is not None
        (one,) = point["detail"]["subvolumes"]
        with self.disk.top() as top:
            kept_at = Path(top, one["kept_at"])
            theirs = kept_at.parent.parent / "theirs" / kept_at.name
            theirs.parent.mkdir()
            btrfs_disk.sh("btrfs", "subvolume", "snapshot", "-r", str(Path(top, "@app")), str(theirs))
            shown = btrfs_disk.sh("btrfs", "subvolume", "show", str(theirs))
        return str(shown.split("UUID:")[1].split()[0])
