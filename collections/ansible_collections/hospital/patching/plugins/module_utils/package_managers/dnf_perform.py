# SPDX-License-Identifier: GPL-3.0-or-later
"""What dnf is asked to perform from a folder of rpm files, and its rehearsal."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_installed
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_hook import ask
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import PREFIX, Tool
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import PackageFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    room,
    seed,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled


def question(entries: List[Dict[str, Any]], folder: PackageFolder, installed: RpmInstalled) -> Dict[str, Any]:
    """Return ``install`` and ``remove`` of the hook's work ``perform`` that bring entries to their targets."""
    install, remove = [], []
    for entry in entries:
        name, arch, old, new = entry["name"], entry["arch"], entry["from"], entry["to"]
        beside = rpm_installed.is_beside(name) and new is not None and new in installed.versions(name, arch)
        if new is None or beside:  # a kernel's way back: the older one is still there
            package = installed.package(name, arch, old) if old else None
            if package is not None:
                remove.append([name, package.arch, old])
            continue
        automatic = entry["automatic"] if old is None else None
        install.append([name, arch, new, folder.path(name, new, arch), entry["origin"], automatic])
    return {"work": "perform", "install": install, "remove": remove}


def rehearse(
    host: Host, tool: Tool, entries: List[Dict[str, Any]], folder: PackageFolder, installed: RpmInstalled
) -> List[str]:
    """Let dnf resolve and rpm test a transaction from these files alone; return what is against it.

    The host keeps nothing of it.

    Raises:
        PatchingError: it cannot be resolved.
    """
    with room(host.root), PrivateDirectory(host.root, PREFIX) as private:
        cache, persist = private.folder("cache"), private.folder("persist")
        for source, patterns, target in tool.seeds:
            if target == "persist":
                seed(os.path.join(host.root, source), patterns, persist)
        asked = dict(question(entries, folder, installed), cachedir=cache, persistdir=persist, test=True)
        answer = ask(host, private.path, asked, tool.script)
    return [" ".join(seen.split())[:600] for seen in answer["differences"] + answer["errors"]]
