# SPDX-License-Identifier: GPL-3.0-or-later
"""LVM's commands. A volume is looked up by its UUID before each change, never taken by a name that was seen before."""

import os
from typing import List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import Mount, parse_mountinfo
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_text import (
    GROUP_FIELDS,
    VOLUME_FIELDS,
    Group,
    Volume,
    full_name,
    parse_groups,
    parse_volumes,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import read_text

#: Where the host is read; tests have their own. ``boot`` is the mount point of the boot loader's file system,
#: ``modules`` the folder with a folder of modules for each kernel.
Places = NamedTuple(
    "Places",
    [
        ("work", str),
        ("mountinfo", str),
        ("boot_id", str),
        ("loaded_modules", str),
        ("boot", str),
        ("fstab", str),
        ("modules", str),
    ],
)
PLACES = Places(
    "/run/hospital-patching-lvm",
    "/proc/self/mountinfo",
    "/proc/sys/kernel/random/boot_id",
    "/sys/module",
    "/boot",
    "/etc/fstab",
    "/lib/modules",
)
_REPORT = ["--reportformat", "json", "--units", "b", "--nosuffix"]
#: LVM waits for udev and for the disk.
CHANGE_LIMIT_S = 300


class Lvm:
    """The host's volumes, groups and mounts, read anew at each call."""

    def __init__(self, runner: Runner, places: Places) -> None:
        self.runner = runner
        self.places = places

    def volumes(self) -> List[Volume]:
        return parse_volumes(self._run(["lvs", "--all"] + _REPORT + ["-o", VOLUME_FIELDS]))

    def groups(self) -> List[Group]:
        return parse_groups(self._run(["vgs"] + _REPORT + ["-o", GROUP_FIELDS]))

    def volume(self, uuid: str) -> Optional[Volume]:
        return next((volume for volume in self.volumes() if volume.uuid == uuid), None)

    def mounts(self) -> List[Mount]:
        """Return what is mounted now, in mount order."""
        return parse_mountinfo(read_text(self.places.mountinfo))

    def boot_id(self) -> str:
        return read_text(self.places.boot_id).strip()

    def missing_module(self, name: str) -> Optional[str]:
        """Return why the kernel cannot use a module, or None. Nothing is loaded."""
        if os.path.isdir(os.path.join(self.places.loaded_modules, name)):
            return None
        try:
            result = self.runner.run(["modprobe", "--dry-run", name], check=False)
        except PatchingError as error:
            return "the kernel module {} is not loaded, and modprobe cannot tell whether it could be ({})".format(
                name, error.seen
            )
        if result.rc == 0:
            return None
        return "the running kernel has no module {} ({})".format(name, result.stderr.strip()[-200:])

    def snapshot(self, volume: Volume, name: str, tags: List[str], size_bytes: Optional[int]) -> None:
        """Make a snapshot; one with a size is a thick one."""
        # A thin one is not activated at boot: nobody needs two file systems of one UUID.
        kind = ["--setactivationskip", "y"] if size_bytes is None else ["--size", "{}b".format(size_bytes)]
        words = ["lvcreate", "--yes", "--snapshot"] + kind + ["--name", name]
        for tag in tags:
            words += ["--addtag", tag]
        self._run(words + [full_name(volume)])

    def tag(self, uuid: str, add: List[str], remove: List[str]) -> None:
        """Change the tags of the volume of that UUID, whatever its name is by now."""
        volume = self._require(uuid)
        words = ["lvchange", "--yes"]
        for tag in add:
            words += ["--addtag", tag]
        for tag in remove:
            words += ["--deltag", tag]
        self._run(words + _only(volume))

    def remove(self, uuid: str) -> None:
        self._run(["lvremove", "--yes"] + _only(self._require(uuid)))
        left = self.volume(uuid)
        if left is not None:
            raise PatchingError(
                "logical volume {}".format(full_name(left)),
                "LVM was told to remove it, and did not",
                "no volume of UUID {}".format(uuid),
                "look who renames volumes meanwhile, then run again",
            )

    def activate_at_boot(self, uuid: str) -> None:
        """Let a thin snapshot be activated like any volume: it is about to become one."""
        self._run(["lvchange", "--yes", "--setactivationskip", "n"] + _only(self._require(uuid)))

    def merge(self, uuid: str, limit_s: int) -> None:
        """Merge a snapshot into its origin: at once where the origin is not open, else when it is activated next."""
        self._run(["lvconvert", "--yes", "--merge", "--interval", "1", full_name(self._require(uuid))], limit_s)

    def reactivate(self, uuid: str) -> None:
        """Deactivate and activate a volume that nobody has open: that is when a merge which was put off begins."""
        for state in ("n", "y"):
            self._run(["lvchange", "--yes", "--activate", state] + _only(self._require(uuid)))

    def poll(self, uuid: str) -> None:
        """Let LVM look after a merge that a killed command, or the boot, has left to the kernel alone."""
        self._run(["lvchange", "--yes", "--poll", "y"] + _only(self._require(uuid)))

    def _require(self, uuid: str) -> Volume:
        volume = self.volume(uuid)
        if volume is None:
            raise PatchingError(
                "logical volume {}".format(uuid),
                "it is gone",
                "the volume that was found before",
                "look who removed it",
            )
        return volume

    def _run(self, words: List[str], timeout_s: int = CHANGE_LIMIT_S) -> str:
        # Of files that Ansible has open LVM would complain in every answer.
        return self.runner.run(words, timeout_s=timeout_s, env={"LVM_SUPPRESS_FD_WARNINGS": "1"}).stdout


def _only(volume: Volume) -> List[str]:
    """Return words that name a volume and select by its UUID: one that took the name meanwhile is left alone."""
    return ["--select", "lv_uuid={}".format(volume.uuid), full_name(volume)]
