# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: well formed, self-contained, and closed to what hosts and repositories can write into it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.report import build_report, render_html
from ansible_collections.hospital.patching.plugins.plugin_utils.report.markup import join, tag, visible
from ansible_collections.hospital.patching.plugins.plugin_utils.report.style import CSS
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.report import sample_night

Document = dict[str, Any]
VOID = {"meta", "br", "hr"}


class Page(HTMLParser):
    """Reads a page and fails on elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def test_every_night_is_well_formed(any_night: Document):
    assert Page(render_html(any_night)).elements[0] == ("html", {"lang": "en"})


def test_nothing_is_fetched_and_nothing_runs(any_night: Document):
    page = Page(render_html(any_night))
    names = {name for name, _attributes in page.elements}
    assert not names & {"script", "img", "link", "iframe", "object", "embed", "base", "form", "video", "audio", "image"}
    for _name, attributes in page.elements:
        assert not {
            key for key in attributes if key.startswith("on") or key in ("src", "srcset", "style", "xlink:href")
        }
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in CSS
    assert "@import" not in CSS
    policy = [attributes["content"] for _n, attributes in page.elements if attributes.get("http-equiv")]
    assert policy[0].startswith("default-src 'none'")


def test_no_external_address_is_in_a_page_of_a_night_without_any(good: Document):
    """Probes' targets are text; nothing but they may look like an address."""
    text = render_html(good)
    targets = {f"http://{host}/metadata" for host in ("portal1", "portal2")}
    assert set(re.findall(r"https?://[^<\"\s]+", text)) <= targets


def test_hostile_names_are_text(hostile: Document):
    html = render_html(hostile)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    for acting in ("\x1b", "\x00", "\u202e"):
        assert acting not in html
    html.encode("utf-8")


def test_a_lone_surrogate_can_be_written():
    plan, records = sample_night.good_night()
    plan["not_planned"]["pump1"]["reason"] = "bad \udcff name"
    render_html(build_report(plan, records, {})).encode("utf-8")


def test_needs_you_comes_first_then_night_services_hosts_evidence(rolled_back: Document):
    html = render_html(rolled_back)
    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", html)
    assert titles == ["Needs you", "The night", "Services", "Hosts", "Evidence"]
    first = html.index("Needs you</h2>")
    assert "503" in html[first : html.index("The night</h2>")]


def test_the_first_lines_say_all_that_the_document_says(hard: Document):
    text = " ".join(Page(render_html(hard)).text.split())
    for line in hard["needs_you"]:
        for key in ("host", "word", "why", "now", "feels", "next", "command", "call"):
            assert " ".join(line[key].split()) in text
    assert 'class="loud"' in render_html(hard)


def test_services_show_bounds_beside_what_requests_saw():
    html = render_html(build_report(*sample_night.witnessed_night(), {}, sample_night.TRAFFIC, []))
    services = html[html.index("Services</h2>") : html.index("Hosts</h2>")]
    assert "<strong>0\xa0s</strong>" in services
    assert "<strong>at most 1\xa0min\xa058\xa0s</strong>" in services
    assert "3 of 2,650 requests failed" in services
    assert "Longest downtime" in html


def test_what_was_taken_back_days_later_stands_beside_the_night(good: Document, taken_back: Document):
    html = render_html(taken_back)
    assert "<p>Taken back on Wednesday 25 November 2026" in html
    chart = re.compile(r'<div class="gantt">.*?</svg>', re.DOTALL)
    assert chart.findall(html) == chart.findall(render_html(good))


def test_a_good_night_says_so(good: Document):
    assert "Nothing." in Page(render_html(good)).text


def test_every_update_with_its_versions_is_on_the_page(good: Document):
    html = re.sub(r"</?(b|code|span)[^>]*>", "", render_html(good))
    for host in good["hosts"]:
        for update in host["updates"]:
            assert update["name"] in html
            assert f">{update['to']}<" in html
            assert all(cve in html for cve in update["cves"] or [])


def test_tables_have_headers_with_scope(rolled_back: Document):
    page = Page(render_html(rolled_back))
    headers = [attributes for name, attributes in page.elements if name == "th"]
    assert headers
    assert all(attributes.get("scope") in ("row", "col") for attributes in headers)


def test_each_row_of_the_chart_is_spoken(rolled_back: Document):
    page = Page(render_html(rolled_back))
    spoken = [attributes["aria-label"] for name, attributes in page.elements if attributes.get("role") == "img"]
    assert len(spoken) == 5
    assert "portal1" in str(spoken[1])
    assert "verify 46\xa0s failed" in str(spoken[1])


def test_links_lead_somewhere(any_night: Document):
    page = Page(render_html(any_night))
    anchors = {attributes["id"] for _name, attributes in page.elements if attributes.get("id")}
    links = {str(attributes["href"])[1:] for name, attributes in page.elements if name == "a"}
    assert links <= anchors


def test_folds_of_hosts_that_need_someone_are_open(rolled_back: Document):
    page = Page(render_html(rolled_back))
    folds = [attributes for name, attributes in page.elements if attributes.get("class") == "host"]
    assert ["open" in attributes for attributes in folds] == [True] + [False] * 5


def test_bars_stay_inside_the_chart(any_night: Document):
    page = Page(render_html(any_night))
    for name, attributes in page.elements:
        if name == "rect":
            right = float(str(attributes["x"]).rstrip("%")) + float(str(attributes["width"]).rstrip("%"))
            assert 0 <= right <= 100


@pytest.mark.parametrize(("end", "scale"), [("2026-11-22T10:00:00Z", True), ("2026-11-22T07:11:00Z", False)])
def test_a_window_that_ends_much_later_is_not_drawn_to_scale(end: str, scale: bool):
    plan, records = sample_night.good_night()
    for entry in plan["hosts"].values():
        entry["window"] = {**entry["window"], "end": end}
    assert ("not to scale" in render_html(build_report(plan, records, {}))) is scale


def test_a_night_without_a_window_is_drawn():
    plan, records = sample_night.good_night()
    for entry in plan["hosts"].values():
        entry["window"] = None
    assert "no window was planned" in render_html(build_report(plan, records, {}))


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    colour = colour.lstrip("#")
    colour = "".join(2 * digit for digit in colour) if len(colour) == 3 else colour
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(theme: int):
    palette = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]+)", re.findall(r":root\{([^}]*--page[^}]*)\}", CSS)[theme]))
    for ink in ("ink", "soft", "link", "good", "warn", "bad"):
        for ground in ("page", "sheet"):
            assert contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
    for mood in ("good", "warn", "bad", "quiet"):
        assert contrast(palette[mood], palette[f"{mood}-bg"]) >= 4.5, mood
    assert contrast(palette["ink"], palette["code"]) >= 4.5


def test_tag_escapes_children_and_attributes():
    assert tag("p", "<b>", class_='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;</p>'
    assert tag("p", tag("b", "&")) == "<p><b>&amp;</b></p>"
    assert join("<", None, ["a", 1]) == "&lt;a1"


def test_visible_keeps_letters_of_every_script():
    assert visible("Ærøskøbing 東京 12\n3") == "Ærøskøbing 東京 12 3"


def test_an_emergency_and_its_broken_glass_stand_at_the_top(emergency):
    header = render_html(emergency).split("<header>")[1].split("</header>")[0]
    assert "Emergency: only what fixes CVE-2026-1519" in header
    assert (
        "Shortened: soak, freeze; begins no host after 2026-11-23T01:00:00Z. Freezes broken: 2026-11-20 00:00" in header
    )
