# SPDX-License-Identifier: GPL-3.0-or-later
"""Calendars of others, against expectations that were worked out by hand."""

from __future__ import annotations

import http.server
import threading
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import calendar_file, schedule

BERLIN, CHICAGO, SYDNEY = "Europe/Berlin", "America/Chicago", "Australia/Sydney"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def event(*lines, uid="a", summary="night"):
    head = ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", f"SUMMARY:{summary}"]
    return "\r\n".join([*head, *lines, "END:VEVENT", ""])


def document(*events, head=()):
    return (
        "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *head, ""])
        + "".join(events)
        + "END:VCALENDAR\r\n"
    )


@pytest.fixture
def ics(tmp_path):
    def write(*events, event="*", head=()):
        path = tmp_path / "calendar.ics"
        path.write_text(document(*events, head=head))
        return schedule.read(f"ics {path}" + (f", event {event}" if event != "*" else ""))

    return write


def spans(calendar, begin, end, widest=False):
    found = (calendar.at_widest if widest else calendar.between)(utc(begin), utc(end))
    return [f"{one.start:%m-%d %H:%M} {one.end:%m-%d %H:%M}" for one in found]


def test_saturday_at_eleven_for_three_hours_never_opens_on_saturday_at_midnight(ics):
    calendar = ics(event("DTSTART:20261121T230000Z", "DTEND:20261122T020000Z", "RRULE:FREQ=WEEKLY;BYDAY=SA"))
    assert calendar.open_at(utc("2026-11-28T00:00")) is None
    assert calendar.open_at(utc("2026-11-28T01:59")) is None
    assert calendar.open_at(utc("2026-11-28T23:00")).end == utc("2026-11-29T02:00")
    assert calendar.open_at(utc("2026-11-29T02:00")) is None


# Spring and autumn in three zones; 2026: Chicago 8 March and 1 November, Berlin 29 March and 25 October,
# Sydney 4 October and 5 April. Each event is from 01:00 to 04:00 on the clock.
@pytest.mark.parametrize(
    ("zone", "day", "window", "freeze"),
    [
        (CHICAGO, "20260308", "03-08 07:00 03-08 09:00", "03-08 07:00 03-08 10:00"),
        (BERLIN, "20260329", "03-29 00:00 03-29 02:00", "03-29 00:00 03-29 03:00"),
        (SYDNEY, "20261004", "10-03 15:00 10-03 17:00", "10-03 15:00 10-03 18:00"),
        (CHICAGO, "20261101", "11-01 06:00 11-01 09:00", "11-01 06:00 11-01 10:00"),
        (BERLIN, "20261025", "10-24 23:00 10-25 02:00", "10-24 23:00 10-25 03:00"),
        (SYDNEY, "20260405", "04-04 14:00 04-04 17:00", "04-04 14:00 04-04 18:00"),
    ],
)
@pytest.mark.parametrize("length", ["DURATION:PT3H", "DTEND"])
def test_daylight_saving_never_widens_a_window_and_never_narrows_a_freeze(ics, zone, day, window, freeze, length):
    last = f"DTEND;TZID={zone}:{day}T040000" if length == "DTEND" else length
    calendar = ics(event(f"DTSTART;TZID={zone}:{day}T010000", last))
    around = f"{day[:4]}-01-01T00:00", f"{day[:4]}-12-31T00:00"
    assert spans(calendar, *around) == [window]
    assert spans(calendar, *around, widest=True) == [freeze]


def test_a_rule_of_the_31st_skips_the_months_that_have_none(ics):
    calendar = ics(event(f"DTSTART;TZID={BERLIN}:20261031T220000", "DURATION:PT2H", "RRULE:FREQ=MONTHLY;BYMONTHDAY=31"))
    assert spans(calendar, "2026-10-01T00:00", "2027-04-01T12:00") == [
        "10-31 21:00 10-31 23:00",
        "12-31 21:00 12-31 23:00",
        "01-31 21:00 01-31 23:00",
        "03-31 20:00 03-31 22:00",
    ]
    assert calendar.next_after(utc("2026-11-01T00:00")).start == utc("2026-12-31T21:00")


