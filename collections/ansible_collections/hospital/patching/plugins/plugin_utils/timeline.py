# SPDX-License-Identifier: GPL-3.0-or-later
"""When a plan's waves begin and end, by its estimates: nothing but the plan is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp


@dataclass(frozen=True)
class Span:
    """One wave; ``ends`` says when each of its hosts is done."""

    number: int
    start: datetime
    ends: Mapping[str, datetime]

    @property
    def end(self) -> datetime:
        return max(self.ends.values())


def timeline(plan: Mapping[str, Any]) -> list[Span]:
    """Return the waves in order, as they go if every host takes its estimate.

    A wave begins when the one before has ended, its hosts' windows are open and
    the earlier rings of their services have run well for the soak time.
    """
    hosts, spans = plan["hosts"], []
    cursor = read_stamp(plan["created"])
    ended: dict[tuple[str, str, str], datetime] = {}
    for wave in plan["waves"]:
        entries = {host: hosts[host] for host in wave["hosts"]}
        start = cursor
        for entry in entries.values():
            if entry["window"] is not None:
                start = max(start, read_stamp(entry["window"]["start"]))
            for ring in RINGS[: RINGS.index(entry["ring"])]:
                before = ended.get((entry["service"], entry["kind"], ring))
                if before is not None:
                    start = max(start, before + timedelta(seconds=entry["soak_s"]))
        ends = {host: start + timedelta(seconds=entry["estimate_s"]) for host, entry in entries.items()}
        spans.append(Span(wave["number"], start, ends))
        cursor = spans[-1].end
        for entry in entries.values():
            if entry["service"] is not None:
                ended[entry["service"], entry["kind"], entry["ring"]] = cursor
    return spans
