# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of rpm's database at one moment, and which of them an entry of a transaction is about.

rpm may have one package in several versions: kernels, which come beside each other on purpose, and what an rpm that
was killed left, because it installs a new version before it removes the old one.
"""

import fnmatch
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database, rpm_locks, rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_record import Marks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import WHOLE, State
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage

#: The architecture that fits every host; a package may change between it and the host's without becoming another.
ANY_ARCH = "noarch"
#: Packages of which dnf (installonlypkgs) and zypper (multiversion) keep older versions beside the new one.
BESIDE = ("kernel", "kernel-*", "kmod-*", "*-kmp-*")
TWICE = "installed in two versions"


class RpmInstalled:
    """What ``rpm -qa`` lists, without the imported keys."""

    def __init__(self, packages: Iterable[RpmPackage]) -> None:
        self.by_name: Dict[str, List[RpmPackage]] = {}
        for package in packages:
            if package.name != "gpg-pubkey":
                self.by_name.setdefault(package.name, []).append(package)

    def named(self, name: str, arch: str) -> List[RpmPackage]:
        """Return what is installed of a package, the oldest version first."""
        found = self.by_name.get(name, [])
        here = [package for package in found if package.arch == arch]
        if not here:
            here = [package for package in found if ANY_ARCH in (package.arch, arch)]
        return sorted(here, key=_key)

    def versions(self, name: str, arch: str) -> List[str]:
        """Return the installed versions of a package, the oldest first."""
        return [rpm_database.evr(package) for package in self.named(name, arch)]

    def package(self, name: str, arch: str, version: str) -> Optional[RpmPackage]:
        """Return one installed version, or None."""
        found = [package for package in self.named(name, arch) if rpm_database.evr(package) == version]
        return found[0] if found else None

    def find(self, entry: Dict[str, Any]) -> Optional[State]:
        """Return what is installed of the package that an entry of a transaction is about (``Find``).

        Of a package that is there in both versions of the entry, the work is done if
        it may be, and the new one is the newer; else one of them is still to go.
        """
        versions = self.versions(entry["name"], entry["arch"])
        old, new = entry["from"], entry["to"]
        if old in versions and new in versions:
            if rpm_version.compare(new, old) < 0:
                return State(old, WHOLE, False)
            return State(new, WHOLE, False) if is_beside(entry["name"]) else State(new, TWICE, True)
        for version in (new, old):
            if version in versions:
                return State(version, WHOLE, False)
        return State(versions[-1], WHOLE, False) if versions else None

    def all(self) -> List[RpmPackage]:
        """Return every package."""
        return [package for packages in self.by_name.values() for package in packages]

    def everything(self) -> Set[Tuple[str, str, str]]:
        """Return (name, architecture, version) of every package."""
        return {
            (package.name, package.arch or "", rpm_database.evr(package))
            for packages in self.by_name.values()
            for package in packages
        }


class RpmMarks(Marks):
    """The marks and locks of installed packages, which zypper and dnf's versionlock keep by name."""

    def __init__(self, root: str, installed: RpmInstalled, automatic: Iterable[str]) -> None:
        self.installed = installed
        self.names = set(automatic)
        self.locks, _problems = rpm_locks.read(root)

    def here(self) -> Set[str]:
        return set(self.installed.by_name)

    def automatic(self) -> Set[str]:
        return self.names & self.here()

    def holds(self) -> Set[str]:
        return {
            name
            for name, packages in self.installed.by_name.items()
            if any(rpm_locks.holder(self.locks, package) for package in packages)
        }

    def plain(self, key: str) -> str:
        """Return the name alone: marks and locks are of names, whatever architecture a package has."""
        return key.partition(":")[0]


def read(host: Host) -> RpmInstalled:
    """Return what is installed now.

    Raises:
        PatchingError: rpm cannot read its database.
    """
    return RpmInstalled(rpm_database.query(host.runner, host.root)[0])


def is_beside(name: str) -> bool:
    """Return whether new versions of this package come beside the old ones."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in BESIDE)


def _key(package: RpmPackage) -> Any:
    return rpm_version.key(rpm_database.evr(package))
