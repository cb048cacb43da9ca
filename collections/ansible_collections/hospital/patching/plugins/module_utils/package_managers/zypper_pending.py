# SPDX-License-Identifier: GPL-3.0-or-later
"""What a zypper host would update: the transaction from zypper's XML, its packages from the repositories' files."""

import os
from typing import Any, Dict, List, Optional, Set, Tuple
from xml.etree import ElementTree

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_pending, zypper_xml
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    seed,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_metadata import (
    Advised,
    Offered,
    Repodata,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_xml import Change, Repository
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

PREFIX = "hospital-patching-zypper-"
#: The host's own cache, copied so that only what changed is fetched.
CACHED = ("raw/*", "solv/*")
#: zypper(8), EXIT CODES: 100 to 103 inform of what is or will be needed; anything else is no answer.
ANSWERED = (0, 100, 101, 102, 103)
NO_REPOSITORIES = 6
#: Names of packages that came as a dependency, one a line (libzypp).
AUTOMATIC = "var/lib/zypp/AutoInstalled"

#: ``update`` as an administrator calls it. Nothing is installed, so a license is not agreed to by asking.
UPDATE = ["update", "--dry-run", "--details", "--auto-agree-with-licenses"]
SECURITY = ["patch", "--dry-run", "--details", "--auto-agree-with-licenses", "--category", "security"]


def pending(host: Host, security_only: bool) -> Dict[str, Any]:
    """Return the shape of ``pending_updates_info``; the host keeps nothing of it."""
    _require_database(host)
    with PrivateDirectory(host.root, PREFIX) as private:
        zypper = Zypper(host, private)
        repositories = zypper.repositories()
        zypper.refresh(repositories)
        everything = zypper_xml.changes(zypper.ask(UPDATE))
        chosen = zypper_xml.changes(zypper.ask(SECURITY)) if security_only else everything
        held = zypper_xml.held(zypper.ask(["locks", "--solvables"]))
        locked = {(item["name"], item["arch"]) for item in held}
        behind = zypper_xml.left_behind(zypper.ask(["list-updates", "--all"]), everything)
        held += [item for item in behind if (item["name"], item["arch"]) not in locked]
        found = zypper.describe(repositories, chosen)
    release = read_os_release(host.root)
    vendor, automatic = _os_vendor(host), _automatic(host.root)
    return {
        "manager": "zypper",
        "updates": [rpm_pending.update(_described(change, found, automatic), vendor) for change in chosen],
        "held": held,
        "refreshed": host.clock.stamp(),
        "repositories": [rpm_pending.repository(repo.alias, repo.name, repo.uri, repo.signed) for repo in repositories],
        "listed": sum(1 for change in everything if change.to is not None),
        "facts": {"id": release["id"], "version_id": release["version_id"], "architecture": os.uname().machine},
    }


class _Found:
    """What the repositories say of packages."""

    def __init__(self) -> None:
        self.offered: Dict[Tuple[str, str, str], Tuple[str, Offered]] = {}
        self.advised: List[Advised] = []


class Zypper:
    """Runs zypper on caches of its own."""

    def __init__(self, host: Host, private: PrivateDirectory) -> None:
        self.host = host
        self.cache = private.folder("cache")
        self.log = os.path.join(private.path, "zypper.log")
        seed(os.path.join(host.root, "var/cache/zypp"), CACHED, self.cache)

    def ask(self, command: List[str]) -> ElementTree.Element:
        """Return zypper's document for one command; metadata is refreshed by :meth:`refresh` only."""
        return self._document(command, self._run(["--no-refresh"], command))

    def _document(self, command: List[str], answer: Tuple[int, str, str]) -> ElementTree.Element:
        rc, out, err = answer
        try:
            document = zypper_xml.parse(out)
        except ValueError as error:
            raise self._refused(command, rc, [str(error)] + err.strip().splitlines()[-1:])
        if rc not in ANSWERED:
            raise self._refused(command, rc, zypper_xml.errors(out) or err.strip().splitlines()[-1:])
        return document

    def repositories(self) -> List[Repository]:
        """Return the enabled repositories, the preferred first; there is at least one."""
        rc, _out, _err = answer = self._run(["--no-refresh"], ["repos"])
        found = [] if rc == NO_REPOSITORIES else zypper_xml.repositories(self._document(["repos"], answer))
        rpm_pending.require_repositories(found, "/etc/zypp/repos.d")
        return found

    def refresh(self, repositories: List[Repository]) -> None:
        """Fetch what changed in the host's repositories.

        Raises:
            PatchingError: naming the repository that cannot be fetched, or whose signature is not trusted.
        """
        rc, out, err = self._run([], ["refresh"])
        if rc == 0:
            return
        for repo in repositories:
            rc, out, err = self._run([], ["refresh", repo.alias])
            if rc != 0:
                raise PatchingError(
                    "repository {}".format(repo.alias),
                    _line(zypper_xml.errors(out) or err.strip().splitlines()[-1:], rc),
                    "metadata that can be fetched, and is signed by a trusted key where zypper is set to check it",
                    "repair or disable this repository in /etc/zypp/repos.d, then run again; nothing was changed",
                )

    def describe(self, repositories: List[Repository], changes: List[Change]) -> _Found:
        """Return what the preferred repository that has a package says of it, and all advisories of the packages."""
        names: Set[str] = {change.name for change in changes if change.to is not None}
        found = _Found()
        for repo in repositories if names else []:
            folder = os.path.join(self.cache, "raw", repo.alias.replace("/", "_"))
            if not os.path.exists(os.path.join(folder, "repodata/repomd.xml")):
                continue  # a plain directory of packages, or YaST's old format
            data = Repodata(self.host.runner, folder, repo.alias)
            for package in data.offered(names):
                found.offered.setdefault((package.name, package.arch, package.evr), (repo.alias, package))
            found.advised += data.advised(names)
        return found

    def _run(self, options: List[str], command: List[str]) -> Tuple[int, str, str]:
        result = self.host.runner.run(
            ["zypper", "--xmlout", "--non-interactive", "--non-interactive-include-reboot-patches"]
            + options
            + ["--cache-dir", self.cache]
            + command,
            timeout_s=900,
            # libzypp waits so long for another zypper, and keeps its log to the private directory.
            env={"ZYPP_LOCK_TIMEOUT": "120", "ZYPP_LOGFILE": self.log},
            check=False,
        )
        return result.rc, result.stdout, result.stderr

    def _refused(self, command: List[str], rc: int, seen: List[str]) -> PatchingError:
        return PatchingError(
            "zypper {}".format(command[0]),
            _line(seen, rc),
            "a transaction that zypper can resolve",
            "look at `zypper update --dry-run` on the host; lock the package that is named, or repair its state",
        )


def _line(messages: List[str], rc: int) -> str:
    return without_logins("; ".join(messages))[:600] or "exit {}".format(rc)


def _described(change: Change, found: _Found, automatic: Set[str]) -> Dict[str, Any]:
    """Return a change in the shape that :func:`rpm_pending.update` takes."""
    alias: Optional[str] = None
    package: Optional[Offered] = None
    advised: List[Advised] = []
    if change.to is not None:
        alias, package = found.offered.get((change.name, change.arch, change.to), (None, None))
        advised = [advice for advice in found.advised if _fixed(change, advice)]
    return {
        "name": change.name,
        "arch": change.arch,
        "from": change.current,
        "to": change.to,
        "repository": alias,
        "vendor": package.vendor if package else None,
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
    if (advice.name, advice.arch) != (change.name, change.arch) or change.to is None:
        return False
    if change.current is None:
        return advice.evr == change.to
    after = rpm_version.compare(advice.evr, change.current) > 0
    return after and rpm_version.compare(advice.evr, change.to) <= 0


def _automatic(root: str) -> Set[str]:
    try:
        with open(os.path.join(root, AUTOMATIC), "rb") as handle:
            lines = handle.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return set()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def _require_database(host: Host) -> None:
    """Ask rpm itself first, because zypper blames a repository for a database that it cannot read.

    Raises:
        PatchingError: the database cannot be read.
    """
    result = host.runner.run(["rpm", "--query", "--all", "--queryformat", "."], timeout_s=120, check=False)
    if result.rc != 0:
        raise PatchingError(
            "rpm database",
            " ".join(result.stderr.split())[:300] or "exit {}".format(result.rc),
            "one that rpm can read",
            "look at `rpm --query --all` on the host, and rebuild it (rpm --rebuilddb); nothing was changed",
        )


def _os_vendor(host: Host) -> Optional[str]:
    """Return the vendor of the package of the system's release, None if there is none."""
    for capability in rpm_pending.RELEASE_CAPABILITIES:
        result = host.runner.run(
            ["rpm", "--query", "--whatprovides", capability, "--queryformat", "%{VENDOR}\n"], timeout_s=60, check=False
        )
        if result.rc == 0 and result.stdout.strip() not in ("", "(none)"):
            return result.stdout.splitlines()[0].strip()
    return None
