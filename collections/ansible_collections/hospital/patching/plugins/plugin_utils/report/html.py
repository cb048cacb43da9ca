# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one page that needs nothing but a browser: no script, no font, no request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import emergency
from ansible_collections.hospital.patching.plugins.plugin_utils.report import absence_words, restore_points, words
from ansible_collections.hospital.patching.plugins.plugin_utils.report.gantt import chart
from ansible_collections.hospital.patching.plugins.plugin_utils.report.html_host import host_details
from ansible_collections.hospital.patching.plugins.plugin_utils.report.html_services import services_table
from ansible_collections.hospital.patching.plugins.plugin_utils.report.markup import (
    Child,
    Markup,
    document,
    join,
    stylesheet,
    tag,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.report.style import CSS
from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import NIGHT

#: The browser itself refuses whatever would leave the page, should anything ever slip into it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_URGENT = ("device_contacted", "stuck", "unreachable", "unverified", "unfinished", "evidence")


def render_html(report: Mapping[str, Any]) -> str:
    """Return the page of a report made by ``build_report``."""
    where = words.zone(report)
    day = words.day(report["started"], where)
    links = {host["host"]: f"host-{number}" for number, host in enumerate(report["hosts"], 1)}
    return page(
        f"Patch night, {day}",
        "",
        _header(report, day),
        _needs_you(report["needs_you"]),
        _figures(report),
        _timeline(report, where, links),
        services_table(report),
        _hosts(report, links),
        _evidence(report, where),
    )


def page(title: str, css: str, *content: Child) -> str:
    """Return a page of the project's look.

    Args:
        css: what this page has beyond that.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", title),
        stylesheet(CSS + css),
    )
    return document(tag("html", head, tag("body", tag("main", *content)), lang="en"))


def _header(report: Mapping[str, Any], day: str) -> Markup:
    return tag(
        "header",
        tag("p", "Patch night", class_="over"),
        tag("h1", day),
        tag("p", words.headline(report), class_="lead"),
        [tag("p", one, class_="bad-ink") for one in emergency.told(report)],
        None if report["finished"] else tag("p", "This run has not finished.", class_="bad-ink"),
    )


def _needs_you(lines: Sequence[Mapping[str, Any]]) -> Markup:
    if not lines:
        return tag(
            "section",
            tag("h2", "Needs you", id="needs"),
            tag("p", "Nothing. Every host that was to be patched is proven healthy and back in service."),
            class_="needs calm",
            aria_labelledby="needs",
        )
    return tag(
        "section",
        tag("h2", "Needs you", id="needs"),
        tag("ol", [_needs_line(line) for line in lines]),
        class_="needs",
        aria_labelledby="needs",
    )


def _needs_line(line: Mapping[str, Any]) -> Markup:
    mood = "bad" if line["kind"] in _URGENT else "warn"
    pairs: list[tuple[str, str | Markup]] = [
        ("State", line["now"]),
        ("Users feel", line["feels"]),
        (f"Do, {line['deadline']}", join(line["next"], tag("code", line["command"], class_="line"))),
        ("Call", line["call"]),
    ]
    return tag(
        "li",
        tag(
            "div",
            tag("p", line["host"], " ", tag("span", line["word"], class_=f"pill {mood}"), class_="name"),
            tag("p", line["why"], class_="why"),
        ),
        tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in pairs if value]),
        class_="loud" if line["kind"] == "stuck" else None,
    )


def _figures(report: Mapping[str, Any]) -> Markup:
    totals, coverage = report["totals"], report["coverage"]
    listed = words.UNMEASURED if totals["listed"] is None else f"of {totals['listed']:,} listed"
    if totals["put_back"]:
        listed += f", {totals['put_back']} put back"
    listed += f"; {totals['security']:,} for security, {words.count(totals['cves'], 'CVE')}"
    asked = [one["measured"] for one in report["services"] if one["measured"] and one["measured"]["requests"]]
    requests = sum(one["requests"] for one in asked)
    percent = words.UNMEASURED if coverage["percent"] is None else f"{coverage['percent']} % of all known hosts"
    figures = [
        ("Up to date", f"{coverage['up_to_date']} of {coverage['hosts']}", percent),
        ("Updates installed", f"{totals['installed']:,}", listed),
        ("Longest downtime", *_longest(report["services"])),
        (
            "Requests failed",
            f"{sum(one['failed'] or 0 for one in asked):,}" if asked else words.NONE,
            f"of {requests:,} sent" if asked else words.UNMEASURED,
        ),
        ("Window left", *_left(report)),
    ]
    return tag(
        "dl",
        [tag("div", tag("dt", name), tag("dd", value, tag("small", note))) for name, value, note in figures],
        class_="figures",
    )


def _longest(services: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the downtime of the service that was away longest, one that is still away before all others."""
    spans = [(one["service"], one["downtime"]) for one in services if one["downtime"]]
    if not spans:
        return words.NONE, words.UNMEASURED
    name, span = max(spans, key=lambda one: (one[1]["at_most_s"] is None, one[1]["at_most_s"] or 0))
    if span["at_most_s"] is None:
        return "not over", str(name)
    at_most = "\N{LESS-THAN OR EQUAL TO}" + words.NBSP if span["at_least_s"] < span["at_most_s"] else ""
    note = f"{name}, as probed" if span["at_most_s"] else "no service, as probed"
    return at_most + absence_words.seconds(span["at_most_s"]), note


def _left(report: Mapping[str, Any]) -> tuple[str, str]:
    window = report["window"]
    if window is None or window["left_s"] is None:
        return words.NONE, words.UNMEASURED
    took = words.duration(None if report["took_s"] is None else report["took_s"] * 1000)
    left = words.duration(abs(window["left_s"]) * 1000)
    return (left if window["left_s"] >= 0 else f"-{left}"), f"the night took {took}"


def _timeline(report: Mapping[str, Any], where: tzinfo, links: Mapping[str, str]) -> Markup:
    if not report["timeline"]:
        return tag("section", tag("h2", "The night"), tag("p", "Nothing was recorded.", class_="soft"))
    return tag(
        "section",
        tag("h2", "The night"),
        tag("p", words.span(report, where), class_="soft"),
        [tag("p", one) for one in words.later(report, where)],
        chart(report, where, links),
        _seconds(report),
    )


def _seconds(report: Mapping[str, Any]) -> Markup:
    """Return the chart's numbers, for those who cannot see it and for those who want to know."""
    hosts = [host for host in report["hosts"] if host["steps"]]
    took = {host["host"]: {row["step"]: row for row in host["steps"]} for host in hosts}
    steps = [step for step in ("stage", *NIGHT) if any(step in rows for rows in took.values())]
    head = tag("tr", tag("th", "Host", scope="col"), [_column(words.step(step)) for step in steps])
    body = [
        tag("tr", tag("th", host["host"], scope="row"), [_took(took[host["host"]].get(step)) for step in steps])
        for host in hosts
    ]
    return join(
        tag("h3", "Time in each step"),
        tag("div", tag("table", tag("thead", head), tag("tbody", body), class_="steps"), class_="wide", tabindex="0"),
    )


def _column(name: str) -> Markup:
    return tag("th", name, scope="col", class_="num")


def _took(row: Mapping[str, Any] | None) -> Markup:
    if row is None:
        return tag("td", tag("span", words.NONE, class_="soft"), class_="num")
    text = words.duration(row["took_ms"]) if row["took_ms"] is not None else words.NONE
    if row["status"] == "done":
        return tag("td", text, class_="num")
    return tag("td", text, " ", tag("span", row["status"], class_="bad-ink"), class_="num")


def _hosts(report: Mapping[str, Any], links: Mapping[str, str]) -> Markup:
    ordered = sorted(report["hosts"], key=_urgency)
    counted = Counter(words.outcome(host["outcome"]) for host in ordered)
    told = ", ".join(f"{number} {word}" for word, number in counted.items())
    return tag(
        "section",
        tag("h2", "Hosts"),
        tag("p", told, class_="soft"),
        [host_details(host, links[host["host"]]) for host in ordered],
    )


def _urgency(host: Mapping[str, Any]) -> int:
    """Sort hosts that need attention first, the others as the plan has them."""
    return words.MOOD_ORDER.index(words.mood(host["outcome"]))


def _list(title: str, entries: Sequence[Markup]) -> Markup | None:
    return join(tag("h3", title), tag("ul", entries)) if entries else None


def _evidence(report: Mapping[str, Any], where: tzinfo) -> Markup:
    evidence = report["evidence"]
    opened = report["opened"]
    chain = tag("span", evidence["chain"], class_={"verified": "good-ink", "broken": "bad-ink"}.get(evidence["chain"]))
    pairs: list[tuple[str, str | Markup | None]] = [
        ("Run", tag("code", report["run_id"], class_="hash")),
        ("Plan", tag("code", report["plan_digest"], class_="hash")),
        ("Manifests", join([tag("code", one, class_="hash line") for one in evidence["manifests"]])),
        ("Approval", opened["approval"] or words.UNMEASURED),
        ("Signed by", ", ".join(opened["signed_by"])),
        ("Started by", words.started_by(opened)),
        ("Ledger", join(words.count(evidence["records"], "record"), ", chain ", chain)),
        ("Ledger's head", tag("code", evidence["head"], class_="hash") if evidence["head"] else words.UNMEASURED),
        ("Seal", words.seal(report)),
    ]
    findings = [tag("li", finding) for finding in evidence["findings"]]
    reverts = [tag("li", restore_points.told(point, where)) for point in report["restore_points"]]
    statements = [tag("li", statement) for statement in evidence["evidence_for"]]
    remarks = [
        tag("li", f"{words.moment(one['time'], where)} ", f"{one['host']}: " if one["host"] else "", one["text"])
        for one in report["remarks"]
    ]
    return tag(
        "section",
        tag("h2", "Evidence"),
        tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in pairs if value], class_="facts"),
        _list("What the check of the ledger found", findings),
        _list("Restore points", reverts),
        _list("These records are evidence for", statements),
        _list("Remarks", remarks),
        tag("footer", words.FOOTER),
    )
