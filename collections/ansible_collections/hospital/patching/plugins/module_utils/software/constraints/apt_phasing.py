# SPDX-License-Identifier: GPL-3.0-or-later
"""Ubuntu's phased updates: a machine gets them once its machine id falls into the share that they are offered to."""

from typing import List

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    HOLDS,
    INFORMS,
    Entry,
    Look,
    entry,
    yes,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

#: Settings of apt and, where those are absent, of update-manager (apt_preferences(5), "Phased updates").
ALWAYS = ("APT::Get::Always-Include-Phased-Updates", "Update-Manager::Always-Include-Phased-Updates")
NEVER = ("APT::Get::Never-Include-Phased-Updates", "Update-Manager::Never-Include-Phased-Updates")


def collect(look: Look) -> List[Entry]:
    """Return how this host takes phased updates; nothing on systems that have none."""
    found = []
    for name in ALWAYS:
        if yes(look.apt_value(name)):
            found.append(entry("phased_updates", name, "takes phased updates at once", INFORMS))
    for name in NEVER:
        if yes(look.apt_value(name)):
            found.append(entry("phased_updates", name, "takes phased updates only when they are offered to all", HOLDS))
    if not found and read_os_release(look.host.root)["id"] == "ubuntu":
        found.append(entry("phased_updates", "default", "phased updates reach this machine by its machine id", HOLDS))
    return found
