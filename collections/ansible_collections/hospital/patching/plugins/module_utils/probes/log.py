# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``log``: new lines that match a pattern, since the same probe read before the host was touched.

The first reading only notes where the log ends. Afterwards what was written
since is read, also where the log was rotated, compressed or truncated
meanwhile. Lines are never kept: only how many matched, and their numbers.
"""

import bz2
import contextlib
import gzip
import io
import os
import re
import stat
import zlib
from typing import IO, Any, Callable, Dict, Iterator, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)

try:
    import lzma
except ImportError:  # Python may be built without
    lzma = None  # type: ignore[assignment]

#: No more than this is read of what is new; a log that grows faster tells nothing in time.
NEW_LIMIT = 64 * 1024 * 1024
CHUNK = 256 * 1024
#: Lines are cut here before they are matched.
LINE_LIMIT = 16384
#: Of so many matches the line numbers are told.
TOLD_LINES = 20
#: Beside the log, so many files are looked at.
SIBLINGS_LIMIT = 100
MARKED_BYTES = 256
#: What reading a compressed file may raise.
BROKEN = (OSError, EOFError, zlib.error) + (() if lzma is None else (lzma.LZMAError,))

#: A log file, or a rotated one, that is read from ``start`` on.
Part = NamedTuple("Part", [("path", str), ("start", int)])
Sibling = NamedTuple("Sibling", [("path", str), ("stat", os.stat_result)])


class LogProbe(Probe):
    """Counts new lines of ``path`` that match; more than ``limit`` are a failure."""

    NAME = "log"
    OPTIONS = {
        "path": {"type": "str", "required": True},
        "line_regexp": {"type": "str", "required": True},
        "limit": {"type": "int", "default": 0},
    }

    def validate(self) -> None:
        if not re.match(r"/[^\x00]*[^/\x00]\Z", self.options["path"]):
            raise self.bad_option("path {!r}".format(self.options["path"]), "the absolute path of a log")
        self.numbered("limit", 0, 1000000000)
        try:
            self.regexp = re.compile(self.options["line_regexp"])
        except re.error as error:
            raise self.bad_option("line_regexp: {}".format(error), "a regular expression")

    def target(self) -> str:
        return str(self.options["path"])

    def look(self) -> Reading:
        path = self.options["path"]
        try:
            now = position(path)
            earlier = _read_position(self.earlier)
            if earlier is None:
                # Whoever reads it again in this call, as a soak does, counts from here.
                self.earlier = now
                return Reading("read from byte {} on".format(now["offset"]), now)
            return self._judge(now, earlier)
        except OSError as error:
            raise Inconclusive("{} cannot be read: {}".format(path, error.strerror or type(error).__name__))

    def _judge(self, now: Dict[str, int], earlier: Dict[str, int]) -> Reading:
        path, limit = self.options["path"], self.options["limit"]
        parts = [Part(path, earlier["offset"])]
        # Its content tells whether it is the same log: after a reboot device and inode may be others. Only of an empty
        # one there was no content.
        deadline = self.context.clock.monotonic() + self.timeout_s

        def in_time() -> None:
            if self.context.clock.monotonic() > deadline:
                raise Inconclusive("what is new was not read within {} s".format(self.timeout_s))

        is_whole = _continues(path, earlier, in_time) and (earlier["offset"] > 0 or now["inode"] == earlier["inode"])
        if not is_whole:
            rotated = _rotated(path, now, earlier, in_time)
            is_whole = bool(rotated)
            parts = rotated + [Part(path, 0)]
        lines = self._matches(parts, in_time)
        if os.stat(path).st_ino != now["inode"]:
            raise Inconclusive("{} was rotated while it was read".format(path))
        value = dict(now, matches=len(lines), lines=lines[:TOLD_LINES], parts=len(parts))
        if len(lines) > limit:
            numbers = ", ".join(str(line) for line in lines[:TOLD_LINES])
            more = " and more" if len(lines) > TOLD_LINES else ""
            text = "{} new lines match {!r}, at most {} expected; counted from the reading before: line {}{}"
            raise Failed(text.format(len(lines), self.options["line_regexp"], limit, numbers, more), value)
        if not is_whole:
            raise Inconclusive(
                "{} was rotated or truncated, and what it held before is not beside it".format(path), value
            )
        return Reading("{} new lines match".format(len(lines)), value)

    def _matches(self, parts: List[Part], in_time: Callable[[], None]) -> List[int]:
        """Return the numbers of the lines that match, the first new one being 1."""
        found, number, read = [], 0, 0
        for part in parts:
            with _open(part.path) as handle:
                _go_to(handle, part.start, in_time)
                for line in _lines(handle):
                    number += 1
                    read += len(line)
                    if read > NEW_LIMIT:
                        raise Inconclusive("more than {} bytes are new".format(NEW_LIMIT))
                    in_time()
                    if self.regexp.search(line[:LINE_LIMIT].decode("utf-8", "replace")):
                        found.append(number)
        return found


def position(path: str) -> Dict[str, int]:
    """Return where a log ends now.

    ``mark`` is a checksum of 16 bits over what stands before: it tells another
    content from this one, and is too small to tell what it was.
    """
    with _open(path) as handle:
        seen = os.fstat(handle.fileno())
        return {
            "inode": seen.st_ino,
            "offset": seen.st_size,
            "mark": _mark(handle, seen.st_size),
        }


def _read_position(value: Any) -> Optional[Dict[str, int]]:
    """Return the position that an earlier reading noted, or None when it holds none."""
    keys = ("inode", "offset", "mark")
    if not isinstance(value, dict) or not all(isinstance(value.get(key), int) for key in keys):
        return None
    return {key: value[key] for key in keys}


@contextlib.contextmanager
def _open(path: str) -> Iterator[IO[bytes]]:
    """Open a log; ``O_NONBLOCK`` because a pipe of that name would wait for a writer.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as handle:
        if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
            raise OSError(0, "no regular file")
        if path.endswith(".gz"):
            yield gzip.GzipFile(fileobj=handle)  # type: ignore[misc]
        elif path.endswith(".bz2"):
            yield bz2.BZ2File(handle)
        elif path.endswith(".xz") and lzma is not None:
            yield lzma.LZMAFile(handle)
        else:
            yield handle


