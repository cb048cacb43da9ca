# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows without their freezes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schedule
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import Occurrence, without
from ansible_collections.hospital.patching.plugins.plugin_utils.schedule import Schedule

NIGHT = "daily 22:00, 6 h, Europe/Berlin"
HOLIDAYS = "2026-12-23 18:00 to 2027-01-02 06:00, Europe/Berlin"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(occurrence):
    return occurrence and f"{occurrence.start:%m-%d %H:%M} {occurrence.end:%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("now", "opened"),
    [
        ("2026-12-22T22:00", "12-22 21:00 12-23 03:00"),
        ("2026-12-23T22:00", None),
        ("2027-01-02T04:59", None),
        ("2027-01-02T21:00", "01-02 21:00 01-03 03:00"),
    ],
)
def test_no_window_opens_in_a_freeze(now, opened):
    assert span(Schedule.of(NIGHT, [HOLIDAYS]).open_at(utc(now))) == opened


def test_a_window_ends_where_a_freeze_begins_and_opens_where_it_ends():
    freezes = ["2026-12-23 01:00 to 2026-12-23 02:30, Europe/Berlin"]
    found = Schedule.of(NIGHT, freezes)
    assert span(found.open_at(utc("2026-12-22T21:30"))) == "12-22 21:00 12-23 00:00"
    assert found.open_at(utc("2026-12-23T00:00")) is None
    assert span(found.open_at(utc("2026-12-23T01:30"))) == "12-23 01:30 12-23 03:00"
    assert span(found.next_after(utc("2026-12-22T22:00"))) == "12-23 01:30 12-23 03:00"


def test_the_next_window_lies_after_the_holidays():
    assert span(Schedule.of(NIGHT, [HOLIDAYS]).next_after(utc("2026-12-29T22:00"))) == "01-02 21:00 01-03 03:00"


def test_the_next_window_in_which_work_fits():
    found = Schedule.of(NIGHT, ["2026-12-23 01:00 to 2026-12-23 02:30, Europe/Berlin"])
    evening = utc("2026-12-22T20:00")
    assert span(found.next_for(timedelta(hours=2), evening)) == "12-22 21:00 12-23 00:00"
    assert span(found.next_for(timedelta(hours=5), evening)) == "12-23 21:00 12-24 03:00"
    assert span(found.next_for(timedelta(hours=2), utc("2026-12-22T21:30"))) == "12-22 21:00 12-23 00:00"
    assert span(found.next_for(timedelta(hours=1), utc("2026-12-22T23:30"))) == "12-23 01:30 12-23 03:00"
    assert found.next_for(timedelta(hours=7), evening) is None


def test_clinic_hours_are_a_freeze_that_recurs():
    found = Schedule.of("daily 00:00, 24 h, Europe/Berlin", ["weekdays 06:00, 14 h, Europe/Berlin"])
    assert found.open_at(utc("2026-11-24T12:00")) is None  # a Tuesday
    assert span(found.open_at(utc("2026-11-24T20:00"))) == "11-24 19:00 11-25 05:00"
    assert found.open_at(utc("2026-11-28T12:00")) is not None  # a Saturday


def test_a_freeze_covers_both_hours_that_come_twice():
    # On 25 October 2026 the clock of Berlin shows 02:30 at 00:30 and at 01:30 UTC.
    found = Schedule.of("daily 00:00, 24 h, UTC", ["2026-10-25 02:15 to 2026-10-25 02:45, Europe/Berlin"])
    assert found.open_at(utc("2026-10-25T00:30")) is None
    assert found.open_at(utc("2026-10-25T01:30")) is None
    assert found.open_at(utc("2026-10-25T01:45")) is not None


def test_a_window_that_is_always_frozen_never_opens():
    with pytest.raises(PatchingError, match="does not open in the"):
        Schedule.of(NIGHT, ["daily 00:00, 24 h, Europe/Berlin"]).next_after(utc("2026-11-24T12:00"))


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("three days after Patch Tuesday 22:00, 4 h, Europe/Berlin", "2026-12-11T21:00"),
        ("3 days after second Tuesday 22:00, 4 h, Europe/Berlin", "2026-12-11T21:00"),
        ("one day before Patch Tuesday 22:00, 4 h, UTC", "2026-12-07T22:00"),
        ("Patch Tuesday 22:00, 4 h, UTC", "2026-12-08T22:00"),
        ("ten days after first Sunday 01:00, 1 h, UTC", "2026-12-16T01:00"),
        ("weekdays 01:00, 1 h, UTC", "2026-11-30T01:00"),
        ("weekends 01:00, 1 h, UTC", "2026-11-28T01:00"),
    ],
)
def test_days_counted_from_another(text, opens):
    found = schedule.read(text)
    assert found.next_after(utc("2026-11-27T12:00")).start == utc(opens)
    assert schedule.check(text) == text


