# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that is carried between an offline site and a connected machine.

``requests/HOST.json`` says what a host has; ``files/`` holds packages and signed
indexes, each named by its SHA-256; ``index.json`` says which are which, by
platform, with a digest over all of it.

The folder passes through hands and machines that nobody watches, so it proves
nothing by itself: packages are installed only if the approved manifest has their
SHA-256, and assessments come from indexes whose signature the host checks. Its
own sums find what was damaged or exchanged on the way, and name it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schema

CHUNK = 1 << 20
SHA256 = re.compile("[0-9a-f]{64}")
AGAIN = "fill the folder again on the connected machine, carry it here, then run this again; nothing was changed"


class CarriedFolder:
    """The folder at ``path``, on the controller or a medium in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # --- requests -----------------------------------------------------------

    def save_request(self, host: str, request: Mapping[str, Any]) -> Path:
        """Write what a host asks for.

        Raises:
            PatchingError: the folder cannot be written.
        """
        schema.validate("carry_request", request, f"the request of {host}")
        path = self.path / "requests" / f"{host}.json"
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, request)
        return path

    def requests(self) -> dict[str, dict[str, Any]]:
        """Return all requests by host.

        Raises:
            PatchingError: there is none, or one cannot be read.
        """
        found = {}
        for path in sorted((self.path / "requests").glob("*.json")):
            found[path.stem] = _read(path)
            schema.validate("carry_request", found[path.stem], str(path))
        if not found:
            raise PatchingError(
                str(self.path / "requests"),
                "no request",
                "a request of each offline host",
                "run carry_request.yml at the offline site, and carry the folder here",
            )
        return found

    # --- files --------------------------------------------------------------

    def index(self) -> dict[str, Any]:
        """Return the index.

        Raises:
            PatchingError: there is none, or it is not as it was written.
        """
        path = self.path / "index.json"
        if not path.is_file():
            raise PatchingError(str(path), "missing", "the index of a carried folder", AGAIN)
        index = _read(path)
        schema.validate("carried_folder", index, str(path))
        if index["digest"] != digest({key: value for key, value in index.items() if key != "digest"}):
            raise PatchingError(str(path), "changed since it was written", f"the digest {index['digest']}", AGAIN)
        return index

    def digest(self) -> str:
        """Return the index's digest, or empty text where there is no whole index yet."""
        return str(self._usable().get("digest", ""))

    def _usable(self) -> Mapping[str, Any]:
        """Return the index, or nothing where filling has to begin anew: a damaged one names no file reliably."""
        try:
            return self.index()
        except PatchingError:
            return {}

    def have(self) -> list[str]:
        """Return the SHA-256 of the files that are here and whole; a damaged one is to be fetched again.

        Raises:
            PatchingError: the folder cannot be listed.
        """
        return [name for name in self.names() if self._sum(name) == name]

    def names(self) -> list[str]:
        """Return the SHA-256 of the files that are here, as their names say."""
        files = self.path / "files"
        with _told(files):
            return sorted(path.name for path in files.iterdir() if not path.suffix) if files.is_dir() else []

    def _sum(self, name: str) -> str:
        try:
            with (self.path / "files" / name).open("rb") as source:
                return hashlib.file_digest(source, "sha256").hexdigest()
        except OSError:  # a medium that cannot give it back has lost it
            return ""

    def fill(self, archive: Path, content: Mapping[str, Any], made: str) -> dict[str, Any]:
        """Take in what one connected host has fetched for its platform; return the new index.

        Raises:
            PatchingError: a file is not what its name says, one is missing, or the folder cannot be written.
        """
        files = self.path / "files"
        with _told(files):
            files.mkdir(parents=True, exist_ok=True)
            try:
                self._take_in(archive)
            finally:
                for part in files.glob("*.part"):  # of this time or of one that was killed: it takes room
                    part.unlink()
        known = self._usable()
        before = known.get("platforms", {})
        platforms = {**before, content["platform"]: {key: content[key] for key in ("releases", "lists", "files")}}
        index = {"schema": 1, "made": known["made"] if platforms == before else made, "platforms": platforms}
        index["digest"] = digest(index)
        schema.validate("carried_folder", index, str(self.path / "index.json"))
        wanted = {name for part in platforms.values() for name in _all(part)}
        with _told(files):
            _write(self.path / "index.json", index)
            # Beside a damaged index, files of other platforms wait for their own connected host.
            for name in set(self.names()) - wanted if known else ():
                (files / name).unlink()
        for name in sorted(wanted - set(self.names())):
            raise PatchingError(str(files / name), "missing", "every file that the index names", "run it again")
        return index

    def _take_in(self, archive: Path) -> None:
        """Unpack the files, each under its name only once it is whole and on the medium."""
        files = self.path / "files"
        with tarfile.open(archive) as bundle:
            for member in bundle:
                source = bundle.extractfile(member)
                if source is None or not SHA256.fullmatch(member.name):
                    raise PatchingError(str(archive), repr(member.name), "files named by SHA-256", "run it again")
                part = files / f"{member.name}.part"
                with part.open("wb") as target:
                    found = _copy(source, target)
                    target.flush()
                    os.fsync(target.fileno())
                if found != member.name:
                    raise PatchingError(f"file {member.name}", f"SHA-256 {found}", "its name", "run it again")
                part.replace(files / member.name)
        _sync(files)

    def needed(self, platform: str, updates: Iterable[Mapping[str, Any]]) -> dict[str, int]:
        """Return the size by SHA-256 of what a host needs: all indexes, and the packages of ``updates``.

        Declared software among them is not carried: stage fetches it from where it is declared to be.

        Raises:
            PatchingError: the folder has nothing for the platform, or lacks a package of an update.
        """
        index = self.index()
        part = index["platforms"].get(platform)
        if part is None:
            held = ", ".join(sorted(index["platforms"])) or "nothing"
            raise PatchingError(f"carried folder {self.path}", f"it holds {held}", f"packages for {platform}", AGAIN)
        found = {one["sha256"]: one["size_bytes"] for one in part["lists"]}
        found.update({sha256: _size(self.path / "files" / sha256) for sha256 in part["releases"].values()})
        sizes = {one["sha256"]: one["size_bytes"] for one in part["files"]}
        kept = {(one["name"], one["version"]): one for one in part["files"]}
        for update in updates:
            if "installer" in update:
                continue  # declared software comes from its own source: this folder holds packages only
            if update["to"] is not None:
                if update["sha256"] not in sizes:
                    raise PatchingError(
                        f"{update['name']}:{update['arch']} {update['to']}",
                        f"not in the carried folder {self.path}",
                        f"a file with SHA-256 {update['sha256']}",
                        "write a new request at this site, then fill and carry the folder again; nothing was changed",
                    )
                found[update["sha256"]] = sizes[update["sha256"]]
            # The version for the way back; where the repositories have lost it, stage packs it from its files.
            old = kept.get((update["name"], update["from"]))
            if old is not None and (old["arch"] == update["arch"] or "all" in (old["arch"], update["arch"])):
                found[old["sha256"]] = old["size_bytes"]
        return found

    def bundle(self, names: Iterable[str], archive: Path) -> None:
        """Write ``names`` into a tar file.

        Raises:
            PatchingError: one is missing or not what its name says, or the tar file cannot be written.
        """
        with _told(archive), tarfile.open(archive, "w:gz", compresslevel=1) as bundle:
            for name in sorted(names):
                path = self.path / "files" / name
                if not path.is_file():
                    raise PatchingError(str(path), "missing", self._what(name), AGAIN)
                found = self._sum(name) or "that cannot be read"
                if found != name:
                    raise PatchingError(f"{path} ({self._what(name)})", f"SHA-256 {found}", f"SHA-256 {name}", AGAIN)
                bundle.add(path, name, recursive=False)

    def _what(self, name: str) -> str:
        """Return what the file is, for people."""
        for part in self.index()["platforms"].values():
            for one in part["files"]:
                if one["sha256"] == name:
                    return f"{one['name']}:{one['arch']} {one['version']}"
            for address, sha256 in part["releases"].items():
                if sha256 == name:
                    return str(address)
        return "an index of packages"


