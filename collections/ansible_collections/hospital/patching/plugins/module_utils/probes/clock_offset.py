# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``time``: is this host's clock synchronised, and how far is it off?

chrony tells both; without it systemd tells whether any program has synchronised
the clock and, where its own does that, how far it was off.
"""

import re
from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)

#: chrony's reference 127.127.1.1: it serves its own clock, because no other could be asked.
OWN_CLOCK = "7F7F0101"
#: Units in which systemd writes a span, in milliseconds.
UNITS_MS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60000, "h": 3600000, "d": 86400000}


class TimeProbe(Probe):
    """Asks chronyc, else timedatectl; neither is told to change anything."""

    NAME = "time"
    OPTIONS = {"offset_limit_ms": {"type": "int", "default": 1000}, "synchronised": {"type": "bool", "default": True}}
    # After a reboot the clock is brought near little by little.
    SETTLING = {"offset_ms": 25}

    def validate(self) -> None:
        self.numbered("offset_limit_ms", 1, 86400000)

    def target(self) -> str:
        return "clock"

    def look(self) -> Reading:
        value = self._chrony() or self._systemd()
        if value is None:
            raise Inconclusive("neither chronyc nor timedatectl tells how the clock is kept")
        limit, offset = self.options["offset_limit_ms"], value["offset_ms"]
        if not value["synchronised"] and self.options["synchronised"]:
            raise Failed("the clock is not synchronised ({})".format(value["by"]), value)
        if offset is not None and offset > limit:
            raise Failed("the clock is {} ms off, the limit is {} ms".format(offset, limit), value)
        told = "its offset is not told" if offset is None else "{} ms off".format(offset)
        return Reading("{}, {}".format(told, value["by"]), value)

    def _chrony(self) -> Optional[Dict[str, Any]]:
        return parse_tracking(self._ask(["chronyc", "-n", "-c", "tracking"]))

    def _systemd(self) -> Optional[Dict[str, Any]]:
        synchronised = parse_synchronised(self._ask(["timedatectl", "show"]))
        if synchronised is None:
            return None
        offset_ms = parse_timesync(self._ask(["timedatectl", "timesync-status", "--no-pager"]))
        return {"synchronised": synchronised, "offset_ms": offset_ms, "by": "timedatectl"}

    def _ask(self, command: Any) -> str:
        try:
            # Two of three commands may have to be waited for.
            return self.context.runner.run(command, timeout_s=max(1, self.timeout_s // 3), check=False).stdout
        except PatchingError:
            return ""


def parse_tracking(text: str) -> Optional[Dict[str, Any]]:
    """Read ``chronyc -c tracking``; None when it is no such line.

    The fields are counted from the end, because old versions give the reference
    in one field: offset of the system clock (tenth), and leap status (last).
    """
    fields = text.strip().split(",")
    if len(fields) < 13:
        return None
    try:
        offset_ms = round(abs(float(fields[-10])) * 1000)
    except ValueError:
        return None
    synchronised = fields[-1] != "Not synchronised" and fields[0] != OWN_CLOCK
    return {"synchronised": synchronised, "offset_ms": offset_ms if synchronised else None, "by": "chronyc"}


def parse_synchronised(text: str) -> Optional[bool]:
    """Read ``timedatectl show``; None when it does not say whether the clock is synchronised."""
    found = re.search(r"^NTPSynchronized=(yes|no)$", text, re.MULTILINE)
    return None if found is None else found.group(1) == "yes"


def parse_timesync(text: str) -> Optional[int]:
    """Read the offset of ``timedatectl timesync-status`` in whole milliseconds; None where it tells none."""
    found = re.search(r"^ *Offset: [+-]?((?:[0-9.]+(?:us|ms|s|min|h|d) ?)+)$", text, re.MULTILINE)
    if found is None:
        return None
    parts = re.findall(r"([0-9.]+)(us|ms|s|min|h|d)", found.group(1))
    return round(sum(float(number) * UNITS_MS[unit] for number, unit in parts))
