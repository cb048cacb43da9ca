# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems and disks that this host shares with others or reaches over the network."""

from typing import List

from ansible_collections.hospital.patching.plugins.module_utils.mount_table import parse_mounts
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    INFORMS,
    Entry,
    Look,
    entry,
)

#: Types as /proc/self/mounts names them, and what they mean for a restart.
SHARED_TYPES = {
    "gfs2": "shared by a cluster: unmount before the cluster stops, or the host is fenced",
    "ocfs2": "shared by a cluster: unmount before the cluster stops, or the host is fenced",
    "gpfs": "shared by a cluster",
    "lustre": "shared by a cluster",
    "beegfs": "shared by a cluster",
    "ceph": "shared by a cluster",
    "fuse.glusterfs": "shared by a cluster",
    "nfs": "on another host",
    "nfs4": "on another host",
    "cifs": "on another host",
    "smb3": "on another host",
}


def collect(look: Look) -> List[Entry]:
    """Return the mounts of shared file systems, iSCSI sessions and multipath disks."""
    found = []
    for mount in parse_mounts(look.text("proc/self/mounts") or ""):
        if mount["type"] in SHARED_TYPES:
            detail = "{} {}: {}".format(mount["type"], _shown(mount["source"]), SHARED_TYPES[mount["type"]])
            found.append(entry("shared_volume", mount["path"], detail, INFORMS))
    sessions = look.listing("sys/class/iscsi_session")
    if sessions:
        detail = "{} sessions: disks are lost while its service restarts".format(len(sessions))
        found.append(entry("shared_volume", "iscsi", detail, INFORMS))
    paths = [
        name
        for name in look.listing("sys/block")
        if name.startswith("dm-") and (look.text("sys/block/{}/dm/uuid".format(name)) or "").startswith("mpath-")
    ]
    if paths:
        detail = "{} disks of several paths: {}".format(len(paths), ", ".join(paths[:10]))
        found.append(entry("shared_volume", "multipath", detail, INFORMS))
    return found


def _shown(source: str) -> str:
    """A share's address may carry a login before ``@``."""
    return source.rpartition("@")[2]
