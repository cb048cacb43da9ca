# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the window: resolve a dnf host's transaction, download it, and keep what it replaces."""

import contextlib
import os
import shutil
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import dnf_history
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    dnf_perform,
    rpm_installed,
    rpm_old_kernels,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_hook import ask
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import (
    DNF_4_WORK,
    PREFIX,
    Tool,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import (
    RpmFolder,
    sha256_of,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    room,
    seed,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_stage import RpmStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_stage import Entry
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage, evr

#: Finds the id of the repository that an installed package came from.
Origin = Callable[[RpmPackage], Optional[str]]


class DnfStage(RpmStage):
    """One call of ``update_stage`` on a dnf host."""

    MANAGER = "dnf"
    CACHE = ("var/cache/dnf/*/packages",)
    CHECK_FILE = ("rpmkeys", "--checksig")
    TOOL: Tool = DNF_4_WORK

    def __init__(self, host: Host, request: StageRequest) -> None:
        # Old kernels that dnf would remove to make room stay: they are the way back of the new one.
        updates = [one for one in request.updates if one["to"] or not rpm_installed.is_beside(one["name"])]
        super().__init__(host, request._replace(updates=updates))
        self.private = PrivateDirectory(host.root, PREFIX)

    def old_kernels(self, running: str) -> List[str]:
        old = rpm_old_kernels.removable(self.installed.all(), running)
        named = ["{}-{}-{}.{}".format(one.name, one.version, one.release, one.arch) for one in old]
        return [self.TOOL.name, "remove"] + named if named else []

    @contextlib.contextmanager
    def metadata(self) -> Iterator[None]:
        with room(self.host.root), self.private as private:
            for target in ("cache", "persist"):
                private.folder(target)
            for source, patterns, target in self.TOOL.seeds:
                seed(os.path.join(self.host.root, source), patterns, os.path.join(private.path, target))
            yield

    def open_folders(self, stage: str, preserved: str) -> None:
        self.stage, self.preserved = RpmFolder(stage), RpmFolder(preserved)

    def _ask(self, **asked: Any) -> Dict[str, Any]:
        folders = {kind + "dir": os.path.join(self.private.path, kind) for kind in ("cache", "persist")}
        return ask(self.host, self.private.path, dict(folders, **asked), self.TOOL.script)

    def resolve(self, wanted: List[Entry]) -> List[Entry]:
        asked = [{name: update.get(name) for name in ("name", "arch", "to", "origin")} for update in wanted]
        answer = self._ask(work="resolve", updates=asked)
        if answer["missing"]:
            missed = (answer["missing"]["name"], answer["missing"]["arch"])
            update = next(one for one in wanted if (one["name"], one["arch"]) == missed)
            raise self.drift(update, answer["missing"]["versions"])
        automatic, origin = self.memory()
        planned = {(update["name"], update["arch"]): bool(update.get("automatic")) for update in wanted}
        return [
            self.entry(
                change,
                # Of what goes, where it came from: there it comes from again on the way back.
                change["repository"] or self._origin(origin, change),
                # Asking for a version makes dnf call a new package the user's; the reason is what was planned.
                change["name"] in automatic
                if change["from"] is not None
                else planned.get((change["name"], change["arch"]), change["automatic"]),
            )
            for change in answer["updates"]
        ]

    def memory(self) -> Tuple[Set[str], Origin]:
        """Return the names of what came as a dependency, and what finds the repository of an installed package."""
        present = dnf_history.present(self.host.root)
        history = dnf_history.read(self.host.root) if present else dnf_history.History({}, {})

        def origin(package: RpmPackage) -> Optional[str]:
            nevra = (package.name, package.epoch, package.version, package.release, package.arch or "")
            return history.origins.get(nevra)

        return {name for (name, _arch), marked in history.automatic.items() if marked}, origin

    def _origin(self, origin: Origin, change: Dict[str, Any]) -> Optional[str]:
        package = self.installed.package(change["name"], change["arch"], change["from"])
        return None if package is None else origin(package)

    def keeping_bytes(self, packages: List[RpmPackage]) -> Tuple[int, int]:
        missing = [package for package in packages if not os.path.exists(self.kept(package))]
        # Where it comes from is known only when it is there: packed again it takes its files' room twice at most.
        return 0, sum(2 * package.installed_bytes for package in missing)

    def boots(self, name: str) -> bool:
        return name in ("kernel", "kernel-core")

    def cves(self, todo: Dict[str, Any]) -> Dict[str, List[str]]:
        upgrades = [entry for entry in todo["entries"] if entry["from"] and entry["to"]]
        return {entry["name"]: self.about(entry)["cves"] for entry in upgrades}

    def _fetch(self, packages: List[List[Optional[str]]]) -> Dict[Tuple[str, str, str], Dict[str, Any]]:
        """Have dnf download packages, and return its files by name, architecture and version."""
        if not packages:
            return {}
        target = os.path.join(self.private.path, "packages")
        shutil.rmtree(target, ignore_errors=True)
        os.mkdir(target)
        files = self._ask(work="fetch", packages=packages, target=target)["files"]
        for file in files:
            if not file["path"].startswith(target + os.sep) and os.path.exists(file["path"]):
                own = os.path.join(target, os.path.basename(file["path"]))
                shutil.copyfile(file["path"], own)  # a repository that is a folder is read, and stays whole
                file["path"] = own
        return {(file["name"], file["arch"], file["evr"]): file for file in files}

    def download_new(self, entries: List[Entry]) -> Dict[str, str]:
        files = self._fetch([[entry["name"], entry["arch"], entry["to"], entry["origin"]] for entry in entries])
        for (name, arch, version), file in sorted(files.items()):
            if file["problem"]:
                raise PatchingError(
                    "{}:{} {}".format(name, arch, version),
                    file["problem"],
                    "a package signed by a key that this host trusts",
                    "find out who made this package; import its key (rpm --import) only when it is the vendor's. "
                    "Nothing was installed",
                )
        paths = [file["path"] for file in files.values() if os.path.exists(file["path"])]
        return {sha256_of(path): path for path in paths}

    def download_old(self, packages: List[RpmPackage]) -> List[Tuple[RpmPackage, str]]:
        files = self._fetch([[package.name, package.arch, evr(package), None] for package in packages])
        found = ((package, files.get((package.name, package.arch or "", evr(package)))) for package in packages)
        return [
            (package, file["path"])
            for package, file in found
            if file is not None and not file["problem"] and file["sha256"] == sha256_of(file["path"])
        ]

    def rehearse(self, todo: Dict[str, Any]) -> None:
        """Let dnf and rpm rehearse the transaction from the stage alone; it must be the same."""
        for seen in dnf_perform.rehearse(self.host, self.TOOL, todo["entries"], self.stage, self.installed):
            raise PatchingError(
                "rehearsal of {}".format(todo["digest"]),
                seen,
                "the same transaction from the stage as from the repositories, which rpm can perform",
                "stage again; if it stays so, look at what is named. Nothing was installed",
            )
