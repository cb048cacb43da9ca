# SPDX-License-Identifier: GPL-3.0-or-later
"""Which provider can put a host back that the site says nothing of: by what its root is on."""

from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import Mount, parse_mountinfo
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import SnapshotProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import mounted_at, read_text
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import create_provider

#: ``why`` is for people.
FoundOut = NamedTuple("FoundOut", [("provider", str), ("why", str)])

#: The way back that needs nothing of a host.
ELSE = "preserved"
MOUNTS = "/proc/self/mountinfo"


def find_out(
    host: str,
    runner: Runner,
    clock: Clock,
    mounts: Optional[str] = None,
    create: Callable[[str, Dict[str, Any], Runner, Clock], SnapshotProvider] = create_provider,
) -> FoundOut:
    """Return the first provider that can make a restore point of the host's root now, with its default options.

    Those that work on the host itself alone: what reaches it from outside needs an address and a login that only its
    site knows. Where none can, packages that stage preserves are the way back.
    """
    mounts = mounts or MOUNTS
    root = mounted_at("/", parse_mountinfo(read_text(mounts)))
    if root is None:
        return FoundOut(ELSE, "{} does not tell what / is on".format(mounts))
    place = "/ is {} on {}".format(root.kind, root.source)
    names = _candidates(root)
    if not names:
        return FoundOut(ELSE, "{}, of which the host itself makes no restore points".format(place))
    reasons = []
    for name in names:
        try:
            reason = create(name, {}, runner, clock).available(host)
        except (PatchingError, OSError) as error:
            reason = str(error)
        if reason is None:
            return FoundOut(name, place)
        reasons.append(reason)
    return FoundOut(ELSE, "{}, but {}".format(place, "; ".join(reasons)))


def _candidates(root: Mount) -> Tuple[str, ...]:
    if root.kind == "btrfs":
        return ("snapper", "btrfs")  # where snapper keeps the root's snapshots, people look for them there
    return ("lvm",) if root.source.startswith(("/dev/mapper/", "/dev/dm-")) else ()
