# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's and the plan's page in a browser, from a file, light and dark, on a desk and on a phone."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.plan_html import plan_page
from ansible_collections.hospital.patching.plugins.plugin_utils.report import build_report, render_html
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils import fleets
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.report import sample_night

SCREENSHOTS = Path(__file__).resolve().parents[2] / ".cache/screenshots"
SIZES = {"desk": (1280, 800), "tablet": (820, 1180), "phone": (390, 844)}
THEMES = ("light", "dark")

#: Draws a picture and returns its mean lightness (0 to 255) and how many colours it has.
LOOK_AT = """async picture => {
    const image = await createImageBitmap(await (await fetch(picture)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const data = pen.getImageData(0, 0, image.width, image.height).data;
    const colours = new Set();
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) {
        sum += data[at] + data[at + 1] + data[at + 2];
        colours.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
    }
    return [sum / (data.length / 4 * 3), colours.size];
}"""
#: Names the elements that reach beyond the page's right edge, those in a box that scrolls left out.
BEYOND = """() => [...document.querySelectorAll("main *")].filter(one =>
    one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5 && !one.closest(".wide"))
    .map(one => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 40)}`)"""
OPEN_ALL = "() => document.querySelectorAll('details').forEach(one => { one.open = true })"


@pytest.fixture(scope="session")
def hard_night(tmp_path_factory) -> Path:
    """Return the page of a night with a host rolled back, one stuck, two not started, one patched, one excluded."""
    report = build_report(*sample_night.hard_night(), sample_night.stages(), sample_night.SHORT_TRAFFIC, [])
    return written(tmp_path_factory, render_html(report))


@pytest.fixture(scope="session")
def good_night(tmp_path_factory) -> Path:
    """Return the page of a night in which every host was patched."""
    report = build_report(*sample_night.good_night(), sample_night.stages(), sample_night.TRAFFIC, [])
    return written(tmp_path_factory, render_html(report))


@pytest.fixture(scope="session")
def planned_night(tmp_path_factory) -> Path:
    """Return the page of a plan with two windows, a freeze, endpoints, and hosts that are not planned."""
    window, clinic = "Sun 01:00, 5 h, Europe/Berlin", "2026-11-22 01:00 to 2026-11-22 02:10, Europe/Berlin"
    fleet = {"lb1": fleets.candidate("lb1", {})}
    for service, more in (("database", {}), ("ehr", {"after": ["database"], "freezes": [clinic]}), ("pacs", {})):
        start = window.replace("01:00", "02:00") if service == "pacs" else window
        for host, estimate_s in ((f"{service}1", 900), (f"{service}2", 1800), (f"{service}3", 1200)):
            fleet[host] = fleets.server(host, service, window=start, estimate_s=estimate_s, way_back_s=900, **more)
    fleet |= {f"ws{n}": fleets.endpoint(f"ws{n}", estimate_s=600) for n in range(1, 8)}
    made = fleets.planned(fleet, datetime(2026, 11, 21, 12, tzinfo=UTC)).plan
    return written(tmp_path_factory, plan_page(made))


def written(factory: pytest.TempPathFactory, html: str) -> Path:
    path = factory.mktemp("report") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def picture_of(page, name: str, whole: bool = True) -> bytes:
    """Keep a picture of the page, or only of its first screen."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)


def look_at(show, tmp_path: Path, picture: bytes) -> tuple[float, int]:
    """Return a picture's mean lightness and number of colours."""
    empty = tmp_path / "empty.html"
    empty.write_text("<!doctype html><title>empty</title>", encoding="utf-8")
    page, _seen = show(empty)
    lightness, colours = page.evaluate(LOOK_AT, "data:image/png;base64," + base64.b64encode(picture).decode())
    return lightness, colours


@pytest.mark.parametrize("night", ["good_night", "hard_night", "planned_night"])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_the_page_stands_alone_and_fits(show, request, night, theme, size):
    path = request.getfixturevalue(night)
    width, height = SIZES[size]
    page, seen = show(path, theme, width, height)
    picture_of(page, f"report-{night}-{size}-{theme}")
    assert page.evaluate(BEYOND) == []
    page.evaluate(OPEN_ALL)
    assert page.evaluate(BEYOND) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert seen.complaints == []
    assert seen.requests == [path.as_uri()]


def test_light_and_dark_are_pictures_and_differ(show, tmp_path, hard_night):
    found = {}
    for theme in THEMES:
        page, _seen = show(hard_night, theme)
        found[theme] = look_at(show, tmp_path, picture_of(page, f"report-first-{theme}", whole=False))
    assert found["light"][0] > 200
    assert found["dark"][0] < 80
    assert min(colours for _lightness, colours in found.values()) > 100


@pytest.mark.parametrize("size", SIZES)
def test_the_first_screen_says_what_needs_you_and_why(show, hard_night, size):
    width, height = SIZES[size]
    page, _seen = show(hard_night, "light", width, height)
    for place in ("#needs", ".needs li:first-child .name", ".needs li:first-child .why"):
        box = page.locator(place).bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
    assert "STUCK, HELD OUT OF SERVICE" in page.locator(".needs li:first-child").inner_text()
    assert "schema migration failed" in page.locator(".needs li:first-child").inner_text()


def test_on_a_desk_the_whole_reason_of_the_stop_is_on_the_first_screen(show, hard_night):
    page, _seen = show(hard_night, "light", 1280, 800)
    box = page.locator(".needs li:nth-child(2) .why").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 800


def test_a_page_that_does_not_stand_alone_is_noticed(show, tmp_path):
    """The checks above can fail."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<!doctype html><main><p style="width:2000px">wide</p></main><img src="missing.png">'
        "<script>console.warn('a warning'); throw new Error('an error')</script>",
        encoding="utf-8",
    )
    page, seen = show(bad)
    assert [url.rpartition("/")[2] for url in seen.requests] == ["bad.html", "missing.png"]
    assert {"a warning", "an error"} <= set(seen.complaints)
    assert page.evaluate(BEYOND) == ["P.: wide"]