@given(st.integers(0, 14), st.integers(2025, 2032), st.integers(1, 12))
def test_days_after_patch_tuesday_are_as_many_days_after_it_in_every_month(days, year, month):
    first = datetime(year, month, 1, tzinfo=UTC)
    tuesday = first + timedelta(days=(1 - first.weekday()) % 7 + 7)
    text = f"{days} days after Patch Tuesday 00:00, 1 h, UTC"
    assert schedule.read(text).next_after(first - timedelta(seconds=1)).start == tuesday + timedelta(days=days)


@pytest.mark.parametrize(
    "text",
    [
        "15 days after Patch Tuesday 22:00, 4 h, UTC",
        "one day before first Tuesday 22:00, 4 h, UTC",
        "three days after last Tuesday 22:00, 4 h, UTC",
        "three days after Tuesday 22:00, 4 h, UTC",
        "some days after second Tuesday 22:00, 4 h, UTC",
        "weekdays 22:00, 25 h, UTC",
        "2026-12-23 18:00 to 2026-12-22 06:00, UTC",
        "2026-12-23 18:00 to 2026-12-23 18:00, UTC",
        "2026-02-30 18:00 to 2026-12-22 06:00, UTC",
        "2026-12-23 18:00 to 2027-01-02 06:00, Mars/Olympus",
        "2026-12-23 to 2027-01-02, UTC",
        "2026-01-01 00:00 to 9999-12-31 23:59, America/Chicago",
        "0001-01-01 00:00 to 2026-12-31 23:59, Asia/Kolkata",
        "ics",
        "ics calendar.ics",
        "ics file:///srv/calendar.ics",
        "ics https://ada:hunter2@calendar.example/x.ics",
        "ics https://calendar.example/x.ics?token=hunter2",
    ],
)
def test_what_states_no_time_is_refused_and_shows_no_secret(text):
    with pytest.raises(PatchingError) as refusal:
        schedule.check(text)
    assert "hunter2" not in str(refusal.value)


def test_a_calendar_is_not_read_where_its_name_is_only_checked():
    assert schedule.check(" ics /nowhere/x.ics, event EHR night ") == "ics /nowhere/x.ics, event EHR night"


def test_zones_are_named_by_the_short_forms_only():
    assert schedule.zone(NIGHT) == "Europe/Berlin"
    assert schedule.zone(HOLIDAYS) == "Europe/Berlin"
    assert schedule.zone("ics /nowhere/x.ics") is None


def test_the_first_freeze_that_touches_a_span():
    late, early = "2026-12-24 10:00 to 2026-12-24 12:00, UTC", "2026-12-24 06:00 to 2026-12-24 08:00, UTC"
    morning, noon = utc("2026-12-24T05:00"), utc("2026-12-24T12:00")
    assert span(schedule.frozen([late, early], morning, noon)) == "12-24 06:00 12-24 08:00"
    assert schedule.frozen([late, early], noon, noon + timedelta(hours=1)) is None
    assert schedule.frozen([], morning, noon) is None


FIRST = utc("2026-11-01T00:00")
SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=8).map(
    lambda pairs: [
        Occurrence(
            utc("2026-11-01T00:00") + timedelta(hours=start), utc("2026-11-01T00:00") + timedelta(hours=start + hours)
        )
        for start, hours in pairs
    ]
)


@given(SPANS, SPANS)
def test_what_is_left_is_exactly_what_no_freeze_covers(windows, closed):
    left = without(windows, closed)
    for hour in range(72):
        moment = FIRST + timedelta(hours=hour, minutes=30)
        inside = any(one.start <= moment < one.end for one in windows)
        frozen = any(one.start <= moment < one.end for one in closed)
        assert any(one.start <= moment < one.end for one in left) == (inside and not frozen)
