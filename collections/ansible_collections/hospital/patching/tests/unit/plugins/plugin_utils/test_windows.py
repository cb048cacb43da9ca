# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.windows import Window

CHICAGO, BERLIN, SYDNEY = "America/Chicago", "Europe/Berlin", "Australia/Sydney"
#: Moments of seven years, UTC.
MOMENTS = st.integers(0, 7 * 365 * 24 * 3600).map(
    lambda seconds: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
ZONES = (CHICAGO, BERLIN, SYDNEY, "UTC", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns")


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text, zone, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def span(occurrence):
    return (f"{occurrence.start:%m-%d %H:%M}", f"{occurrence.end:%m-%d %H:%M}")


def test_the_window_of_the_smallest_configuration():
    window = Window.parse("Sun 01:00, 3 h, America/Chicago")
    assert span(window.next_after(utc("2026-11-20T00:00"))) == ("11-22 07:00", "11-22 10:00")
    assert window.open_at(utc("2026-11-22T06:59:59")) is None
    assert window.open_at(utc("2026-11-22T07:00")) is not None
    assert window.open_at(utc("2026-11-22T09:59:59")) is not None
    assert window.open_at(utc("2026-11-22T10:00")) is None


def test_across_midnight_it_never_opens_on_its_day_at_midnight():
    window = Window.parse("Sat 23:00, 3 h, UTC")
    assert window.open_at(utc("2026-11-21T00:00")) is None
    assert window.open_at(utc("2026-11-21T01:59")) is None
    assert window.open_at(utc("2026-11-21T23:00")) is not None
    assert window.open_at(utc("2026-11-22T01:59")) is not None
    assert window.open_at(utc("2026-11-22T02:00")) is None


def test_across_the_end_of_the_year():
    assert span(Window.parse("daily 23:30, 1 h, UTC").open_at(utc("2027-01-01T00:15"))) == (
        "12-31 23:30",
        "01-01 00:30",
    )


def test_a_leap_day_is_a_day():
    assert span(Window.parse("daily 02:00, 1 h, UTC").next_after(utc("2028-02-28T12:00"))) == (
        "02-29 02:00",
        "02-29 03:00",
    )


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        ("second Tuesday 22:00, 4 h, Europe/Berlin", "2026-11-22T00:00", "12-08 21:00"),
        ("second Tuesday 22:00, 4 h, Europe/Berlin", "2026-08-31T23:00", "09-08 20:00"),
        ("first Tue 22:00, 4 h, UTC", "2026-12-01T21:59", "12-01 22:00"),
        ("fourth sunday 01:00, 90 min, UTC", "2026-11-20T00:00", "11-22 01:00"),
        ("last Sunday 01:00, 90 min, UTC", "2026-11-22T00:00", "11-29 01:00"),
        ("last Monday 01:00, 90 min, UTC", "2026-11-30T02:00", "12-28 01:00"),
    ],
)
def test_days_of_the_month(text, now, opens):
    assert span(Window.parse(text).next_after(utc(now)))[0] == opens


# The clock goes forward at 02:00 (Chicago 8 March, Berlin 29 March, Sydney 4 October 2026): an hour is missing.
@pytest.mark.parametrize(
    ("zone", "day", "ends"),
    [(CHICAGO, "2026-03-08", "2026-03-08T04:00"), (BERLIN, "2026-03-29", "2026-03-29T04:00"),
     (SYDNEY, "2026-10-04", "2026-10-04T04:00")],
)  # fmt: skip
def test_spring_shortens_a_window_and_it_ends_when_the_clock_says_so(zone, day, ends):
    window = Window.parse(f"Sun 01:00, 3 h, {zone}")
    found = window.open_at(local(f"{day}T01:30", zone))
    assert found.end == local(ends, zone)
    assert found.end - found.start == timedelta(hours=2)


# The clock goes back (Chicago 1 November, Berlin 25 October, Sydney 5 April 2026): an hour comes twice.
@pytest.mark.parametrize(("zone", "day"), [(CHICAGO, "2026-11-01"), (BERLIN, "2026-10-25"), (SYDNEY, "2026-04-05")])
def test_autumn_never_widens_a_window(zone, day):
    window = Window.parse(f"Sun 01:00, 3 h, {zone}")
    found = window.open_at(local(f"{day}T01:00", zone))
    assert found.end - found.start == timedelta(hours=3)
    assert found.end < local(f"{day}T04:00", zone)
    assert window.open_at(local(f"{day}T03:30", zone)) is None


@pytest.mark.parametrize(("zone", "day"), [(CHICAGO, "2026-11-01"), (BERLIN, "2026-10-25"), (SYDNEY, "2026-04-05")])
def test_an_hour_that_comes_twice_opens_a_window_once(zone, day):
    window = (
        Window.parse(f"Sun 02:30, 30 min, {zone}") if zone != CHICAGO else Window.parse(f"Sun 01:30, 30 min, {zone}")
    )
    hour = "01" if zone == CHICAGO else "02"
    assert window.open_at(local(f"{day}T{hour}:45", zone, fold=0)) is not None
    assert window.open_at(local(f"{day}T{hour}:45", zone, fold=1)) is None