def test_an_occurrence_that_was_moved_opens_where_it_was_moved_to(ics):
    calendar = ics(
        event(f"DTSTART;TZID={BERLIN}:20261103T220000", "DURATION:PT2H", "RRULE:FREQ=WEEKLY"),
        event(
            f"RECURRENCE-ID;TZID={BERLIN}:20261110T220000", f"DTSTART;TZID={BERLIN}:20261111T010000", "DURATION:PT1H"
        ),
    )
    assert spans(calendar, "2026-11-01T00:00", "2026-11-20T00:00") == [
        "11-03 21:00 11-03 23:00",
        "11-11 00:00 11-11 01:00",
        "11-17 21:00 11-17 23:00",
    ]


def test_excluded_and_additional_dates(ics):
    calendar = ics(
        event(
            "DTSTART:20261103T220000Z",
            "DURATION:PT2H",
            "RRULE:FREQ=WEEKLY;COUNT=3",
            "EXDATE:20261110T220000Z",
            "RDATE:20261112T220000Z",
        )
    )
    found = spans(calendar, "2026-11-01T00:00", "2026-12-20T00:00")
    assert [one[:5] for one in found] == ["11-03", "11-12", "11-17"]


def test_across_the_end_of_the_year_and_a_leap_day(ics):
    calendar = ics(
        event("DTSTART:20261231T230000Z", "DURATION:PT2H"),
        event("DTSTART:20280228T230000Z", "DURATION:PT2H", "RRULE:FREQ=DAILY;COUNT=2", uid="b"),
    )
    assert calendar.open_at(utc("2027-01-01T00:30")).end == utc("2027-01-01T01:00")
    assert calendar.open_at(utc("2028-02-29T23:30")).end == utc("2028-03-01T01:00")


def test_windows_that_overlap_are_one(ics):
    calendar = ics(
        event("DTSTART:20261103T200000Z", "DTEND:20261103T230000Z"),
        event("DTSTART:20261103T220000Z", "DTEND:20261104T020000Z", uid="b"),
    )
    found = calendar.open_at(utc("2026-11-03T22:30"))
    assert (found.start, found.end) == (utc("2026-11-03T20:00"), utc("2026-11-04T02:00"))


def test_only_the_events_of_that_name(ics):
    calendar = ics(
        event("DTSTART:20261103T200000Z", "DURATION:PT1H", summary="EHR night"),
        event("DTSTART:20261105T200000Z", "DURATION:PT1H", uid="b", summary="cafeteria"),
        event="EHR*",
    )
    assert [one[:5] for one in spans(calendar, "2026-11-01T00:00", "2026-12-01T00:00")] == ["11-03"]


@pytest.mark.parametrize(
    ("status", "window", "freeze"), [("CANCELLED", 0, 0), ("TENTATIVE", 0, 1), ("CONFIRMED", 1, 1)]
)
def test_what_is_not_sure_is_no_window_and_is_a_freeze(ics, status, window, freeze):
    calendar = ics(event("DTSTART:20261103T200000Z", "DURATION:PT1H", f"STATUS:{status}"))
    month = "2026-11-01T00:00", "2026-12-01T00:00"
    assert (len(spans(calendar, *month)), len(spans(calendar, *month, widest=True))) == (window, freeze)


def test_a_blackout_day_without_a_zone_lasts_from_its_first_to_its_last_moment_on_earth(ics):
    calendar = ics(event("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227"))
    assert spans(calendar, "2026-12-01T00:00", "2026-12-31T00:00", widest=True) == ["12-23 10:00 12-27 12:00"]
    with pytest.raises(PatchingError, match="a window needs a time and a zone"):
        calendar.open_at(utc("2026-12-24T12:00"))


def test_outlooks_names_of_zones(ics):
    outlook = ics(event("DTSTART;TZID=W. Europe Standard Time:20261103T220000", "DURATION:PT1H"))
    assert spans(outlook, "2026-11-01T00:00", "2026-12-01T00:00") == ["11-03 21:00 11-03 22:00"]


def private_zone(offset):
    return "\r\n".join(
        (
            "BEGIN:VTIMEZONE",
            "TZID:Customized Time Zone",
            "BEGIN:STANDARD",
            "DTSTART:19700101T000000",
            f"TZOFFSETFROM:{offset}",
            f"TZOFFSETTO:{offset}",
            "END:STANDARD",
            "END:VTIMEZONE",
            "",
        )
    )


