# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a reboot is needed: kernel, libc or init changed, or the vendor's own flag says so."""

import fnmatch
import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import dpkg_version

#: The vendor's flag of Debian and Ubuntu, and the packages that set it (update-notifier-common(7)).
FLAG = "run/reboot-required"
#: That of SUSE, which zypper leaves behind updates that say so.
SUSE_FLAG = "run/reboot-needed"
FLAG_PACKAGES = "run/reboot-required.pkgs"

LIBC = ("libc6", "libc6:*", "glibc", "musl")
INIT = ("systemd", "systemd-sysv", "sysvinit-core", "runit-init")
KERNEL = ("linux-image-*", "kernel", "kernel-core", "kernel-*-core", "kernel-rt", "kernel-uek*", "kernel-default*")
#: What the vendor of the rpm family reboots for as well: dnf-plugins-core's list in needs_restarting.py.
RPM_VENDOR = ("dbus", "dbus-broker", "dbus-daemon", "linux-firmware")
#: Marks a reason that was there before the installation: a reboot is not this run's doing alone.
OWED_BEFORE = " (owed before this run)"


def in_container(root: str = "/") -> bool:
    """Return whether this host shares its kernel with others (systemd's container interface, podman, docker)."""
    if any(
        os.path.exists(os.path.join(root, name))
        for name in ("run/.containerenv", ".dockerenv", "run/systemd/container")
    ):
        return True
    try:
        with open(os.path.join(root, "proc/1/environ"), "rb") as handle:
            return any(item.startswith(b"container=") for item in handle.read().split(b"\0"))
    except OSError:
        return False


def flag_reasons(root: str = "/") -> List[str]:
    """Return the vendor's flag as a reason, with the packages that set it."""
    suse = ["/{} is set".format(SUSE_FLAG)] if os.path.exists(os.path.join(root, SUSE_FLAG)) else []
    if not os.path.exists(os.path.join(root, FLAG)):
        return suse
    try:
        with open(os.path.join(root, FLAG_PACKAGES), "rb") as handle:
            names = sorted(set(handle.read().decode("utf-8", "replace").split()))
    except OSError:
        names = []
    return suse + ["/{} is set{}".format(FLAG, " by " + ", ".join(names) if names else "")]


def running_kernel(root: str = "/") -> str:
    """Return the release of the running kernel, or empty text."""
    try:
        with open(os.path.join(root, "proc/sys/kernel/osrelease"), encoding="utf-8") as handle:
            return handle.read().strip()
    except OSError:
        return ""


def installed_kernels(root: str = "/") -> List[str]:
    """Return the releases whose kernel image lies in /boot, oldest first."""
    try:
        names = os.listdir(os.path.join(root, "boot"))
    except OSError:
        return []
    releases = [name.split("-", 1)[1] for name in names if name.startswith("vmlinuz-")]
    return sorted(releases, key=dpkg_version.key)


def kernel_reasons(root: str = "/") -> List[str]:
    """Return a reason when a newer kernel is installed than the one that runs; a container has none of its own."""
    kernels = installed_kernels(root)
    running = running_kernel(root)
    if in_container(root) or not kernels or not running or kernels[-1] == running:
        return []
    if dpkg_version.compare(kernels[-1], running) <= 0:
        return []
    return ["kernel {} is installed, {} runs".format(kernels[-1], running)]


def _matches(name: str, patterns: Any) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def of_transaction(entries: List[Dict[str, Any]], root: str = "/", manager: str = "apt") -> List[str]:
    """Return the reasons that the transaction itself gives."""
    reasons = []
    for entry in entries:
        if entry["to"] is None:
            continue
        if _matches(entry["name"], LIBC):
            reasons.append("libc changed ({name} {to})".format(**entry))
        elif _matches(entry["name"], INIT):
            reasons.append("init changed ({name} {to})".format(**entry))
        elif _matches(entry["name"], KERNEL) and not in_container(root):
            reasons.append("kernel changed ({name} {to})".format(**entry))
        elif manager in ("dnf", "dnf5") and _matches(entry["name"], RPM_VENDOR):
            reasons.append("its vendor reboots for it ({name} {to})".format(**entry))
    return reasons
