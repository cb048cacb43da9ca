# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as one page: who goes when, with windows and freezes drawn; nothing but a browser is needed to read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import emergency, schedule
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import Occurrence
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import (
    asked_of,
    changes_of,
    health_terms,
    hooks_of,
    reboots_owed,
    silences_of,
    urgency,
    ways_back_found,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.report import words
from ansible_collections.hospital.patching.plugins.plugin_utils.report.gantt import Axis, line, percent
from ansible_collections.hospital.patching.plugins.plugin_utils.report.html import page
from ansible_collections.hospital.patching.plugins.plugin_utils.report.markup import Markup, tag
from ansible_collections.hospital.patching.plugins.plugin_utils.step_times import STEPS
from ansible_collections.hospital.patching.plugins.plugin_utils.timeline import Span, timeline
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

#: Beyond so many hosts a row is a service.
MOST_ROWS = 200
CSS = """
.s-work{fill:var(--install);background:var(--install)}.s-back{fill:var(--gate);background:var(--gate)}
.s-window{fill:var(--good-bg);background:var(--good-bg)}.s-freeze{fill:var(--bad);fill-opacity:.3;background:var(--bad)}
"""


@dataclass(frozen=True)
class Turn:
    """One host's turn: its work, and until when the way back would take."""

    host: str
    wave: int
    start: datetime
    end: datetime
    way_back: datetime


@dataclass(frozen=True)
class Row:
    """One line of the chart: a host, or all planned hosts of a service."""

    name: str
    note: str
    bars: Sequence[Turn]
    windows: Sequence[Occurrence]
    freezes: Sequence[Occurrence]


def plan_page(plan: Mapping[str, Any]) -> str:
    """Return the page. Freezes are read anew; one that cannot be read is named instead of drawn."""
    where = _zone(plan)
    spans = timeline(plan)
    unread: list[str] = []
    rows = _rows(plan, spans, unread)
    day = words.day(_first(plan, spans), where)
    return page(
        f"Plan, {day}",
        CSS,
        _header(plan, spans, day, where),
        _chart(rows, where) if rows else tag("p", "Nothing will be disrupted."),
        [tag("p", problem, class_="bad-ink") for problem in unread],
        _waves(plan, spans, where),
        _about(plan["hosts"], "owed", "Reboot owed already, whatever is installed", reboots_owed(plan["hosts"])),
        _about(plan["hosts"], "health", "Health is judged otherwise than by default", health_terms(plan["hosts"])),
        _about(plan["hosts"], "people", "Asked of people before the broad ring", asked_of(plan)),
        _about(plan["hosts"], "silences", "Alerts that are silenced meanwhile", silences_of(plan["hosts"])),
        _about(plan["hosts"], "ways_back", "Ways back that were found out", ways_back_found(plan["hosts"])),
        _about(plan["hosts"], "hooks", "Hooks", hooks_of(plan["hosts"])),
        _updates(plan["hosts"]),
        _not_planned(plan["not_planned"]),
        _footer(plan),
    )


def _first(plan: Mapping[str, Any], spans: Sequence[Span]) -> str:
    return spans[0].start.strftime("%Y-%m-%dT%H:%M:%SZ") if spans else str(plan["created"])


def _zone(plan: Mapping[str, Any]) -> tzinfo:
    """The time zone of most windows."""
    windows = (entry["window"]["text"] for entry in plan["hosts"].values() if entry["window"])
    named = Counter(zone for text in windows if (zone := schedule.zone(text)) is not None)
    return ZoneInfo(named.most_common(1)[0][0]) if named else UTC


def _rows(plan: Mapping[str, Any], spans: Sequence[Span], unread: list[str]) -> list[Row]:
    bars = list(_bars(plan, spans))
    if not bars:
        return []
    begin, end = min(turn.start for turn in bars), max(turn.way_back for turn in bars)
    known: dict[str, Sequence[Occurrence]] = {}
    named: dict[str, list[Turn]] = {}
    for turn in bars:
        entry = plan["hosts"][turn.host]
        name = turn.host if len(bars) <= MOST_ROWS else entry["service"] or "no service"
        named.setdefault(name, []).append(turn)
    rows = []
    for name, turns in named.items():
        entries = [plan["hosts"][turn.host] for turn in turns]
        note = f"wave {turns[0].wave}" if len(turns) == 1 else f"{len(turns)} hosts"
        windows = {_window(entry) for entry in entries if entry["window"]}
        texts = sorted({text for entry in entries for text in entry["freezes"]})
        for text in texts:
            if text not in known:
                known[text] = _closed(text, begin, end, plan["site"]["segments"], unread)
        freezes = [gap for text in texts for gap in known[text]]
        rows.append(Row(name, note, turns, sorted(windows), freezes))
    return rows


def _bars(plan: Mapping[str, Any], spans: Iterable[Span]) -> Iterator[Turn]:
    for span in spans:
        for host, end in span.ends.items():
            way_back = end + timedelta(seconds=plan["hosts"][host]["way_back_s"])
            yield Turn(host, span.number, span.start, end, way_back)


def _window(entry: Mapping[str, Any]) -> Occurrence:
    return Occurrence(read_stamp(entry["window"]["start"]), read_stamp(entry["window"]["end"]))


def _closed(
    text: str, begin: datetime, end: datetime, segments: Sequence[str] | None, unread: list[str]
) -> Sequence[Occurrence]:
    try:
        return schedule.read(text, segments).at_widest(begin, end)
    except PatchingError as error:
        unread.append(f"A freeze is not drawn: {error}")
        return ()


def _header(plan: Mapping[str, Any], spans: Sequence[Span], day: str, where: tzinfo) -> Markup:
    hosts, left_out = len(plan["hosts"]), len(plan["not_planned"])
    lead = f"{words.count(hosts, 'host')} in {words.count(len(spans), 'wave')}"
    if spans:
        start, end = spans[0].start.astimezone(where), spans[-1].end.astimezone(where)
        until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%A %H:%M}"
        lead += f", by estimate from {start:%H:%M} to {until} ({where})"
    lead += f"; {words.count(left_out, 'host')} not planned." if left_out else "."
    urgent = [tag("p", one, class_="bad-ink") for one in emergency.told(plan)]
    if plan.get("given"):
        given = f"Given on the command line, not by the inventory: {', '.join(plan['given'])}."
        urgent.append(tag("p", given, class_="warn-ink"))
    urgent += [tag("p", one, class_="warn-ink") for one in plan.get("left_out", ())]
    return tag("header", tag("p", "Plan", class_="over"), tag("h1", day), tag("p", lead, class_="lead"), urgent)