DAILY = (f"DTSTART;TZID={CHICAGO}:20261101T220000", "DURATION:PT3H")


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (["DTSTART:20261332T000000Z", "DURATION:PT3H"], "DTSTART: Wrong datetime"),
        (["DTSTART:20261101T000000Z", "DURATION:3 hours"], "DURATION: Expected time"),
        (["DTSTART:20261101T000000Z", "DTEND:20261101T25"], "DTEND: "),
        (["DTSTART:20261101T000000Z", "DURATION:PT3H", "RRULE:FREQ=SOMETIMES"], "RRULE: "),
        (["DTSTART:20261101T000000Z", "DURATION:PT3H", "RRULE:FREQ=DAILY", "EXDATE:20261199T000000Z"], "EXDATE: "),
        (["DTSTART:20261101T000000Z", "DURATION:PT3H", "THIS IS NO LINE"], "a line: "),
        (["DTSTART:20261101T000000Z"], "neither DTEND nor DURATION"),
        (["DTSTART:20261101T000000Z", "DURATION:PT0S"], "it lasts no time at all"),
        (["DTSTART:20261101T000000Z", "DTEND:20261031T000000Z"], "it ends before it begins"),
        (["DTSTART:20261101T000000", "DURATION:PT3H"], "DTSTART has no time zone"),
        (
            ["DTSTART;TZID=Mars/Olympus:20261101T000000", "DURATION:PT3H"],
            "the time zone 'Mars/Olympus' of DTSTART is not",
        ),
        (["DTSTART:20261101T000000Z", "DTEND:20261101T040000"], "DTEND has no time zone"),
        (["DTSTART;VALUE=DATE:20261101", "DTEND:20261101T040000Z"], "of two kinds"),
        (["DURATION:PT3H"], "no DTSTART"),
        (["DTSTART:20261101T000000Z", "DTSTART:20261102T000000Z", "DURATION:PT3H"], "DTSTART is there twice"),
        (["DTSTART;VALUE=PERIOD:20261101T000000Z/PT3H"], ""),
        (["DTSTART:20261101T000000Z", "DTEND:20261101T010000Z", "DURATION:PT3H"], "both DTEND"),
        (["DTSTART:20261101T000000Z", "DURATION:PT3H", "RRULE:FREQ=SECONDLY"], "it recurs SECONDLY"),
        (["DTSTART:20261101T000000Z", "DURATION:PT3H", "RRULE:FREQ=MINUTELY"], "it recurs MINUTELY"),
        (["DTSTART:20261101T000000Z", "DURATION:PT3H", "RRULE:FREQ=DAILY;INTERVAL=0"], "INTERVAL is 0"),
        (["DTSTART:20261101T000000Z", "DURATION:PT3H", "RRULE:FREQ=DAILY;COUNT=0"], "COUNT is 0"),
        (["DTSTART:20261101T000000Z", "DURATION:PT3H", "EXRULE:FREQ=DAILY;COUNT=2"], "EXRULE"),
        (["DTSTART:20261101T000000Z", "DURATION:PT3H", "UID:c"], "UID is there twice"),
        ([*DAILY, "RRULE:FREQ=DAILY;UNTIL=20261224"], "UNTIL and DTSTART are of two kinds"),
        ([*DAILY, "RRULE:FREQ=DAILY;UNTIL=20261224T220000"], "UNTIL is not in UTC"),
        (["DTSTART;VALUE=DATE:20261101", "RRULE:FREQ=DAILY;UNTIL=20261224T000000Z"], "UNTIL and DTSTART are of two"),
        ([*DAILY, "RDATE;VALUE=PERIOD:20261220T000000Z/P10D"], "RDATE is a period"),
        ([*DAILY, "EXDATE;TZID=Mars/X:20261224T220000"], "the time zone 'Mars/X' of EXDATE is not known"),
        ([*DAILY, "RDATE:20261224T220000"], "RDATE has no time zone"),
        ([*DAILY, "EXDATE:20261224T220000Z"], "EXDATE is in another time zone than DTSTART"),
        ([*DAILY, "EXDATE;VALUE=DATE:20261224"], "EXDATE and DTSTART are of two kinds"),
        (["DTSTART;VALUE=DATE:99991231"], "OverflowError"),
    ],
)
def test_an_event_that_is_wrong_refuses_the_calendar_and_names_the_line(ics, lines, seen):
    good = event("DTSTART:20261101T000000Z", "DURATION:PT3H")
    with pytest.raises(PatchingError, match=r"line 11, event 'bad': .*until then nothing is disrupted") as refusal:
        ics(good, event(*lines, uid="b", summary="bad"))
    assert seen in refusal.value.seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", "no iCalendar document"),
        ("<html>sign in</html>", "no iCalendar document"),
        (document(event("DTSTART:20261101T000000Z", "DURATION:PT3H"))[:-40], "no iCalendar document"),
        (document() + document(), "no iCalendar document"),
        (document(), "it has no event"),
        (document(event("DTSTART:20261101T000000Z", "DURATION:PT3H"), head=["METHOD:CANCEL"]), "it cancels events"),
    ],
)
def test_what_is_no_calendar_is_refused(tmp_path, text, seen):
    path = tmp_path / "x.ics"
    path.write_text(text)
    with pytest.raises(PatchingError, match=seen) as refusal:
        schedule.read(f"ics {path}")
    assert refusal.value.subject == f"calendar {path}"


