# SPDX-License-Identifier: GPL-3.0-or-later
"""How long hosts and services were away, bounded by what the probes saw."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils.report import availability, looks, spans, timeline
from ansible_collections.hospital.patching.plugins.plugin_utils.report.availability import Presence
from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import Absence, Part

END = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-22T{text}+00:00").astimezone(UTC)


def span(start: str, end: str | None) -> Absence:
    return Absence(at(start), end and at(end))


def probe(time: str | None, verdict: str = "ok", not_ok: tuple[str, str] | None = None, name: str = "url") -> Any:
    reading = {"name": name, "verdict": verdict, "seconds_ms": 500}
    if time:
        reading["at"] = f"2026-11-22T{time}Z"
        reading["not_ok"] = not_ok and dict(zip(("from", "to"), (f"2026-11-22T{one}Z" for one in not_ok), strict=True))
    return reading


def record(time: str, step: str, event: str = "done", **detail: Any) -> dict[str, Any]:
    return {"time": f"2026-11-22T{time}Z", "host": "a", "step": step, "event": event, "detail": detail}


def parts(*records: dict[str, Any]) -> list[Part]:
    return timeline.parts_by_host(records).get("a", [])


def journey(*after: Any, drained: bool = False) -> list[Part]:
    """Return a host's journey whose last good probe before was at 01:00:05, and what the verification read."""
    records = [
        record("01:00:00", "lock"),
        record("01:00:06", "health_before", took_ms=4000, probes=[probe("01:00:05")]),
        record("01:00:30", "install", took_ms=20_000),
        record("01:01:00", "verify", took_ms=28_000, probes=list(after)),
        record("01:01:05", "return", took_ms=2000),
    ]
    if drained:
        records.insert(2, record("01:00:10", "drain", took_ms=3000))
    return parts(*records)


def test_from_the_last_good_probe_before_to_the_first_good_one_after():
    found = availability.unavailable(journey(probe("01:00:45")), ["url"])
    assert found is not None
    assert availability.together([found], END) == {"at_least_s": 0, "at_most_s": 42}


def test_what_the_probes_saw_failing_is_the_least():
    found = availability.unavailable(journey(probe("01:00:58", not_ok=("01:00:40", "01:00:56"))), ["url"])
    assert found is not None
    assert availability.together([found], END) == {"at_least_s": 15, "at_most_s": 55}


def test_one_single_failed_reading_is_no_span():
    found = availability.unavailable(journey(probe("01:00:42", not_ok=("01:00:40", "01:00:40"))), ["url"])
    assert found is not None
    assert found.surely == ()


def test_a_ledger_without_times_of_readings_is_bounded_by_its_steps():
    records = [
        record("01:00:06", "health_before", took_ms=4000, probes=[probe(None)]),
        record("01:00:30", "install", took_ms=20_000),
        record("01:01:00", "verify", took_ms=28_000, probes=[probe(None)]),
    ]
    found = availability.unavailable(parts(*records), ["url"])
    assert found is not None
    assert availability.together([found], END) == {"at_least_s": 0, "at_most_s": 59}


@pytest.mark.parametrize("strange", ["03:00:00", "00:10:00", "not a time"])
def test_a_reading_outside_its_step_comes_from_another_clock(strange: str):
    reading = {**probe("01:00:45"), "at": f"2026-11-22T{strange}Z"}
    found = availability.unavailable(journey(reading), ["url"])
    assert found is not None
    assert found.maybe[0].end == at("01:01:01")


def test_only_the_named_probes_count():
    after = probe("01:00:45"), probe("01:00:40", "failed", name="builtin-units")
    named = availability.unavailable(journey(*after), ["url"])
    every = availability.unavailable(journey(*after), [])
    assert named is not None
    assert every is not None
    assert named.maybe[0].end == at("01:00:46")
    assert every.maybe[0].end is None


def test_a_host_never_seen_to_be_ok_is_unknown():
    found = parts(
        record("01:00:06", "health_before", took_ms=4000, probes=[probe("01:00:05", "failed")]),
        record("01:00:30", "install"),
    )
    assert availability.unavailable(found, ["url"]) is None
    assert availability.unavailable(parts(record("01:00:06", "gate")), ["url"]) is None


def test_a_host_that_was_only_read_was_never_away():
    found = availability.unavailable(parts(record("01:00:06", "health_before", probes=[probe("01:00:05")])), ["url"])
    assert found == Presence((), ())


def test_a_drained_host_was_away_for_as_long_as_that():
    found = availability.presence(journey(probe("01:00:45"), drained=True), ["url"], "patched")
    assert found == Presence((span("01:00:07", "01:01:05"),), (span("01:00:11", "01:01:03"),))


@pytest.mark.parametrize("drained", [False, True])
def test_a_host_that_stays_out_is_not_back(drained: bool):
    found = availability.presence(journey(probe("01:00:45"), drained=drained), ["url"], "unverified")
    assert found is not None
    assert found.maybe[-1].end is None
    assert availability.together([found], END)["at_most_s"] is None