def _chart(rows: Sequence[Row], where: tzinfo) -> Markup:
    bars = [turn for row in rows for turn in row.bars]
    axis = Axis(min(turn.start for turn in bars), max(turn.way_back for turn in bars), None, 99.0)
    kinds = [("s-work", "work"), ("s-back", "time kept for the way back"), ("s-window", "window")]
    if any(row.freezes for row in rows):
        kinds.append(("s-freeze", "freeze"))
    return tag(
        "section",
        tag("h2", "Timeline", id="timeline"),
        tag(
            "div",
            tag("div", tag("span"), _axis(axis, where), class_="row axis", aria_hidden="true"),
            tag("ol", [_row(row, axis, where) for row in rows], class_="rows"),
            tag("ul", [tag("li", tag("i", class_=kind), text) for kind, text in kinds], class_="legend"),
            class_="gantt",
        ),
        aria_labelledby="timeline",
    )


def _axis(axis: Axis, where: tzinfo) -> Markup:
    form = "%H:%M" if axis.end - axis.start < timedelta(days=1) else "%a %H:%M"
    labels = [
        tag("text", f"{tick.astimezone(where):{form}}", x=percent(axis.at(tick)), y="12")
        for tick in axis.ticks()
        if axis.at(tick) <= 94.0
    ]
    return tag("svg", labels, width="100%", height="18")


def _row(row: Row, axis: Axis, where: tzinfo) -> Markup:
    spoken = ", ".join(_told(turn, where) for turn in row.bars[:MOST_ROWS])
    return tag(
        "li",
        tag("span", tag("b", row.name), tag("span", row.note, class_="pill quiet"), class_="who"),
        tag(
            "svg",
            [_band(axis, window, "s-window", "window", 0, 34) for window in row.windows],
            [line(axis.at(tick), "tick") for tick in axis.ticks()],
            [_band(axis, Occurrence(turn.end, turn.way_back), "s-back", "way back", 12, 9) for turn in row.bars],
            [_band(axis, Occurrence(turn.start, turn.end), "s-work", _told(turn, where), 8, 17) for turn in row.bars],
            [_band(axis, gap, "s-freeze", "freeze", 0, 34) for gap in row.freezes],
            width="100%",
            height="34",
            role="img",
            aria_label=f"{row.name}: {spoken}",
        ),
        class_="row",
    )


def _told(turn: Turn, where: tzinfo) -> str:
    start, end = turn.start.astimezone(where), turn.end.astimezone(where)
    return f"{turn.host}, wave {turn.wave}, {start:%H:%M} to {end:%H:%M}"