def test_a_calendar_that_is_not_there_and_one_without_that_event(tmp_path, ics):
    with pytest.raises(PatchingError, match="is not there"):
        schedule.read(f"ics {tmp_path}/absent.ics")
    with pytest.raises(PatchingError, match="no event is called 'EHR"):
        ics(event("DTSTART:20261101T000000Z", "DURATION:PT3H"), event="EHR*")


@pytest.mark.parametrize(
    ("moved", "seen"),
    [
        ("RECURRENCE-ID:20261224T140000Z", "in another time zone than DTSTART"),
        (f"RECURRENCE-ID;TZID={CHICAGO}:20261224T150000", "in another time zone than DTSTART"),
        ("RECURRENCE-ID;TZID=Mars/X:20261224T150000", "of RECURRENCE-ID is not known"),
        ("RECURRENCE-ID;VALUE=DATE:20261224", "of two kinds"),
    ],
)
def test_an_occurrence_that_is_moved_is_named_as_its_series_names_it(ics, moved, seen):
    series = event(f"DTSTART;TZID={BERLIN}:20261201T150000", "DURATION:PT1H", "RRULE:FREQ=DAILY")
    cancelled = ("DTSTART:20261224T140000Z", "DURATION:PT1H", "STATUS:CANCELLED")
    with pytest.raises(PatchingError, match=seen):
        ics(series, event(moved, *cancelled))
    calendar = ics(series, event(f"RECURRENCE-ID;TZID={BERLIN}:20261224T150000", *cancelled))
    assert spans(calendar, "2026-12-23T00:00", "2026-12-26T00:00", widest=True) == [
        "12-23 14:00 12-23 15:00",
        "12-25 14:00 12-25 15:00",
    ]


@pytest.mark.parametrize("rule", ["RRULE:FREQ=DAILY;BYHOUR=14,15", "RRULE:FREQ=HOURLY"])
def test_several_times_a_day_with_one_taken_out_is_refused_because_two_would_be(ics, rule):
    lines = f"DTSTART;TZID={BERLIN}:20261201T150000", "DURATION:PT1H", rule
    seen = "it recurs several times a day"
    with pytest.raises(PatchingError, match=seen):
        ics(event(*lines, f"EXDATE;TZID={BERLIN}:20261224T150000"))
    with pytest.raises(PatchingError, match=seen):
        ics(event(*lines), event(f"RECURRENCE-ID;TZID={BERLIN}:20261224T150000", *lines[:2]))
    assert len(spans(ics(event(*lines)), "2026-12-24T00:00", "2026-12-25T00:00")) >= 2
    in_utc = event(
        "DTSTART:20261201T150000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYHOUR=14,15", "EXDATE:20261224T150000Z"
    )
    assert spans(ics(in_utc), "2026-12-24T00:00", "2026-12-25T00:00") == ["12-24 14:00 12-24 15:00"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (document(private_zone("+0100"), private_zone("-0600"), event(*DAILY)), "is there twice"),
        (document(event(*DAILY), private_zone("+0100")), "a VTIMEZONE comes after an event"),
        (document(event(f"DTSTART;TZID={BERLIN}:20261101T010000Z", "DURATION:PT3H")), "is in UTC and in a time zone"),
        (document(event(*DAILY, "RRULE:FREQ=DAILY;UNTIL=20261110T000000Z;UNTIL=20261224T000000Z")), "has a part twice"),
        (document(event(*DAILY, "RRULE:FREQ=YEARLY;BYDAY=60MO")), "calendar "),
        (document(event("DTSTART;TZID=Europe:20261101T010000", "DURATION:PT3H")), "calendar "),
        (document(event(f"DTSTART;TZID={'x' * 300}:20261101T010000", "DURATION:PT3H")), "calendar "),
    ],
)
def test_what_the_libraries_would_read_otherwise_is_refused(tmp_path, text, seen):
    path = tmp_path / "x.ics"
    path.write_text(text)
    with pytest.raises(PatchingError, match=seen):
        schedule.read(f"ics {path}").open_at(utc("2026-11-01T01:00"))


