# SPDX-License-Identifier: GPL-3.0-or-later
"""Versioned folders and the link that says which of them is in use; a switch is one rename."""

import hashlib
import os
import shutil
import stat
from typing import Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner


def target(link: str, root: str) -> Optional[str]:
    """Return the name of the folder in ``root`` that ``link`` points to; None without a link.

    Raises:
        PatchingError: something else is at ``link``, or it points elsewhere.
    """
    try:
        found = os.readlink(link)
    except FileNotFoundError:
        return None
    except OSError:
        raise _foreign(link, "no symbolic link", root)
    folder = os.path.normpath(os.path.join(os.path.dirname(link), found))
    if os.path.dirname(folder) != os.path.normpath(root):
        raise _foreign(link, "a link to {}".format(found), root)
    return os.path.basename(folder)


def _foreign(link: str, seen: str, root: str) -> PatchingError:
    return PatchingError(
        link, seen, "a link to a folder in {}".format(root), "move what is there into {} and link it".format(root)
    )


def point(link: str, folder: str) -> None:
    """Let ``link`` point to ``folder``: whoever opens it sees the old or the new, never none."""
    new = link + ".hospital-patching-new"
    if os.path.lexists(new):
        os.unlink(new)
    os.symlink(folder, new)
    os.rename(new, link)
    sync(os.path.dirname(link))


def drop(link: str) -> None:
    """Remove ``link`` if it is there."""
    if os.path.islink(link):
        os.unlink(link)
        sync(os.path.dirname(link))


def sync(folder: str) -> None:
    """Have the names in ``folder`` on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def tree_digest(folder: str) -> str:
    """Return a SHA-256 over the names, modes, links and contents under ``folder``; ignores compiled Python."""
    total = hashlib.sha256()
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files + [one for one in folders if os.path.islink(os.path.join(path, one))]):
            one = os.path.join(path, name)
            mode = os.lstat(one).st_mode
            total.update("{}\0{:o}\0".format(os.path.relpath(one, folder), mode).encode("utf-8", "surrogateescape"))
            if stat.S_ISLNK(mode):
                total.update(os.readlink(one).encode("utf-8", "surrogateescape"))
            elif stat.S_ISREG(mode):
                with open(one, "rb") as handle:
                    for part in iter(lambda: handle.read(1 << 20), b""):  # pylint: disable=cell-var-from-loop
                        total.update(part)
    return total.hexdigest()


def relabel(runner: Runner, folder: str) -> None:
    """Give files the SELinux contexts of their place, where the host has such."""
    if shutil.which("restorecon") and os.path.isdir("/sys/fs/selinux/booleans"):
        runner.run(["restorecon", "-R", folder], timeout_s=600)
