# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that code of this project runs on."""

from typing import NamedTuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: Where a host keeps its journal, its lock and its preserved packages.
STATE_DIR = "/var/lib/hospital-patching"

#: Everything that reading or changing a host needs of it; tests replace any part.
Host = NamedTuple("Host", [("runner", Runner), ("clock", Clock), ("root", str), ("state_dir", str)])


def this_host(state_dir: str = STATE_DIR) -> Host:
    """Return the host that this code runs on."""
    return Host(Runner(), Clock(), "/", state_dir)
