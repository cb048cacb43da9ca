# SPDX-License-Identifier: GPL-3.0-or-later
"""Which installed kernels make room when /boot is full, and which must stay."""

import re
from typing import Dict, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import dpkg_version
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import Package

#: Debian's linux-image-6.1.0-18-amd64, Ubuntu's linux-image-unsigned-5.15.0-91-generic; not the metapackages.
_KERNEL = re.compile(r"linux-image-(?:unsigned-)?([0-9].*)\Z")
#: The newest, and one to fall back to.
KEPT = 2


def removable(installed: Dict[Tuple[str, str], Package], running: str) -> List[str]:
    """Return the kernel packages that nothing boots any more, the oldest first.

    Args:
        running: the release that runs now, as ``uname -r`` prints it. While none of the packages is of it (a kernel
            built here, a container), nobody knows what the next boot takes, and nothing is returned.
    """
    found: Dict[str, List[Package]] = {}
    for package in installed.values():
        match = _KERNEL.match(package.name)
        if match:
            found.setdefault(match.group(1), []).append(package)
    if running not in found:
        return []
    releases = sorted(found, key=dpkg_version.key)
    stay = set(releases[-KEPT:]) | {running}
    return [
        package.name
        for release in releases
        if release not in stay
        for package in sorted(found[release])
        if package.want != "hold"
    ]
