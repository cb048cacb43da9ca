# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's numbers from earlier runs and assessments: what is usual for it, and which way it goes.

One file a host beside its assessment. It is bounded in readings and in bytes:
the oldest are dropped. It excuses numbers and never accuses any, so a host
without a history, or with one that cannot be read, is judged more strictly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import read_json, write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.figures import BY_NAME, Key, figures_of

SCHEMA = 1
#: How much of a host is kept, at most.
READINGS, READING_FIGURES, BYTES = 60, 200, 65536
#: So many readings make something usual, without the worst tenth of them.
ENOUGH = 5
#: So many of the newest readings are told as the trend.
TREND = 10

Reading = dict[str, Any]


class Changed(TypedDict):
    """One number of one probe, for the report: before and after, what is usual, and the newest of earlier readings."""

    probe: str
    figure: str
    of: str
    unit: str
    before: int
    after: int
    usual: int | None
    earlier: list[int]


@dataclass(frozen=True)
class FigureHistory:
    """Readings, the oldest first; each has its ``time``, ``by`` whom it was read, and ``figures`` by probe."""

    readings: tuple[Reading, ...] = ()

    @classmethod
    def read(cls, path: Path) -> FigureHistory:
        """Return what is kept of a host; nothing where there is no file yet.

        Raises:
            PatchingError: it is damaged, of another version, or may not be looked at.
        """
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except OSError as error:
            raise PatchingError(str(path), str(error), "a file that can be read", "correct its permissions") from error
        document = read_json(path)
        if not _is_history(document):
            expected = f"numbers of a host as this version keeps them (schema {SCHEMA})"
            raise PatchingError(str(path), "another content", expected, "move it away; the next run begins a new one")
        return cls(tuple(document["readings"]))

    def write(self, path: Path, host: str) -> None:
        """Keep it, whole or not at all; raises PatchingError as :func:`write_json`."""
        write_json(path, {"schema": SCHEMA, "host": host, "readings": list(self.readings)})

    def with_reading(self, time: str, by: str, results: Sequence[Mapping[str, Any]]) -> FigureHistory:
        """Return it with the numbers of the probes that are ok, and without the oldest of what is too much."""
        figures: dict[str, list[list[Any]]] = {}
        numbers = [
            (str(result["name"]), [name, of, value])
            for result in results
            if result["verdict"] == "ok"
            for (name, of), value in sorted(figures_of(result).items())
        ]
        for probe, number in numbers[:READING_FIGURES]:
            figures.setdefault(probe, []).append(number)
        if not figures:
            return self
        kept = [*self.readings, {"time": time, "by": by, "figures": figures}][-READINGS:]
        sizes = [len(json.dumps(reading)) for reading in kept]
        while len(kept) > 1 and sum(sizes[-len(kept) :]) > BYTES:
            kept.pop(0)
        return FigureHistory(tuple(kept))

    def usual(self) -> dict[tuple[str, Key], int]:
        """Return the worst that each number usually is: of what was read often enough, without the worst tenth."""
        found = {}
        for (probe, key), values in self._series().items():
            figure = BY_NAME.get(key[0])
            if figure is not None and figure.has_usual and len(values) >= ENOUGH:
                worst_first = sorted(values, key=figure.amount, reverse=True)
                found[probe, key] = worst_first[len(values) // 10]
        return found

    def changed(self, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Changed]:
        """Return every number that was read before and after, with where it comes from."""
        usual, series = self.usual(), self._series()
        now = {str(result["name"]): figures_of(result) for result in after}
        found: list[Changed] = []
        for result in before:
            probe, seen = str(result["name"]), figures_of(result)
            for key in sorted(set(seen) & set(now.get(probe, {}))):
                name, of = key
                found.append(
                    {
                        "probe": probe,
                        "figure": name,
                        "of": of,
                        "unit": BY_NAME[name].unit,
                        "before": seen[key],
                        "after": now[probe][key],
                        "usual": usual.get((probe, key)),
                        "earlier": series.get((probe, key), [])[-TREND:],
                    }
                )
        return found[:READING_FIGURES]

    def _series(self) -> dict[tuple[str, Key], list[int]]:
        series: dict[tuple[str, Key], list[int]] = {}
        for reading in self.readings:
            for probe, numbers in reading["figures"].items():
                for name, of, value in numbers:
                    series.setdefault((probe, (name, of)), []).append(value)
        return series


def _is_history(document: Any) -> bool:
    try:
        return document["schema"] == SCHEMA and all(map(_is_reading, document["readings"]))
    except (AttributeError, KeyError, TypeError):
        return False


def _is_reading(reading: Any) -> bool:
    numbers = [number for of_probe in reading["figures"].values() for number in of_probe]
    return {"time", "by"} <= set(reading) and all([type(part) for part in one] == [str, str, int] for one in numbers)
