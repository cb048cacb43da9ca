# SPDX-License-Identifier: GPL-3.0-or-later
"""Java archives on this host that carry a vulnerable library. Runs only when asked for: it reads every archive."""

import os
from typing import Any, Dict, Sequence

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software import tree_walk
from ansible_collections.hospital.patching.plugins.module_utils.software.archive_scan import (
    ARCHIVES,
    LIMITS,
    POM,
    Limits,
    Scan,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below, head
from ansible_collections.hospital.patching.plugins.module_utils.software.vulnerable_libraries import libraries

#: Those that a host does not have are no gap; a missing one that a site named is.
ROOTS = ("/opt", "/srv", "/usr/lib*", "/usr/local", "/usr/share", "/var/lib", "/var/www", "/home/*", "/root")


def collect(
    host: Host,
    roots: Sequence[str] = ROOTS,
    more: Sequence[Dict[str, Any]] = (),
    limit_s: float = 300,
    limits: Limits = LIMITS,
) -> Dict[str, Any]:
    """Return ``{found, not_read, archives}``.

    ``found`` is ``[{path, inside, library, group, version, cves}]``: ``inside`` names the
    archives from the outermost to the one that is the library; ``group`` is Maven's,
    None where neither the copy nor the table states one; ``version`` is None for a copy
    that does not state it, whose CVEs are then all of the library's. ``not_read`` is
    ``[{path, inside, reason}]``, also of directories; ``archives`` how many were opened.

    Raises:
        PatchingError: an entry of ``more`` has not the table's shape.
    """
    temporary = below(host.root, "var/tmp")  # a disk, where /tmp may be memory
    spool = temporary if os.access(temporary, os.W_OK) else None
    scan = Scan(host.clock, libraries(more), limits, host.clock.monotonic() + limit_s, spool)
    walk = tree_walk.TreeWalk(host, tree_walk.Limits(64, 500000, limit_s, 500000), thorough=True)
    for directory in walk.walk(roots, lambda name: name.lower().endswith(ARCHIVES) or name == "pom.properties"):
        for name in directory.files:
            path = os.path.join(directory.path, name)
            if name == "pom.properties":
                if POM.match(path):
                    scan.properties(path, head(host.root, path))
            else:
                scan.look_at(path, below(host.root, path))
    absent = ["{} is no directory".format(root) for root in walk.absent if root not in ROOTS]
    rows = [row for _key, row in sorted(scan.found.items())]
    left_out = [{"path": problem, "inside": [], "reason": "not looked at"} for problem in absent + walk.problems]
    return {"found": rows, "not_read": scan.not_read + left_out, "archives": scan.archives}
