# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operating system this is, from os-release(5)."""

import os
import re
import shlex
from datetime import date
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.host import Host

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")


def parse_os_release(text: str) -> Dict[str, str]:
    """Return the assignments of an os-release file; unreadable lines are passed over."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        try:
            values[name] = "".join(shlex.split(value))
        except ValueError:
            continue
    return values


def read_os_release(root: str) -> Dict[str, str]:
    """Return id, version_id, codename and pretty_name; empty text for what is not stated."""
    return _identity(_assignments(root))


def _assignments(root: str) -> Dict[str, str]:
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            with open(os.path.join(root, name), "rb") as handle:
                return parse_os_release(handle.read().decode("utf-8", "replace"))
        except OSError:
            continue
    return {}


def _identity(values: Dict[str, str]) -> Dict[str, str]:
    return {
        "id": values.get("ID", ""),
        "version_id": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
        "pretty_name": values.get("PRETTY_NAME", ""),
    }


def support_end(values: Dict[str, str]) -> Optional[str]:
    """Return ``SUPPORT_END`` (an ISO date, os-release(5)), or None where none is stated or it is no date."""
    match = _DATE.match(values.get("SUPPORT_END", ""))
    try:
        return date(*(int(number) for number in match.groups())).isoformat() if match else None
    except ValueError:
        return None


def image(root: str) -> Optional[str]:
    """Return ``ostree``, ``read_only`` or None for a system whose packages can be changed in place.

    ostree marks what it booted by ``/run/ostree-booted`` (ostree(1)). ``read_only``
    is a /usr that is mounted so, of whatever make; an ``IMAGE_ID`` in os-release
    only says who built the system, and such a system may well be writable.
    """
    if os.path.exists(os.path.join(root, "run/ostree-booted")):
        return "ostree"
    try:
        with open(os.path.join(root, "proc/mounts"), "rb") as handle:
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return None
    return "read_only" if usr_read_only(text) else None


def usr_read_only(mounts: str) -> bool:
    """Return whether a table of mounts (fstab(5)) has /usr read-only; of two mounts on one point the last is seen."""
    options: Dict[str, List[str]] = {}
    for line in mounts.split("\n"):
        fields = line.split(" ")
        if len(fields) >= 4 and fields[1] in ("/", "/usr"):
            options[fields[1]] = fields[3].split(",")
    return "ro" in options.get("/usr", options.get("/", []))


def collect(host: Host) -> Dict[str, Any]:
    """Return the collector's part ``os`` of ``software_facts``; rpm names architectures as the kernel does."""
    values = _assignments(host.root)
    identity: Dict[str, Any] = dict(_identity(values))
    identity["architecture"] = DpkgDatabase(host.root).native() or os.uname().machine
    identity["support_end"] = support_end(values)
    identity["image"] = image(host.root)
    return identity
