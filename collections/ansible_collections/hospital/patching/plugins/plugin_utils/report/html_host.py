# SPDX-License-Identifier: GPL-3.0-or-later
"""One host on the page: a line that tells its night, and everything behind it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.report import absence_words, words
from ansible_collections.hospital.patching.plugins.plugin_utils.report.markup import Markup, join, tag

#: More CVEs than this of one update are folded.
_FOLD = 6


def host_details(host: Mapping[str, Any], anchor: str) -> Markup:
    """Return the host's fold; those that need attention are open."""
    mood = words.mood(host["outcome"])
    summary = tag(
        "summary",
        tag("span", host["host"], class_="hostname"),
        tag("span", tag("span", words.outcome(host["outcome"]), class_=f"pill {mood}")),
        tag("span", words.gist(host), class_="gist soft"),
    )
    parts = (_facts(host), _findings(host), _merges(host), _probes(host), _figures(host), _updates(host))
    inside = tag("div", *parts, class_="inside")
    opened = mood in ("warn", "bad") and bool(host["steps"]) and host["outcome"] != "not_started"
    return tag("details", summary, inside, class_="host", id=anchor, open=opened)


def _facts(host: Mapping[str, Any]) -> Markup:
    pairs: list[tuple[str, str | None]] = [
        ("Reason", host["reason"] or None),
        ("Host", words.identity(host) or None),
    ]
    if host["steps"]:
        pairs += [
            ("Updates", words.listed_and_installed(host)),
            ("Packages", words.marks(host)),
            ("Restart", words.restart(host)),
            ("Service", words.drained(host)),
            ("Probes not ok", absence_words.unavailable(host)),
            ("Way back", words.way_back(host)),
            ("Disk put back", words.put_back(host) or None),
        ]
    if host["not_preserved"]:
        kept = "; ".join(
            f"{one['name']} ({one['reason']})" if one["reason"] else one["name"] for one in host["not_preserved"]
        )
        pairs.append(("Not preserved", kept))
    if host["conffile_proposals"]:
        pairs.append(("Proposed files", ", ".join(host["conffile_proposals"])))
    return tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in pairs if value], class_="facts")


def _findings(host: Mapping[str, Any]) -> Markup | None:
    found = [
        tag(
            "li",
            tag("strong", finding["probe"]) if finding["probe"] else None,
            ": " if finding["probe"] else None,
            finding["finding"],
            tag("span", f" ({words.MOMENTS[finding['moment']]})", class_="soft"),
        )
        for finding in host["health"]["findings"]
    ]
    return join(tag("h3", "Findings"), tag("ul", found)) if found else None


def _merges(host: Mapping[str, Any]) -> Markup | None:
    """Return what there is to merge: keys and line numbers, for the values stay on the host."""
    files = host["conffile_merge"]
    if not files:
        return None
    told = [
        tag(
            "li",
            tag("code", one["file"]),
            ": ",
            "; ".join(text for text in (*map(words.merge, one["changes"]), words.merge_rest(one)) if text),
        )
        for one in files
    ]
    return join(tag("h3", "Configuration to merge"), tag("ul", told))


def _probes(host: Mapping[str, Any]) -> Markup | None:
    probes = host["health"]["probes"]
    if not probes:
        return None
    moments = [moment for moment in words.MOMENTS if any(probe[moment] for probe in probes)]
    head = tag("tr", [tag("th", name, scope="col") for name in ("Probe", *(words.MOMENTS[m] for m in moments))])
    rows = [
        tag(
            "tr",
            tag("th", probe["name"], tag("span", probe["target"], class_="tag soft line"), scope="row"),
            [_reading(probe[moment]) for moment in moments],
        )
        for probe in probes
    ]
    table = tag("table", tag("thead", head), tag("tbody", rows))
    return join(tag("h3", "Health"), tag("div", table, class_="wide", tabindex="0"))


