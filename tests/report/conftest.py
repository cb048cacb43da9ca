# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium, and what a page did in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, sync_playwright


class Seen(NamedTuple):
    """What a page asked for and complained about."""

    requests: list[str]
    complaints: list[str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium."""
    chromium = shutil.which("chromium")
    assert chromium, "there is no chromium here: tools/system_packages.sh chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium)
        yield started
        started.close()


@pytest.fixture
def show(browser: Browser) -> Iterator[Any]:
    """Return a function that opens a file and says what happened meanwhile."""
    contexts = []

    def open_file(path: Path, theme: str = "light", width: int = 1280, height: int = 800) -> tuple[Page, Seen]:
        context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": height})
        contexts.append(context)
        page, seen = context.new_page(), Seen([], [])
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: seen.complaints.append(message.text) if message.type in ("error", "warning") else None,
        )
        page.goto(path.as_uri(), wait_until="load")
        return page, seen

    yield open_file
    for context in contexts:
        context.close()
