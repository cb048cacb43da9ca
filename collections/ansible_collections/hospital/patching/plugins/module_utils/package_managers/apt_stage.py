# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the window: resolve the host's transaction, download it, and keep what it replaces."""

import contextlib
import json
import os
import pwd
import shutil
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import disk_space, dpkg_version, transaction
from ansible_collections.hospital.patching.plugins.module_utils.changelog_cves import cves_between, read_changelog
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import (
    DpkgDatabase,
    Package,
    native_architecture,
)
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_origins
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_local_repository import (
    LocalRepository,
    control_fields,
    file_name,
    sha256_of,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import AptMetadata
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import (
    AptResolver,
    Change,
    Stanza,
    by_version,
    target,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.deb_repack import Repacker

Installed = Dict[Tuple[str, str], Package]


def installed_package(installed: Installed, name: str, arch: str) -> Optional[Package]:
    """Return the installed package that an update of ``name:arch`` replaces.

    A package may change between its native architecture and ``all``.
    """
    native = native_architecture(installed)
    others = {"all": native, native: "all"}
    return installed.get((name, arch)) or installed.get((name, others.get(arch, arch)))


def still_wanted(updates: List[Dict[str, Any]], installed: Installed) -> List[Dict[str, Any]]:
    """Return the updates that are not at their target yet.

    Raises:
        PatchingError: something newer than the target is installed.
    """
    wanted = []
    for update in updates:
        package = installed_package(installed, update["name"], update["arch"])
        if update["to"] is None:
            if package is not None:
                wanted.append(update)
            continue
        if package is not None and dpkg_version.compare(package.version, update["to"]) > 0:
            raise PatchingError(
                "{}:{}".format(update["name"], update["arch"]),
                "{} is installed".format(package.version),
                "{} or older".format(update["to"]),
                "find out what else updates this host, then assess and plan again",
            )
        if package is None or package.version != update["to"]:
            wanted.append(update)
    return wanted


class AptStage:
    """One call of ``update_stage`` on an apt host."""

    def __init__(self, host: Host, request: StageRequest) -> None:
        self.host = host
        self.request = request
        self.journal = Journal(host.state_dir, host.clock)
        self.database = DpkgDatabase(host.root)
        self.repacker = Repacker(host.runner, host.root)
        self.installed: Installed = {}

    def run(self) -> Dict[str, Any]:
        """Return the shape of ``update_stage``'s RETURN."""
        with self._told():
            return self._run()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn an error of the disk or of a file name into a message that the operator can act on."""
        try:
            yield
        except (OSError, UnicodeError) as error:
            raise PatchingError(
                "stage of {}".format(self.request.host),
                str(error),
                "a disk that can be read and written",
                "correct it, then stage the host again; nothing was installed",
            )

    def _run(self) -> Dict[str, Any]:
        self.installed = self.database.present()
        wanted = still_wanted(self.request.updates, self.installed)
        if not wanted:
            return self._nothing_to_do()
        with AptMetadata(self.host) as metadata:
            metadata.refresh()
            resolver = AptResolver(self.host.runner, metadata.options(), metadata.directory)
            todo, stanzas = self._resolve(resolver, wanted)
            stage, preserved = self._repositories(todo)
            done = self._already_staged(todo, stage, preserved)
            if done is not None:
                return done
            if not self.request.check:
                self.repacker.clear(preserved.debs)
            plan = self._plan(todo, stage, preserved, stanzas)
            if self.request.check:
                return dict(plan, changed=True, download_bytes=plan["download_bytes"], cves={}, stage_dir=None)
            disk_space.check(plan["space"])
            return self._stage(todo, stage, preserved, stanzas, metadata, plan)

    def _nothing_to_do(self) -> Dict[str, Any]:
        empty = transaction.build(self.request.host, "apt", self._manifest_digest(), [])
        return {
            "changed": False,
            "nothing_to_do": True,
            "transaction": empty,
            "stage_dir": None,
            "preserved_dir": None,
            "preserved": [],
            "not_preserved": [],
            "space": [],
            "cves": {},
            "download_bytes": 0,
        }

    def _manifest_digest(self) -> Optional[str]:
        return self.request.manifest["digest"] if self.request.manifest else None

    def _allowed(self) -> Dict[str, Any]:
        """Return the manifest; without one, what is asked for is all that is allowed."""
        if self.request.manifest:
            return self.request.manifest
        return {"entries": [dict(update, version=update["to"]) for update in self.request.updates]}

    def _resolve(self, resolver: AptResolver, wanted: List[Dict[str, Any]]) -> Tuple[Dict[str, Any], Dict[Any, Stanza]]:
        """Return the transaction, and the repository's paragraphs of new and present versions."""
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
        transaction.check_within(entries, self._allowed())
        for entry in entries:
            if entry["to"] is not None and not entry["sha256"]:
                raise PatchingError(
                    "{}:{} {}".format(entry["name"], entry["arch"], entry["to"]),
                    "a repository without SHA-256",
                    "an index that carries it",
                    "update from a repository that publishes SHA-256 sums",
                )
        return transaction.build(self.request.host, "apt", self._manifest_digest(), entries), stanzas

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
        versions = sorted({version for _name, _arch, version in found}, key=dpkg_version.key)
        raise PatchingError(
            "{}:{}".format(update["name"], update["arch"]),
            "repository now gives {}".format(versions[-1] if versions else "no version at all"),
            "manifest allows {}".format(update["to"]),
            "assess and plan again, so that a manifest with what the repository holds now is approved",
        )

    def _repositories(self, todo: Dict[str, Any]) -> Tuple[LocalRepository, LocalRepository]:
        short = transaction.short_name(todo)
        return (
            LocalRepository(self.host.runner, os.path.join(self.host.state_dir, "stage", short)),
            LocalRepository(self.host.runner, os.path.join(self.host.state_dir, "preserved", short)),
        )

    def _already_staged(
        self, todo: Dict[str, Any], stage: LocalRepository, preserved: LocalRepository
    ) -> Optional[Dict[str, Any]]:
        """Return the result of the earlier call when its stage and the way back are whole."""
        try:
            with open(os.path.join(stage.directory, "stage.json"), encoding="utf-8") as handle:
                result: Dict[str, Any] = json.load(handle)
            kept = [preserved.deb(item["name"], item["version"], item["arch"]) for item in result["preserved"]]
            if result["transaction"] != todo or result["not_preserved"] or not all(map(os.path.exists, kept)):
                return None
            stage.check(todo["entries"])
        except (OSError, ValueError, KeyError, PatchingError):
            return None
        return dict(result, changed=False, download_bytes=0)

    def _plan(
        self, todo: Dict[str, Any], stage: LocalRepository, preserved: LocalRepository, stanzas: Dict[Any, Stanza]
    ) -> Dict[str, Any]:
        """Return what staging would do: what can be kept, what is to be fetched, and the room for it."""
        new_bytes = sum(
            entry["size_bytes"]
            for entry in todo["entries"]
            if entry["to"] and not os.path.exists(stage.deb(entry["name"], entry["to"], entry["arch"]))
        )
        keep, old_bytes, packed_bytes = [], 0, 0
        for package in self._replaced(todo):
            stanza = stanzas.get((package.name, package.arch, package.version))
            keep.append({"name": package.name, "arch": package.arch, "version": package.version})
            if os.path.exists(preserved.deb(package.name, package.version, package.arch)) or self._cached(package):
                continue
            if stanza is not None:
                old_bytes += int(stanza.get("Size", "0"))
            else:  # packed from its files, which takes them once more, and at most as much for the result
                packed_bytes += 2 * package.installed_bytes
        after = [int(self._size_after(entry, stanzas)) for entry in todo["entries"]]
        space = disk_space.survey(
            disk_space.needs_of(
                self.host.state_dir,
                new_bytes + old_bytes + packed_bytes,
                sum(package.installed_bytes for package in self._replaced(todo)),
                sum(after),
                max(after),
                sum(
                    1 for entry in todo["entries"] if entry["from"] is None and entry["name"].startswith("linux-image-")
                ),
            )
        )
        return {
            "nothing_to_do": False,
            "transaction": todo,
            "stage_dir": stage.directory,
            "preserved_dir": preserved.directory,
            "preserved": keep,
            "not_preserved": [],
            "space": space,
            "download_bytes": new_bytes + old_bytes,
        }

    @staticmethod
    def _size_after(entry: Dict[str, Any], stanzas: Dict[Any, Stanza]) -> int:
        size = stanzas.get((entry["name"], entry["arch"], entry["to"] or ""), {}).get("Installed-Size", "0")
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
            self.host.root, "var/cache/apt/archives", file_name(package.name, package.version, package.arch)
        )
        return path if os.path.exists(path) else None

    def _stage(
        self,
        todo: Dict[str, Any],
        stage: LocalRepository,
        preserved: LocalRepository,
        stanzas: Dict[Any, Stanza],
        metadata: AptMetadata,
        plan: Dict[str, Any],
    ) -> Dict[str, Any]:
        run_id, digest = self.request.run_id, todo["digest"]
        self.journal.append(run_id, "stage", "begin", transaction=digest)
        try:
            with self._told():
                result = self._make(todo, stage, preserved, stanzas, metadata, plan)
        except PatchingError as error:
            self.journal.append(run_id, "stage", "failed", transaction=digest, reason=str(error))
            raise
        self.journal.append(run_id, "stage", "done", transaction=digest)
        return result

    def _make(
        self,
        todo: Dict[str, Any],
        stage: LocalRepository,
        preserved: LocalRepository,
        stanzas: Dict[Any, Stanza],
        metadata: AptMetadata,
        plan: Dict[str, Any],
    ) -> Dict[str, Any]:
        stage.create()
        fetched = self._fetch_new(todo, stage, metadata)
        stage.check(todo["entries"])
        stage.index()
        self._rehearse(todo, stage)
        preserved.create()
        kept, lost, more = self._preserve(todo, preserved, stanzas, metadata)
        preserved.index()
        result = dict(
            plan,
            changed=True,
            preserved=kept,
            not_preserved=lost,
            cves=self._cves(todo, stage),
            download_bytes=fetched + more,
        )
        self._record(stage, result)
        return result

    @staticmethod
    def _record(stage: LocalRepository, result: Dict[str, Any]) -> None:
        """Write the result last: a stage without it is unfinished."""
        path = os.path.join(stage.directory, "stage.json")
        with open(path + ".part", "w", encoding="utf-8") as handle:
            json.dump(result, handle, sort_keys=True)
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(path + ".part", path)

    def _download(self, metadata: AptMetadata, targets: List[str], check: bool) -> Dict[str, str]:
        """Fetch ``targets`` through apt, which checks them against the signed indexes; return paths by SHA-256."""
        directory = metadata.path("download")
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory)
        with contextlib.suppress(KeyError, OSError):  # an apt without its own user fetches as root
            os.chown(directory, pwd.getpwnam("_apt").pw_uid, -1)
        if targets:
            self.host.runner.run(
                ["apt-get", "download", "-q"] + metadata.options() + targets,
                timeout_s=3600,
                env={"DEBIAN_FRONTEND": "noninteractive"},
                cwd=directory,
                check=check,
            )
        paths = [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if name.endswith(".deb")]
        return {sha256_of(path): path for path in paths}

    def _fetch_new(self, todo: Dict[str, Any], stage: LocalRepository, metadata: AptMetadata) -> int:
        missing = []
        for entry in todo["entries"]:
            if entry["to"] is None:
                continue
            path = stage.deb(entry["name"], entry["to"], entry["arch"])
            if not os.path.exists(path) or sha256_of(path) != entry["sha256"]:
                missing.append(entry)
        files = self._download(
            metadata, [target(entry["name"], entry["arch"], entry["to"]) for entry in missing], check=True
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
            stage.take(files[entry["sha256"]], entry["name"], entry["to"], entry["arch"])
        return fetched

    def _rehearse(self, todo: Dict[str, Any], stage: LocalRepository) -> None:
        """Let apt simulate the transaction from the stage alone; it must be the same."""
        resolver = AptResolver(self.host.runner, stage.options(), stage.apt)
        changes = resolver.install(
            [target(entry["name"], entry["arch"], entry["to"]) for entry in todo["entries"]], recommends=False
        )
        expected = {(entry["name"], entry["arch"], entry["from"], entry["to"]) for entry in todo["entries"]}
        found = {(change.name, change.arch, change.current, change.to) for change in changes}
        for name, arch, current, to in sorted(expected ^ found, key=str):
            raise PatchingError(
                "rehearsal of {}:{}".format(name, arch),
                "{} to {} {}".format(current, to, "is missing" if (name, arch, current, to) in expected else "appears"),
                "the same transaction from the stage as from the repositories",
                "stage again; if it stays so, report this package",
            )

    def _preserve(
        self, todo: Dict[str, Any], preserved: LocalRepository, stanzas: Dict[Any, Stanza], metadata: AptMetadata
    ) -> Tuple[List[Dict[str, str]], List[Dict[str, str]], int]:
        """Keep the versions that are installed now: from the repository, apt's cache, else from their files."""
        packages = self._replaced(todo)
        missing = [
            package
            for package in packages
            if not os.path.exists(preserved.deb(package.name, package.version, package.arch))
        ]
        offered = {
            package: stanzas[(package.name, package.arch, package.version)]
            for package in missing
            if (package.name, package.arch, package.version) in stanzas
        }
        files = self._download(
            metadata,
            [target(package.name, package.arch, package.version) for package in offered],
            check=False,
        )
        fetched = 0
        for package, stanza in offered.items():
            path = files.get(stanza.get("SHA256", ""))
            if path is not None:
                fetched += os.path.getsize(path)
                preserved.take(path, package.name, package.version, package.arch)
        kept, lost = [], []
        for package in packages:
            item = {"name": package.name, "arch": package.arch, "version": package.version}
            final = preserved.deb(package.name, package.version, package.arch)
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

    def _cves(self, todo: Dict[str, Any], stage: LocalRepository) -> Dict[str, List[str]]:
        """Return CVEs by package name; packages of one source share one changelog."""
        upgrades = [entry for entry in todo["entries"] if entry["from"] and entry["to"]]
        paths = [stage.deb(entry["name"], entry["to"], entry["arch"]) for entry in upgrades]
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