@pytest.mark.parametrize(("zone", "day"), [(CHICAGO, "2026-03-08"), (BERLIN, "2026-03-29"), (SYDNEY, "2026-10-04")])
def test_a_window_inside_the_missing_hour_does_not_open(zone, day):
    window = Window.parse(f"Sun 02:15, 30 min, {zone}")
    midnight = local(f"{day}T00:00", zone)
    assert all(window.open_at(midnight + timedelta(minutes=minute)) is None for minute in range(0, 420, 5))
    assert window.next_after(midnight).start > midnight + timedelta(days=6)


def test_daily_windows_of_a_whole_day_have_no_hole_at_midnight():
    window = Window.parse("daily 00:00, 24 h, UTC")
    found = window.open_at(utc("2026-11-22T23:59:59"))
    assert found.end == utc("2026-11-24T00:00")
    assert window.open_at(utc("2026-11-23T00:00")).start == utc("2026-11-23T00:00")


def test_daily_windows_of_a_whole_day_where_a_day_has_25_hours_stay_closed_for_the_last():
    window = Window.parse(f"daily 00:00, 24 h, {CHICAGO}")
    assert window.open_at(local("2026-11-01T22:59", CHICAGO)) is not None
    assert window.open_at(local("2026-11-01T23:00", CHICAGO)) is None


@given(
    st.sampled_from(ZONES),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(1, 24 * 60),
    MOMENTS,
)
def test_no_occurrence_lasts_longer_than_stated_nor_past_the_clock(zone, hour, minute, length, now):
    window = Window.parse(f"daily {hour:02}:{minute:02}, {length} min, {zone}")
    found = window.next_after(now)
    starts, ends = (moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in (found.start, found.end))
    assert timedelta(0) < found.end - found.start <= timedelta(minutes=length)
    assert ends - starts <= timedelta(minutes=length)
    assert found.start > now


@given(st.sampled_from(ZONES), st.integers(0, 23), st.integers(0, 59), st.integers(1, 24 * 60), MOMENTS)
def test_a_freeze_covers_every_moment_of_the_same_window(zone, hour, minute, length, now):
    window = Window.parse(f"daily {hour:02}:{minute:02}, {length} min, {zone}")
    span = now, now + timedelta(days=3)
    freezes = window.at_widest(span[0] - timedelta(days=1), span[1] + timedelta(days=1))
    for one in window.between(*span):
        assert any(freeze.start <= one.start and one.end <= freeze.end for freeze in freezes)


@given(
    st.sampled_from(ZONES),
    st.integers(0, 23),
    st.integers(1, 6),
    MOMENTS,
)
def test_open_and_next_agree(zone, hour, hours, now):
    window = Window.parse(f"Wed {hour:02}:00, {hours} h, {zone}")
    following = window.next_after(now)
    assert window.open_at(following.start) == following
    assert window.open_at(following.end) is None
    assert window.open_at(following.start - timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    ("duration", "minutes"), [("3 h", 180), ("3h", 180), ("90 min", 90), ("1 h 30 min", 90), ("1h30min", 90)]
)
def test_durations(duration, minutes):
    assert Window.parse(f"Sun 01:00, {duration}, UTC").duration == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "always",
        "Sun 01:00",
        "Sun 01:00, 3 h",
        "Sun 01:00, , UTC",
        "Sun 01:00, 3, UTC",
        "Sun 01:00, 0 h, UTC",
        "Sun 01:00, -3 h, UTC",
        "Sun 01:00, 3 h 90, UTC",
        "Sun 24:00, 3 h, UTC",
        "Sun 01:60, 3 h, UTC",
        "Sun 1:00, 3 h, UTC",
        "Sunny 01:00, 3 h, UTC",
        "fifth Tuesday 01:00, 3 h, UTC",
        "second second Tuesday 01:00, 3 h, UTC",
        "Sun 01:00, 3 h, Mars/Olympus",
        "Sun 01:00, 3 h, ../../etc/passwd",
        "daily 00:00, 25 h, UTC",
        "Sun 00:00, 169 h, UTC",
        "31 02:00, 1 h, UTC",
    ],
)
def test_what_cannot_be_read_is_closed(text):
    with pytest.raises(PatchingError, match="until it can be read nothing is disrupted"):
        Window.parse(text)


def test_the_short_form_becomes_icalendar():
    text = Window.parse("second Tuesday 22:00, 4 h, Europe/Berlin").ical().decode()
    assert "RRULE:FREQ=MONTHLY;BYDAY=2TU" in text
    assert "DTSTART;TZID=Europe/Berlin:20240109T220000" in text
    assert "DURATION:PT4H" in text
