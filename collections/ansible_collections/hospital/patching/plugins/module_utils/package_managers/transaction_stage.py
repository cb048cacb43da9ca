# SPDX-License-Identifier: GPL-3.0-or-later
"""What staging a transaction is under every package manager; each adds how it resolves, fetches and rehearses."""

import contextlib
import json
import os
from abc import ABC, abstractmethod
from typing import Any, ContextManager, Dict, Iterator, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import disk_space, transaction
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import STAGE_STEP, Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import package_repack, transaction_work
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import (
    PackageFolder,
    copy_whole,
    sha256_of,
    without_sha256,
)

Entry = Dict[str, Any]


class TransactionStage(ABC):
    """One call of ``update_stage``."""

    #: The transaction's ``manager``.
    MANAGER = ""
    #: Where packages are staged, and where those that they replace are kept; known once it is resolved.
    stage: PackageFolder
    preserved: PackageFolder

    def __init__(self, host: Host, request: StageRequest) -> None:
        self.host = host
        self.request = request
        self.journal = Journal(host.state_dir, host.clock)

    # --- what each package manager does in its own way ---

    @abstractmethod
    def look(self) -> None:
        """Read what is installed."""

    @abstractmethod
    def installed_version(self, update: Entry) -> Optional[str]:
        """Return the installed version of an update's package, or None."""

    @abstractmethod
    def compare(self, one: str, other: str) -> int:
        """Return how two versions compare, below, at or above 0."""

    @abstractmethod
    def metadata(self) -> ContextManager[Any]:
        """Return the context in which the repositories' refreshed metadata can be asked; the host keeps none of it."""

    @abstractmethod
    def resolve(self, wanted: List[Entry]) -> List[Entry]:
        """Return the transaction's entries for these updates, with all that they need; not yet checked."""

    @abstractmethod
    def open_folders(self, stage: str, preserved: str) -> None:
        """Set :attr:`stage` and :attr:`preserved` to the folders in these directories; nothing is made."""

    @abstractmethod
    def plan(self, todo: Dict[str, Any]) -> Dict[str, Any]:
        """Return what staging would do: :meth:`planned`."""

    @abstractmethod
    def current(self, entry: Entry) -> Any:
        """Return the installed package that an entry replaces or removes, or None."""

    @abstractmethod
    def item(self, package: Any) -> Dict[str, str]:
        """Return ``name``, ``arch`` and ``version`` of an installed package."""

    @abstractmethod
    def download_new(self, entries: List[Entry]) -> Dict[str, str]:
        """Fetch the files of entries, checked for their signatures; return their paths by SHA-256."""

    @abstractmethod
    def download_old(self, packages: List[Any]) -> List[Tuple[Any, str]]:
        """Fetch what is still offered of installed packages; return each with the path of its checked file."""

    @abstractmethod
    def cached(self, package: Any) -> List[str]:
        """Return the files in the package manager's own cache that an installed package may have come from."""

    @abstractmethod
    def is_whole(self, path: str, package: Any) -> bool:
        """Return whether a cached file is this package's, and undamaged."""

    @abstractmethod
    def repack(self, package: Any, path: str) -> None:
        """Pack an installed package from its files.

        Raises:
            PatchingError: it cannot be.
        """

    @abstractmethod
    def rehearse(self, todo: Dict[str, Any]) -> None:
        """Refuse unless the transaction can be done from the stage alone, and is the same then.

        Raises:
            PatchingError: naming what is against it.
        """

    @abstractmethod
    def cves(self, todo: Dict[str, Any]) -> Dict[str, List[str]]:
        """Return by package name the CVEs that the transaction fixes."""

    def offered_bytes(self, package: Any) -> Optional[int]:
        """Return the bytes of an installed package's file in the repositories, None where it is not known."""
        return None

    def try_way_back(self, todo: Dict[str, Any]) -> Optional[bool]:
        """Rehearse the way back of which everything is kept; None where it is not, False where there is no room.

        Raises:
            PatchingError: it cannot be gone.
        """
        return None

    # --- what is the same for all ---

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
        self.look()
        wanted = self.still_wanted()
        if not wanted:
            return self._nothing_to_do()
        with self.metadata():
            todo = self._transaction(self.resolve(wanted))
            self.open_folders(
                transaction_work.stage_dir(self.host, todo), transaction_work.preserved_dir(self.host, todo)
            )
            done = self._already_staged(todo)
            if done is not None:
                self._journal_again(todo)
                return done
            if not self.request.check:
                self.clear()
            plan = self.plan(todo)
            if self.request.check:
                return dict(plan, changed=True, cves={}, stage_dir=None)
            self.check_space(plan["space"])
            return self._journalled(todo, plan)

    def check_space(self, space: List[Dict[str, Any]]) -> None:
        """Refuse when a file system has too little room.

        Raises:
            PatchingError: naming it, and of a full /boot the kernels that nothing boots any more.
        """
        try:
            disk_space.check(space)
        except PatchingError as error:
            command = self.old_kernels(os.uname().release)
            if not command or error.subject != "file system {}".format(disk_space.mount_point("/boot")):
                raise
            raise PatchingError(
                error.subject,
                error.seen,
                error.expected,
                "remove the kernels that nothing boots any more ({}), then stage again".format(" ".join(command)),
            )

    @abstractmethod
    def old_kernels(self, running: str) -> List[str]:
        """Return the command that removes the kernels which nothing boots any more; empty where there are none."""

    def still_wanted(self) -> List[Entry]:
        """Return the updates that are not at their target yet.

        Raises:
            PatchingError: something newer than the target is installed.
        """
        wanted = []
        for update in self.request.updates:
            version = self.installed_version(update)
            if update["to"] is None:
                if version is not None:
                    wanted.append(update)
                continue
            if version is not None and self.compare(version, update["to"]) > 0:
                raise PatchingError(
                    "{}:{}".format(update["name"], update["arch"]),
                    "{} is installed".format(version),
                    "{} or older".format(update["to"]),
                    "find out what else updates this host, then assess and plan again",
                )
            if version != update["to"]:
                wanted.append(update)
        return wanted

    def _nothing_to_do(self) -> Dict[str, Any]:
        return {
            "changed": False,
            "nothing_to_do": True,
            "transaction": self._built([]),
            "stage_dir": None,
            "preserved_dir": None,
            "preserved": [],
            "not_preserved": [],
            "space": [],
            "cves": {},
            "download_bytes": 0,
            "way_back_tried": None,
        }

    def _built(self, entries: List[Entry]) -> Dict[str, Any]:
        manifest = self.request.manifest["digest"] if self.request.manifest else None
        return transaction.build(self.request.host, self.MANAGER, manifest, entries)

    def _allowed(self) -> Dict[str, Any]:
        """Return the manifest; without one, what is asked for is all that is allowed."""
        if self.request.manifest:
            return self.request.manifest
        return {"entries": [dict(update, version=update["to"]) for update in self.request.updates]}

    def _transaction(self, entries: List[Entry]) -> Dict[str, Any]:
        """Return the digested transaction of ``entries``.

        Raises:
            PatchingError: the manifest does not allow it, or a package has no SHA-256.
        """
        transaction.check_within(entries, self._allowed())
        for entry in entries:
            if entry["to"] is not None and not entry["sha256"]:
                raise without_sha256(entry["name"], entry["arch"], entry["to"])
        return self._built(entries)

    def drift(self, update: Entry, versions: List[str]) -> PatchingError:
        """Return the error of an update whose version is not offered any more; the newest of ``versions`` is last."""
        return PatchingError(
            "{}:{}".format(update["name"], update["arch"]),
            "repository now gives {}".format(versions[-1] if versions else "no version at all"),
            "manifest allows {}".format(update["to"]),
            "assess and plan again, so that a manifest with what the repository holds now is approved",
        )

    def _already_staged(self, todo: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Return the result of the earlier call when its stage and the way back are whole."""
        try:
            with open(os.path.join(self.stage.directory, "stage.json"), encoding="utf-8") as handle:
                result: Dict[str, Any] = json.load(handle)
            kept = [self.preserved.path(item["name"], item["version"], item["arch"]) for item in result["preserved"]]
            if result["transaction"] != todo or result["not_preserved"] or not all(map(os.path.exists, kept)):
                return None
            if result["way_back_tried"] is False:  # there may be room by now
                return None
            self.stage.check(todo["entries"])
        except (OSError, ValueError, KeyError, PatchingError):
            return None
        return dict(result, changed=False, download_bytes=0)

    def planned(
        self, todo: Dict[str, Any], keep: List[Dict[str, str]], needs: Dict[str, int], download_bytes: int
    ) -> Dict[str, Any]:
        """Return the result as far as it is known before anything is fetched.

        Args:
            keep: the versions that are to be kept, with ``name``, ``arch`` and ``version``.
            needs: as :func:`disk_space.needs_of` returns them.
        """
        return {
            "nothing_to_do": False,
            "transaction": todo,
            "stage_dir": self.stage.directory,
            "preserved_dir": self.preserved.directory,
            "preserved": keep,
            "not_preserved": [],
            "space": disk_space.survey(needs),
            "download_bytes": download_bytes,
            "way_back_tried": None,
        }

    def _journal_again(self, todo: Dict[str, Any]) -> None:
        """Journal that another run than the one which staged it, or another window, needs it too."""
        told = {"transaction": todo["digest"], "window_end": self.request.window_end}
        mine = (self.request.run_id, STAGE_STEP)
        try:
            before = [one["detail"] for one in self.journal.read() if (one["run_id"], one["step"]) == mine]
        except PatchingError:
            before = []
        known = any({key: detail.get(key, "") for key in told} == told for detail in before)
        if not (known or self.request.check):
            self.journal.append(self.request.run_id, STAGE_STEP, "done", **told)

    def _journalled(self, todo: Dict[str, Any], plan: Dict[str, Any]) -> Dict[str, Any]:
        run_id, digest = self.request.run_id, todo["digest"]
        self.journal.append(run_id, STAGE_STEP, "begin", transaction=digest, window_end=self.request.window_end)
        try:
            with self._told():
                result = self.make(todo, plan)
                self._record(result)
        except PatchingError as error:
            self.journal.append(run_id, STAGE_STEP, "failed", transaction=digest, reason=str(error))
            raise
        self.journal.append(run_id, STAGE_STEP, "done", transaction=digest, window_end=self.request.window_end)
        return result

    def _record(self, result: Dict[str, Any]) -> None:
        """Write the result last: a stage without it is unfinished."""
        path = os.path.join(self.stage.directory, "stage.json")
        with open(path + ".part", "w", encoding="utf-8") as handle:
            json.dump(result, handle, sort_keys=True)
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(path + ".part", path)

    def rehearsed(self, todo: Dict[str, Any], found: List[Tuple[str, str, Optional[str], Optional[str]]]) -> None:
        """Refuse unless a rehearsal from the stage alone gave the transaction: (name, arch, from, to) of each.

        Raises:
            PatchingError: naming the first difference.
        """
        expected = {(entry["name"], entry["arch"], entry["from"], entry["to"]) for entry in todo["entries"]}
        for name, arch, current, to in sorted(expected ^ set(found), key=str):
            raise PatchingError(
                "rehearsal of {}:{}".format(name, arch),
                "{} to {} {}".format(current, to, "is missing" if (name, arch, current, to) in expected else "appears"),
                "the same transaction from the stage as from the repositories",
                "stage again; if it stays so, report this package",
            )

    # --- the files: what comes, and what is kept of what goes ---

    def new_bytes(self, todo: Dict[str, Any]) -> int:
        """Return how many bytes of new packages are not staged yet."""
        return sum(
            entry["size_bytes"] for entry in todo["entries"] if entry["to"] and not os.path.exists(self._staged(entry))
        )

    def keeping_bytes(self, packages: List[Any]) -> Tuple[int, int]:
        """Return how many bytes are fetched to keep installed packages, and how many packing the others takes."""
        fetched = packed = 0
        for package in packages:
            if os.path.exists(self.kept(package)) or self.cached(package):
                continue
            offered = self.offered_bytes(package)
            if offered is not None:
                fetched += offered
            else:  # packed from its files, which takes them once more, and at most as much for the result
                packed += 2 * package.installed_bytes
        return fetched, packed

    def clear(self) -> None:
        """Remove what an earlier call left half done."""
        package_repack.clear(self.preserved.files)

    def replaced(self, todo: Dict[str, Any]) -> List[Any]:
        """Return the installed packages that the transaction replaces or removes, an older kernel too."""
        found = (self.current(entry) for entry in todo["entries"] if entry["from"])
        return [package for package in found if package is not None]

    def kept(self, package: Any) -> str:
        """Return where the file of an installed package is kept, or would be."""
        item = self.item(package)
        return self.preserved.path(item["name"], item["version"], item["arch"])

    def _staged(self, entry: Entry) -> str:
        return self.stage.path(entry["name"], entry["to"], entry["arch"])

    def make(self, todo: Dict[str, Any], plan: Dict[str, Any]) -> Dict[str, Any]:
        """Fetch, check, rehearse and keep; return the result."""
        self.stage.create()
        fetched = self.fetch_new(todo)
        self.stage.check(todo["entries"])
        self.rehearse(todo)
        self.preserved.create()
        kept, lost, more = self.preserve(todo)
        return dict(
            plan,
            changed=True,
            preserved=kept,
            not_preserved=lost,
            cves=self.cves(todo),
            download_bytes=fetched + more,
            way_back_tried=None if lost else self.try_way_back(todo),
        )

    def fetch_new(self, todo: Dict[str, Any]) -> int:
        """Stage what is not staged yet; return the bytes that were fetched.

        Raises:
            PatchingError: a package did not come with the SHA-256 of its entry.
        """
        missing = [entry for entry in todo["entries"] if entry["to"] and not self._is_staged(entry)]
        files = self.download_new(missing)
        fetched = 0
        for entry in missing:
            path = files.get(entry["sha256"])
            if path is None:
                raise PatchingError(
                    "{}:{} {}".format(entry["name"], entry["arch"], entry["to"]),
                    "no downloaded file with SHA-256 {}".format(entry["sha256"]),
                    "the file that the manifest names",
                    "check the repository or mirror; nothing was installed",
                )
            fetched += os.path.getsize(path)
            self.stage.take(path, entry["name"], entry["to"], entry["arch"])
        return fetched

    def _is_staged(self, entry: Entry) -> bool:
        path = self._staged(entry)
        return os.path.exists(path) and sha256_of(path) == entry["sha256"]

    def preserve(self, todo: Dict[str, Any]) -> Tuple[List[Dict[str, str]], List[Dict[str, str]], int]:
        """Keep what is replaced: from a repository, the cache, else from its files; return kept, lost and bytes."""
        packages = self.replaced(todo)
        missing = [package for package in packages if not os.path.exists(self.kept(package))]
        fetched = 0
        for package, path in self.download_old(missing):
            item = self.item(package)
            fetched += os.path.getsize(path)
            self.preserved.take(path, item["name"], item["version"], item["arch"])
        kept, lost = [], []
        for package in packages:
            item, final = self.item(package), self.kept(package)
            if not os.path.exists(final):
                self._keep_cached(package, final)
            try:
                if not os.path.exists(final):
                    self.repack(package, final)
                kept.append(dict(item, sha256=sha256_of(final)))
            except PatchingError as error:
                lost.append(dict(item, reason=error.seen))
        return kept, lost, fetched

    def _keep_cached(self, package: Any, final: str) -> None:
        path = next((path for path in self.cached(package) if self.is_whole(path, package)), None)
        if path is not None:
            copy_whole(path, final)
