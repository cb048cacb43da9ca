# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of health, and how much worse one may become by a patch: by the tier of the host.

A number is compared with the one from before and with what is usual for the
host, whichever is worse, because a patch answers for what it changed and not
for a busy hour. A smaller difference than ``noise`` means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

TIERS = (1, 2, 3, 4)
MEBIBYTE = 1024 * 1024
Weight = Literal["ok", "told", "failed"]
#: A figure's name, and of what it is: a mount, a unit; empty where there is but one.
Key = tuple[str, str]


@dataclass(frozen=True)
class Threshold:
    """When a number that became worse is told, and when it fails the host.

    ``noise`` is an amount, the percents are of the number before, and ``limit``
    is a number that must not be passed by a patch. None means never.
    """

    noise: int
    told_percent: int | None
    failed_percent: int | None
    limit: int | None


@dataclass(frozen=True)
class Figure:
    """One number that probes read; ``noise`` to ``limit`` are stated for the tiers 1 to 4."""

    name: str
    unit: str
    worse: Literal["more", "less"]
    meaning: str
    noise: tuple[int, int, int, int]
    told: int | None
    failed: tuple[int, int, int, int] | None = None
    limit: tuple[int, int, int, int] | None = None
    #: What is usual for the host excuses it; not of counters, which begin anew with every start.
    has_usual: bool = True
    #: Counts since a start, so that a number that fell began anew.
    is_counter: bool = False

    def threshold(self, tier: int) -> Threshold:
        """Return the default of one tier."""
        row = TIERS.index(tier)
        return Threshold(
            self.noise[row],
            self.told,
            self.failed[row] if self.failed else None,
            self.limit[row] if self.limit else None,
        )

    def amount(self, value: int) -> int:
        """Return the number so that more of it is worse."""
        return value if self.worse == "more" else -value


#: Sensible for a start, and meant to be set by the site (patching_thresholds): wide enough that a healthy host whose
#: caches are cold is not put back, and tighter the more a service matters.
FIGURES = (
    Figure(
        "latency_ms",
        "ms",
        "more",
        "how long an answer takes",
        noise=(500, 1000, 2000, 5000),
        told=100,
        failed=(200, 300, 400, 900),
    ),
    Figure(
        "replication_lag_ms",
        "ms",
        "more",
        "how far a replica is behind, in time",
        noise=(5000, 15000, 30000, 120000),
        told=0,
        failed=(100, 100, 200, 400),
    ),
    Figure(
        "replication_lag_bytes",
        "bytes",
        "more",
        "how far a replica is behind, in what it has to replay",
        noise=(16 * MEBIBYTE, 64 * MEBIBYTE, 128 * MEBIBYTE, 512 * MEBIBYTE),
        told=0,
        failed=(100, 100, 200, 400),
    ),
    Figure(
        "replicas",
        "replicas",
        "less",
        "how many replicas are connected to a primary",
        noise=(0, 0, 0, 0),
        told=0,
        has_usual=False,
    ),
    Figure(
        "restarts",
        "restarts",
        "more",
        "how often systemd restarted a unit that died",
        noise=(0, 0, 1, 2),
        told=0,
        failed=(0, 0, 0, 0),
        has_usual=False,
        is_counter=True,
    ),
    Figure(
        "failed_units",
        "units",
        "more",
        "how many units have failed",
        noise=(0, 0, 0, 0),
        told=0,
        has_usual=False,
    ),
    Figure(
        "load_percent",
        "% of all processors",
        "more",
        "how many processes want a processor",
        noise=(100, 100, 150, 200),
        told=50,
        failed=(200, 300, 400, 900),
    ),
    Figure(
        "memory_available_percent",
        "%",
        "less",
        "memory that can be had without swapping",
        noise=(5, 5, 5, 5),
        told=25,
        limit=(10, 8, 5, 3),
    ),
    Figure(
        "swap_used_percent",
        "%",
        "more",
        "swap that is used",
        noise=(10, 10, 10, 10),
        told=25,
        limit=(60, 70, 80, 95),
    ),
    Figure(
        "disk_free_percent",
        "%",
        "less",
        "space that is free on a file system",
        noise=(1, 1, 1, 1),
        told=20,
        limit=(10, 8, 5, 3),
    ),
    Figure(
        "inodes_free_percent",
        "%",
        "less",
        "inodes that are free on a file system",
        noise=(1, 1, 1, 1),
        told=20,
        limit=(10, 8, 5, 3),
    ),
    Figure(
        "clock_offset_ms",
        "ms",
        "more",
        "how far the clock is off",
        noise=(50, 100, 250, 500),
        told=0,
        failed=(100, 200, 400, 900),
    ),
)
BY_NAME = {figure.name: figure for figure in FIGURES}
#: Under which key of a probe's value a figure stands, where it has another name there.
_PLAIN = {
    "available_percent": "memory_available_percent",
    "offset_ms": "clock_offset_ms",
    "lag_ms": "replication_lag_ms",
    "lag_bytes": "replication_lag_bytes",
    **{name: name for name in BY_NAME},
}


