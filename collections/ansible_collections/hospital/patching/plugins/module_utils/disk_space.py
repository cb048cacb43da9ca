# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the host has room for an update, counted once for each file system."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

MIB = 1024 * 1024
#: Kept free beyond what is counted: logs, triggers' caches, the archive of /etc.
MARGIN_BYTES = 128 * MIB
#: The same, counted in files.
MARGIN_INODES = 1024
#: A new kernel's initrd, its temporary copy, and the boot loader's files.
KERNEL_BOOT_BYTES = 160 * MIB


def mount_point(path: str) -> str:
    """Return the mount point of the nearest existing directory above ``path``."""
    path = os.path.realpath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def free_bytes(mount: str) -> int:
    """Return what root may still write there."""
    status = os.statvfs(mount)
    return status.f_bfree * status.f_frsize


def survey(needs: Dict[str, int]) -> List[Dict[str, Any]]:
    """Return ``[{mount, needed_bytes, free_bytes}]`` for needs given by path, margin included."""
    by_mount: Dict[str, int] = {}
    for path, needed in needs.items():
        mount = mount_point(path)
        by_mount[mount] = by_mount.get(mount, 0) + needed
    return [
        {"mount": mount, "needed_bytes": needed + MARGIN_BYTES if needed else 0, "free_bytes": free_bytes(mount)}
        for mount, needed in sorted(by_mount.items())
    ]


def check(space: List[Dict[str, Any]]) -> None:
    """Refuse when a file system has too little room.

    Raises:
        PatchingError: naming the fullest one.
    """
    for item in space:
        if item["free_bytes"] < item["needed_bytes"]:
            raise PatchingError(
                "file system {}".format(item["mount"]),
                "{} MiB free".format(item["free_bytes"] // MIB),
                "at least {} MiB for this update and its way back".format(-(-item["needed_bytes"] // MIB)),
                "make room there (old kernels, logs, caches) before the window, then stage again",
            )


def check_inodes(path: str, needed: int) -> None:
    """Refuse when the file system of ``path`` has no room for ``needed`` more files, whatever their size.

    Raises:
        PatchingError: naming it.
    """
    mount = mount_point(path)
    status = os.statvfs(mount)
    if status.f_files and status.f_ffree < needed + MARGIN_INODES:  # btrfs and others count none
        raise PatchingError(
            "file system {}".format(mount),
            "room for {} more files".format(status.f_ffree),
            "room for {}".format(needed + MARGIN_INODES),
            "remove small files there (sessions, mail queues, caches) before the window, then stage again",
        )


def needs_of(
    state_dir: str, download: int, installed_before: int, installed_after: int, largest: int, kernels: int
) -> Dict[str, int]:
    """Return the bytes an update needs by path.

    dpkg unpacks beside the old files, one package at a time, so the growth of
    all and the size of the largest are needed at once.
    """
    growth = max(0, installed_after - installed_before)
    return {"/": growth + largest, state_dir: download, "/boot": kernels * KERNEL_BOOT_BYTES}
