# SPDX-License-Identifier: GPL-3.0-or-later
"""Which installed kernels make room when /boot is full, and which must stay, on hosts of the rpm family."""

import re
from typing import Dict, Iterable, List

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage, evr

#: EL's kernel-core, whose removal takes its modules with it, and kernel-uek-core, kernel-rt-core, kernel-64k-core;
#: SUSE's kernel-default, kernel-azure, kernel-rt, kernel-preempt.
_KERNEL = re.compile(r"kernel-(?:(?:uek-|rt-|64k-|debug-)*core|default|azure|rt|preempt)\Z")
#: The newest, and one to fall back to.
KEPT = 2


def removable(installed: Iterable[RpmPackage], running: str) -> List[RpmPackage]:
    """Return the kernel packages that nothing boots any more, the oldest first.

    Args:
        running: the release that runs now, as ``uname -r`` prints it. While none of the packages is of it (a kernel
            built here, a container), nobody knows what the next boot takes, and nothing is returned.
    """
    found: Dict[str, List[RpmPackage]] = {}
    for package in installed:
        if _KERNEL.match(package.name):
            found.setdefault(package.name, []).append(package)
    if not any(_runs(package, running) for packages in found.values() for package in packages):
        return []
    old = []
    for packages in found.values():
        packages.sort(key=lambda package: rpm_version.key(evr(package)))
        old += [package for package in packages[:-KEPT] if not _runs(package, running)]
    return sorted(old, key=lambda package: rpm_version.key(evr(package)))


def _runs(package: RpmPackage, running: str) -> bool:
    """Return whether a kernel package may be that of ``running``.

    EL prints VERSION-RELEASE.ARCH, of some flavours with an ending as in +rt; SUSE
    prints VERSION-RELEASE-FLAVOUR, where the release may lack the number of its rebuild.
    """
    known = "{}-{}".format(package.version, package.release)
    if running.partition("+")[0] in (known, "{}.{}".format(known, package.arch)):
        return True
    base, dash, flavour = running.rpartition("-")
    return bool(dash) and package.name == "kernel-" + flavour and (known == base or known.startswith(base + "."))
