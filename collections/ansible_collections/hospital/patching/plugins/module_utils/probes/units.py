# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``units``: systemd units that failed, or named units that must be active."""

import re
from typing import Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)
from ansible_collections.hospital.patching.plugins.module_utils.systemd_units import parse_units

PROPERTIES = "Id,Names,LoadState,ActiveState,SubState,UnitFileState,Type,RemainAfterExit,Job"
ACTIVE = ("active", "reloading", "refreshing")
#: Enabled units of these kinds are compared: who enabled one wants it to run. Others come and go, as D-Bus calls them.
COMPARED = (".service", ".socket", ".timer", ".path")
ENABLED = ("enabled", "enabled-runtime")
#: What the comparison takes for a unit that is about to run, or that has done its work and is not expected to.
STARTING, ONESHOT = "starting", "oneshot"


class UnitsProbe(Probe):
    """With ``active`` judges those units only, without it every loaded unit."""

    NAME = "units"
    OPTIONS = {"active": {"type": "list", "elements": "str", "default": []}}

    def validate(self) -> None:
        self.named = [name if "." in name else name + ".service" for name in self.options["active"]]
        for name in self.named:
            if not re.match(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*\Z", name):
                raise self.bad_option("unit {!r}".format(name), "the name of one unit")

    def target(self) -> str:
        return ", ".join(self.named) or "all units"

    def look(self) -> Reading:
        # `show` prints key=value on every systemd since EL 8; list-units has JSON only since systemd 246.
        shown = self.context.runner.run(
            ["systemctl", "show", "--no-pager", "--property=" + PROPERTIES, "--"] + (self.named or ["*"]),
            timeout_s=self.timeout_s,
        )
        units = parse_units(shown.stdout)
        return self._judge_named(units) if self.named else self._judge_all(units)

    def _judge_all(self, units: Dict[str, Dict[str, str]]) -> Reading:
        if not units:
            raise Inconclusive("systemctl listed no unit")
        failed = sorted({unit["Id"] for unit in units.values() if is_failed(unit)})
        value = {"failed": failed, "named": [], "units": {name: describe(units[name]) for name in failed}}
        enabled = {unit["Id"]: lasting_state(unit) for unit in units.values() if is_compared(unit)}
        if enabled:
            value["enabled"] = enabled
        if failed:
            raise Failed("failed: {}".format(", ".join(failed)), value)
        return Reading("none of {} units failed".format(len({unit["Id"] for unit in units.values()})), value)

    def _judge_named(self, units: Dict[str, Dict[str, str]]) -> Reading:
        broken: List[str] = []
        doubtful: List[str] = []
        states: Dict[str, str] = {}
        for name in self.named:
            unit = units.get(name)
            if unit is None:
                doubtful.append("{} was not shown".format(name))
                continue
            states[name] = describe(unit)
            text = "{} is {}".format(name, states[name])
            if unit.get("ActiveState") in ACTIVE:
                continue
            if unit.get("ActiveState") == "activating" and not is_failed(unit):
                doubtful.append(text)
            else:
                broken.append(text)
        failed = sorted(name for name in states if is_failed(units[name]))
        value = {"failed": failed, "named": self.named, "units": states}
        if broken:
            raise Failed("; ".join(broken), value)
        if doubtful:
            raise Inconclusive("; ".join(doubtful), value)
        return Reading("active: {}".format(", ".join(sorted(states))), value)


def is_failed(unit: Dict[str, str]) -> bool:
    """A unit that systemd starts again and again is as broken as one it gave up."""
    return unit.get("ActiveState") == "failed" or unit.get("SubState") == "auto-restart"


def is_compared(unit: Dict[str, str]) -> bool:
    """Return whether the unit's state afterwards is compared with that from before."""
    return unit.get("UnitFileState") in ENABLED and unit["Id"].endswith(COMPARED)


def lasting_state(unit: Dict[str, str]) -> str:
    """Return the state that is expected to last; a job that waits, or work that is done, says nothing of it."""
    if unit.get("Job") not in (None, "", "0"):
        return STARTING
    if unit.get("Type") == "oneshot" and unit.get("RemainAfterExit") != "yes":
        return ONESHOT
    return describe(unit)


def describe(unit: Dict[str, str]) -> str:
    """Return the unit's state for people, such as ``active (running)`` or ``not-found``."""
    if unit.get("LoadState") not in ("loaded", None):
        return unit["LoadState"]
    return "{} ({})".format(unit.get("ActiveState", "unknown"), unit.get("SubState", "unknown"))
