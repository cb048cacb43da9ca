# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the window: resolve the host's transaction, download it, and keep what it replaces."""

import contextlib
import os
import shutil
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import disk_space, dpkg_version
from ansible_collections.hospital.patching.plugins.module_utils.changelog_cves import cves_between, read_changelog
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import (
    DpkgDatabase,
    Package,
    native_architecture,
)
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    apt_carried,
    apt_origins,
    deb_contents,
    deb_old_kernels,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_download import download
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_local_repository import (
    LocalRepository,
    control_fields,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import (
    AptResolver,
    Change,
    Stanza,
    by_version,
    target,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.deb_repack import Repacker
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import sha256_of
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_stage import (
    TransactionStage,
)

Installed = Dict[Tuple[str, str], Package]


def installed_package(installed: Installed, name: str, arch: str) -> Optional[Package]:
    """Return the installed package that an update of ``name:arch`` replaces.

    A package may change between its native architecture and ``all``.
    """
    native = native_architecture(installed)
    others = {"all": native, native: "all"}
    return installed.get((name, arch)) or installed.get((name, others.get(arch, arch)))


class AptStage(TransactionStage):
    """One call of ``update_stage`` on an apt host."""

    MANAGER = "apt"
    stage: LocalRepository
    preserved: LocalRepository

    def __init__(self, host: Host, request: StageRequest) -> None:
        super().__init__(host, request)
        self.database = DpkgDatabase(host.root)
        self.repacker = Repacker(host.runner, host.root)
        self.installed: Installed = {}
        #: The repositories' paragraphs of new and present versions.
        self.stanzas: Dict[Any, Stanza] = {}
        self.lists = apt_carried.metadata(host, request.carried)

    def look(self) -> None:
        self.installed = self.database.present()

    def installed_version(self, update: Dict[str, Any]) -> Optional[str]:
        package = installed_package(self.installed, update["name"], update["arch"])
        return package.version if package is not None else None

    def compare(self, one: str, other: str) -> int:
        return dpkg_version.compare(one, other)

    @contextlib.contextmanager
    def metadata(self) -> Iterator[None]:
        with self.lists:
            self.lists.refresh()
            yield

    def open_folders(self, stage: str, preserved: str) -> None:
        self.stage = LocalRepository(self.host.runner, stage)
        self.preserved = LocalRepository(self.host.runner, preserved)

    def old_kernels(self, running: str) -> List[str]:
        old = deb_old_kernels.removable(self.installed, running)
        return ["apt-get", "remove"] + old if old else []

    def clear(self) -> None:
        self.repacker.clear(self.preserved.files)

    def resolve(self, wanted: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        resolver = AptResolver(self.host.runner, self.lists.options(), self.lists.directory)
        asked = [target(update["name"], update["arch"], update["to"]) for update in wanted if update["to"]]
        present = [
            target(package.name, package.arch, package.version)
            for package in (installed_package(self.installed, update["name"], update["arch"]) for update in wanted)
            if package is not None
        ]
        stanzas = by_version(resolver.show(asked + present))
        for update in wanted:
            if update["to"] and (update["name"], update["arch"], update["to"]) not in stanzas:
                self._refuse_drift(resolver, update)
        changes = resolver.install(
            [target(update["name"], update["arch"], update["to"]) for update in wanted], recommends=False
        )
        stanzas.update(self._missing_stanzas(resolver, changes, stanzas))
        self.stanzas = stanzas
        automatic = set(self.database.automatic(self.installed))
        marks = {(update["name"], update["arch"]): bool(update.get("automatic")) for update in wanted}
        entries = []
        for change in changes:
            stanza = stanzas.get((change.name, change.arch, change.to or ""), {})
            package = installed_package(self.installed, change.name, change.arch)
            entries.append(
                {
                    "name": change.name,
                    "arch": change.arch,
                    "from": change.current,
                    "to": change.to,
                    "sha256": stanza.get("SHA256"),
                    "size_bytes": int(stanza.get("Size", "0")),
                    "origin": apt_origins.text(apt_origins.preferred(change.origins)),
                    # Naming a version makes apt call it manual; the mark is what it was, or what was planned.
                    "automatic": "{}:{}".format(package.name, package.arch) in automatic
                    if package is not None
                    else marks.get((change.name, change.arch), change.automatic),
                }
            )
        return entries

    @staticmethod
    def _missing_stanzas(resolver: AptResolver, changes: List[Change], stanzas: Dict[Any, Stanza]) -> Dict[Any, Stanza]:
        """Dependencies that were not asked for by name are looked up in a second call."""
        unseen = [
            target(change.name, change.arch, version)
            for change in changes
            for version in (change.current, change.to)
            if version is not None and (change.name, change.arch, version) not in stanzas
        ]
        return by_version(resolver.show(unseen)) if unseen else {}

    def _refuse_drift(self, resolver: AptResolver, update: Dict[str, Any]) -> None:
        found = by_version(resolver.show([update["name"]]))
        others = sorted({arch for _name, arch, version in found if version == update["to"]})
        if others:
            raise PatchingError(
                "{}:{}".format(update["name"], update["arch"]),
                "repository gives {} for {} only".format(update["to"], ", ".join(others)),
                "manifest allows it for {}".format(update["arch"]),
                "find out whose manifest this is, then assess and plan this host again; nothing was staged",
            )
        versions = sorted({version for _name, _arch, version in found}, key=dpkg_version.key)
        raise self.drift(update, versions)

    def plan(self, todo: Dict[str, Any]) -> Dict[str, Any]:
        """Return what can be kept, what is to be fetched, and the room for it."""
        new_bytes = sum(
            entry["size_bytes"]
            for entry in todo["entries"]
            if entry["to"] and not os.path.exists(self.stage.path(entry["name"], entry["to"], entry["arch"]))
        )
        keep, old_bytes, packed_bytes = [], 0, 0
        for package in self._replaced(todo):
            stanza = self.stanzas.get((package.name, package.arch, package.version))
            keep.append({"name": package.name, "arch": package.arch, "version": package.version})
            if os.path.exists(self.preserved.path(package.name, package.version, package.arch)) or self._cached(
                package
            ):
                continue
            if stanza is not None:
                old_bytes += int(stanza.get("Size", "0"))
            else:  # packed from its files, which takes them once more, and at most as much for the result
                packed_bytes += 2 * package.installed_bytes
        after = [self._size_after(entry) for entry in todo["entries"]]
        needs = disk_space.needs_of(
            self.host.state_dir,
            new_bytes + old_bytes + packed_bytes,
            sum(package.installed_bytes for package in self._replaced(todo)),
            sum(after),
            max(after),
            sum(1 for entry in todo["entries"] if entry["from"] is None and entry["name"].startswith("linux-image-")),
        )
        plan = self.planned(todo, keep, needs, new_bytes + old_bytes)
        # A snapshot keeps what is overwritten and, below a volume, grows with what is written: files, as they are
        # unpacked beside the old ones, and a new initrd.
        return dict(plan, change_bytes=sum(after) + needs["/boot"])

    def _size_after(self, entry: Dict[str, Any]) -> int:
        size = self.stanzas.get((entry["name"], entry["arch"], entry["to"] or ""), {}).get("Installed-Size", "0")
        return int(size) * 1024 if size.isdigit() else 0

    def _replaced(self, todo: Dict[str, Any]) -> List[Package]:
        found = (
            installed_package(self.installed, entry["name"], entry["arch"])
            for entry in todo["entries"]
            if entry["from"]
        )
        return [package for package in found if package is not None]

    def _cached(self, package: Package) -> Optional[str]:
        """Return apt's own cached file of a package version."""
        path = os.path.join(
            self.host.root,
            "var/cache/apt/archives",
            LocalRepository.file_name(package.name, package.version, package.arch),
        )
        return path if os.path.exists(path) else None

    def make(self, todo: Dict[str, Any], plan: Dict[str, Any]) -> Dict[str, Any]:
        self.stage.create()
        fetched = self._fetch_new(todo)
        self.stage.check(todo["entries"])
        self.stage.index()
        self._rehearse(todo)
        self._unpack(todo)
        self.preserved.create()
        kept, lost, more = self._preserve(todo)
        self.preserved.index()
        return dict(
            plan,
            changed=True,
            preserved=kept,
            not_preserved=lost,
            cves=self._cves(todo),
            download_bytes=fetched + more,
        )

    def _fetch_new(self, todo: Dict[str, Any]) -> int:
        missing = []
        for entry in todo["entries"]:
            if entry["to"] is None:
                continue
            path = self.stage.path(entry["name"], entry["to"], entry["arch"])
            if not os.path.exists(path) or sha256_of(path) != entry["sha256"]:
                missing.append(entry)
        files = download(
            self.lists, [target(entry["name"], entry["arch"], entry["to"]) for entry in missing], check=True
        )
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

    def _rehearse(self, todo: Dict[str, Any]) -> None:
        """Let apt simulate the transaction from the stage alone; it must be the same."""
        resolver = AptResolver(self.host.runner, self.stage.options(), self.stage.apt)
        changes = resolver.install(
            [target(entry["name"], entry["arch"], entry["to"]) for entry in todo["entries"]], recommends=False
        )
        self.rehearsed(todo, [(change.name, change.arch, change.current, change.to) for change in changes])

    def _unpack(self, todo: Dict[str, Any]) -> None:
        """Find now what dpkg would stumble over while it unpacks."""
        new = [entry for entry in todo["entries"] if entry["to"]]
        paths = [self.stage.path(entry["name"], entry["to"], entry["arch"]) for entry in new]
        deb_contents.rehearse(
            self.host,
            self.installed,
            list(zip(paths, control_fields(self.host.runner, paths))),
            {entry["name"] for entry in todo["entries"] if not entry["to"]},
        )

    def _preserve(self, todo: Dict[str, Any]) -> Tuple[List[Dict[str, str]], List[Dict[str, str]], int]:
        """Keep the versions that are installed now: from the repository, apt's cache, else from their files."""
        packages = self._replaced(todo)
        missing = [
            package
            for package in packages
            if not os.path.exists(self.preserved.path(package.name, package.version, package.arch))
        ]
        offered = {
            package: self.stanzas[(package.name, package.arch, package.version)]
            for package in missing
            if (package.name, package.arch, package.version) in self.stanzas
        }
        files = download(
            self.lists,
            [target(package.name, package.arch, package.version) for package in offered],
            check=False,
        )
        fetched = 0
        for package, stanza in offered.items():
            path = files.get(stanza.get("SHA256", ""))
            if path is not None:
                fetched += os.path.getsize(path)
                self.preserved.take(path, package.name, package.version, package.arch)
        kept, lost = [], []
        for package in packages:
            item = {"name": package.name, "arch": package.arch, "version": package.version}
            final = self.preserved.path(package.name, package.version, package.arch)
            if not os.path.exists(final):
                self._keep_cached(package, final)
            try:
                if not os.path.exists(final):
                    self.repacker.pack(package, final)
                kept.append(dict(item, sha256=sha256_of(final)))
            except PatchingError as error:
                lost.append(dict(item, reason=error.seen))
        return kept, lost, fetched

    def _keep_cached(self, package: Package, final: str) -> None:
        cached = self._cached(package)
        if cached is None:
            return
        try:
            fields = control_fields(self.host.runner, [cached])[0]
        except PatchingError:
            return
        if (fields.get("Package"), fields.get("Version")) == (package.name, package.version):
            shutil.copyfile(cached, final + ".part")
            os.rename(final + ".part", final)

    def _cves(self, todo: Dict[str, Any]) -> Dict[str, List[str]]:
        """Return CVEs by package name; packages of one source share one changelog."""
        upgrades = [entry for entry in todo["entries"] if entry["from"] and entry["to"]]
        paths = [self.stage.path(entry["name"], entry["to"], entry["arch"]) for entry in upgrades]
        groups: Dict[Tuple[str, str, str], List[Tuple[str, str]]] = {}
        for entry, path, fields in zip(upgrades, paths, control_fields(self.host.runner, paths)):
            package = installed_package(self.installed, entry["name"], entry["arch"])
            source, _blank, version = fields.get("Source", entry["name"]).partition(" ")
            before = package.source_version if package is not None else entry["from"]
            key = (source, version.strip("()") or entry["to"], before)
            groups.setdefault(key, []).append((entry["name"], path))
        found = {}
        for (_source, version, before), members in groups.items():
            native = "-" not in version
            for _name, path in sorted(members, key=lambda member: os.path.getsize(member[1])):
                changelog = read_changelog(self.host.runner, path, native)
                if changelog is not None:
                    names = cves_between(changelog, before, version)
                    found.update({name: names for name, _path in members})
                    break
        return found
