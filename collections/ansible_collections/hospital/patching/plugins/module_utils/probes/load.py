# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``load``: how many processes want a processor, for each processor that there is."""

import os
from typing import Any, List

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
    with_median,
)


class LoadProbe(Probe):
    """Reads proc(5)'s loadavg; ``limit_percent`` is of the last minute, and 100 means that every processor is busy."""

    NAME = "load"
    OPTIONS = {"limit_percent": {"type": "int"}}
    # What was just installed and started makes the last minute busy.
    SETTLING = {"load_percent": 50}

    def validate(self) -> None:
        self.numbered("limit_percent", 1, 1000000)

    def target(self) -> str:
        return "load"

    def look(self) -> Reading:
        value = parse_load(self._text("loadavg"), self._text("stat"))
        limit = self.options["limit_percent"]
        detail = "{} % of {} processors".format(value["load_percent"], value["processors"])
        if limit is not None and value["load_percent"] > limit:
            raise Failed("{}, the limit is {} %".format(detail, limit), value)
        return Reading(detail, value)

    def settled(self, values: List[Any]) -> Any:
        """The median: whatever was just started makes the first minute busy."""
        return with_median(values, "load_percent")

    def _text(self, name: str) -> str:
        path = os.path.join(self.context.proc, name)
        try:
            with open(path) as handle:
                return handle.read(1000000)
        except OSError as error:
            raise Inconclusive("{} cannot be read: {}".format(path, error.strerror))


def parse_load(loadavg: str, stat: str) -> Any:
    """Return whole percents of all processors, over 1, 5 and 15 minutes.

    Raises:
        ValueError: the text is not the kernel's.
    """
    averages = [float(word) for word in loadavg.split()[:3]]
    processors = len([line for line in stat.splitlines() if line[:3] == "cpu" and line[3:4].isdigit()])
    if len(averages) != 3 or not processors:
        raise ValueError("no load averages, or no processor")
    one, five, fifteen = (round(average * 100 / processors) for average in averages)
    return {"load_percent": one, "load5_percent": five, "load15_percent": fifteen, "processors": processors}
