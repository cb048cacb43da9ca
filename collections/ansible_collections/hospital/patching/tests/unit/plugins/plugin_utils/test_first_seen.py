# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.pending_filters import choose, dated
from ansible_collections.hospital.patching.plugins.plugin_utils.first_seen import first_seen
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import update


def assess(day: int, before: dict[str, Any] | None) -> dict[str, Any]:
    """Assess a host on a day of November; its archive renews its date every day."""
    now = datetime(2026, 11, day, 12, 0, tzinfo=UTC)
    known = first_seen(before)
    fix = update(published=f"2026-11-{day:02}T00:00:00Z", published_by="archive")
    wanted = EVERYTHING._replace(min_age_days=7, first_seen=known)
    updates, held = choose([dated(fix, known, now)], wanted, now, lambda chosen: chosen, lambda _kept: [])
    return {"updates": updates, "held": held}


def test_a_fix_waits_its_days_and_no_longer_although_the_archive_renews_its_date() -> None:
    waited: list[int] = []
    document: dict[str, Any] | None = None
    for day in range(1, 12):
        document = assess(day, document)
        if document["held"]:
            waited.append(day)
    assert waited == [1, 2, 3, 4, 5, 6, 7]


def test_a_host_that_was_never_assessed_has_seen_nothing() -> None:
    assert first_seen(None) == {}


def test_versions_of_unknown_age_are_not_carried() -> None:
    assert first_seen({"updates": [update()], "held": [{"name": "a", "published": None}]}) == {}
