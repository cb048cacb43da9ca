# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the window: resolve the host's transaction, download it, and keep what it replaces."""

import contextlib
import os
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
        new_bytes, replaced = self.new_bytes(todo), self.replaced(todo)
        old_bytes, packed_bytes = self.keeping_bytes(replaced)
        after = [self._size_after(entry) for entry in todo["entries"]]
        needs = disk_space.needs_of(
            self.host.state_dir,
            new_bytes + old_bytes + packed_bytes,
            sum(package.installed_bytes for package in replaced),
            sum(after),
            max(after),
            sum(1 for entry in todo["entries"] if entry["from"] is None and entry["name"].startswith("linux-image-")),
        )
        plan = self.planned(todo, [self.item(package) for package in replaced], needs, new_bytes + old_bytes)
        # A snapshot keeps what is overwritten and, below a volume, grows with what is written: files, as they are
        # unpacked beside the old ones, and a new initrd.
        return dict(plan, change_bytes=sum(after) + needs["/boot"])

    def _size_after(self, entry: Dict[str, Any]) -> int:
        size = self.stanzas.get((entry["name"], entry["arch"], entry["to"] or ""), {}).get("Installed-Size", "0")
        return int(size) * 1024 if size.isdigit() else 0

    def current(self, entry: Dict[str, Any]) -> Optional[Package]:
        return installed_package(self.installed, entry["name"], entry["arch"])

    def item(self, package: Package) -> Dict[str, str]:
        return {"name": package.name, "arch": package.arch, "version": package.version}

    def offered_bytes(self, package: Package) -> Optional[int]:
        stanza = self.stanzas.get((package.name, package.arch, package.version))
        return int(stanza.get("Size", "0")) if stanza is not None else None

    def cached(self, package: Package) -> List[str]:
        path = os.path.join(
            self.host.root,
            "var/cache/apt/archives",
            LocalRepository.file_name(package.name, package.version, package.arch),
        )
        return [path] if os.path.exists(path) else []

    def is_whole(self, path: str, package: Package) -> bool:
        try:
            fields = control_fields(self.host.runner, [path])[0]
        except PatchingError:
            return False
        return (fields.get("Package"), fields.get("Version")) == (package.name, package.version)

    def repack(self, package: Package, path: str) -> None:
        self.repacker.pack(package, path)

    def download_new(self, entries: List[Dict[str, Any]]) -> Dict[str, str]:
        return download(
            self.lists, [target(entry["name"], entry["arch"], entry["to"]) for entry in entries], check=True
        )

    def download_old(self, packages: List[Package]) -> List[Tuple[Package, str]]:
        keys = {package: (package.name, package.arch, package.version) for package in packages}
        offered = {package: self.stanzas[key] for package, key in keys.items() if key in self.stanzas}
        files = download(self.lists, [target(*keys[package]) for package in offered], check=False)
        found = ((package, files.get(stanza.get("SHA256", ""))) for package, stanza in offered.items())
        return [(package, path) for package, path in found if path is not None]

    def preserve(self, todo: Dict[str, Any]) -> Tuple[List[Dict[str, str]], List[Dict[str, str]], int]:
        found = super().preserve(todo)
        self.preserved.index()
        return found

    def rehearse(self, todo: Dict[str, Any]) -> None:
        """Let apt simulate the transaction from the stage alone, and find what dpkg would stumble over."""
        self.stage.index()
        resolver = AptResolver(self.host.runner, self.stage.options(), self.stage.apt)
        changes = resolver.install(
            [target(entry["name"], entry["arch"], entry["to"]) for entry in todo["entries"]], recommends=False
        )
        self.rehearsed(todo, [(change.name, change.arch, change.current, change.to) for change in changes])
        self._unpack(todo)

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

    def cves(self, todo: Dict[str, Any]) -> Dict[str, List[str]]:
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
