# SPDX-License-Identifier: GPL-3.0-or-later
"""``/boot`` kept as an archive, where it is a file system of its own that no snapshot holds.

A kernel and its modules belong together: a root that is put back needs the ``/boot`` of the same moment. The boot
loader's own modules are left as they are, because they belong to what is installed outside of any file system.
"""

import contextlib
import hashlib
import os
import re
import stat
import tarfile
from typing import Dict, Iterator, List, NamedTuple, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: GRUB's modules for a platform, such as grub/i386-pc: of the same build as its core in the disk's first sectors.
LOADER = re.compile(r"^grub2?/[a-z0-9_]+-[a-z0-9]+(/|\Z)")
_LABELS = "SCHILY.xattr."
_BLOCK = 1024 * 1024

Restored = NamedTuple("Restored", [("restored", List[str]), ("removed", List[str])])


class BootArchive:
    """Archives of one ``/boot`` in a folder for root alone; paths in results are relative to ``/boot``."""

    def __init__(self, folder: str, boot: str) -> None:
        self.folder = folder
        self.boot = boot

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name + ".tar")

    def room(self) -> Tuple[int, int]:
        """Return the bytes that an archive takes, and those that are free where it is kept."""
        with _said(self.boot):
            needed = sum(os.lstat(full).st_size + 1024 for full, _relative in self._walk())
            place = self.folder
            while not os.path.isdir(place):
                place = os.path.dirname(place)
            state = os.statvfs(place)
        return needed, state.f_bavail * state.f_frsize

    def make(self, name: str) -> str:
        """Write the archive and return its SHA-256.

        Raises:
            PatchingError: it could not be written; nothing is left of it.
        """
        with _said(self.folder):
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            new = self.path(name) + ".new"
            try:
                handle = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
                with os.fdopen(handle, "wb") as raw:
                    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
                        for full, relative in self._walk():
                            self._add(archive, full, relative)
                    raw.flush()
                    os.fsync(raw.fileno())
                digest = _digest(new)
                os.rename(new, self.path(name))
                _settle(self.folder)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(new)
                raise
        return digest

    def require(self, name: str, digest: str) -> None:
        """Prove that the archive is the one that was made, and that what differs has room in ``/boot``.

        Raises:
            PatchingError: it is gone or was changed, or there is no room.
        """
        path = self.path(name)
        with _said(path):
            seen = _digest(path) if os.path.isfile(path) else "no such file"
        if seen != digest:
            raise PatchingError(
                "archive {} of {}".format(path, self.boot),
                seen,
                "SHA-256 {}".format(digest),
                "roll the packages back by update_rollback; nothing was changed",
            )
        with _said(path), self._opened(name) as archive:
            needed = sum(one.size for one in archive if one.isfile() and not self._same(archive, one))
        state = os.statvfs(self.boot)
        free = state.f_bavail * state.f_frsize
        if free < needed:
            raise PatchingError(
                "file system {}".format(self.boot),
                "{} bytes free".format(free),
                "{} for what goes back there".format(needed),
                "remove a kernel that is not running, then run again; nothing was changed",
            )

    def put_back(self, name: str) -> List[str]:
        """Put back what the archive has and ``/boot`` has not, or otherwise; nothing is removed yet."""
        restored = []
        with _said(self.boot), self._opened(name) as archive:
            for one in archive:
                if not self._same(archive, one):
                    self._write(archive, one)
                    restored.append(one.name)
            self._sync()
        return restored

    def prune(self, name: str) -> List[str]:
        """Remove what ``/boot`` has and the archive has not."""
        removed = []
        with _said(self.boot), self._opened(name) as archive:
            known = {one.name for one in archive}
            for full, relative in reversed(list(self._walk())):
                if relative in known:
                    continue
                if os.path.isdir(full) and not os.path.islink(full):
                    os.rmdir(full)
                else:
                    os.unlink(full)
                removed.append(relative)
            self._sync()
        return sorted(removed)

    def forget(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))

    def sweep(self, kept: List[str]) -> None:
        """Remove archives that no restore point has: those of killed calls, and those that a revert brought back."""
        for file in os.listdir(self.folder) if os.path.isdir(self.folder) else []:
            name, _dot, kind = file.partition(".tar")
            if re.match(r"^[0-9a-f]{32}\Z", name) and kind in ("", ".new") and (name not in kept or kind):
                os.unlink(os.path.join(self.folder, file))

    def _walk(self) -> Iterator[Tuple[str, str]]:
        """Give full and relative path of all that is archived, folders before what is in them."""
        device = os.lstat(self.boot).st_dev
        for folder, folders, files in os.walk(self.boot):
            inner = [(os.path.join(folder, name), name) for name in sorted(folders + files)]
            folders[:] = []
            for full, name in inner:
                relative = os.path.relpath(full, self.boot)
                seen = os.lstat(full)
                # Another file system, such as /boot/efi, is not this one's.
                if seen.st_dev != device or relative == "lost+found" or LOADER.match(relative):
                    continue
                if stat.S_ISDIR(seen.st_mode):
                    folders.append(name)
                elif not (stat.S_ISREG(seen.st_mode) or stat.S_ISLNK(seen.st_mode)):
                    raise OSError("{} is neither file nor folder nor link".format(full))
                yield full, relative

    @staticmethod
    def _add(archive: tarfile.TarFile, full: str, relative: str) -> None:
        entry = archive.gettarinfo(full, relative)
        if entry.islnk():
            entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", os.lstat(full).st_size
        entry.pax_headers = {_LABELS + key: value for key, value in _attributes(full).items()}
        if entry.isfile():
            with open(full, "rb") as handle:
                archive.addfile(entry, handle)
        else:
            archive.addfile(entry)

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[tarfile.TarFile]:
        with tarfile.open(self.path(name), "r:") as archive:
            yield archive

    def _same(self, archive: tarfile.TarFile, one: tarfile.TarInfo) -> bool:
        full = os.path.join(self.boot, one.name)
        try:
            seen = os.lstat(full)
        except OSError:
            return False
        if one.issym():
            return stat.S_ISLNK(seen.st_mode) and os.readlink(full) == one.linkname
        if stat.S_IMODE(seen.st_mode) != one.mode or (seen.st_uid, seen.st_gid) != (one.uid, one.gid):
            return False
        if one.isdir():
            return stat.S_ISDIR(seen.st_mode)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size != one.size:
            return False
        there = archive.extractfile(one)
        with open(full, "rb") as here:
            while True:
                first, second = here.read(_BLOCK), there.read(_BLOCK) if there else b""
                if first != second:
                    return False
                if not first:
                    return True

    def _write(self, archive: tarfile.TarFile, one: tarfile.TarInfo) -> None:
        full = os.path.join(self.boot, one.name)
        if os.path.isdir(full) and not os.path.islink(full) and not one.isdir():
            raise OSError("{} is a folder now, and was a file".format(full))
        new = full + ".put-back"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        if one.isdir():
            if os.path.lexists(full) and not os.path.isdir(full):
                os.unlink(full)
            os.makedirs(full, exist_ok=True)
            new = full
        elif one.issym():
            os.symlink(one.linkname, new)
        else:
            source = archive.extractfile(one)
            with open(new, "wb") as target:
                while source is not None:
                    block = source.read(_BLOCK)
                    if not block:
                        break
                    target.write(block)
                target.flush()
                os.fsync(target.fileno())
        # A file system without owners, as EFI's, refuses some of it.
        with contextlib.suppress(PermissionError):
            os.chown(new, one.uid, one.gid, follow_symlinks=False)
        if not one.issym():
            os.chmod(new, one.mode)
            os.utime(new, (one.mtime, one.mtime))
        for key, value in one.pax_headers.items():
            if key.startswith(_LABELS):
                with contextlib.suppress(OSError):
                    os.setxattr(
                        new, key[len(_LABELS) :], value.encode("utf-8", "surrogateescape"), follow_symlinks=False
                    )
        if new != full:
            os.rename(new, full)

    def _sync(self) -> None:
        for full, _relative in self._walk():
            if os.path.isdir(full) and not os.path.islink(full):
                _settle(full)
        _settle(self.boot)


def _attributes(full: str) -> Dict[str, str]:
    """Return SELinux's label and other attributes, where the file system has some."""
    found: Dict[str, str] = {}
    with contextlib.suppress(OSError):
        for key in os.listxattr(full, follow_symlinks=False):
            value = os.getxattr(full, key, follow_symlinks=False)
            found[key] = value.decode("utf-8", "surrogateescape")
    return {key: value for key, value in found.items() if _is_text(value)}


def _is_text(value: str) -> bool:
    return all(ord(letter) < 128 for letter in value)


def _digest(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(_BLOCK), b""):
            found.update(block)
    return found.hexdigest()


def _settle(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _said(place: str) -> Iterator[None]:
    """An error of the file system, or of the archive, is said as one."""
    try:
        yield
    except (OSError, tarfile.TarError) as error:
        raise PatchingError(place, str(error), "a folder that can be read and written", "look at that file system")