def _band(axis: Axis, time: Occurrence, kind: str, title: str, top: int, height: int) -> Markup | None:
    start, end = max(time.start, axis.start), min(time.end, axis.end)
    if start >= end:
        return None
    left, right = axis.at(start), axis.at(end)
    place = {"x": percent(left), "y": str(top), "width": percent(max(right - left, 0.2)), "height": str(height)}
    return tag("rect", tag("title", title), class_=kind, **place)


def _waves(plan: Mapping[str, Any], spans: Sequence[Span], where: tzinfo) -> Markup | None:
    if not spans:
        return None
    names = ["Wave", "About", "Host", "Service", "Tier", "Ring", "Updates"]
    learned = any("estimated_steps_s" in entry for entry in plan["hosts"].values())
    names += ["Steps, from past nights"] * learned
    head = tag("tr", [tag("th", name, scope="col", class_="num" if name == "Updates" else None) for name in names])
    rows = [
        tag(
            "tr",
            tag("th", span.number if first else "", scope="row"),
            tag("td", f"{span.start.astimezone(where):%a %H:%M}" if first else ""),
            tag("td", host),
            tag("td", plan["hosts"][host]["service"] or "\N{EN DASH}"),
            tag("td", plan["hosts"][host]["tier"]),
            tag("td", plan["hosts"][host]["ring"]),
            tag("td", len(plan["hosts"][host]["updates"]), class_="num"),
            tag("td", _steps(plan["hosts"][host])) if learned else None,
        )
        for span in spans
        for first, host in _marked(span.ends)
    ]
    table = tag("table", tag("thead", head), tag("tbody", rows))
    return tag("section", tag("h2", "Waves", id="waves"), tag("div", table, class_="wide", tabindex="0"))


def _steps(entry: Mapping[str, Any]) -> str:
    known = entry.get("estimated_steps_s") or {}
    told = (f"{words.step(step)} {words.duration(known[step] * 1000)}" for step in STEPS if step in known)
    return ", ".join(told) or words.NONE


def _marked(hosts: Iterable[str]) -> Iterator[tuple[bool, str]]:
    for number, host in enumerate(hosts):
        yield number == 0, host


def _updates(hosts: Mapping[str, Mapping[str, Any]]) -> Markup | None:
    """List each change once, with its CVEs and the hosts that get it."""
    changes = {change: (names, cves) for change, names, cves in changes_of(hosts)}
    if not changes:
        return None
    head = tag("tr", [tag("th", name, scope="col") for name in ("Package", "From", "To", "CVEs", "Hosts")])
    rows = [
        tag(
            "tr",
            tag("th", f"{name} ({arch})", scope="row"),
            tag("td", before),
            tag("td", after),
            tag("td", ", ".join(cves) or "\N{EN DASH}"),
            tag("td", f"all {len(hosts)}" if len(names) == len(hosts) > 1 else ", ".join(names)),
        )
        for (name, arch, before, after), (names, cves) in changes.items()
    ]
    table = tag("table", tag("thead", head), tag("tbody", rows))
    summary = tag("summary", words.count(len(changes), "change"))
    shown = tag("details", summary, tag("div", table, class_="wide", tabindex="0"))
    return tag("section", tag("h2", "Updates", id="updates"), shown, aria_labelledby="updates")


def _about(
    hosts: Mapping[str, Mapping[str, Any]], anchor: str, title: str, found: Sequence[tuple[str, Sequence[str]]]
) -> Markup | None:
    """List each text once, with the hosts that it is about."""
    if not found:
        return None
    rows = [
        tag("li", f"{text}: ", f"all {len(hosts)} hosts" if len(names) == len(hosts) > 1 else ", ".join(names))
        for text, names in found
    ]
    return tag("section", tag("h2", title, id=anchor), tag("ul", rows), aria_labelledby=anchor)


def _not_planned(entries: Mapping[str, Mapping[str, str]]) -> Markup | None:
    if not entries:
        return None
    names = sorted(entries, key=lambda name: urgency(entries, name))
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", entries[name]["outcome"]), tag("td", entries[name]["reason"]))
        for name in names
    ]
    head = tag("tr", [tag("th", name, scope="col") for name in ("Host", "Outcome", "Why")])
    table = tag("table", tag("thead", head), tag("tbody", rows))
    return tag("section", tag("h2", "Not planned"), tag("div", table, class_="wide", tabindex="0"))


def _footer(plan: Mapping[str, Any]) -> Markup:
    limits = plan["limits"]
    made = f"Plan {plan['plan_id']}, made {plan['created']}; at most {limits['parallel']} hosts at once, of"
    made += f" canaries {limits['canaries']}. Times in the reasons above are UTC."
    return tag(
        "footer",
        tag("p", made, " Times are estimates; the gate decides when a host may go."),
        tag("p", "Approvals bind to ", tag("code", plan["digest"], class_="id")),
    )
