# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking for vulnerable libraries inside Java archives, and inside the archives within them.

A library is known by the name of its archive (``log4j-core-2.14.1.jar``, or
``spring-beans.jar`` with the version in its manifest) and, in shaded and unpacked
copies, by Maven's ``META-INF/maven/<group>/<artifact>/pom.properties``.
Everything is bounded: a hostile archive becomes a row of ``not_read``.
"""

import os
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from typing import IO, Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import open_regular
from ansible_collections.hospital.patching.plugins.module_utils.software.vulnerable_libraries import (
    Library,
    marked,
)

ARCHIVES = (".jar", ".war", ".ear", ".sar", ".par", ".kar", ".hpi", ".jpi", ".nar")

#: For one file on the disk and all that is inside it; ``told`` are its rows of not_read, ``rows`` the findings of all.
Limits = NamedTuple(
    "Limits",
    [
        ("depth", int),
        ("entries", int),
        ("index_bytes", int),
        ("member_bytes", int),
        ("total_bytes", int),
        ("ratio", int),
        ("memory_bytes", int),
        ("rows", int),
        ("told", int),
    ],
)
MIB = 1024 * 1024
LIMITS = Limits(4, 200000, 16 * MIB, 512 * MIB, 2048 * MIB, 200, 4 * MIB, 10000, 20)
#: Left free where larger members are unpacked for the moment of looking into them.
RESERVE_BYTES = 1024 * MIB

POM = re.compile(r"(?:.*/)?META-INF/maven/([^/]+)/([^/]+)/pom\.properties\Z")
#: name-version[-classifier].jar. Only known words may follow the numbers: log4j-1.2-api-2.17.1.jar is no log4j 1.2.
_NAMED = re.compile(
    r"(.+?)-([0-9]+"
    r"(?:[.-](?:alpha|beta|milestone|m|rc|cr|snapshot|sp|sec|ga|final|release|redhat|jre|android|incubating|build|b)?"
    r"[0-9]*)*)"
    r"(?:-(?:tests?|all|shaded|classes|embedded|nodep|bin|jdk[0-9.]+|java[0-9.]+|jar-with-dependencies))?\.jar\Z",
    re.IGNORECASE,
)
#: No library has a longer name; matching costs the square of it, and an entry of an archive may have 65,535.
_NAME_MAX = 128
_MANIFEST = re.compile(r"^(?:Implementation|Bundle)-Version:[ \t]*(\S+)", re.MULTILINE)
#: All that zipfile raises on broken, encrypted or unknown archives.
_UNREADABLE = (
    OSError,
    ValueError,
    RuntimeError,
    EOFError,
    KeyError,
    IndexError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


#: A finding: the file, the archives inside it, the library and its version.
_Key = Tuple[str, Tuple[str, ...], str, str]


class _TooMuchError(Exception):
    """A limit of the whole file was reached; the text says which."""


class _Capped:
    """A file whose single reads are bounded: zipfile reads an archive's whole index in one."""

    def __init__(self, handle: IO[bytes], limit_bytes: int) -> None:
        self.handle = handle
        self.limit_bytes = limit_bytes
        self.seek = handle.seek
        self.tell = handle.tell

    def read(self, size: int = -1) -> bytes:
        if 0 <= size <= self.limit_bytes:
            return self.handle.read(size)
        data = self.handle.read(self.limit_bytes + 1)
        if len(data) > self.limit_bytes:
            raise ValueError("its index is larger than {} bytes".format(self.limit_bytes))
        return data

    def seekable(self) -> bool:
        return True


class _File:
    """One file on the disk, with what is left of its limits."""

    def __init__(self, path: str, limits: Limits, within_time: Callable[[], None]) -> None:
        self.path = path
        self.within_time = within_time
        self.unread = 0
        self.entries = limits.entries
        self.total = limits.total_bytes

    def take_entries(self, count: int) -> None:
        self.within_time()
        self.entries -= count
        if self.entries < 0:
            raise _TooMuchError("more entries than the limit")

    def take_bytes(self, count: int) -> None:
        self.within_time()
        self.total -= count
        if self.total < 0:
            raise _TooMuchError("unpacks to more bytes than the limit")


