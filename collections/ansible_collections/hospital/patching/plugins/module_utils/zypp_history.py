# SPDX-License-Identifier: GPL-3.0-or-later
"""Which repository a package came from and why it is installed, from libzypp's files."""

import os
from typing import Dict, Optional, Set, Tuple

#: Name, ``[epoch:]version-release`` and architecture.
Nevra = Tuple[str, str, str]

#: libzypp rotates it at some megabytes; of a larger one the end is read, where the newest stands.
_HISTORY_BYTES = 64 << 20


def origins(root: str) -> Dict[Nevra, str]:
    """Return the alias of the repository of every installation in ``var/log/zypp/history``, the last one counts.

    A line is ``date|install|name|edition|arch|requested by|repository|checksum|…``
    (the file says so at its head); other actions have other fields.
    """
    found = {}
    for line in _text(root, "var/log/zypp/history").split("\n"):
        fields = line.split("|")
        if len(fields) > 6 and fields[1].strip() == "install" and not line.startswith("#") and fields[6]:
            found[(fields[2], fields[3], fields[4])] = fields[6]
    return found


def automatic(root: str) -> Optional[Set[str]]:
    """Return the names in ``var/lib/zypp/AutoInstalled``, one a line; None where libzypp keeps none."""
    if not os.path.exists(os.path.join(root, "var/lib/zypp/AutoInstalled")):
        return None
    lines = (line.strip() for line in _text(root, "var/lib/zypp/AutoInstalled").split("\n"))
    return {line for line in lines if line and not line.startswith("#")}


def _text(root: str, name: str) -> str:
    try:
        with open(os.path.join(root, name), "rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            handle.seek(max(0, size - _HISTORY_BYTES))
            return handle.read(_HISTORY_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