def test_a_series_ends_with_its_last_day(ics):
    calendar = ics(event("DTSTART:20261220T080000Z", "DURATION:PT3H", "RRULE:FREQ=DAILY;UNTIL=20261224T080000Z"))
    assert spans(calendar, "2026-12-01T00:00", "2026-12-31T00:00", widest=True)[-1] == "12-24 08:00 12-24 11:00"
    days = ics(event("DTSTART;VALUE=DATE:20261220", "RRULE:FREQ=DAILY;UNTIL=20261224"))
    assert spans(days, "2026-12-01T00:00", "2026-12-31T00:00", widest=True)[-1] == "12-23 10:00 12-25 12:00"


def test_a_private_zone_is_its_own_calendars_alone(ics):
    lines = "DTSTART;TZID=Customized Time Zone:20261201T010000", "DURATION:PT3H"
    month = "2026-11-01T00:00", "2027-01-01T00:00"
    east, west = (ics(private_zone(offset), event(*lines)) for offset in ("+0100", "-0600"))
    assert spans(east, *month) == ["12-01 00:00 12-01 03:00"]
    assert spans(west, *month) == ["12-01 07:00 12-01 10:00"]
    with pytest.raises(PatchingError, match="the time zone 'Customized Time Zone' of DTSTART is not known"):
        ics(event(*lines))


@pytest.mark.parametrize("zone", [BERLIN, "Mars/Olympus"])
def test_a_zone_of_the_whole_calendar_moves_no_event(ics, zone):
    lines = "DTSTART:20261201T230000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=2"
    calendar = ics(event(*lines), head=[f"X-WR-TIMEZONE:{zone}"])
    assert spans(calendar, "2026-11-01T00:00", "2027-01-01T00:00") == [
        "12-01 23:00 12-02 00:00",
        "12-08 23:00 12-09 00:00",
    ]


def test_an_event_whose_beginning_is_hidden_refuses_the_calendar(tmp_path):
    path = tmp_path / "x.ics"
    good = event("DTSTART:20261101T000000Z", "DURATION:PT3H")
    path.write_text(document(good, event("DURATION:PT3H", uid="b").replace("BEGIN:VEVENT", "BEGIN:VEV\r\n ENT")))
    with pytest.raises(PatchingError, match="2 events, of which 1 begin with BEGIN:VEVENT"):
        schedule.read(f"ics {path}")


def test_two_events_of_one_uid_are_refused_because_the_second_would_be_passed_over(ics):
    with pytest.raises(PatchingError, match=r"line 11, event 'freeze': another event has its UID"):
        ics(
            event("DTSTART:20261101T000000Z", "DURATION:PT3H"),
            event("DTSTART:20261103T000000Z", "DURATION:PT3H", summary="freeze"),
        )
    moved = event("RECURRENCE-ID:20261102T000000Z", "DTSTART:20261102T010000Z", "DURATION:PT1H")
    with pytest.raises(PatchingError, match="line 20, event 'night': another event has its UID"):
        ics(event("DTSTART:20261101T000000Z", "DURATION:PT3H", "RRULE:FREQ=DAILY;COUNT=3"), moved, moved)


def test_an_occurrence_that_was_cancelled_does_not_take_place(ics):
    calendar = ics(
        event("DTSTART:20261101T000000Z", "DURATION:PT3H", "RRULE:FREQ=DAILY;COUNT=3"),
        event("RECURRENCE-ID:20261102T000000Z", "DTSTART:20261102T000000Z", "DURATION:PT3H", "STATUS:CANCELLED"),
    )
    assert [one[:5] for one in spans(calendar, "2026-10-01T00:00", "2026-12-01T00:00")] == ["11-01", "11-03"]


