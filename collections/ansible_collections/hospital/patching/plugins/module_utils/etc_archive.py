# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc before an installation, and the configuration files that packages proposed instead of installing."""

import contextlib
import errno
import os
import shutil
import stat
import tarfile
import tempfile
from typing import Iterable, List

#: Endings that dpkg, ucf and rpm give to the maintainer's version beside a kept file. Where rpm replaces the file
#: itself, it leaves the host's own as .rpmsave or .rpmorig: no less a case for a person.
PROPOSAL_ENDINGS = (".dpkg-dist", ".dpkg-new", ".ucf-dist", ".rpmnew", ".rpmsave", ".rpmorig")
#: What an error of a path says that another program has just removed or replaced.
CHANGED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
#: Larger files are copied by way of the disk.
_SPOOLED_BYTES = 16 * 1024 * 1024


def archive(root: str, path: str) -> str:
    """Write /etc into the tar file ``path`` (mode 0600: it holds secrets) and return ``path``."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    part = path + ".part"
    try:
        _write(root, part)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)  # half an archive would keep a full disk full
        raise
    os.rename(part, path)
    return path


def _write(root: str, path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        # Not compressed: the window pays for every second, and /etc is small.
        with tarfile.open(fileobj=handle, mode="w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, os.path.join(root, "etc"), "etc", os.path.dirname(path))
        handle.flush()
        os.fsync(handle.fileno())


def _add(tar: tarfile.TarFile, path: str, name: str, spool: str) -> None:
    """Add what lies at ``path``; what vanishes or becomes something else meanwhile is passed over."""
    try:
        info = tar.gettarinfo(path, name)
        if not info:
            return  # None: a socket
        if not info.isreg():
            below = sorted(os.listdir(path)) if info.isdir() else []
            tar.addfile(info)
            for each in below:
                _add(tar, os.path.join(path, each), name + "/" + each, spool)
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in CHANGED:
            return
        raise
    # Copied first: a file that shrinks while it is read would leave less than its header says.
    with os.fdopen(descriptor, "rb") as source, tempfile.SpooledTemporaryFile(_SPOOLED_BYTES, dir=spool) as copy:
        if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            shutil.copyfileobj(source, copy)
            info.size = copy.tell()
            copy.seek(0)
            tar.addfile(info, copy)  # type: ignore[arg-type,unused-ignore]


def proposals(root: str) -> List[str]:
    """Return the paths of all proposals that lie in /etc."""
    found: List[str] = []
    for directory, _directories, names in os.walk(os.path.join(root, "etc")):
        found.extend(os.path.join(directory, name) for name in names if name.endswith(PROPOSAL_ENDINGS))
    return sorted(found)


def bring_back(root: str, path: str, before: Iterable[str]) -> List[str]:
    """Put back, from the archive ``path``, the configuration files that dpkg could not; return them.

    Where a version had a directory in the place of a configuration file, dpkg
    leaves the old version's text as .dpkg-new on the way back, and the directory
    or nothing in the place. What the host had there is in the archive. The
    directory stays beside it as .replaced.

    Args:
        before: the proposals that lay in /etc before the installation; they are left alone.
    """
    back = []
    for proposal in sorted(set(proposals(root)) - set(before)):
        final, ending = os.path.splitext(proposal)
        free = not os.path.lexists(final) or (_directory(final) and not os.path.lexists(final + ".replaced"))
        if ending == ".dpkg-new" and free and _only_ours(root, final) and _extract(root, path, final):
            os.unlink(proposal)
            back.append(final)
    return back


def _directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _only_ours(root: str, path: str) -> bool:
    """Return whether nobody but root can put anything into the directories of ``path``, from /etc down."""
    directory = os.path.join(root, "etc")
    for name in [""] + os.path.relpath(os.path.dirname(path), directory).split(os.sep):
        directory = os.path.join(directory, name)
        try:
            found = os.lstat(directory)
        except OSError:
            return False
        ours = found.st_uid in (0, os.geteuid()) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not (stat.S_ISDIR(found.st_mode) and ours):
            return False
    return True


def _extract(root: str, path: str, final: str) -> bool:
    """Write a plain file of the archive to its place with its owner and mode; return whether there was one."""
    part = None
    try:
        with tarfile.open(path) as tar:
            member = tar.getmember(os.path.relpath(final, root))
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                return False
            # A new file in any case: what lies there already may be somebody's link to another place.
            folder, name = os.path.split(final)
            descriptor, part = tempfile.mkstemp(".part", "." + name + ".", folder)
            with content, os.fdopen(descriptor, "wb") as handle:
                shutil.copyfileobj(content, handle)
                os.fchown(handle.fileno(), member.uid, member.gid)
                os.fchmod(handle.fileno(), member.mode)
    except (OSError, KeyError, tarfile.TarError):
        if part is not None:
            with contextlib.suppress(OSError):
                os.unlink(part)
        return False  # nothing is lost by that: dpkg's own text still lies beside it
    if _directory(final):
        os.rename(final, final + ".replaced")
    os.rename(part, final)
    return True
