# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call of ``software_facts`` is asked for, beyond what it always collects."""

from typing import Any, Dict, List, NamedTuple

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.owners import Owners

#: ``jars`` and ``images`` are asked for because they take long; the other lists extend our tables by a site's own.
Wanted = NamedTuple(
    "Wanted",
    [
        ("jars", bool),
        ("jar_roots", List[str]),
        ("jar_limit_s", int),
        ("libraries", List[Dict[str, Any]]),
        ("applications", List[Dict[str, Any]]),
        ("images", bool),
    ],
)

#: What is collected without being asked for; no ``jar_roots`` are the usual ones.
ALWAYS = Wanted(False, [], 300, [], [], False)


class Call:
    """One call: the host, what is wanted of it, and who owns its files, looked up once for all collectors."""

    def __init__(self, host: Host, wanted: Wanted = ALWAYS) -> None:
        self.host = host
        self.wanted = wanted
        self.owners = Owners(host)
