# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the definitions of zypper's repositories, because zypper writes to theirs.

For ``repos`` and ``refresh`` as root, zypper has every plugin service (SUSE Manager's, for one) say which
repositories there are, and writes them down where ``--reposd-dir`` says. So the services' answer counts, in the
copy, and the host keeps its own.
"""

import glob
import os
import re
import shutil

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Where ``reposdir`` may be set, the last first (libzypp's zypp.conf).
SETTINGS = (
    "etc/zypp/zypp.conf.d/*.conf",
    "etc/zypp/zypp.conf",
    "usr/etc/zypp/zypp.conf.d/*.conf",
    "usr/etc/zypp/zypp.conf",
)
DEFAULT = "/etc/zypp/repos.d"

_FOLDER = re.compile(r"^[ \t]*reposdir[ \t]*=[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)


def copy(root: str, target: str) -> None:
    """Copy the definitions of the host's repositories to the folder ``target``.

    Raises:
        PatchingError: one of them cannot be read; without it its updates would be missing.
    """
    path = ""
    try:
        source = os.path.join(root, folder(root).lstrip("/"))
        for path in sorted(glob.glob(os.path.join(glob.escape(source), "*.repo"))):
            if not os.path.isfile(path):
                continue  # zypper passes over links that lead nowhere as well
            with open(path, "rb") as definition, open(os.path.join(target, os.path.basename(path)), "wb") as copied:
                shutil.copyfileobj(definition, copied)
    except (FileNotFoundError, PermissionError) as error:
        raise PatchingError(
            error.filename or path,
            str(error.strerror),
            "definitions of repositories that can be read",
            "repair or remove it on the host, then run again; nothing was changed",
        )


def folder(root: str) -> str:
    """Return where zypper finds the definitions, as the host sees it."""
    for pattern in SETTINGS:
        for path in sorted(glob.glob(os.path.join(glob.escape(root), pattern)), reverse=True):
            with open(path, "rb") as handle:
                found = _FOLDER.findall(handle.read(1 << 20).decode("utf-8", "surrogateescape"))
            if found:
                return str(found[-1])
    return DEFAULT
