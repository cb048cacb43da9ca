# SPDX-License-Identifier: GPL-3.0-or-later
"""Installed snaps, from snapd's REST API (snapcraft.io/docs/snapd-api, ``GET /v2/snaps``)."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.daemons import runs
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below
from ansible_collections.hospital.patching.plugins.module_utils.software.unix_http import get_json, is_socket

SOCKET = "run/snapd.socket"
#: A directory for each installed snap; without one there is nothing to ask snapd for.
MOUNTS = ("snap", "var/lib/snapd/snap")


def collect(host: Host) -> List[Dict[str, Any]]:
    """Return ``[{name, version, revision, channel, publisher}]`` sorted by name; ``[]`` without snaps.

    Raises:
        PatchingError: there are snaps, but snapd does not run or does not answer. It is not started.
    """
    if not _directories(host.root):
        return []
    path = below(host.root, SOCKET)
    missing = "no socket {}".format(path) if not is_socket(path) else ""
    if not missing and not runs(host.root, "snapd"):
        missing = "no process snapd"
    if missing:
        raise PatchingError(
            "snaps",
            "snap directories, but {}".format(missing),
            "snapd running",
            "start it (systemctl start snapd.service), then run again",
        )
    return parse_snaps(get_json(path, "/v2/snaps"))


def _directories(root: str) -> List[str]:
    found: List[str] = []
    for mount in MOUNTS:
        try:
            found += [name for name in os.listdir(below(root, mount)) if name not in ("bin", "README")]
        except OSError:
            continue
    return found


def parse_snaps(answer: Any) -> List[Dict[str, Any]]:
    """Return the active snaps of snapd's answer; values that it does not state are None.

    Raises:
        ValueError: the answer has not snapd's shape.
    """
    result = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(result, list) or not all(isinstance(snap, dict) for snap in result):
        raise ValueError("snapd's answer has no list of snaps")
    found = []
    for snap in result:
        publisher = snap.get("publisher")
        found.append(
            {
                "name": str(snap.get("name", "")),
                "version": snap.get("version"),
                # A number for snaps of the store, x1 and so on for those installed from a file.
                "revision": str(snap.get("revision", "")) or None,
                "channel": snap.get("tracking-channel") or snap.get("channel") or None,
                "publisher": (publisher.get("username") if isinstance(publisher, dict) else snap.get("developer"))
                or None,
            }
        )
    return sorted(found, key=lambda snap: str(snap["name"]))
