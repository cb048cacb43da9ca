# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files that an update replaced, and that the way back puts in place again.

An update that brings a new ``%config`` file moves the host's changed one away as ``.rpmsave``. With the old version
the host's own text belongs in force again: no rpm does that.
"""

import os
from typing import Any, Dict, Iterable, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import etc_archive
from ansible_collections.hospital.patching.plugins.module_utils.host import Host

ENDING = ".rpmsave"


def put_back(host: Host, before: Optional[Dict[str, Any]], names: Iterable[str]) -> List[str]:
    """Move the host's own text back for configuration files of the packages ``names``; return their paths.

    Args:
        before: the record of the installation that was undone; what lay there before it stays.
    """
    if before is None:
        return []
    new = set(etc_archive.proposals(host.root)) - set(before["conffile_proposals"])
    saved = {path for path in new if path.endswith(ENDING)}
    if not saved:
        return []
    query = ["rpm", "--query", "--configfiles"] + sorted(set(names))
    listed = host.runner.run(query, timeout_s=60, check=False).stdout.splitlines()
    ours = {os.path.join(host.root, line.lstrip("/")) for line in listed if line.startswith("/")}
    moved = []
    for path in sorted(saved):
        own = path[: -len(ENDING)]
        if own in ours:
            os.replace(path, own)
            moved.append(own)
    return moved
