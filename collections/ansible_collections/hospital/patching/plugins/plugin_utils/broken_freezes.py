# SPDX-License-Identifier: GPL-3.0-or-later
"""The freezes that an emergency breaks: occurrences of calendars, and freeze files, each this very one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import halt_files, schedule
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import Occurrence
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp


@dataclass(frozen=True, order=True)
class BrokenFreeze:
    """One occurrence of a freeze, which ``freeze`` states."""

    freeze: str
    start: datetime
    end: datetime

    def as_dict(self) -> dict[str, str]:
        return {"freeze": self.freeze, "start": stamp(self.start), "end": stamp(self.end)}


@dataclass(frozen=True, order=True)
class BrokenFile:
    """A freeze file: where it is, what it tells, and what tells it from one that is put there later."""

    file: str
    told: str
    mark: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def of_calendars(
    texts: Iterable[str], begin: datetime, end: datetime, segments: schedule.Segments
) -> list[BrokenFreeze]:
    """Return what lies over some of the span. A freeze that cannot be read is none of it, and goes on to close."""
    found = []
    for text in texts:
        try:
            stated = schedule.read(text, segments)
            found += [BrokenFreeze(stated.text, gap.start, gap.end) for gap in schedule.gaps(stated, begin, end)]
        except PatchingError:
            continue
    return found


def of_files(paths: Iterable[Path]) -> list[BrokenFile]:
    """Return the freeze files that are there. One that cannot be read is none of them, and goes on to close."""
    found = []
    for path in paths:
        mark, told = halt_files.mark(path), halt_files.told_by(path)
        if mark is not None and told is not None:
            found.append(BrokenFile(str(path.resolve()), told, mark))
    return found


def occurrences(break_glass: Mapping[str, Any] | None) -> dict[str, frozenset[Occurrence]]:
    """Return the occurrences that a plan breaks, by the texts of their freezes."""
    found: dict[str, frozenset[Occurrence]] = {}
    for one in (break_glass or {}).get("freezes", ()):
        gap = Occurrence(read_stamp(one["start"]), read_stamp(one["end"]))
        found[one["freeze"]] = found.get(one["freeze"], frozenset()) | {gap}
    return found


def is_broken(break_glass: Mapping[str, Any] | None, path: Path) -> bool:
    """Whether the freeze file at ``path`` is the very one that a plan breaks."""
    known = {(one["file"], one["mark"]) for one in (break_glass or {}).get("freeze_files", ())}
    return bool(known) and (str(path.resolve()), halt_files.mark(path)) in known
