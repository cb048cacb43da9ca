# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``mounts``: the file systems that hold data, and whether they can be written."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.mount_table import parse_mounts
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Inconclusive, Probe, Reading

#: The kernel's own and volatile file systems: their coming and going says nothing about health.
VOLATILE_TYPES = frozenset(
    ("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs")
    + ("fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs")
    + ("squashfs", "sysfs", "tmpfs", "tracefs")
)
#: Places where others mount as they please: sessions, containers, kernel interfaces.
VOLATILE_PLACES = ("/proc", "/sys", "/dev", "/run", "/snap") + (
    "/var/lib/docker",
    "/var/lib/containers",
    "/var/lib/kubelet",
)


class MountsProbe(Probe):
    """Reads the mounts; ``mounted`` and ``writable`` name paths that must be so."""

    NAME = "mounts"
    OPTIONS = {
        "mounted": {"type": "list", "elements": "str", "default": []},
        "writable": {"type": "list", "elements": "str", "default": []},
    }

    def target(self) -> str:
        return ", ".join(self.options["mounted"] + self.options["writable"]) or "mounts"

    def look(self) -> Reading:
        path = os.path.join(self.context.proc, "self", "mounts")
        try:
            with open(path, errors="surrogateescape") as handle:
                everything = parse_mounts(handle.read())
        except OSError as error:
            raise Inconclusive("{} cannot be read: {}".format(path, error))
        value = {"mounts": lasting(everything), "named": self.options["mounted"] + self.options["writable"]}
        mounted = {mount["path"]: mount for mount in everything if mount["type"] != "autofs"}
        broken = ["{} is not mounted".format(name) for name in self.options["mounted"] if name not in mounted]
        for name in self.options["writable"]:
            if name not in mounted:
                broken.append("{} is not mounted".format(name))
            elif mounted[name]["read_only"]:
                broken.append("{} is read-only".format(name))
        if broken:
            raise Failed("; ".join(broken), value)
        return Reading("{} mounts".format(len(value["mounts"])), value)


def lasting(mounts: List[Dict[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """Return the mounts by path that should still be there after an update.

    What autofs mounts on demand is left out: it comes and goes by itself.
    The last mount on a path hides those before it.
    """
    on_demand = [mount["path"] for mount in mounts if mount["type"] == "autofs"]
    kept = {}
    for mount in mounts:
        if mount["type"] in VOLATILE_TYPES or any(_within(mount["path"], place) for place in VOLATILE_PLACES):
            continue
        if any(_within(mount["path"], place) for place in on_demand):
            continue
        kept[mount["path"]] = {key: mount[key] for key in ("source", "type", "read_only")}
    return kept


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
