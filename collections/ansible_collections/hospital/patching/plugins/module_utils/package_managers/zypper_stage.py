# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the window on a zypper host: resolve the transaction, download it, and keep what it replaces."""

import contextlib
import glob
import os
import shutil
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import disk_space, rpm_database, rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_old_kernels,
    rpm_rehearsal,
    zypper_repository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import (
    PackageFolder,
    sha256_of,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    room,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import (
    RpmInstalled,
    is_beside,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_repack import Repacker
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_stage import (
    TransactionStage,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_command import Zypper
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_pending import (
    PREFIX,
    Known,
    automatic_names,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_repository import (
    ZypperRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage

Entry = Dict[str, Any]
#: libzypp's own cache, where a repository is set to keep its packages.
CACHE = "var/cache/zypp/packages"
_FETCHED = ".fetched"


class ZypperStage(TransactionStage):
    """One call of ``update_stage`` on a zypper host."""

    MANAGER = "zypper"
    zypper: Zypper
    known: Known
    stage: ZypperRepository
    preserved: ZypperRepository

    def __init__(self, host: Host, request: StageRequest) -> None:
        super().__init__(host, request)
        self.repacker = Repacker(host.runner, host.root)
        self.installed = RpmInstalled([])
        self.described: Dict[Tuple[str, str], Dict[str, Any]] = {}

    def look(self) -> None:
        self.packages, _problems = rpm_database.query(self.host.runner, self.host.root)
        self.installed = RpmInstalled(self.packages)

    def installed_version(self, update: Entry) -> Optional[str]:
        versions = self.installed.versions(update["name"], update["arch"])
        return versions[-1] if versions else None

    def old_kernels(self, running: str) -> List[str]:
        old = rpm_old_kernels.removable(self.installed.all(), running)
        named = ["{}={}-{}".format(one.name, one.version, one.release) for one in old]
        return ["zypper", "remove"] + named if named else []

    def compare(self, one: str, other: str) -> int:
        return rpm_version.compare(one, other)

    @contextlib.contextmanager
    def metadata(self) -> Iterator[None]:
        with room(self.host.root), PrivateDirectory(self.host.root, PREFIX) as private:
            self.zypper = Zypper(self.host, private)
            repositories = self.zypper.repositories()
            self.zypper.refresh(repositories)
            self.known = Known(self.zypper, repositories, self.packages)
            yield

    def resolve(self, wanted: List[Entry]) -> List[Entry]:
        self.known.learn({update["name"] for update in wanted})
        for update in wanted:
            if update["to"] and (update["name"], update["arch"], update["to"]) not in self.known.offered:
                raise self.drift(update, self._offered_versions(update))
        changes = self.zypper.resolve(zypper_repository.specs(wanted, self.installed))
        automatic = automatic_names(self.host.root)
        marks = {update["name"]: bool(update.get("automatic")) for update in wanted}
        entries = []
        for change in self.known.describe(changes, automatic):
            self.described[(change["name"], change["arch"])] = change
            new = not self.installed.versions(change["name"], change["arch"])
            entries.append(
                {
                    "name": change["name"],
                    "arch": change["arch"],
                    "from": change["from"],
                    "to": change["to"],
                    "sha256": change["sha256"],
                    "size_bytes": change["download_bytes"],
                    "origin": change["repository"],
                    # Naming a package makes zypper call it the user's; the mark is what it was, or what was planned.
                    "automatic": marks.get(change["name"], True) if new else change["name"] in automatic,
                }
            )
        return entries

    def _offered_versions(self, update: Entry) -> List[str]:
        keys = self.known.offered
        return sorted({key[2] for key in keys if key[:2] == (update["name"], update["arch"])}, key=rpm_version.key)

    def open_folders(self, stage: str, preserved: str) -> None:
        self.stage, self.preserved = ZypperRepository(self.host, stage), ZypperRepository(self.host, preserved)

    def clear(self) -> None:
        self.repacker.clear(self.preserved.files)
        for folder in (self.stage, self.preserved):
            shutil.rmtree(os.path.join(folder.directory, _FETCHED), ignore_errors=True)

    def plan(self, todo: Dict[str, Any]) -> Dict[str, Any]:
        """Return what can be kept, what is to be fetched, and the room for it."""
        new = [entry for entry in todo["entries"] if entry["to"]]
        new_bytes = sum(entry["size_bytes"] for entry in new if not self._is_there(self.stage, entry, "to"))
        keep, old_bytes, packed_bytes = [], 0, 0
        for package in self._replaced(todo):
            item = _item(package)
            keep.append(item)
            if self._is_there(self.preserved, item, "version") or self._cached(package):
                continue
            offered = self.known.offered.get((item["name"], item["arch"], item["version"]))
            if offered is not None:
                old_bytes += offered[1].download_bytes
            else:  # packed from its files, which takes them once more, and at most as much for the result
                packed_bytes += 2 * package.installed_bytes
        after = [self.described[(entry["name"], entry["arch"])]["installed_bytes"] or 0 for entry in new]
        needs = disk_space.needs_of(
            self.host.state_dir,
            new_bytes + old_bytes + packed_bytes,
            # What comes beside an older version grows by all of itself.
            sum(package.installed_bytes for package in self._replaced(todo) if not is_beside(package.name)),
            sum(after),
            max(after or [0]),
            sum(1 for entry in new if is_beside(entry["name"])),
        )
        return self.planned(todo, keep, needs, new_bytes + old_bytes)

    def make(self, todo: Dict[str, Any], plan: Dict[str, Any]) -> Dict[str, Any]:
        self.stage.create()
        fetched = self._fetch_new(todo)
        self.stage.check(todo["entries"])
        self._rehearse(todo)
        self.preserved.create()
        kept, lost, more = self._preserve(todo)
        tried = None
        if not lost:
            tried = rpm_rehearsal.way_back(self.host, todo["entries"], self.stage, self.preserved)
        advised = {entry["name"]: self.described[(entry["name"], entry["arch"])]["cves"] for entry in todo["entries"]}
        return dict(
            plan,
            changed=True,
            preserved=kept,
            not_preserved=lost,
            cves={name: cves for name, cves in advised.items() if cves},
            download_bytes=fetched + more,
            way_back_tried=tried,
        )

    def _fetch_new(self, todo: Dict[str, Any]) -> int:
        missing = [entry for entry in todo["entries"] if entry["to"] and not self._is_whole(entry)]
        files = self._fetched(self.stage, ["{name}.{arch}={to}".format(**entry) for entry in missing])
        fetched = 0
        for entry in missing:
            if entry["sha256"] not in files:
                raise PatchingError(
                    "{}:{} {}".format(entry["name"], entry["arch"], entry["to"]),
                    "no downloaded file with SHA-256 {}".format(entry["sha256"]),
                    "the file that the manifest names",
                    "check the repository or mirror; nothing was installed",
                )
            fetched += os.path.getsize(files[entry["sha256"]])
            self.stage.take(files[entry["sha256"]], entry["name"], entry["to"], entry["arch"])
        return fetched

    def _fetched(self, folder: ZypperRepository, specs: List[str]) -> Dict[str, str]:
        """Fetch packages beside where they are going to lie; return their paths by SHA-256."""
        target = os.path.join(folder.directory, _FETCHED)
        shutil.rmtree(target, ignore_errors=True)
        paths = self.zypper.download(specs, target)
        return {sha256_of(path): path for path in paths if os.path.isfile(path)}

    def _rehearse(self, todo: Dict[str, Any]) -> None:
        """Let zypper say what it would do with the stage alone; it must be the same."""
        self.stage.index()
        found = self.stage.would_do(todo["entries"], self.installed)
        for difference in zypper_repository.differences(todo["entries"], found, self.installed):
            raise PatchingError(
                "rehearsal of the stage",
                difference,
                "the same transaction from the stage as from the repositories",
                "stage again; if it stays so, report this package",
            )

    def _preserve(self, todo: Dict[str, Any]) -> Tuple[List[Dict[str, str]], List[Dict[str, str]], int]:
        """Keep the versions that are installed now: from the repository, zypp's cache, else from their files."""
        packages = self._replaced(todo)
        missing = [package for package in packages if not self._is_there(self.preserved, _item(package), "version")]
        offered = {}
        for package in missing:
            item = _item(package)
            found = self.known.offered.get((item["name"], item["arch"], item["version"]))
            if found is not None and found[1].sha256:
                offered[package] = found[1].sha256
        try:
            files = self._fetched(
                self.preserved, ["{name}.{arch}={version}".format(**_item(package)) for package in offered]
            )
        except PatchingError:  # it is named by the metadata and is not there any more; what follows does without
            files = {}
        fetched = 0
        for package, sha256 in offered.items():
            if sha256 in files:
                item = _item(package)
                fetched += os.path.getsize(files[sha256])
                self.preserved.take(files[sha256], item["name"], item["version"], item["arch"])
        kept, lost = [], []
        for package in packages:
            item = _item(package)
            final = self.preserved.path(item["name"], item["version"], item["arch"])
            if not os.path.exists(final):
                self._keep_cached(package, final)
            try:
                if not os.path.exists(final):
                    self.repacker.repack(item["name"], item["arch"], item["version"], final)
                kept.append(dict(item, sha256=sha256_of(final)))
            except PatchingError as error:
                lost.append(dict(item, reason=error.seen))
        for folder in (self.stage, self.preserved):
            shutil.rmtree(os.path.join(folder.directory, _FETCHED), ignore_errors=True)
        return kept, lost, fetched

    def _replaced(self, todo: Dict[str, Any]) -> List[RpmPackage]:
        found = (
            self.installed.package(entry["name"], entry["arch"], entry["from"])
            for entry in todo["entries"]
            if entry["from"]
        )
        return [package for package in found if package is not None]

    def _cached(self, package: RpmPackage) -> Optional[str]:
        """Return libzypp's own cached file of a package version."""
        name = "{}-{}-{}.{}.rpm".format(package.name, package.version, package.release, package.arch)
        found: List[str] = []
        for depth in ("*", "*/*"):
            found += glob.glob(os.path.join(self.host.root, CACHE, depth, glob.escape(name)))
        return sorted(found)[0] if found else None

    def _keep_cached(self, package: RpmPackage, final: str) -> None:
        cached = self._cached(package)
        if cached is None:
            return
        result = self.host.runner.run(["rpm", "--checksig", "--nosignature", cached], timeout_s=300, check=False)
        if result.rc == 0:
            shutil.copyfile(cached, final + ".part")
            os.rename(final + ".part", final)

    def _is_whole(self, entry: Entry) -> bool:
        path = self.stage.path(entry["name"], entry["to"], entry["arch"])
        return os.path.exists(path) and sha256_of(path) == entry["sha256"]

    @staticmethod
    def _is_there(folder: PackageFolder, item: Dict[str, Any], field: str) -> bool:
        return os.path.exists(folder.path(item["name"], item[field], item["arch"]))


def _item(package: RpmPackage) -> Dict[str, str]:
    return {"name": package.name, "arch": package.arch or "", "version": rpm_database.evr(package)}
