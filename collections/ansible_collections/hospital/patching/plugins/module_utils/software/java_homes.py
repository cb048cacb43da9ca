# SPDX-License-Identifier: GPL-3.0-or-later
"""Java installations, found by their ``release`` file (JEP 223, ``JAVA_VERSION``); Java is not started."""

import os
from typing import Any, Dict, List, Sequence

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import parse_os_release
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import whole
from ansible_collections.hospital.patching.plugins.module_utils.software.tree_walk import Limits, TreeWalk

#: Applications that bring their own Java keep it a few directories down, often as ``jre``.
ROOTS = ("/usr/lib/jvm", "/usr/java", "/opt", "/usr/local", "/srv", "/root", "/home/*")
LIMITS = Limits(5, 20000, 5.0, 100)


def collect(host: Host, roots: Sequence[str] = ROOTS, limits: Limits = LIMITS) -> List[Dict[str, Any]]:
    """Return ``[{path, version, vendor, runtime}]`` sorted by path; vendor and runtime are None where not stated.

    Raises:
        PartialError: a limit was reached or a directory is not readable.
    """
    found = []
    walk = TreeWalk(host, limits)
    for directory in walk.walk(roots, lambda name: name == "release"):
        if not directory.files or not walk.disks.is_file(os.path.join(directory.path, "bin/java")):
            continue
        # The syntax is that of os-release.
        stated = parse_os_release(walk.disks.head(os.path.join(directory.path, "release")) or "")
        if stated.get("JAVA_VERSION"):
            found.append(
                {
                    "path": directory.path,
                    "version": stated["JAVA_VERSION"],
                    "vendor": stated.get("IMPLEMENTOR") or None,
                    "runtime": stated.get("JAVA_RUNTIME_VERSION") or stated.get("FULL_VERSION") or None,
                }
            )
            directory.directories.clear()
    return list(whole("Java homes", sorted(found, key=lambda home: str(home["path"])), walk.problems))
