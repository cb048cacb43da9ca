# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches in the running kernel: it may be safer than its release says, and a reboot loads them anew."""

from typing import List

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    INFORMS,
    Entry,
    Look,
    entry,
)

#: The kernel's own list (Documentation/livepatch in the kernel's sources).
_LIST = "sys/kernel/livepatch"


def collect(look: Look) -> List[Entry]:
    """Return the patches in the running kernel, and those that kpatch loads at boot."""
    found = []
    for name in look.listing(_LIST):
        enabled = (look.text("{}/{}/enabled".format(_LIST, name)) or "").strip()
        moving = (look.text("{}/{}/transition".format(_LIST, name)) or "").strip()
        state = "in transition" if moving == "1" else {"1": "in force", "0": "off"}.get(enabled, "of unknown state")
        found.append(entry("live_patch", name, "{} in the running kernel".format(state), INFORMS))
    for release in look.listing("var/lib/kpatch"):
        modules = [name for name in look.listing("var/lib/kpatch/" + release) if name.endswith(".ko")]
        if modules:
            detail = "kpatch loads {} at boot of kernel {}".format(", ".join(modules), release)
            found.append(entry("live_patch", release, detail, INFORMS))
    return found
