# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``memory``: what of it is available without swapping, and how much swap is used."""

import os
from typing import Dict

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)


class MemoryProbe(Probe):
    """Reads proc(5)'s meminfo."""

    NAME = "memory"
    OPTIONS = {"available_percent": {"type": "int"}, "swap_used_percent": {"type": "int"}}

    def validate(self) -> None:
        self.numbered("available_percent", 0, 100)
        self.numbered("swap_used_percent", 0, 100)

    def target(self) -> str:
        return "memory"

    def look(self) -> Reading:
        path = os.path.join(self.context.proc, "meminfo")
        try:
            with open(path) as handle:
                value = parse_memory(handle.read(100000))
        except OSError as error:
            raise Inconclusive("{} cannot be read: {}".format(path, error.strerror))
        except (KeyError, ZeroDivisionError):
            raise Inconclusive("{} does not say how much memory is available".format(path))
        wrong = []
        least, most = self.options["available_percent"], self.options["swap_used_percent"]
        if least is not None and value["available_percent"] < least:
            wrong.append("{} % of memory is available, expected {} %".format(value["available_percent"], least))
        if most is not None and value["swap_used_percent"] > most:
            wrong.append("{} % of swap is used, the limit is {} %".format(value["swap_used_percent"], most))
        if wrong:
            raise Failed("; ".join(wrong), value)
        return Reading("{} % available".format(value["available_percent"]), value)


def parse_memory(text: str) -> Dict[str, int]:
    """Return sizes and whole percents of /proc/meminfo, whose ``kB`` are 1024 bytes.

    Raises:
        KeyError: a line that is needed is missing.
    """
    lines = (line.partition(":") for line in text.splitlines())
    sizes = {key: int(value.split()[0]) * 1024 for key, _colon, value in lines if value.endswith(" kB")}
    total, available = sizes["MemTotal"], sizes["MemAvailable"]
    swap, swap_free = sizes["SwapTotal"], sizes["SwapFree"]
    return {
        "size_bytes": total,
        "available_bytes": available,
        "available_percent": available * 100 // total,
        "swap_bytes": swap,
        "swap_used_bytes": swap - swap_free,
        "swap_used_percent": (swap - swap_free) * 100 // swap if swap else 0,
    }
