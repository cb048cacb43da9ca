# SPDX-License-Identifier: GPL-3.0-or-later
"""What a zypper host would update: the transaction from zypper's XML, its packages from the repositories' files.

With a filter the transaction is that of ``zypper update NAMES`` for the names of the upgrades within it. So is
``security_only``: an update counts as one that fixes a security flaw if updateinfo says so of a version after the
installed and up to the target. It is not ``zypper patch --category security``, which refuses everything as soon
as one patch wants a locked package.
"""

import os
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import (
    pending_filters,
    rpm_database,
    rpm_version,
)
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_pending,
    zypper_marks,
    zypper_xml,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PendingRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    room,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_metadata import (
    Advised,
    Offered,
    Repodata,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_command import Zypper
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_xml import Change, Repository
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

PREFIX = "hospital-patching-zypper-"
#: Of a package that obsoletes an installed one: ``zypper update NAMES`` takes names of installed packages only.
WHOLE_ONLY = pending_filters.Reason("needs_held", "replaces another package, which zypper does in a whole update only")


def pending(host: Host, wanted: PendingRequest) -> Dict[str, Any]:
    """Return the shape of ``pending_updates_info``; the host keeps nothing of it."""
    now = host.clock.now()
    # rpm is asked first, because zypper blames a repository for a database that it cannot read.
    installed, problems = rpm_database.query(host.runner, host.root)
    vendor, automatic = _os_vendor(host), zypper_marks.automatic_names(host.root)
    with room(host.root), PrivateDirectory(host.root, PREFIX) as private:
        zypper = Zypper(host, private)
        repositories = zypper.repositories()
        zypper.refresh(repositories)
        known = Known(zypper, repositories, installed)

        def described(changes: List[Change]) -> List[Dict[str, Any]]:
            updates = [rpm_pending.update(change, vendor) for change in known.describe(changes, automatic)]
            return [pending_filters.dated(update, wanted.first_seen, now) for update in updates]

        def resolve(updates: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
            # What replaces another package has no name that could be asked for; it is listed as held below.
            return described(_update_of(zypper, [update for update in updates if update["from"] is not None]))

        def without(updates: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
            return described(zypper.update(locked=[update["name"] for update in updates]))

        changes = zypper.update()
        everything = described(changes)
        updates, filtered = pending_filters.choose(everything, wanted, now, resolve, without)
        for update in rpm_pending.left_out(everything, updates + filtered):
            reason = pending_filters.unwanted(update, wanted) or WHOLE_ONLY
            filtered.append(pending_filters.held_item(update, reason))
        held = zypper_xml.held(zypper.ask(["locks", "--solvables"]))
        locked = {(item["name"], item["arch"]) for item in held}
        behind = zypper_xml.left_behind(zypper.ask(["list-updates", "--all"]), changes)
        held += [item for item in behind if (item["name"], item["arch"]) not in locked]
    release = read_os_release(host.root)
    return {
        "manager": "zypper",
        "updates": [rpm_pending.finished(update) for update in updates],
        "held": [rpm_pending.held(item) for item in held] + filtered,
        "problems": problems
        + known.problems
        + pending_filters.unmatched(wanted, (package.name for package in installed), everything),
        "refreshed": host.clock.stamp(),
        "repositories": [rpm_pending.repository(repo.alias, repo.name, repo.uri, repo.signed) for repo in repositories],
        "listed": sum(1 for change in changes if change.to is not None),
        "facts": {"id": release["id"], "version_id": release["version_id"], "architecture": os.uname().machine},
    }


def _update_of(zypper: Zypper, updates: List[Dict[str, Any]]) -> List[Change]:
    """Return the transaction of ``zypper update NAMES``, which reaches every one of ``updates``."""
    if not updates:
        raise _not_reached(WHOLE_ONLY.text)
    changes = zypper.update(names=[update["name"] for update in updates])
    reached = {(change.name, change.arch, change.to) for change in changes}
    missed = [update["name"] for update in updates if (update["name"], update["arch"], update["to"]) not in reached]
    if missed:
        raise _not_reached("zypper does not upgrade {}".format(", ".join(missed[:5])))
    return changes


def _not_reached(seen: str) -> PatchingError:
    return PatchingError(
        "zypper update", seen, "the same versions as in a whole update", "look at `zypper update --dry-run` on the host"
    )


class Known:
    """What the repositories' files and rpm's database say of packages; read when it is asked for, once a name."""

    def __init__(self, zypper: Zypper, repositories: List[Repository], installed: List[RpmPackage]) -> None:
        self.zypper = zypper
        self.repositories = repositories
        self.installed: Dict[str, List[RpmPackage]] = {}
        for package in installed:
            self.installed.setdefault(package.name, []).append(package)
        self.names: Set[str] = set()
        self.offered: Dict[Tuple[str, str, str], Tuple[str, Offered]] = {}
        self.advised: Dict[Tuple[str, str], List[Advised]] = {}
        self.problems: List[str] = []

    def describe(self, changes: List[Change], automatic: Set[str]) -> List[Dict[str, Any]]:
        """Return changes in the shape that :func:`rpm_pending.update` takes; the preferred repository answers."""
        self.learn({change.name for change in changes if change.to is not None} - self.names)
        gone = {change.name for change in changes if change.to is None}
        return [self._described(self._paired(change), gone, automatic) for change in changes]

    def learn(self, names: Set[str]) -> None:
        """Read what the repositories say of these packages, in all their versions."""
        first = not self.names
        self.names |= names
        for repo in self.repositories if names else []:
            folder = self.zypper.metadata(repo)
            if folder is None:
                if first:
                    text = "repository {} has no metadata that tells of origin, size and advisories"
                    self.problems.append(text.format(repo.alias))
                continue
            data = Repodata(self.zypper.host.runner, folder, repo.alias)
            for package in data.offered(names):
                self.offered.setdefault((package.name, package.arch, package.evr), (repo.alias, package))
            for advice in data.advised(names):
                self.advised.setdefault((advice.name, advice.arch), []).append(advice)

    def _paired(self, change: Change) -> Change:
        """Return ``change`` from the newest version that is installed, if it comes beside it (a kernel)."""
        if change.current is not None or change.to is None:
            return change
        versions = [rpm_database.evr(each) for each in self.installed.get(change.name, []) if each.arch == change.arch]
        older = [version for version in versions if rpm_version.compare(version, change.to) < 0]
        return change._replace(current=max(older, key=rpm_version.key)) if older else change

    def _described(self, change: Change, gone: Set[str], automatic: Set[str]) -> Dict[str, Any]:
        alias: Optional[str] = None
        package: Optional[Offered] = None
        if change.to is not None:
            alias, package = self.offered.get((change.name, change.arch, change.to), (None, None))
        advised = [advice for advice in self.advised.get((change.name, change.arch), []) if _fixed(change, advice)]
        old = [each for each in self.installed.get(change.name, []) if rpm_database.evr(each) == change.current]
        issued = [advice.issued_s for advice in advised if advice.evr == change.to and advice.issued_s is not None]
        return {
            "name": change.name,
            "arch": change.arch,
            "from": change.current,
            "to": change.to,
            "repository": alias,
            "vendor": package.vendor if package else None,
            "source_rpm": package.source_rpm if package else None,
            "source_rpm_from": old[0].source_rpm if old else None,
            "replaces": change.current is None and package is not None and bool(gone & set(package.obsoletes)),
            "issued_s": max(issued) if issued else None,
            "built_s": package.built_s if package else None,
            "advisories": sorted({advice.id for advice in advised}),
            "security": any(advice.security for advice in advised),
            "cves": sorted({cve for advice in advised for cve in advice.cves}),
            "download_bytes": package.download_bytes if package else 0,
            "installed_bytes": package.installed_bytes if package else None,
            "sha256": package.sha256 if package else None,
            # What an update brings in is the resolver's choice, and libzypp records it so.
            "automatic": change.name in automatic or (change.current is None and change.to is not None),
        }


def _fixed(change: Change, advice: Advised) -> bool:
    """Return whether an advisory's version lies after the installed one and not after the target."""
    if change.to is None:
        return False
    if change.current is None:
        return advice.evr == change.to
    after = rpm_version.compare(advice.evr, change.current) > 0
    return after and rpm_version.compare(advice.evr, change.to) <= 0


def _os_vendor(host: Host) -> Optional[str]:
    """Return the vendor of the package of the system's release, None if there is none."""
    for capability in rpm_pending.RELEASE_CAPABILITIES:
        result = host.runner.run(
            ["rpm", "--query", "--whatprovides", capability, "--queryformat", "%{VENDOR}\n"], timeout_s=60, check=False
        )
        if result.rc == 0 and result.stdout.strip() not in ("", "(none)"):
            return result.stdout.splitlines()[0].strip()
    return None