class Scan:
    """A scan over files; ``found`` and ``not_read`` fill as it goes."""

    def __init__(
        self, clock: Clock, known: Dict[str, Library], limits: Limits, deadline: float, spool: Optional[str]
    ) -> None:
        self.clock = clock
        self.known = known
        self.beginnings = tuple(known)
        self.limits = limits
        self.deadline = deadline
        self.spool = spool
        self.found: Dict[_Key, Dict[str, Any]] = {}
        self.not_read: List[Dict[str, Any]] = []
        self.archives = 0

    def look_at(self, path: str, full: str) -> None:
        """Scan the file ``full``, known to the host as ``path``."""
        file = _File(path, self.limits, self._within_time)
        self._name(file, [], os.path.basename(path))
        try:
            with os.fdopen(open_regular(full), "rb") as handle:
                self._archive(file, handle, [])
        except _TooMuchError as error:
            self._unread(file, [], str(error))
        except _UNREADABLE as error:
            self._unread(file, [], "{}: {}".format(type(error).__name__, error))
        more = file.unread - self.limits.told
        if more > 0:
            self.not_read.append({"path": path, "inside": [], "reason": "{} more inside were not read".format(more)})

    def properties(self, path: str, text: Optional[str]) -> None:
        """Take an unpacked pom.properties into account."""
        match = POM.match(path)
        if not match or not self._known(match):
            return
        file = _File(path, self.limits, self._within_time)
        try:
            if text is None:
                self._unread(file, [], "not readable")
            elif not self._stated(file, [], match, text):
                self._tell(file, [], match.group(2), None, match.group(1))
        except _TooMuchError as error:
            self._unread(file, [], str(error))

    def _archive(self, file: _File, handle: IO[bytes], inside: List[str]) -> None:
        self.archives += 1
        capped: Any = _Capped(handle, self.limits.index_bytes)
        with zipfile.ZipFile(capped) as archive:
            members = archive.infolist()
            file.take_entries(len(members))
            nested = []
            present: Set[str] = set()
            manifest: Optional[zipfile.ZipInfo] = None
            told: Set[str] = set()
            own = os.path.basename(inside[-1] if inside else file.path)
            named = self._named(own)
            for member in members:
                file.within_time()
                name = member.filename
                artifact = marked(name)
                if name.lower().endswith(ARCHIVES):
                    nested.append(member)
                elif name.endswith("/pom.properties"):
                    match = POM.match(name)
                    if match and self._known(match):
                        text = self._member(file, archive, member, inside)
                        by_name = named if named and named[0] not in told else None
                        if text is not None and self._stated(file, inside, match, text, by_name):
                            told.add(match.group(2))
                        else:
                            present.add(match.group(2))
                elif artifact:
                    present.add(artifact)
                elif name == "META-INF/MANIFEST.MF":
                    manifest = member
            told.add(named[0] if named else "")
            bare = own[: -len(".jar")]
            if bare in self.known and bare not in told:
                text = self._member(file, archive, manifest, inside) if manifest else None
                match = _MANIFEST.search(text or "")
                self._tell(file, inside, bare, match.group(1) if match else None)
                told.add(bare)
            for artifact in sorted(present - told):
                self._tell(file, inside, artifact, None)
            for member in nested:
                file.within_time()
                self._name(file, inside + [member.filename], os.path.basename(member.filename))
                self._nested(file, archive, member, inside + [member.filename])

    def _nested(self, file: _File, archive: zipfile.ZipFile, member: zipfile.ZipInfo, inside: List[str]) -> None:
        if len(inside) > self.limits.depth:
            self._unread(file, inside, "nested deeper than {}".format(self.limits.depth))
            return
        try:
            with tempfile.SpooledTemporaryFile(self.limits.memory_bytes, dir=self.spool) as copy:
                self._unpack(file, archive, member, copy)
                copy.seek(0)
                self._archive(file, copy, inside)
        except _UNREADABLE as error:
            self._unread(file, inside, "{}: {}".format(type(error).__name__, error))

    def _unpack(self, file: _File, archive: zipfile.ZipFile, member: zipfile.ZipInfo, copy: Any) -> None:
        """Copy a member out, as long as it stays within the limits whatever its header promised."""
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("compressed by method {}, which Java does not read".format(member.compress_type))
        if member.file_size > self.limits.member_bytes:
            raise ValueError("larger than {} bytes".format(self.limits.member_bytes))
        if member.file_size > self.limits.memory_bytes:
            free = shutil.disk_usage(self.spool or tempfile.gettempdir()).free
            if free < member.file_size + RESERVE_BYTES:
                raise ValueError("no room to unpack {} bytes".format(member.file_size))
        size = 0
        with archive.open(member) as source:
            while True:
                data = source.read(65536)
                if not data:
                    return
                size += len(data)
                file.take_bytes(len(data))
                if size > MIB and size > self.limits.ratio * max(member.compress_size, 1):
                    raise ValueError("unpacks to more than {} times its size".format(self.limits.ratio))
                copy.write(data)

    def _member(
        self, file: _File, archive: zipfile.ZipFile, member: zipfile.ZipInfo, inside: List[str]
    ) -> Optional[str]:
        try:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("compressed by method {}".format(member.compress_type))
            with archive.open(member) as source:
                data = source.read(65536)
        except _UNREADABLE as error:
            self._unread(file, inside + [member.filename], "{}: {}".format(type(error).__name__, error))
            return None
        file.take_bytes(len(data))
        return data.decode("utf-8", "replace")

    def _known(self, pom: Any) -> bool:
        library = self.known.get(pom.group(2))
        return library is not None and library.from_group(pom.group(1))

    def _name(self, file: _File, inside: List[str], name: str) -> None:
        named = self._named(name)
        if named:
            self._tell(file, inside, *named)

    def _named(self, name: str) -> Optional[Tuple[str, str]]:
        """Return the library and version that an archive's name states."""
        match = _NAMED.match(name) if len(name) <= _NAME_MAX and name.startswith(self.beginnings) else None
        return (match.group(1), match.group(2)) if match and match.group(1) in self.known else None

    def _stated(self, file: _File, inside: List[str], pom: Any, text: str, named: Any = None) -> bool:
        """Take the version that Maven's properties state into account; return whether they state one."""
        match = re.search(r"^version\s*[=:]\s*(\S+)", text, re.MULTILINE)
        if not match:
            return False
        if named and named[0] == pom.group(2):
            # What the build stated is surer than a name: it replaces, also by "not vulnerable".
            self.found.pop((file.path, tuple(inside)) + named, None)
        self._tell(file, inside, pom.group(2), match.group(1), pom.group(1))
        return True

    def _tell(
        self, file: _File, inside: List[str], artifact: str, version: Optional[str], group: Optional[str] = None
    ) -> None:
        cves = self.known[artifact].cves(version)
        if not cves:
            return
        if len(self.found) >= self.limits.rows:
            raise _TooMuchError("more than {} findings".format(self.limits.rows))
        self.found[file.path, tuple(inside), artifact, version or ""] = {
            "path": file.path,
            "inside": list(inside),
            "library": artifact,
            "group": group or self.known[artifact].group,
            "version": version,
            "cves": cves,
        }

    def _unread(self, file: _File, inside: List[str], reason: str) -> None:
        # Why a whole file was given up is always told.
        file.unread += 1 if inside else 0
        if not inside or file.unread <= self.limits.told:
            self.not_read.append({"path": file.path, "inside": list(inside), "reason": reason[:300]})

    def _within_time(self) -> None:
        if self.clock.monotonic() > self.deadline:
            raise _TooMuchError("the scan's time is over")
