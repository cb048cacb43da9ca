# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``systemd``: how often systemd restarted units by itself, and how many units have failed.

A unit that dies and is started again is ``active`` whenever one looks; only
its counter ``NRestarts`` (systemd 235 and newer) tells. A start by hand or by
a package resets the counter, so it counts since then.
"""

import re
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)
from ansible_collections.hospital.patching.plugins.module_utils.probes.units import describe, is_failed
from ansible_collections.hospital.patching.plugins.module_utils.systemd_units import parse_units

PROPERTIES = "Id,Names,LoadState,ActiveState,SubState,NRestarts"


class SystemdProbe(Probe):
    """Reads ``units``, of which each is a service, and the number of failed units of the host beside ``ignore``."""

    NAME = "systemd"
    OPTIONS = {
        "units": {"type": "list", "elements": "str", "default": []},
        "restarts_limit": {"type": "int"},
        "failed_limit": {"type": "int"},
        "ignore": {"type": "list", "elements": "str", "default": []},
    }

    def validate(self) -> None:
        self.named = self._services("units")
        self.ignored = self._services("ignore")
        self.numbered("restarts_limit", 0, 1000000)
        self.numbered("failed_limit", 0, 1000000)

    def _services(self, option: str) -> List[str]:
        names = [name if "." in name else name + ".service" for name in self.options[option]]
        for name in names:
            if not re.match(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*\Z", name):
                raise self.bad_option("unit {!r}".format(name), "the name of one unit")
            if option == "units" and not name.endswith(".service"):
                raise self.bad_option("unit {!r}".format(name), "a service: only services are restarted")
        return names

    def target(self) -> str:
        return ", ".join(self.named) or "all units"

    def look(self) -> Reading:
        shown = self.context.runner.run(
            ["systemctl", "show", "--no-pager", "--property=" + PROPERTIES, "--", "*"] + self.named,
            timeout_s=self.timeout_s,
        )
        units = parse_units(shown.stdout)
        if not units:
            raise Inconclusive("systemctl listed no unit")
        failed = sorted({unit["Id"] for unit in units.values() if is_failed(unit)} - set(self.ignored))
        value: Dict[str, Any] = {"failed": failed, "failed_units": len(failed), "restarts": {}}
        doubtful, wrong = [], []
        for name in self.named:
            unit = units.get(name)
            if unit is None:
                doubtful.append("{} was not shown".format(name))
            elif unit.get("LoadState") != "loaded":
                wrong.append("{} is {}".format(name, describe(unit)))
            elif not re.match(r"[0-9]+\Z", unit.get("NRestarts", "")):
                doubtful.append("systemd does not count the restarts of {}".format(name))
            else:
                value["restarts"][name] = int(unit["NRestarts"])
        wrong += self._beyond(value)
        if wrong:
            raise Failed("; ".join(wrong), value)
        if doubtful:
            raise Inconclusive("; ".join(doubtful), value)
        told = ["{} restarted {} times".format(name, count) for name, count in sorted(value["restarts"].items())]
        return Reading(", ".join(told + ["{} units failed".format(len(failed))]), value)

    def _beyond(self, value: Dict[str, Any]) -> List[str]:
        wrong = []
        limit = self.options["restarts_limit"]
        for name, count in sorted(value["restarts"].items()):
            if limit is not None and count > limit:
                wrong.append("{} restarted {} times, the limit is {}".format(name, count, limit))
        limit = self.options["failed_limit"]
        if limit is not None and value["failed_units"] > limit:
            wrong.append(
                "{} units failed, the limit is {}: {}".format(value["failed_units"], limit, ", ".join(value["failed"]))
            )
        return wrong

    def settled(self, values: List[Any]) -> Any:
        """Tell a unit that died and came back between two readings, each of which saw it run."""
        rising = []
        for name in self.named:
            counts = [value["restarts"][name] for value in values if name in value["restarts"]]
            count = sum(max(0, later - earlier) for earlier, later in zip(counts, counts[1:]))
            if count:
                rising.append("{} restarted {} times while it was watched".format(name, count))
        if rising:
            raise Failed("; ".join(rising), values[-1])
        return values[-1]
