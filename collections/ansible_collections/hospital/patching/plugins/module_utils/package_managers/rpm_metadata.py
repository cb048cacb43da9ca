# SPDX-License-Identifier: GPL-3.0-or-later
"""An rpm repository's own files: repomd.xml, primary.xml and updateinfo.xml (createrepo_c's formats).

They are read as streams, because primary.xml of a large repository has hundreds
of MB; an element is dropped as soon as it was read.
"""

import bz2
import calendar
import gzip
import lzma
import os
import time
import zlib
from typing import IO, Any, Dict, Iterator, List, NamedTuple, Optional, Set
from xml.etree import ElementTree

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: A package of primary.xml; sizes in bytes, ``sha256`` None if the repository uses another checksum, ``built_s`` in
#: seconds since 1970, ``obsoletes`` the names of the packages that it replaces.
Offered = NamedTuple(
    "Offered",
    [
        ("name", str),
        ("arch", str),
        ("evr", str),
        ("vendor", Optional[str]),
        ("download_bytes", int),
        ("installed_bytes", Optional[int]),
        ("sha256", Optional[str]),
        ("source_rpm", Optional[str]),
        ("built_s", Optional[int]),
        ("obsoletes", List[str]),
    ],
)
#: One package of one advisory of updateinfo.xml; ``issued_s`` in seconds since 1970.
Advised = NamedTuple(
    "Advised",
    [
        ("name", str),
        ("arch", str),
        ("evr", str),
        ("id", str),
        ("security", bool),
        ("cves", List[str]),
        ("issued_s", Optional[int]),
    ],
)

_OPENERS: Dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open, ".xml": open}
#: No repository known has a primary.xml of this size.
MAX_BYTES = 2 * 1024 * 1024 * 1024


class _Bounded:
    """Reads a stream until it has given more than :data:`MAX_BYTES`: a compressed file may hold any amount."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.left = MAX_BYTES

    def read(self, size: int = 65536) -> bytes:
        content = self.stream.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise OSError("more than {} bytes".format(MAX_BYTES))
        return content


class Repodata:
    """The files under ``folder`` (which holds ``repodata``) of the repository ``alias``."""

    def __init__(self, runner: Runner, folder: str, alias: str) -> None:
        self.runner = runner
        self.folder = folder
        self.alias = alias

    def offered(self, names: Set[str]) -> Iterator[Offered]:
        """Give the packages whose name is in ``names``."""
        for element in self._elements("primary", "package"):
            if _text(element, "name") in names:
                yield _offered(element)

    def advised(self, names: Set[str]) -> Iterator[Advised]:
        """Give the packages of advisories whose name is in ``names``; nothing without an updateinfo.xml."""
        for element in self._elements("updateinfo", "update"):
            identity = _text(element, "id")
            issued = _children(element).get("issued")
            cves = sorted(
                {
                    reference.get("id", "")
                    for reference in element.iter()
                    if _tag(reference) == "reference" and reference.get("type") == "cve" and reference.get("id")
                }
            )
            for package in element.iter():
                if _tag(package) == "package" and package.get("name") in names:
                    yield Advised(
                        package.get("name", ""),
                        package.get("arch", ""),
                        _evr(package.get("epoch"), package.get("version", ""), package.get("release", "")),
                        identity,
                        element.get("type") == "security",
                        cves,
                        None if issued is None else _seconds(issued.get("date", "")),
                    )

    def _elements(self, kind: str, tag: str) -> Iterator[ElementTree.Element]:
        path = self._path(kind)
        if path is None:
            return
        try:
            with self._open(path) as stream:
                parser = ElementTree.iterparse(_Bounded(stream), events=("start", "end"))  # noqa: S314
                _event, top = next(parser)
                for event, element in parser:
                    if event == "end" and _tag(element) == tag:
                        yield element
                        top.clear()
        except (
            OSError,
            EOFError,
            ValueError,
            lzma.LZMAError,
            zlib.error,
            ElementTree.ParseError,
            StopIteration,
        ) as error:
            raise self._unreadable(path, error)

    def _path(self, kind: str) -> Optional[str]:
        index = os.path.join(self.folder, "repodata", "repomd.xml")
        try:
            root = ElementTree.parse(index).getroot()  # noqa: S314 - the package manager checked it
        except (OSError, ElementTree.ParseError) as error:
            raise self._unreadable(index, error)
        for data in root:
            if data.get("type") == kind:
                for location in data:
                    if _tag(location) == "location":
                        # Only the name is used: the path is the server's.
                        return os.path.join(self.folder, "repodata", os.path.basename(location.get("href", "")))
        return None

    def _open(self, path: str) -> Any:
        ending = os.path.splitext(path)[1]
        if ending == ".zst":  # Python has it since 3.14 only
            return self.runner.stream(["zstd", "--quiet", "--decompress", "--stdout", path])
        if ending not in _OPENERS:
            raise OSError("compressed as {}".format(ending))
        return _OPENERS[ending](path, "rb")

    def _unreadable(self, path: str, error: Exception) -> PatchingError:
        return PatchingError(
            "repository {}".format(self.alias),
            "{} cannot be read ({})".format(os.path.basename(path), error),
            "metadata as createrepo_c writes it",
            "repair or disable this repository, then run again; nothing was changed",
        )


def _tag(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _children(element: ElementTree.Element) -> Dict[str, ElementTree.Element]:
    return {_tag(child): child for child in element}


def _text(element: ElementTree.Element, tag: str) -> str:
    child = _children(element).get(tag)
    return (child.text or "").strip() if child is not None else ""


def _evr(epoch: Optional[str], version: str, release: str) -> str:
    return rpm_version.joined(_number(epoch) or 0, version, release)


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text and len(text) < 20 and text.isdecimal() else None


def _seconds(date: str) -> Optional[int]:
    """Return an advisory's date: seconds since 1970 (SUSE), else ``YYYY-MM-DD [HH:MM[:SS]]`` in UTC (Red Hat)."""
    if date.isdecimal():
        return _number(date)
    for length, form in ((19, "%Y-%m-%d %H:%M:%S"), (16, "%Y-%m-%d %H:%M"), (10, "%Y-%m-%d")):
        try:
            return calendar.timegm(time.strptime(date[:length], form))
        except ValueError:
            continue
    return None


def _offered(element: ElementTree.Element) -> Offered:
    parts = _children(element)
    empty = ElementTree.Element("none")
    version, size, checksum, times = (parts.get(tag, empty) for tag in ("version", "size", "checksum", "time"))
    form = parts.get("format", empty)
    return Offered(
        _text(element, "name"),
        _text(element, "arch"),
        _evr(version.get("epoch"), version.get("ver", ""), version.get("rel", "")),
        _text(form, "vendor") or None,
        _number(size.get("package")) or 0,
        _number(size.get("installed")),
        (checksum.text or "").strip() if checksum.get("type") == "sha256" else None,
        _text(form, "sourcerpm") or None,
        _number(times.get("build")) or None,
        [entry.get("name", "") for entry in _children(form).get("obsoletes", empty)],
    )