def _figures(host: Mapping[str, Any]) -> Markup | None:
    """Return what the patch changed of the host's numbers, beside those of earlier readings."""
    figures = host["health"]["figures"]
    if not figures:
        return None
    columns = ("Number", "Earlier", "Usually", "Before", "After")
    head = tag("tr", [tag("th", name, scope="col") for name in columns])
    rows = [
        tag(
            "tr",
            tag("th", words.figure(one), tag("span", one["probe"], class_="tag soft line"), scope="row"),
            tag("td", ", ".join(map(str, one["earlier"])) or words.UNMEASURED, class_="soft small"),
            [
                tag("td", words.UNMEASURED if one[key] is None else str(one[key]))
                for key in ("usual", "before", "after")
            ],
        )
        for one in figures
    ]
    table = tag("table", tag("thead", head), tag("tbody", rows))
    return join(tag("h3", "Numbers"), tag("div", table, class_="wide", tabindex="0"))


def _reading(reading: Mapping[str, Any] | None) -> Markup:
    if reading is None:
        return tag("td", tag("span", words.UNMEASURED, class_="soft"))
    ink = {"ok": "good-ink", "failed": "bad-ink", "inconclusive": "warn-ink"}.get(reading["verdict"])
    detail = tag("span", " ", reading["detail"], class_="soft small") if reading["detail"] else None
    return tag("td", tag("span", words.VERDICTS[reading["verdict"]], class_=ink), detail)


def _updates(host: Mapping[str, Any]) -> Markup | None:
    updates = host["updates"]
    if not updates:
        return None
    origin = Counter(update["origin"] for update in updates).most_common(1)[0][0]
    states = {update["state"] for update in updates}
    caption = f"{words.count(len(updates), 'update')}" + (f" from {origin} unless stated" if origin else "")
    if len(states) == 1:
        caption += f"; all {words.STATES[states.pop()]}"
        states = set()
    head = ("Update", "From", "To", "CVEs named in the changelog")
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", [tag("th", name, scope="col") for name in head])),
        tag("tbody", [_update(update, origin, bool(states)) for update in updates]),
    )
    return join(tag("h3", "Updates"), tag("div", table, class_="updates"))


def _update(update: Mapping[str, Any], origin: str | None, with_state: bool) -> Markup:
    tags = [
        "third party" if update["class"] == "third_party" else None,
        None if update["security"] else "not security",
        update["origin"] if update["origin"] != origin else None,
        {"new_install": "new", "removal": "removed"}.get(update["kind"]),
        words.STATES[update["state"]] if with_state else None,
    ]
    told = " · ".join(one for one in tags if one)
    old, new = _versions(update["from"], update["to"])
    return tag(
        "tr",
        tag("th", update["name"], tag("span", f" {told}", class_="tag soft") if told else None, scope="row"),
        tag("td", old, class_="from"),
        tag("td", new, class_="to"),
        tag("td", _cves(update["cves"]), class_="cves"),
    )


def _versions(old: str | None, new: str | None) -> tuple[Markup, Markup]:
    """Return both versions with what differs in the new one emphasised."""
    if old is None or new is None:
        return tag("code", old or words.NONE, class_="old"), tag("code", new or words.NONE)
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    # 9 → 14 in "u9" → "u14" is one number that changed, and so is 13 → 14.
    same -= len(re.search(r"[0-9]*\Z", new[:same]).group())  # type: ignore[union-attr]
    return tag("code", old, class_="old"), tag("code", new[:same], tag("b", new[same:]))


def _cves(cves: Sequence[str] | None) -> str | Markup:
    if cves is None:
        return tag("span", "no changelog found", class_="soft")
    if not cves:
        return tag("span", "none", class_="soft")
    if len(cves) <= _FOLD:
        return _listed(cves)
    return tag("details", tag("summary", words.count(len(cves), "CVE")), _listed(cves))


def _listed(cves: Sequence[str]) -> Markup:
    """Return the identifiers, none of them broken at its hyphens."""
    return join([(", " if number else None, tag("span", cve, class_="id")) for number, cve in enumerate(cves)])
