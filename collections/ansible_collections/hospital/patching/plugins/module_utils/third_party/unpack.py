# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacks an archive into an empty folder and never beside it: no absolute paths, no ``..``, no devices.

Everything belongs to whoever unpacks. Links are made last, so that no file can
be written through one.
"""

import contextlib
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from typing import Any, Iterator, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: One member: ``content`` opens a file's content, ``link`` is a symbolic link's target.
Member = NamedTuple("Member", [("name", str), ("kind", str), ("mode", int), ("size", int), ("link", str), ("of", Any)])


def unpack(path: str, folder: str, strip: int = 0) -> None:
    """Unpack ``path`` into ``folder``, without the first ``strip`` parts of each name.

    Raises:
        PatchingError: a member that could write elsewhere, or an archive that cannot be read.
    """
    with _opened(path) as archive:
        _unpack(archive, path, folder, strip)


def _unpack(archive: Any, path: str, folder: str, strip: int) -> None:
    links = []
    for member in _members(archive):
        name = _inside(path, member.name, strip)
        if name is None:
            continue
        place = os.path.join(folder, name)
        _refuse_through_link(path, folder, name)
        if member.kind == "folder":
            os.makedirs(place, mode=0o755, exist_ok=True)
        elif member.kind == "link":
            links.append((name, _link(path, name, member.link)))
        elif member.kind == "file":
            os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
            _write(archive, member, place)
        else:
            raise _bad(path, "{} is a {}".format(member.name, member.kind))
    for name, to in links:
        place = os.path.join(folder, name)
        _refuse_through_link(path, folder, name)
        os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
        os.symlink(to, place)
    top = os.path.realpath(folder)
    for name, to in links:  # one that leads through another may end elsewhere than its text says
        if not (os.path.realpath(os.path.join(folder, name)) + os.sep).startswith(top + os.sep):
            raise _bad(path, "{} is a link to {}, which leads out of it".format(name, to))


def _refuse_through_link(path: str, folder: str, name: str) -> None:
    """Refuse a member whose folder is reached through a link."""
    above = os.path.dirname(name)
    if os.path.realpath(os.path.join(folder, above)) != os.path.normpath(os.path.join(os.path.realpath(folder), above)):
        raise _bad(path, "{} lies behind a link, which leads out of it".format(name))


def unpacked_bytes(path: str) -> int:
    """Return how many bytes the files of an archive take."""
    with _opened(path) as archive:
        return sum(member.size for member in _members(archive))


_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    try:
        with zipfile.ZipFile(path) if zipfile.is_zipfile(path) else tarfile.open(path) as archive:
            yield archive
    # RuntimeError and NotImplementedError: encrypted, or packed in an unknown way; KeyError: a link to no member.
    except (OSError, EOFError, RuntimeError, KeyError, *_DAMAGED) as error:
        raise _bad(path, "cannot be unpacked: {}".format(error))


def _members(archive: Any) -> Iterator[Member]:
    if isinstance(archive, zipfile.ZipFile):
        for info in archive.infolist():
            mode = info.external_attr >> 16
            kind = "folder" if info.filename.endswith("/") else "link" if stat.S_ISLNK(mode) else "file"
            link = archive.read(info).decode("utf-8", "replace") if kind == "link" else ""
            yield Member(info.filename, kind, mode & 0o777 or 0o644, info.file_size, link, info)
        return
    for entry in archive:
        kind = "folder" if entry.isdir() else "link" if entry.issym() else "file" if entry.isfile() else "special file"
        # A hard link's content is that of the earlier member that it names, and it is copied from there.
        kind = "file" if entry.islnk() else kind
        yield Member(entry.name, kind, entry.mode, entry.size, entry.linkname, entry)


def _inside(path: str, name: str, strip: int) -> Optional[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise _bad(path, "{} leads out of it".format(name))
    return "/".join(parts[strip:]) or None


def _link(path: str, name: str, to: str) -> str:
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(name), to))
    if to.startswith("/") or reached == ".." or reached.startswith("../"):
        raise _bad(path, "{} is a link to {}, which leads out of it".format(name, to))
    return to


def _write(archive: Any, member: Member, place: str) -> None:
    content = archive.open(member.of) if isinstance(archive, zipfile.ZipFile) else archive.extractfile(member.of)
    mode = 0o755 if member.mode & 0o111 else 0o644
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode)
    with os.fdopen(handle, "wb") as file:
        if content is not None:
            shutil.copyfileobj(content, file, 1 << 20)
    os.chmod(place, mode)  # whatever the umask is


def _bad(path: str, seen: str) -> PatchingError:
    return PatchingError(
        "archive {}".format(os.path.basename(path)),
        seen,
        "an archive of files, folders and links within it",
        "get the archive anew from its vendor; nothing was installed",
    )
