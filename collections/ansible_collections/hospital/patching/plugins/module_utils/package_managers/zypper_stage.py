# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the window on a zypper host: resolve the transaction, download it, and keep what it replaces."""

import contextlib
import os
import shutil
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_old_kernels,
    zypper_marks,
    zypper_repository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import sha256_of
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    room,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_metadata import Offered
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_stage import RpmStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_stage import Entry
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_command import Zypper
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_pending import PREFIX, Known
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_repository import (
    ZypperRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage

_FETCHED = ".fetched"


class ZypperStage(RpmStage):
    """One call of ``update_stage`` on a zypper host."""

    MANAGER = "zypper"
    # Where a repository is set to keep its packages; libzypp has checked their signatures.
    CACHE = ("var/cache/zypp/packages/*", "var/cache/zypp/packages/*/*")
    CHECK_FILE = ("rpm", "--checksig", "--nosignature")
    zypper: Zypper
    known: Known
    stage: ZypperRepository
    preserved: ZypperRepository

    def old_kernels(self, running: str) -> List[str]:
        old = rpm_old_kernels.removable(self.installed.all(), running)
        named = ["{}={}-{}".format(one.name, one.version, one.release) for one in old]
        return ["zypper", "remove"] + named if named else []

    @contextlib.contextmanager
    def metadata(self) -> Iterator[None]:
        with room(self.host.root), PrivateDirectory(self.host.root, PREFIX) as private:
            self.zypper = Zypper(self.host, private)
            repositories = self.zypper.repositories()
            self.zypper.refresh(repositories)
            self.known = Known(self.zypper, repositories, self.installed.all())
            yield

    def resolve(self, wanted: List[Entry]) -> List[Entry]:
        self.known.learn({update["name"] for update in wanted})
        for update in wanted:
            if update["to"] and (update["name"], update["arch"], update["to"]) not in self.known.offered:
                raise self.drift(update, self._offered_versions(update))
        changes = self.zypper.resolve(zypper_repository.specs(wanted, self.installed))
        automatic = zypper_marks.automatic_names(self.host.root)
        marks = {update["name"]: bool(update.get("automatic")) for update in wanted}
        entries = []
        for change in self.known.describe(changes, automatic):
            new = not self.installed.versions(change["name"], change["arch"])
            # Naming a package makes zypper call it the user's; the mark is what it was, or what was planned.
            mark = marks.get(change["name"], True) if new else change["name"] in automatic
            entries.append(self.entry(change, change["repository"], mark))
        return entries

    def _offered_versions(self, update: Entry) -> List[str]:
        keys = self.known.offered
        return sorted({key[2] for key in keys if key[:2] == (update["name"], update["arch"])}, key=rpm_version.key)

    def open_folders(self, stage: str, preserved: str) -> None:
        self.stage, self.preserved = ZypperRepository(self.host, stage), ZypperRepository(self.host, preserved)

    def clear(self) -> None:
        super().clear()
        self._clear_fetched()

    def _clear_fetched(self) -> None:
        for folder in (self.stage, self.preserved):
            shutil.rmtree(os.path.join(folder.directory, _FETCHED), ignore_errors=True)

    def _offered(self, package: RpmPackage) -> Optional[Offered]:
        """Return what the repositories say of an installed version."""
        item = self.item(package)
        found = self.known.offered.get((item["name"], item["arch"], item["version"]))
        return found[1] if found is not None else None

    def offered_bytes(self, package: RpmPackage) -> Optional[int]:
        offered = self._offered(package)
        return offered.download_bytes if offered is not None else None

    def cves(self, todo: Dict[str, Any]) -> Dict[str, List[str]]:
        advised = {entry["name"]: self.about(entry)["cves"] for entry in todo["entries"]}
        return {name: cves for name, cves in advised.items() if cves}

    def download_new(self, entries: List[Entry]) -> Dict[str, str]:
        return self._fetched(self.stage, ["{name}.{arch}={to}".format(**entry) for entry in entries])

    def download_old(self, packages: List[RpmPackage]) -> List[Tuple[RpmPackage, str]]:
        found = ((package, self._offered(package)) for package in packages)
        wanted = [(package, offered.sha256) for package, offered in found if offered is not None and offered.sha256]
        specs = ["{name}.{arch}={version}".format(**self.item(package)) for package, _sha256 in wanted]
        try:
            files = self._fetched(self.preserved, specs)
        except PatchingError:  # it is named by the metadata and is not there any more; what follows does without
            files = {}
        return [(package, files[sha256]) for package, sha256 in wanted if sha256 in files]

    def _fetched(self, folder: ZypperRepository, specs: List[str]) -> Dict[str, str]:
        """Fetch packages beside where they are going to lie; return their paths by SHA-256."""
        target = os.path.join(folder.directory, _FETCHED)
        shutil.rmtree(target, ignore_errors=True)
        paths = self.zypper.download(specs, target)
        return {sha256_of(path): path for path in paths if os.path.isfile(path)}

    def rehearse(self, todo: Dict[str, Any]) -> None:
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

    def preserve(self, todo: Dict[str, Any]) -> Tuple[List[Dict[str, str]], List[Dict[str, str]], int]:
        found = super().preserve(todo)
        self._clear_fetched()
        return found
