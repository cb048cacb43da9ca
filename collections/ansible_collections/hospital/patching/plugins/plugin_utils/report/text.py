# SPDX-License-Identifier: GPL-3.0-or-later
"""The report for a terminal: plain lines, colour only when asked for."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import emergency
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.report import absence_words, restore_points, words
from ansible_collections.hospital.patching.plugins.plugin_utils.report.markup import visible
from ansible_collections.hospital.patching.plugins.plugin_utils.report.next_steps import NOW

_SGR = {"good": "32", "warn": "33", "bad": "31", "quiet": "2", "bold": "1"}
#: A longer package name or version does not push its column out for all the others.
_NAME, _VERSION = 26, 24
#: The page names all of a host's CVEs; a terminal the newest.
_MOST_CVES = 20


class _Page:
    """Collects lines, none longer than its width; data can drive neither terminal nor layout."""

    def __init__(self, width: int, colour: bool) -> None:
        self.width = width
        self.colour = colour
        self.lines: list[str] = []

    def add(self, text: str = "", indent: int = 0, hanging: int = 0, ink: str | None = None) -> None:
        """Add a paragraph; its further lines are indented by ``hanging`` more."""
        wrapped = textwrap.wrap(
            visible(text),
            self.width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + hanging),
            break_on_hyphens=False,
        )
        self.lines += [self.ink(line.replace(words.NBSP, " "), ink) for line in wrapped] or [""]

    def row(self, label: str, text: str, ink: str | None = None) -> None:
        """Add a labelled line of a host."""
        self.add(f"{label:<12}{text}", indent=2, hanging=12, ink=ink)

    def title(self, text: str) -> None:
        """Begin a section."""
        self.lines.append("")
        self.lines.append(self.ink(text, "bold"))

    def ink(self, text: str, ink: str | None) -> str:
        """Return text in a colour, when colour was asked for."""
        return f"\x1b[{_SGR[ink]}m{text}\x1b[0m" if self.colour and ink else text


def render_text(report: Mapping[str, Any], path: str | None = None, colour: bool = False, width: int = 100) -> str:
    """Return the report as lines of at most ``width`` columns; ``path``, where the page is, comes last."""
    page = _Page(width, colour)
    where = words.zone(report)
    page.add(f"Patch night, {words.day(report['started'], where)}", ink="bold")
    page.add(words.headline(report))
    for one in emergency.told(report):
        page.add(one, hanging=2, ink="bad")
    _needs_you(page, report["needs_you"])
    page.title("The night")
    page.add(words.span(report, where), indent=2, hanging=2)
    for one in words.later(report, where):
        page.add(one, indent=2, hanging=2)
    for host in report["hosts"]:
        _host(page, host)
    _services(page, report)
    _restore_points(page, report, where)
    _evidence(page, report)
    if path:
        page.lines += ["", f"Report: {visible(path)}"]
    return "\n".join(page.lines) + "\n"


def _needs_you(page: _Page, lines: Sequence[Mapping[str, Any]]) -> None:
    # No empty line before it: the reason of a stop stands in the first five lines.
    page.add("Needs you", ink="bold")
    if not lines:
        page.add("Nothing.", indent=2, ink="good")
    for number, line in enumerate(lines, 1):
        ink = "bad" if line["deadline"] == NOW else "warn"
        page.add(f"{number}. {line['host']}: {line['word']}. {line['why']}", indent=2, hanging=3, ink=ink)
        for label, text in (
            ("state", line["now"]),
            ("users", line["feels"]),
            (f"do, {line['deadline']}", f"{line['next']}: {line['command']}"),
            ("call", line["call"]),
        ):
            if text:
                page.add(f"{label}: {text}", indent=5, hanging=2)


def _host(page: _Page, host: Mapping[str, Any]) -> None:
    page.lines.append("")
    page.add(f"{host['host']}: {words.outcome(host['outcome'])}", ink=words.mood(host["outcome"]))
    if host["reason"]:
        page.row("reason", host["reason"])
    if not host["steps"]:
        return
    page.row("updates", words.listed_and_installed(host))
    if any(update["state"] != "not_installed" for update in host["updates"]):
        for line in _updates(host["updates"]):
            page.add(line, indent=4, hanging=2)
        named = sorted({cve for update in host["updates"] for cve in update["cves"] or []}, key=natural_key)
        page.row("CVEs", _named(named))
    if not host["health"]["probes"] and not host["installed"]:
        return
    page.row("packages", words.marks(host))
    page.row("restart", words.restart(host))
    page.row("health", words.health(host))
    for finding in host["health"]["findings"]:
        told = f"{finding['probe']}: {finding['finding']}" if finding["probe"] else finding["finding"]
        page.row("", f"{words.MOMENTS[finding['moment']]}: {told}", ink="warn")
    if host["conffile_proposals"]:
        page.row("proposed", ", ".join(host["conffile_proposals"]))
    if host["conffile_merge"]:
        page.row("to merge", "keys and lines; values stay on the host")
    for one in host["conffile_merge"]:
        told = [words.merge(change) for change in one["changes"]] + [words.merge_rest(one)]
        page.add(f"{one['file']}: {'; '.join(text for text in told if text)}", indent=4, hanging=2)
    page.row("service", words.drained(host))
    page.row("not ok for", absence_words.unavailable(host))
    page.row("way back", words.way_back(host))
    if words.put_back(host):
        page.row("disk back", words.put_back(host))
    page.row("steps", ", ".join(_step(step) for step in host["steps"]))


def _step(step: Mapping[str, Any]) -> str:
    took = words.duration(step["took_ms"]) if step["took_ms"] is not None else "unfinished"
    status = "" if step["status"] in ("done", "running") else f" {step['status']}"
    return f"{words.step(step['step'])} {took}{status}"


def _updates(updates: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Yield one line an update, versions in columns as wide as these updates need."""
    if not updates:
        return
    name_width = min(max(len(update["name"]) for update in updates), _NAME)
    old_width = min(max(len(update["from"] or "-") for update in updates), _VERSION)
    new_width = min(max(len(update["to"] or "-") for update in updates), _VERSION)
    mixed = len({update["state"] for update in updates}) > 1
    for update in updates:
        versions = f"{update['from'] or '-':>{old_width}} → {update['to'] or '-':<{new_width}}"
        notes = [_cves(update["cves"])]
        if mixed:
            notes.append(words.STATES[update["state"]])
        yield f"{update['name']:<{name_width}} {versions} {', '.join(note for note in notes if note)}".rstrip()


