# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the window: resolve a dnf host's transaction, download it, and keep what it replaces."""

import contextlib
import glob
import os
import shutil
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import disk_space, dnf_history, rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    dnf_perform,
    dnf_transaction_hook,
    rpm_installed,
    rpm_old_kernels,
    rpm_rehearsal,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_hook import ask
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import (
    CACHED,
    HISTORY,
    PREFIX,
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
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_repack import Repacker
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_stage import (
    TransactionStage,
)
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage, evr

Entry = Dict[str, Any]


class DnfStage(TransactionStage):
    """One call of ``update_stage`` on a dnf host."""

    MANAGER = "dnf"
    stage: RpmFolder
    preserved: RpmFolder

    def __init__(self, host: Host, request: StageRequest) -> None:
        # Old kernels that dnf would remove to make room stay: they are the way back of the new one.
        updates = [one for one in request.updates if one["to"] or not rpm_installed.is_beside(one["name"])]
        super().__init__(host, request._replace(updates=updates))
        self.repacker = Repacker(host.runner, host.root)
        self.installed = RpmInstalled([])
        self.private = PrivateDirectory(host.root, PREFIX)
        #: What dnf says of each package that comes, by name and architecture.
        self.offered: Dict[Tuple[str, str], Dict[str, Any]] = {}
        self.fetched = 0

    def look(self) -> None:
        self.installed = rpm_installed.read(self.host)

    def installed_version(self, update: Entry) -> Optional[str]:
        versions = self.installed.versions(update["name"], update["arch"])
        return versions[-1] if versions else None

    def old_kernels(self, running: str) -> List[str]:
        old = rpm_old_kernels.removable(self.installed.all(), running)
        named = ["{}-{}-{}.{}".format(one.name, one.version, one.release, one.arch) for one in old]
        return ["dnf", "remove"] + named if named else []

    def compare(self, one: str, other: str) -> int:
        return rpm_version.compare(one, other)

    @contextlib.contextmanager
    def metadata(self) -> Iterator[None]:
        with room(self.host.root), self.private as private:
            seed(os.path.join(self.host.root, "var/cache/dnf"), CACHED, private.folder("cache"))
            seed(os.path.join(self.host.root, "var/lib/dnf"), (HISTORY,), private.folder("persist"))
            yield

    def open_folders(self, stage: str, preserved: str) -> None:
        self.stage, self.preserved = RpmFolder(stage), RpmFolder(preserved)

    def clear(self) -> None:
        self.repacker.clear(self.preserved.files)

    def _ask(self, **asked: Any) -> Dict[str, Any]:
        folders = {kind + "dir": os.path.join(self.private.path, kind) for kind in ("cache", "persist")}
        return ask(self.host, self.private.path, dict(folders, **asked), dnf_transaction_hook)

    def resolve(self, wanted: List[Entry]) -> List[Entry]:
        asked = [{name: update.get(name) for name in ("name", "arch", "to", "origin")} for update in wanted]
        answer = self._ask(work="resolve", updates=asked)
        if answer["missing"]:
            missed = (answer["missing"]["name"], answer["missing"]["arch"])
            update = next(one for one in wanted if (one["name"], one["arch"]) == missed)
            raise self.drift(update, answer["missing"]["versions"])
        history = self._history()
        automatic = {name for (name, _arch), marked in history.automatic.items() if marked}
        planned = {(update["name"], update["arch"]): bool(update.get("automatic")) for update in wanted}
        entries = []
        for change in answer["updates"]:
            key = (change["name"], change["arch"])
            self.offered[key] = change
            entries.append(
                {
                    "name": change["name"],
                    "arch": change["arch"],
                    "from": change["from"],
                    "to": change["to"],
                    "sha256": change["sha256"],
                    "size_bytes": change["download_bytes"],
                    # Of what goes, where it came from: there it comes from again on the way back.
                    "origin": change["repository"] or self._origin(history, change),
                    # Asking for a version makes dnf call a new package the user's; the reason is what was planned.
                    "automatic": change["name"] in automatic
                    if change["from"] is not None
                    else planned.get(key, change["automatic"]),
                }
            )
        return entries

    def _history(self) -> dnf_history.History:
        present = dnf_history.present(self.host.root)
        return dnf_history.read(self.host.root) if present else dnf_history.History({}, {})

    def _origin(self, history: dnf_history.History, change: Dict[str, Any]) -> Optional[str]:
        package = self.installed.package(change["name"], change["arch"], change["from"])
        if package is None:
            return None
        nevra = (package.name, package.epoch, package.version, package.release, package.arch or "")
        return history.origins.get(nevra)

    def plan(self, todo: Dict[str, Any]) -> Dict[str, Any]:
        entries = todo["entries"]
        new_bytes = sum(
            entry["size_bytes"]
            for entry in entries
            if entry["to"] and not os.path.exists(self.stage.path(entry["name"], entry["to"], entry["arch"]))
        )
        replaced = self._replaced(todo)
        keep = [_item(package) for package in replaced]
        missing = [package for package in replaced if not os.path.exists(self._kept(package))]
        # Where it comes from is known only when it is there: packed again it takes its files' room twice at most.
        old_bytes = sum(2 * package.installed_bytes for package in missing)
        after = [self.offered[entry["name"], entry["arch"]]["installed_bytes"] or 0 for entry in entries if entry["to"]]
        needs = disk_space.needs_of(
            self.host.state_dir,
            new_bytes + old_bytes,
            sum(package.installed_bytes for package in replaced),
            sum(after),
            max(after, default=0),
            sum(1 for entry in entries if entry["to"] and entry["name"] in ("kernel", "kernel-core")),
        )
        return self.planned(todo, keep, needs, new_bytes)

    def _replaced(self, todo: Dict[str, Any]) -> List[RpmPackage]:
        """Return the installed packages that the transaction replaces or removes, an older kernel too."""
        found = (
            self.installed.package(entry["name"], entry["arch"], entry["from"])
            for entry in todo["entries"]
            if entry["from"]
        )
        return [package for package in found if package is not None]

    def _kept(self, package: RpmPackage) -> str:
        return self.preserved.path(package.name, evr(package), package.arch or "")

    def make(self, todo: Dict[str, Any], plan: Dict[str, Any]) -> Dict[str, Any]:
        self.stage.create()
        self._fetch_new(todo)
        self.stage.check(todo["entries"])
        self._rehearse(todo)
        self.preserved.create()
        kept, lost = self._preserve(todo)
        tried = None
        if not lost:
            tried = rpm_rehearsal.way_back(self.host, todo["entries"], self.stage, self.preserved)
        cves = {
            entry["name"]: self.offered[entry["name"], entry["arch"]]["cves"]
            for entry in todo["entries"]
            if entry["from"] and entry["to"]
        }
        return dict(
            plan,
            changed=True,
            preserved=kept,
            not_preserved=lost,
            cves=cves,
            download_bytes=self.fetched,
            way_back_tried=tried,
        )

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

    def _fetch_new(self, todo: Dict[str, Any]) -> None:
        missing = []
        for entry in todo["entries"]:
            if entry["to"] is None:
                continue
            path = self.stage.path(entry["name"], entry["to"], entry["arch"])
            if not os.path.exists(path) or sha256_of(path) != entry["sha256"]:
                missing.append(entry)
        files = self._fetch([[entry["name"], entry["arch"], entry["to"], entry["origin"]] for entry in missing])
        for entry in missing:
            subject = "{}:{} {}".format(entry["name"], entry["arch"], entry["to"])
            file = files.get((entry["name"], entry["arch"], entry["to"]))
            if file is not None and file["problem"]:
                raise PatchingError(
                    subject,
                    file["problem"],
                    "a package signed by a key that this host trusts",
                    "find out who made this package; import its key (rpm --import) only when it is the vendor's. "
                    "Nothing was installed",
                )
            if file is None or sha256_of(file["path"]) != entry["sha256"]:
                raise PatchingError(
                    subject,
                    "no downloaded file with SHA-256 {}".format(entry["sha256"]),
                    "the file that the manifest names",
                    "check the repository or mirror; nothing was installed",
                )
            self.fetched += os.path.getsize(file["path"])
            self.stage.take(file["path"], entry["name"], entry["to"], entry["arch"])

    def _rehearse(self, todo: Dict[str, Any]) -> None:
        """Let dnf and rpm rehearse the transaction from the stage alone; it must be the same."""
        for seen in dnf_perform.rehearse(self.host, todo["entries"], self.stage, self.installed):
            raise PatchingError(
                "rehearsal of {}".format(todo["digest"]),
                seen,
                "the same transaction from the stage as from the repositories, which rpm can perform",
                "stage again; if it stays so, look at what is named. Nothing was installed",
            )

    def _preserve(self, todo: Dict[str, Any]) -> Tuple[List[Dict[str, str]], List[Dict[str, str]]]:
        """Keep the versions that are installed now: from a repository, dnf's cache, else from their files."""
        packages = self._replaced(todo)
        missing = [package for package in packages if not os.path.exists(self._kept(package))]
        files = self._fetch([[package.name, package.arch, evr(package), None] for package in missing])
        for package in missing:
            file = files.get((package.name, package.arch or "", evr(package)))
            good = file is not None and not file["problem"] and file["sha256"] == sha256_of(file["path"])
            if file is not None and good:
                self.fetched += os.path.getsize(file["path"])
                self.preserved.take(file["path"], package.name, evr(package), package.arch or "")
        kept, lost = [], []
        for package in packages:
            item, final = _item(package), self._kept(package)
            if not os.path.exists(final):
                self._keep_cached(package, final)
            try:
                if not os.path.exists(final):
                    self.repacker.repack(package.name, package.arch or "", evr(package), final)
                kept.append(dict(item, sha256=sha256_of(final)))
            except PatchingError as error:
                lost.append(dict(item, reason=error.seen))
        return kept, lost

    def _keep_cached(self, package: RpmPackage, final: str) -> None:
        """Copy dnf's own cached file of a package version, if rpm finds it whole and signed."""
        name = "{}-{}-{}.{}.rpm".format(package.name, package.version, package.release, package.arch)
        for path in glob.glob(os.path.join(self.host.root, "var/cache/dnf/*/packages", name)):
            checked = self.host.runner.run(["rpmkeys", "--checksig", path], timeout_s=60, check=False)
            if checked.rc == 0 and self._epoch(path) == package.epoch:
                shutil.copyfile(path, final + ".part")
                os.rename(final + ".part", final)
                return

    def _epoch(self, path: str) -> int:
        query = ["rpm", "--query", "--package", "--queryformat", "%{EPOCHNUM}", path]
        answer = self.host.runner.run(query, timeout_s=60, check=False).stdout.strip()
        return int(answer) if answer.isdigit() else -1


def _item(package: RpmPackage) -> Dict[str, str]:
    return {"name": package.name, "arch": package.arch or "", "version": evr(package)}