def test_from_a_day_on_it_was_moved(ics):
    calendar = ics(
        event("DTSTART:20261101T000000Z", "DURATION:PT3H", "RRULE:FREQ=DAILY;COUNT=3"),
        event("RECURRENCE-ID;RANGE=THISANDFUTURE:20261102T000000Z", "DTSTART:20261102T100000Z", "DURATION:PT1H"),
    )
    assert spans(calendar, "2026-10-01T00:00", "2026-12-01T00:00") == [
        "11-01 00:00 11-01 03:00",
        "11-02 10:00 11-02 11:00",
        "11-03 10:00 11-03 11:00",
    ]


def test_too_many_events_and_too_many_occurrences_are_refused(ics, monkeypatch):
    monkeypatch.setattr(calendar_file, "MOST_EVENTS", 2)
    three = [event("DTSTART:20261101T000000Z", "DURATION:PT3H", uid=str(number)) for number in range(3)]
    with pytest.raises(PatchingError, match="3 events, and at most 2 are read"):
        ics(*three)
    monkeypatch.setattr(calendar_file, "MOST_OCCURRENCES", 50)
    endless = ics(event("DTSTART:20261101T000000Z", "DURATION:PT10M", "RRULE:FREQ=HOURLY"))
    with pytest.raises(PatchingError, match="more than 50 occurrences"):
        endless.next_after(utc("2026-11-02T00:00"))


@pytest.mark.slow
def test_ten_thousand_events_are_read(ics):
    lines = "DTSTART:20261101T000000Z", "DURATION:PT3H"
    calendar = ics(*(event(*lines, uid=str(number)) for number in range(10_000)))
    assert calendar.open_at(utc("2026-11-01T01:00")).end == utc("2026-11-01T03:00")


def test_a_file_that_changed_is_read_again_and_equal_content_is_equal(ics):
    before = ics(event("DTSTART:20261101T000000Z", "DURATION:PT3H"))
    assert ics(event("DTSTART:20261101T000000Z", "DURATION:PT3H")) == before
    after = ics(event("DTSTART:20261101T000000Z", "DURATION:PT4H"))
    assert after != before
    assert after.open_at(utc("2026-11-01T01:00")).end == utc("2026-11-01T04:00")


@pytest.fixture
def server():
    """Yield a function that has a server answer, and returns its URL; its ``asked`` are the paths."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            serve.asked.append(self.path)
            self.send_response(302 if self.path == "/moved.ics" else 200)
            self.send_header("Location", "/night.ics")
            self.end_headers()
            self.wfile.write(document(event("DTSTART:20261101T000000Z", "DURATION:PT3H")).encode())

        def log_message(self, *_words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()

        def serve(path):
            return f"ics http://127.0.0.1:{running.server_address[1]}{path}"

        serve.asked = []
        yield serve
        running.shutdown()


def test_a_server_is_asked_once_a_minute(server, monkeypatch):
    for _time in range(3):
        assert schedule.read(server("/night.ics"), []).open_at(utc("2026-11-01T01:00"))
    assert server.asked == ["/night.ics"]
    monkeypatch.setattr(calendar_file, "KEPT_S", 0.0)
    schedule.read(server("/night.ics"), [])
    assert len(server.asked) == 2


def test_no_redirect_is_followed_because_it_could_lead_to_a_device(server):
    with pytest.raises(PatchingError, match="302"):
        schedule.read(server("/moved.ics"), [])
    assert server.asked == ["/moved.ics"]


@pytest.mark.parametrize(
    ("segments", "seen"),
    [(["127.0.0.0/8"], "inside the device segment"), (None, "patching_device_segments is not set")],
)
def test_a_device_segment_is_not_connected_to(server, segments, seen):
    with pytest.raises(PatchingError, match=seen):
        schedule.read(server("/night.ics"), segments)
    assert server.asked == []


def test_events_in_two_zones_end_when_they_say(ics):
    lines = f"DTSTART;TZID={BERLIN}:20261103T220000", f"DTEND;TZID={CHICAGO}:20261103T180000"
    assert spans(ics(event(*lines)), "2026-11-01T00:00", "2026-12-01T00:00") == ["11-03 21:00 11-04 00:00"]


def test_nothing_opens_after_the_last_event(ics):
    calendar = ics(event("DTSTART:20261101T000000Z", "DURATION:PT3H"))
    with pytest.raises(PatchingError, match="does not open in the 400 days after 2026-11-02"):
        calendar.next_after(utc("2026-11-02T00:00"))
    assert calendar.open_at(utc("2026-11-02T00:00") + timedelta(days=1)) is None