def releases(index: Mapping[str, Any], platform: str) -> dict[str, str]:
    """Return the signed files by address, for the host."""
    return dict(index["platforms"][platform]["releases"])


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell what a medium or a file system did not let us do, such as a stick that is full or read-only."""
    try:
        yield
    except OSError as error:
        seen = error.strerror or str(error)
        where = str(error.filename or path)
        expected = "a file system that can be read and written, with room"
        next_step = "make room there or mount it for writing, else use another one; then run it again"
        raise PatchingError(where, seen, expected, next_step) from error


def _all(part: Mapping[str, Any]) -> set[str]:
    return {one["sha256"] for one in [*part["lists"], *part["files"]]} | set(part["releases"].values())


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _copy(source: Any, target: Any) -> str:
    total = hashlib.sha256()
    for chunk in iter(lambda: source.read(CHUNK), b""):
        total.update(chunk)
        target.write(chunk)
    return total.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PatchingError(str(path), str(error), "a JSON document", AGAIN) from error
    if not isinstance(found, dict):
        raise PatchingError(str(path), "no JSON object", "a JSON object", AGAIN)
    return found


def _write(path: Path, document: Mapping[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as handle:
        json.dump(document, handle, indent=1, sort_keys=True)
        handle.flush()
        os.fsync(handle.fileno())
    part.replace(path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Have names on the medium before it is pulled out."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems know no such thing of a folder
            raise
    finally:
        os.close(handle)
