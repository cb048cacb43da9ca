# SPDX-License-Identifier: GPL-3.0-or-later
"""Which provider can put a host back that the site says nothing of: by what its root is on.

Only where a restore point of the root is all that a way back needs: the package database, the programs and this
collection's own journal go back together, and so does what starts them.
"""

import glob
import os
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import STATE_DIR
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import Mount, parse_mountinfo
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import SnapshotProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs import BtrfsProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm import LvmProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import mounted_at, read_text
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.snapper import SnapperProvider

#: ``why`` is for people.
FoundOut = NamedTuple("FoundOut", [("provider", str), ("why", str)])
#: Makes a provider with its default options.
Make = Callable[[Runner, Clock], SnapshotProvider]

#: The way back that needs nothing of a host.
ELSE = "preserved"
#: Where the kernel tells what is mounted and what a block device is, and where initramfs-tools puts its images.
Places = NamedTuple("Places", [("mounts", str), ("devices", str), ("images", str)])
PLACES = Places("/proc/self/mountinfo", "/sys/dev/block", "/boot/initrd.img-*")

#: What has to be on the root itself.
WITH_ROOT = ("/usr", "/etc", "/opt", "/var", "/var/lib", "/var/lib/dpkg", "/var/lib/rpm", STATE_DIR)


def _makers() -> Dict[str, Make]:
    return {
        "snapper": lambda runner, clock: SnapperProvider({}, runner, clock),
        "btrfs": lambda runner, clock: BtrfsProvider({}, runner, clock),
        "lvm": lambda runner, clock: LvmProvider({}, runner, clock),
    }


def find_out(
    host: str, runner: Runner, clock: Clock, places: Places = PLACES, makers: Optional[Dict[str, Make]] = None
) -> FoundOut:
    """Return the first provider that can make a restore point of the host's root now, with its default options.

    Those that work on the host itself alone: what reaches it from outside needs an address and a login that only its
    site knows. Where none can, packages that stage preserves are the way back.
    """
    mounts = parse_mountinfo(read_text(places.mounts))
    root = mounted_at("/", mounts)
    if root is None:
        return FoundOut(ELSE, "{} does not tell what / is on".format(places.mounts))
    place = "/ is {} on {}".format(root.kind, root.source)
    names, reasons = _candidates(root, mounts, places)
    for name in names:
        try:
            reason = (makers or _makers())[name](runner, clock).available(host)
        except Exception as error:  # noqa: BLE001  a question that fails is no reason to lose the host's assessment
            reason = "{}: {}: {}".format(name, type(error).__name__, error)
        if reason is None:
            return FoundOut(name, place)
        reasons.append(reason)
    return FoundOut(ELSE, "{}, {}".format(place, "; ".join(reasons)))


def _candidates(root: Mount, mounts: List[Mount], places: Places) -> Tuple[Tuple[str, ...], List[str]]:
    """Return the providers to ask, else why there are none."""
    if root.kind == "btrfs":
        names: Tuple[str, ...] = ("snapper", "btrfs")  # where snapper keeps the root's, people look for them there
    elif read_text(os.path.join(places.devices, root.device, "dm", "uuid")).startswith("LVM-"):
        names = ("lvm",)
    else:
        return (), ["of which the host itself makes no restore points"]
    # LVM's provider keeps a /boot of its own, btrfs' does not.
    together = WITH_ROOT if names == ("lvm",) else (*WITH_ROOT, "/boot")
    apart = [path for path in together if mounted_at(path, mounts)]
    if apart:
        return (), ["and {} would not go back with it".format(", ".join(apart))]
    if names == ("lvm",) and not glob.glob(places.images):
        return (), ["and of no other initramfs than initramfs-tools' it is known that it brings such a root back"]
    return names, []
