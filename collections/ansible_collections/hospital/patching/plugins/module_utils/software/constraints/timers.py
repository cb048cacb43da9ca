# SPDX-License-Identifier: GPL-3.0-or-later
"""The timers and services that a run holds off while it works (competing_updaters.py)."""

from typing import List

from ansible_collections.hospital.patching.plugins.module_utils.competing_updaters import UPDATERS
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    CHANGES,
    INFORMS,
    Entry,
    Look,
    entry,
)

#: These refresh or download only, whatever else is set.
ONLY_FETCH = ("apt-daily.timer", "dnf-automatic-download.timer")


def collect(look: Look) -> List[Entry]:
    """Return the units of competing updaters that are loaded."""
    found = []
    for name in UPDATERS:
        unit = look.unit(name)
        if unit:
            active = unit.get("ActiveState") in ("active", "activating")
            detail = "{}, {}; held off while a run holds the host".format(
                unit.get("ActiveState", "unknown"), unit.get("UnitFileState") or "no state"
            )
            effect = CHANGES if active and name not in ONLY_FETCH else INFORMS
            found.append(entry("updater_unit", name, detail, effect))
    return found
