# SPDX-License-Identifier: GPL-3.0-or-later
"""Every package that the host's package managers know; both lists where both keep one."""

from typing import Any, Callable, Dict, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software import dpkg_packages, rpm_packages
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import whole

Lister = Callable[[Host], Tuple[List[Dict[str, Any]], List[str]]]


def collect(host: Host) -> List[Dict[str, Any]]:
    """Return the collector's part ``packages``: dpkg's, then rpm's, each sorted by name, architecture and version.

    Raises:
        PatchingError: no package manager's list could be read.
        PartialError: one of two could not, or some of its entries.
    """
    listers: List[Lister] = []
    if rpm_database.present(host.root):
        listers.append(rpm_packages.entries)
    if dpkg_packages.present(host.root) or not listers:
        listers.insert(0, dpkg_packages.entries)
    packages: List[Dict[str, Any]] = []
    problems: List[str] = []
    failures: List[PatchingError] = []
    for lister in listers:
        try:
            found, told = lister(host)
        except PatchingError as error:
            failures.append(error)
            continue
        packages.extend(found)
        problems.extend(told)
    if len(failures) == len(listers):
        raise failures[0]
    return list(whole("packages", packages, [str(error) for error in failures] + problems))