@dataclass(frozen=True)
class Numbers:
    """By what one host's numbers are judged: thresholds by figure, and what is usual by probe and key."""

    thresholds: Mapping[str, Threshold]
    usual: Mapping[tuple[str, Key], int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        tier: int,
        changed: Mapping[str, Mapping[str, Any]] | None = None,
        usual: Mapping[tuple[str, Key], int] | None = None,
    ) -> Numbers:
        """Return the defaults of a tier with what the site has changed of them."""
        return cls(
            {
                figure.name: replace(figure.threshold(tier), **(changed or {}).get(figure.name, {}))
                for figure in FIGURES
            },
            usual or {},
        )

    def changes(self, probe: str, before: Mapping[Key, int], after: Mapping[Key, int]) -> Iterator[tuple[str, Weight]]:
        """Yield what became worse, as a sentence and its weight; what is not in both readings is not compared."""
        for key, was in before.items():
            if key not in after:
                continue
            figure, usual = BY_NAME[key[0]], self.usual.get((probe, key))
            weight = judge(figure, self.thresholds[figure.name], was, after[key], usual)
            if weight != "ok":
                yield _sentence(key, was, after[key], usual), weight

    def ill(self, probe: str, seen: Mapping[Key, int]) -> Iterator[str]:
        """Yield which numbers have passed their limit already, before anything was changed, and unusually so."""
        for key, value in seen.items():
            figure, limit = BY_NAME[key[0]], self.thresholds[key[0]].limit
            usual = self.usual.get((probe, key))
            if beyond(figure, limit, value) and not (usual is not None and beyond(figure, limit, usual)):
                yield f"{_shown(key)} is {value} {figure.unit}, the limit is {limit}"


def judge(figure: Figure, threshold: Threshold, before: int, after: int, usual: int | None = None) -> Weight:
    """Return how much a number weighs that was ``before`` and is ``after``.

    A number that did not become worse is ok, whatever it is; a worse ``after``
    never weighs less, and a worse ``before`` or ``usual`` never more. Only a
    counter that fell began anew: all that it counts is new.
    """
    base = 0 if figure.is_counter and after < before else before
    if figure.has_usual and usual is not None and figure.amount(usual) > figure.amount(before):
        base = usual
    grown = figure.amount(after) - figure.amount(base)
    if grown <= threshold.noise:
        return "ok"
    if beyond(figure, threshold.limit, after) and not beyond(figure, threshold.limit, base):
        return "failed"
    if _above(threshold.failed_percent, grown, base):
        return "failed"
    return "told" if _above(threshold.told_percent, grown, base) else "ok"


def beyond(figure: Figure, limit: int | None, value: int) -> bool:
    """Return whether a number has passed its limit."""
    return limit is not None and figure.amount(value) > figure.amount(limit)


def _above(percent: int | None, grown: int, base: int) -> bool:
    return percent is not None and grown * 100 > percent * abs(base)


def figures_of(result: Mapping[str, Any]) -> dict[Key, int]:
    """Return the numbers that a probe's result holds; what is no whole number is none."""
    value = result.get("value")
    if not isinstance(value, Mapping):
        return {}
    found = {(_PLAIN[str(key)], ""): one for key, one in value.items() if key in _PLAIN}
    found.update({("restarts", str(unit)): one for unit, one in _mapping(value.get("restarts")).items()})
    for path, disk in _mapping(value.get("disks")).items():
        found["disk_free_percent", str(path)] = _mapping(disk).get("free_percent")
        found["inodes_free_percent", str(path)] = _mapping(disk).get("inodes_free_percent")
    return {key: one for key, one in found.items() if isinstance(one, int) and not isinstance(one, bool)}


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _sentence(key: Key, was: int, now: int, usual: int | None) -> str:
    figure = BY_NAME[key[0]]
    less = "at least" if figure.worse == "less" else "at most"
    usually = f" (usually {less} {usual})" if figure.has_usual and usual is not None else ""
    return f"{_shown(key)} was {was} and is {now} {figure.unit} now{usually}"


def _shown(key: Key) -> str:
    name, of = key
    return f"{name} of {of}" if of else name


def read_thresholds(value: object) -> dict[str, dict[str, dict[str, int | None]]]:
    """Read what a site changes of the defaults, by tier and figure; None of a percent or limit means never.

    Raises:
        ValueError: an unknown tier, figure or key, or what is no whole number.
    """
    given = _part(value, {str(tier): tier for tier in TIERS}, "a mapping of tiers 1 to 4")
    return {
        tier: {
            name: {
                key: _number(BY_NAME[name], key, number)
                for key, number in _part(one, asdict(BY_NAME[name].threshold(1)), "noise, told_percent, …").items()
            }
            for name, one in _part(figures, BY_NAME, f"figures of tier {tier}").items()
        }
        for tier, figures in given.items()
    }


def _part(value: object, known: Mapping[str, object], expected: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{expected}, such as {{1: {{latency_ms: {{failed_percent: 100}}}}}}")
    found = {str(key): one for key, one in value.items()}
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise ValueError(f"{expected}: {', '.join(unknown)} is none of {', '.join(known)}")
    return found


def _number(figure: Figure, key: str, value: object) -> int | None:
    if value is None and key != "noise":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"for {key} of {figure.name} a whole number, 0 or more{'' if key == 'noise' else ', or null'}")
    if figure.worse == "less" and key != "noise" and value > 100:
        raise ValueError(f"for {key} of {figure.name} at most 100")
    return int(value)


#: What a host of the middle is judged by when nobody says more.
DEFAULT = Numbers.of(3)
