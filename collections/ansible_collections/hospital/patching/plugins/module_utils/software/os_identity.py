# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operating system this is, from os-release(5)."""

import os
import shlex
from typing import Any, Dict

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase, native_architecture
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import Host


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
    values: Dict[str, str] = {}
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            with open(os.path.join(root, name), "rb") as handle:
                values = parse_os_release(handle.read().decode("utf-8", "replace"))
            break
        except OSError:
            continue
    return {
        "id": values.get("ID", ""),
        "version_id": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
        "pretty_name": values.get("PRETTY_NAME", ""),
    }


def collect(host: Host) -> Dict[str, Any]:
    """Return the collector's part ``os`` of ``software_facts``."""
    identity: Dict[str, Any] = dict(read_os_release(host.root))
    packages, _problems = DpkgDatabase(host.root).read()
    native = native_architecture({(package.name, package.arch): package for package in packages})
    identity["architecture"] = native or os.uname().machine
    return identity
