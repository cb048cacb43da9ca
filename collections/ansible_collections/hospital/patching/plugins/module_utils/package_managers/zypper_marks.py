# SPDX-License-Identifier: GPL-3.0-or-later
"""libzypp's list of packages that came as a dependency (``AutoInstalled``), and zypper's locks."""

import os
from typing import Iterable, List, Set

from ansible_collections.hospital.patching.plugins.module_utils import zypp_history
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import (
    RpmInstalled,
    RpmMarks,
)

AUTOMATIC = "var/lib/zypp/AutoInstalled"


def automatic_names(root: str) -> Set[str]:
    """Return the names of packages that came as a dependency; none where libzypp keeps no such list."""
    return zypp_history.automatic(root) or set()


def marks(root: str, installed: RpmInstalled) -> RpmMarks:
    """Return the marks and locks of now."""
    return RpmMarks(root, installed, automatic_names(root))


def change(root: str, automatic: Iterable[str], manual: Iterable[str]) -> None:
    """Mark names as automatically or manually installed; the file appears whole or not at all.

    zypper has no command for it: it writes this list at the end of each installation.
    """
    path = os.path.join(root, AUTOMATIC)
    names = (automatic_names(root) | set(automatic)) - set(manual)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            remarks = [line for line in handle.read().split("\n") if line.startswith("#")]
    except FileNotFoundError:
        remarks = []
    lines: List[str] = (remarks or ["# AutoInstalled", "#"])[:2] + sorted(names)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".part", "w", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write("\n".join(lines) + "\n#\n")
        handle.flush()
        os.fsync(handle.fileno())
    os.chmod(path + ".part", 0o644)
    os.rename(path + ".part", path)
