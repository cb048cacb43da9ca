# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline as a chart: one row a host, one bar a part, in widths of percent so that it fits any screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.report import words
from ansible_collections.hospital.patching.plugins.plugin_utils.report.markup import Markup, tag
from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import NIGHT
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

#: Distances between labels of the axis, in seconds.
_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MOST_LABELS = 6
#: A window that ends later than this share of the night is drawn at the edge, or the bars would be slivers.
_FAR = 1.5


@dataclass(frozen=True)
class Axis:
    """Where a moment lies, in percent of the chart's width."""

    start: datetime
    end: datetime
    window_end: datetime | None
    width: float

    @classmethod
    def of(cls, rows: list[dict[str, Any]], window: Mapping[str, Any] | None) -> Axis:
        """Return the axis that shows all parts and, if it is near, the window's end to scale."""
        parts = [part for row in rows for part in row["parts"]]
        start = min(read_stamp(part["start"]) for part in parts)
        end = max(read_stamp(part["end"]) for part in parts)
        end = max(end, start + timedelta(seconds=1))
        closes = read_stamp(window["end"]) if window else None
        if closes is None:
            return cls(start, end, None, 100.0)
        if closes <= start + (end - start) * _FAR:
            return cls(start, max(end, closes), closes, 99.0)
        return cls(start, end, closes, 88.0)

    @property
    def broken(self) -> bool:
        """Whether the window's end lies beyond the drawn time."""
        return self.window_end is not None and self.window_end > self.end

    def at(self, moment: datetime) -> float:
        """Return the place of a moment; the end of a window beyond the drawn time is the right edge."""
        if self.broken and moment == self.window_end:
            return 99.0
        return (moment - self.start) / (self.end - self.start) * self.width

    def ticks(self) -> list[datetime]:
        """Return the moments that are labelled, on round clock times."""
        length = (self.end - self.start).total_seconds()
        distance = next((step for step in _STEPS if length / step <= _MOST_LABELS), _STEPS[-1])
        first = -(-int(self.start.timestamp()) // distance) * distance
        zone = self.start.tzinfo
        found = []
        while first <= self.end.timestamp():
            found.append(datetime.fromtimestamp(first, zone))
            first += distance
        return found


def chart(report: Mapping[str, Any], where: tzinfo, links: Mapping[str, str]) -> Markup:
    """Return the chart; ``links`` holds the page's anchor of each host."""
    rows = report["timeline"]
    axis = Axis.of(rows, report["window"])
    return tag(
        "div",
        tag("div", tag("span"), _axis(axis, where), class_="row axis", aria_hidden="true"),
        tag("ol", [_row(row, axis, where, links) for row in rows], class_="rows"),
        _legend(rows, axis),
        class_="gantt",
    )


def _axis(axis: Axis, where: tzinfo) -> Markup:
    seconds = (axis.end - axis.start).total_seconds() < _STEPS[4] * _MOST_LABELS
    form = "%H:%M:%S" if seconds else "%H:%M"
    limit = 84.0 if axis.window_end else 94.0
    labels = [
        tag("text", f"{tick.astimezone(where):{form}}", x=percent(axis.at(tick)), y="12")
        for tick in axis.ticks()
        if axis.at(tick) <= limit
    ]
    if axis.window_end is not None:
        end = f"ends {axis.window_end.astimezone(where):%H:%M}"
        labels.append(tag("text", end, x=percent(axis.at(axis.window_end)), y="12", class_="closes"))
    return tag("svg", labels, width="100%", height="18")


def _row(row: Mapping[str, Any], axis: Axis, where: tzinfo, links: Mapping[str, str]) -> Markup:
    spoken = ", ".join(
        f"{words.step(part['step'])} {words.duration(part['took_ms'])}"
        + ("" if part["status"] == "done" else f" {part['status']}")
        for part in row["parts"]
    )
    grid = [line(axis.at(tick), "tick") for tick in axis.ticks()]
    if axis.window_end is not None:
        grid.append(line(axis.at(axis.window_end), "closes"))
    return tag(
        "li",
        tag(
            "span",
            tag("a", row["host"], href="#" + links[row["host"]]),
            tag("span", words.outcome(row["outcome"]), class_=f"pill {words.mood(row['outcome'])}"),
            class_="who",
        ),
        tag(
            "svg",
            grid,
            [_out(out, axis) for out in row["out"]],
            [_bar(part, axis, where) for part in row["parts"]],
            width="100%",
            height="34",
            role="img",
            aria_label=f"{row['host']}: {spoken}",
        ),
        class_="row",
    )


def line(place: float, kind: str) -> Markup:
    """Return an upright line across a row."""
    return tag("line", x1=percent(place), x2=percent(place), y1="0", y2="100%", class_=kind)


def _bar(part: Mapping[str, Any], axis: Axis, where: tzinfo) -> Markup:
    left, right = axis.at(read_stamp(part["start"])), axis.at(read_stamp(part["end"]))
    told = f"{words.step(part['step'])}, {words.duration(part['took_ms'])}, {part['status']}"
    title = f"{words.moment(part['start'], where)} {told}"
    return tag(
        "rect",
        tag("title", title),
        x=percent(left),
        y="8",
        width=percent(max(right - left, 0.4)),
        height="15",
        class_=f"s-{part['step']}" + ("" if part["status"] == "done" else " trouble"),
    )


def _out(out: Mapping[str, Any], axis: Axis) -> Markup:
    left = axis.at(read_stamp(out["start"]))
    right = axis.at(read_stamp(out["end"])) if out["end"] else axis.width
    return tag(
        "rect",
        tag("title", "drained"),
        x=percent(left),
        y="27",
        width=percent(max(right - left, 0.4)),
        height="3",
        class_="out",
    )


def _legend(rows: list[dict[str, Any]], axis: Axis) -> Markup:
    used = {part["step"] for row in rows for part in row["parts"]}
    trouble = any(part["status"] != "done" for row in rows for part in row["parts"])
    entries = [(f"s-{step}", words.step(step)) for step in NIGHT if step in used]
    if trouble:
        entries.append(("trouble", "refused, failed or unfinished"))
    if any(row["out"] for row in rows):
        entries.append(("out", "drained: no users on this host"))
    if axis.window_end is not None:
        entries.append(("closes", "window ends" + (" (not to scale)" if axis.broken else "")))
    swatches = [tag("li", tag("i", class_=kind), text) for kind, text in entries]
    return tag("ul", swatches, class_="legend", aria_label="Colours")


def percent(number: float) -> str:
    """Return a place or width as an attribute."""
    return f"{number:.3f}".rstrip("0").rstrip(".") + "%"