def _lines(handle: IO[bytes]) -> Iterator[bytes]:
    """Yield each line; one without an end is yielded in pieces of a chunk."""
    while True:
        line = handle.readline(CHUNK)
        if not line:
            return
        yield line


def _mark(handle: IO[bytes], offset: int) -> int:
    start = max(0, offset - MARKED_BYTES)
    handle.seek(start)
    return _checksum(handle.read(offset - start))


def _checksum(data: bytes) -> int:
    return zlib.crc32(data) & 0xFFFF


def _go_to(handle: IO[bytes], offset: int, in_time: Callable[[], None]) -> None:
    """Go to ``offset``, or to the end; what is compressed has to be read up to there, which takes its time."""
    if isinstance(handle, io.BufferedReader):
        handle.seek(offset)
        return
    while offset > 0:
        in_time()
        read = len(handle.read(min(CHUNK, offset)))
        if not read:
            return
        offset -= read


def _continues(path: str, earlier: Dict[str, int], in_time: Callable[[], None]) -> bool:
    """Return whether the file holds, up to the earlier offset, what the log held then."""
    try:
        with _open(path) as handle:
            start = max(0, earlier["offset"] - MARKED_BYTES)
            _go_to(handle, start, in_time)
            # Of a compressed file the end is known only once it is read.
            held = handle.read(earlier["offset"] - start)
            return len(held) == earlier["offset"] - start and _checksum(held) == earlier["mark"]
    except BROKEN:
        return False


def _rotated(path: str, now: Dict[str, int], earlier: Dict[str, int], in_time: Callable[[], None]) -> List[Part]:
    """Return the parts of the log that were put aside since, the oldest first; empty when the first is not found."""
    beside = [one for one in _siblings(path) if one.stat.st_ino != now["inode"]]
    same = [one for one in beside if one.stat.st_ino == earlier["inode"]]
    # A copy or a compressed one is another file: known by its content, of which an empty log had none.
    # The newest first: older ones may begin in the same way, and would take long to unpack.
    candidates = same + [one for one in reversed(beside) if earlier["offset"] and one not in same]
    first = next((one for one in candidates if _holds(one, earlier, in_time)), None)
    if first is None:
        return []
    # Another log, such as app-audit.log beside app.log, is written to as well: nothing in it is new of this one.
    put_aside = _put_aside(os.path.basename(path))
    later = [one for one in beside if one.stat.st_mtime > first.stat.st_mtime and one is not first]
    later = [one for one in later if put_aside.match(os.path.basename(one.path))]
    return [Part(first.path, earlier["offset"])] + [Part(one.path, 0) for one in later]


def _put_aside(name: str) -> Any:
    """Return what matches the names under which a log is put aside: a number or a date follows its name or its stem."""
    stem = _stem(name)
    told = (re.escape(name), re.escape(stem), re.escape(name[len(stem) :]))
    return re.compile(r"({0}([._-]?[0-9][\w:.-]*|\.old)?|{1}[._-][0-9][\w:-]*{2})(\.(gz|bz2|xz))?\Z".format(*told))


def _stem(name: str) -> str:
    return name.split(".", 1)[0] if "." in name[1:] else name


def _holds(sibling: Sibling, earlier: Dict[str, int], in_time: Callable[[], None]) -> bool:
    compressed = sibling.path.endswith((".gz", ".bz2", ".xz"))
    return (compressed or sibling.stat.st_size >= earlier["offset"]) and _continues(sibling.path, earlier, in_time)


def _siblings(path: str) -> List[Sibling]:
    """Return the files beside the log that rotating it makes, such as ``a.log.1`` or ``a-20261122.log.gz``, by age."""
    folder, name = os.path.split(path)
    stem = _stem(name)
    found: List[Sibling] = []
    for entry in sorted(os.listdir(folder), reverse=True):
        if entry.startswith((name, stem + "-", stem + ".")) and entry != name and len(found) < SIBLINGS_LIMIT:
            try:
                seen = os.lstat(os.path.join(folder, entry))
            except OSError:
                continue
            if stat.S_ISREG(seen.st_mode):
                found.append(Sibling(os.path.join(folder, entry), seen))
    return sorted(found, key=lambda one: one.stat.st_mtime)
