# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order units of a host are restarted: those that the site names first, then as systemd would start them."""

from typing import Dict, Iterable, List, Mapping, Sequence

from ansible_collections.hospital.patching.plugins.module_utils import systemd_units
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner


def in_order(runner: Runner, units: Iterable[str], first: Sequence[str]) -> List[str]:
    """Return ``units``: of ``first`` those that are among them, in that order, then each after those it is ``After``.

    A database is up again before what uses it, where the units say so.
    """
    todo = sorted(units)
    shown = systemd_units.show(runner, todo, ["Id", "After"]) if len(todo) > 1 else []
    after = {unit.get("Id", ""): unit.get("After", "").split() for unit in shown}
    return arranged(todo, first, after)


def arranged(units: Sequence[str], first: Sequence[str], after: Mapping[str, Sequence[str]]) -> List[str]:
    """Return ``units`` in order; what stands in a circle of ``after`` comes by name."""
    found = [unit for unit in dict.fromkeys(first) if unit in units]
    left: Dict[str, List[str]] = {
        unit: [one for one in after.get(unit, ()) if one in units] for unit in sorted(units) if unit not in found
    }
    while left:
        ready = [unit for unit, others in left.items() if not any(one in left and one != unit for one in others)]
        unit = (ready or list(left))[0]
        found.append(unit)
        del left[unit]
    return found