def test_out_of_service_by_drain_or_by_hold():
    assert availability.out_of_service(journey()) == [("held", span("01:00:00", "01:01:05"))]
    assert [how for how, _span in availability.out_of_service(journey(drained=True))] == ["drained"]
    refused = parts(
        record("01:00:00", "lock"), record("01:00:05", "health_before", "failed"), record("01:00:06", "return")
    )
    assert availability.out_of_service(refused) == []


def test_held_twice_is_out_twice():
    again = parts(*[record(time, step) for time, step in (("03:00:00", "lock"), ("03:00:30", "rollback"))])
    assert availability.out_of_service([*journey(), *again]) == [
        ("held", span("01:00:00", "01:01:05")),
        ("held", span("03:00:00", None)),
    ]


def test_a_drain_that_failed_may_have_kept_users_away_but_did_not_for_certain():
    found = parts(
        record("01:00:06", "health_before", took_ms=4000, probes=[probe("01:00:05")]),
        record("01:00:10", "drain", "failed", took_ms=3000),
        record("01:01:05", "return"),
    )
    seen = availability.presence(found, ["url"], "refused")
    assert seen is not None
    assert Absence(at("01:00:07"), at("01:01:05"), sure=False) in seen.maybe
    assert seen.surely == ()
    assert availability.out_of_service(found)[0][0] == "perhaps drained"


def test_a_reading_from_the_night_does_not_reach_to_work_that_follows_days_later():
    later = parts(record("01:30:00", "lock"), record("01:30:10", "rollback"))
    later += parts(record("01:31:00", "verify", took_ms=20_000, probes=[probe("01:30:50")]))
    for part in later:
        part.work = 1
    found = availability.unavailable([*journey(probe("01:00:45")), *later], ["url"])
    assert found is not None
    assert found.maybe[1] == span("01:30:10", "01:30:51")


def look(start: str, ok: bool = True) -> looks.Look:
    return looks.Look(ok, at(start), at(start) + looks.CUT, None)


@pytest.mark.parametrize(
    ("seen", "serves"),
    [
        ([], False),
        ([look("01:06:00")], False),
        ([look("00:59:00")], False),
        ([look("00:59:00"), look("01:06:00")], True),
        ([look("01:03:00")], True),
        ([look("00:59:00"), look("01:03:00", ok=False), look("01:06:00")], False),
        ([look("00:58:00"), look("00:59:00", ok=False), look("01:06:00")], False),
    ],
)
def test_a_peer_serves_meanwhile_when_it_is_ok_within_or_on_both_sides(seen: list[looks.Look], serves: bool):
    assert availability.witnessed(span("01:00:00", "01:05:00"), seen) is serves


def test_a_pair_that_takes_turns_always_serves():
    first = Presence((span("01:00:00", "01:05:00"),), ())
    second = Presence((span("01:05:00", "01:09:00"),), ())
    assert availability.together([first, second], END) == {"at_least_s": 0, "at_most_s": 0}


def test_a_pair_that_overlaps_does_not():
    first = Presence((span("01:00:00", "01:05:00"),), (span("01:00:10", "01:04:50"),))
    second = Presence((span("01:04:00", "01:09:00"),), (span("01:04:10", "01:08:50"),))
    assert availability.together([first, second], END) == {"at_least_s": 40, "at_most_s": 60}


def test_an_unknown_peer_may_always_have_been_away():
    first = Presence((span("01:00:00", "01:05:00"),), (span("01:00:10", "01:04:50"),))
    assert availability.together([first, None], END) == {"at_least_s": 0, "at_most_s": 300}


def test_the_probes_of_users_stand_for_the_service():
    users = {"name": "url", "vantage": "controller"}
    inside = {"name": "engine", "vantage": "host"}
    assert looks.probes_that_count({"probes": [inside, users]}) == ["url"]
    assert looks.probes_that_count({"probes": [inside]}) == ["engine"]
    assert looks.probes_that_count({}) == []


moments = st.integers(0, 60).map(lambda minute: at(f"01:{minute // 2:02d}:{minute % 2 * 30:02d}"))
absences = st.lists(st.tuples(moments, moments).map(lambda two: Absence(min(two), max(two))), max_size=4)


@given(st.lists(absences, min_size=1, max_size=3))
def test_time_together_is_what_counting_every_second_says(hosts: list[list[Absence]]):
    def away(host: list[Absence], second: int) -> bool:
        return any(one.start.timestamp() <= second < one.end.timestamp() for one in host if one.end)

    start = int(at("01:00:00").timestamp())
    counted = sum(all(away(host, second) for host in hosts) for second in range(start, start + 1860, 30)) * 30
    assert spans.overlap(hosts, END).total_seconds() == counted
