# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose system is an image: assessed, but refused for patching package by package."""

from typing import List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.mount_table import parse_mounts
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    REFUSES,
    Entry,
    Look,
    entry,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

#: Files that say how the host is updated instead: file, name, detail.
MARKERS: Tuple[Tuple[str, str, str], ...] = (
    ("run/ostree-booted", "ostree", "booted from an ostree image: update it by rpm-ostree, bootc or its owner's tool"),
    ("usr/sbin/transactional-update", "transactional-update", "updates go into a new snapshot by transactional-update"),
    ("etc/NIXOS", "NixOS", "the system is built from its configuration"),
)
#: Systems by their ID in os-release(5).
SYSTEMS = {"ubuntu-core": "made of snaps only", "flatcar": "updated as a whole by update_engine"}


def collect(look: Look) -> List[Entry]:
    """Return every reason for which packages of this host are not to be patched one by one."""
    found = [entry("image", name, detail, REFUSES) for path, name, detail in MARKERS if look.exists(path)]
    system = read_os_release(look.host.root)["id"]
    if system in SYSTEMS:
        found.append(entry("image", system, SYSTEMS[system], REFUSES))
    mounts = {mount["path"]: mount for mount in parse_mounts(look.text("proc/self/mounts") or "")}
    place = "/usr" if "/usr" in mounts else "/"
    if mounts.get(place, {}).get("read_only"):
        found.append(entry("image", place, "mounted read-only: packages cannot be installed", REFUSES))
    return found
