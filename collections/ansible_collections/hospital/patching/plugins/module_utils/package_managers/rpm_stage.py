# SPDX-License-Identifier: GPL-3.0-or-later
"""What staging a transaction is on every rpm host, whichever package manager resolves it."""

import fnmatch
import glob
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import disk_space, rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_installed, rpm_rehearsal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import RpmFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_repack import Repacker
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_stage import (
    Entry,
    TransactionStage,
)
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage, evr

#: Packages named after the kernel that put nothing into ``/boot``; firmware alone is some forty of them on SUSE.
NOT_BOOTED = (
    "kernel-firmware*",
    "kernel-devel*",
    "kernel-*-devel",
    "kernel-docs*",
    "kernel-headers",
    "kernel-macros",
    "kernel-source*",
    "kernel-syms*",
    "kernel-tools*",
)


class RpmStage(TransactionStage):
    """One call of ``update_stage`` on an rpm host."""

    #: The folders of the package manager's own cache, below the root.
    CACHE: Sequence[str] = ()
    #: How rpm is asked whether a cached file is whole.
    CHECK_FILE: Sequence[str] = ()
    stage: RpmFolder
    preserved: RpmFolder

    def __init__(self, host: Host, request: StageRequest) -> None:
        super().__init__(host, request)
        self.repacker = Repacker(host.runner, host.root)
        self.installed = RpmInstalled([])
        #: What the package manager says of each package that changes, by name and architecture.
        self.described: Dict[Tuple[str, str], Dict[str, Any]] = {}

    def look(self) -> None:
        self.installed = rpm_installed.read(self.host)

    def installed_version(self, update: Entry) -> Optional[str]:
        versions = self.installed.versions(update["name"], update["arch"])
        return versions[-1] if versions else None

    def compare(self, one: str, other: str) -> int:
        return rpm_version.compare(one, other)

    def entry(self, change: Dict[str, Any], origin: Optional[str], automatic: bool) -> Entry:
        """Remember what is said of a change, and return the transaction's entry of it."""
        self.described[(change["name"], change["arch"])] = change
        return {
            "name": change["name"],
            "arch": change["arch"],
            "from": change["from"],
            "to": change["to"],
            "sha256": change["sha256"],
            "size_bytes": change["download_bytes"],
            "origin": origin,
            "automatic": automatic,
        }

    def about(self, entry: Entry) -> Dict[str, Any]:
        """Return what the package manager says of an entry's package."""
        return self.described[(entry["name"], entry["arch"])]

    def plan(self, todo: Dict[str, Any]) -> Dict[str, Any]:
        """Return what can be kept, what is to be fetched, and the room for it."""
        new = [entry for entry in todo["entries"] if entry["to"]]
        new_bytes, replaced = self.new_bytes(todo), self.replaced(todo)
        old_bytes, packed_bytes = self.keeping_bytes(replaced)
        after = [self.about(entry)["installed_bytes"] or 0 for entry in new]
        needs = disk_space.needs_of(
            self.host.state_dir,
            new_bytes + old_bytes + packed_bytes,
            # What comes beside an older version grows by all of itself.
            sum(package.installed_bytes for package in replaced if not rpm_installed.is_beside(package.name)),
            sum(after),
            max(after, default=0),
            sum(1 for entry in new if self.boots(entry["name"])),
        )
        return self.planned(todo, [self.item(package) for package in replaced], needs, new_bytes + old_bytes)

    def boots(self, name: str) -> bool:
        """Return whether a package brings a kernel, or has its initrd made anew, in ``/boot``."""
        return rpm_installed.is_beside(name) and not any(fnmatch.fnmatchcase(name, each) for each in NOT_BOOTED)

    def current(self, entry: Entry) -> Optional[RpmPackage]:
        return self.installed.package(entry["name"], entry["arch"], entry["from"])

    def item(self, package: RpmPackage) -> Dict[str, str]:
        return {"name": package.name, "arch": package.arch or "", "version": evr(package)}

    def cached(self, package: RpmPackage) -> List[str]:
        name = "{}-{}-{}.{}.rpm".format(package.name, package.version, package.release, package.arch)
        found: List[str] = []
        for folder in self.CACHE:
            found += glob.glob(os.path.join(self.host.root, folder, glob.escape(name)))
        return sorted(found)

    def is_whole(self, path: str, package: RpmPackage) -> bool:
        checked = self.host.runner.run(list(self.CHECK_FILE) + [path], timeout_s=300, check=False)
        return checked.rc == 0 and self._epoch(path) == package.epoch

    def _epoch(self, path: str) -> int:
        """Return a file's epoch, which its name does not tell."""
        query = ["rpm", "--query", "--package", "--queryformat", "%{EPOCHNUM}", path]
        answer = self.host.runner.run(query, timeout_s=60, check=False).stdout.strip()
        return int(answer) if answer.isdigit() else -1

    def repack(self, package: RpmPackage, path: str) -> None:
        self.repacker.repack(package.name, package.arch or "", evr(package), path)

    def try_way_back(self, todo: Dict[str, Any]) -> Optional[bool]:
        return rpm_rehearsal.way_back(self.host, todo["entries"], self.stage, self.preserved)
