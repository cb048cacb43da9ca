# SPDX-License-Identifier: GPL-3.0-or-later
"""CVEs of updates by Debian's security tracker, from a real piece of its data where that is at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.debian_tracker import (
    DebianTracker,
    read_tracker,
    with_cves,
)

SAMPLE = Path(__file__).parents[9] / "shared/data/debian-tracker/debian-sample.json"


@pytest.fixture(scope="module")
def sample() -> DebianTracker:
    if not SAMPLE.exists():
        pytest.skip(f"no real tracker data: {SAMPLE.name} is not beside the project")
    return read_tracker(SAMPLE.read_bytes())


@pytest.mark.parametrize(
    ("source", "current", "to", "codename", "expected"),
    [
        ("sope", "5.8.0-1", "5.8.0-1+deb12u1", "bookworm", ["CVE-2025-53603"]),
        ("sope", "5.8.0-1+deb12u1", "5.8.0-1+deb12u2", "bookworm", []),
        ("sope", "5.0.1-2", "5.0.1-2+deb11u1", "bullseye", ["CVE-2025-53603"]),
        ("sope", None, "5.8.0-1+deb12u1", "bookworm", []),
        ("sope", "5.8.0-1", "5.8.0-1+deb12u1", "jammy", None),
        ("chromium", "90.0.4430.212-1", "98.0.4758.102-1~deb11u1", "bullseye", ["CVE-2022-0456"]),
        ("chromium", "1", "99", "buster", []),  # open: no version fixes it
        ("prototypejs", "0~", "1.7.1-3", "buster", ["CVE-2008-7220"]),  # CVE-2007-2383 was never in it
        ("chromium-browser", "1", "2", "bookworm", None),  # "releases": []
        ("curl", "1", "2", "bookworm", None),
    ],
)
def test_the_real_tracker(
    sample: DebianTracker, source: str, current: str | None, to: str, codename: str, expected: list[str] | None
) -> None:
    assert sample.fixed_between(source, current, to, codename) == expected


def data(**fixed: str) -> str:
    """Return tracker data: CVE numbers and the versions that fix them, of sources ``lib`` and ``linux``."""
    flaws = {
        name.replace("_", "-"): {"releases": {"bookworm": {"status": "resolved", "fixed_version": version}}}
        for name, version in fixed.items()
    }
    return json.dumps({"lib": flaws, "linux": flaws})


def update(**others: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": "lib1",
        "source": "lib",
        "from": "1.0-1",
        "to": "1.0-2",
        "cves": None,
        "origin": "Debian-Security:12/oldstable-security",
    }
    return {**found, **others}


def test_sorted_by_year_and_number() -> None:
    tracker = read_tracker(data(CVE_2026_10000="1.0-2", CVE_2026_9999="1.0-2", CVE_2025_1111="1.0-2", TEMP_1_2="1.0-2"))
    assert tracker.fixed_between("lib", "1.0-1", "1.0-2", "bookworm") == [
        "CVE-2025-1111",
        "CVE-2026-9999",
        "CVE-2026-10000",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["CVE-2026-0001"]),
        ({"cves": []}, []),
        ({"cves": ["CVE-2026-7777"]}, ["CVE-2026-7777"]),
        ({"source": None}, None),
        ({"source": "other"}, None),
        ({"to": None}, None),
        ({"origin": None}, None),
        ({"origin": "nginx:/stable"}, None),
        # A binary package may count otherwise than its source.
        ({"from": "9:5", "to": "9:6", "source_from": "1.0-1", "source_to": "1.0-2"}, ["CVE-2026-0001"]),
        ({"from": "9:5", "to": "9:6"}, []),
        ({"source": "linux-signed-amd64", "source_from": "1.0+1", "source_to": "1.0+2"}, ["CVE-2026-0001"]),
    ],
)
def test_updates(changes: dict[str, Any], expected: list[str] | None) -> None:
    tracker = read_tracker(data(CVE_2026_0001="1.0-2"))
    given = update(**changes)
    (found,) = with_cves([given], tracker, "bookworm")
    assert found == {**given, "cves": expected}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": []}', '{"a": {"CVE-2026-0001": 3}}', "[" * 100000, b"\xff"])
def test_what_is_no_tracker_is_refused(text: str | bytes) -> None:
    with pytest.raises(PatchingError, match="Debian security tracker"):
        read_tracker(text)
