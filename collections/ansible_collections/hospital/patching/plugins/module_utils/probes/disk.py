# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``disk``: free bytes and free inodes of mounted file systems."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.mount_table import parse_mounts
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)
from ansible_collections.hospital.patching.plugins.module_utils.probes.mounts import lasting

#: A share whose server is away holds up whoever asks for its size: only those that are named are asked.
NETWORK_TYPES = ("nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "lustre", "gpfs", "9p", "afs")
#: A new kernel fills them, however healthy the host is; whether it fits is seen when it is staged.
BOOT = ("/boot", "/boot/efi", "/efi")


class DiskProbe(Probe):
    """Reads ``paths``, or every lasting file system of this host that can be written, without those it boots from."""

    NAME = "disk"
    OPTIONS = {
        "paths": {"type": "list", "elements": "str", "default": []},
        "free_percent": {"type": "int"},
        "free_bytes": {"type": "int"},
        "inodes_free_percent": {"type": "int"},
    }

    def validate(self) -> None:
        for path in self.options["paths"]:
            if not path.startswith("/"):
                raise self.bad_option("path {!r}".format(path), "an absolute path")
        self.numbered("free_percent", 0, 100)
        self.numbered("inodes_free_percent", 0, 100)
        self.numbered("free_bytes", 0, 1 << 60)

    def target(self) -> str:
        return ", ".join(self.options["paths"]) or "disks"

    def look(self) -> Reading:
        disks: Dict[str, Dict[str, Any]] = {}
        for path in self.options["paths"] or self._mounted():
            try:
                # f_bavail and f_favail: what is kept back for root is not free to the application.
                disks[path] = free_of(os.statvfs(path))
            except OSError as error:
                # Gone since the mounts were read, as a container's are, or hidden below another mount.
                if isinstance(error, FileNotFoundError) and not self.options["paths"]:
                    continue
                raise Inconclusive("{} cannot be asked: {}".format(path, error.strerror), {"disks": disks})
        if not disks:
            raise Inconclusive("no file system that can be written is mounted")
        wrong = [text for path in sorted(disks) for text in self._wrong(path, disks[path])]
        if wrong:
            raise Failed("; ".join(wrong), {"disks": disks})
        least = min(disks, key=lambda path: disks[path]["free_percent"])
        return Reading("{} % free on {}".format(disks[least]["free_percent"], least), {"disks": disks})

    def _mounted(self) -> List[str]:
        path = os.path.join(self.context.proc, "self", "mounts")
        try:
            with open(path, errors="surrogateescape") as handle:
                mounts = lasting(parse_mounts(handle.read()))
        except OSError as error:
            raise Inconclusive("{} cannot be read: {}".format(path, error.strerror))
        local = [name for name, mount in mounts.items() if not mount["read_only"] and not _remote(mount["type"])]
        return sorted(name for name in local if name not in BOOT)

    def _wrong(self, path: str, disk: Dict[str, Any]) -> List[str]:
        wrong = []
        for key, unit in (
            ("free_percent", "% free"),
            ("free_bytes", "bytes free"),
            ("inodes_free_percent", "% of inodes free"),
        ):
            least = self.options[key]
            if least is not None and disk[key] is not None and disk[key] < least:
                wrong.append("{} has {} {}, expected {}".format(path, disk[key], unit, least))
        return wrong


def _remote(kind: str) -> bool:
    return kind in NETWORK_TYPES or kind.startswith("fuse")


def free_of(stat: Any) -> Dict[str, Any]:
    """Return what statvfs(3) tells of a file system; ``inodes_*`` are None where it has no fixed number (btrfs)."""
    # As df does: of what the application could use, and not of the whole.
    usable = stat.f_blocks - stat.f_bfree + stat.f_bavail
    return {
        "free_bytes": stat.f_bavail * stat.f_frsize,
        "free_percent": stat.f_bavail * 100 // usable if usable else 0,
        "inodes_free": stat.f_favail if stat.f_files else None,
        "inodes_free_percent": stat.f_favail * 100 // stat.f_files if stat.f_files else None,
    }