def _cves(cves: Sequence[str] | None) -> str:
    """Return the newest CVE and how many more; below the updates all are named."""
    if not cves:
        return ""
    return cves[-1] if len(cves) == 1 else f"{cves[-1]} +{len(cves) - 1}"


def _named(cves: Sequence[str]) -> str:
    """Return how many CVEs the changelogs name, and the newest of them: a browser fixes hundreds at once."""
    if not cves:
        return "none named"
    newest = ", ".join(reversed(cves[-_MOST_CVES:]))
    more = len(cves) - _MOST_CVES
    return f"{len(cves)} named: {newest}" + (f" and {more} more in the report" if more > 0 else "")


def _services(page: _Page, report: Mapping[str, Any]) -> None:
    if report["services"] or report["devices"]:
        page.title("Services")
    for service in report["services"]:
        told = [*absence_words.absences(service), absence_words.downtime(service), absence_words.measured(service)]
        page.add(f"{service['service']}: {'; '.join(one for one in told if one)}", indent=2, hanging=2)
    for device in report["devices"]:
        counted = words.count(device["connections"], "connection")
        page.add(
            f"{device['host']}: counted {counted}; it must have none",
            indent=2,
            hanging=2,
            ink="bad" if device["connections"] else None,
        )


def _restore_points(page: _Page, report: Mapping[str, Any], where: tzinfo) -> None:
    if report["restore_points"]:
        page.title("Restore points")
    for point in report["restore_points"]:
        page.add(restore_points.told(point, where), indent=2, hanging=2, ink=None if point["proven"] else "warn")


def _evidence(page: _Page, report: Mapping[str, Any]) -> None:
    evidence = report["evidence"]
    page.title("Evidence")
    page.add(f"{words.count(evidence['records'], 'record')}, chain {evidence['chain']}, {words.seal(report)}", indent=2)
    for finding in evidence["findings"]:
        page.add(finding, indent=2, hanging=2, ink="bad")
    page.add(f"plan {report['plan_digest']}", indent=2, hanging=5)
    if report["opened"]["signed_by"]:
        page.add(f"signed by {', '.join(report['opened']['signed_by'])}", indent=2, hanging=5)
    if evidence["head"]:
        page.add(f"head {evidence['head']}", indent=2, hanging=5)
