# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the servers are that tests ask: unpacked by tools/server_packages.sh, or installed on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache/servers"
UNPACKED = CACHE / "bin"


def program(name: str) -> str | None:
    """Return the path of a server's program; None where it is neither unpacked nor installed."""
    places = [str(UNPACKED), os.environ.get("PATH", os.defpath), "/usr/sbin"]
    return shutil.which(name, path=os.pathsep.join(places))


def tree(name: str) -> Path:
    """Return the root that holds the other files of a server: its modules and schemas."""
    return CACHE / "root" if (UNPACKED / name).exists() else Path("/")
