# SPDX-License-Identifier: GPL-3.0-or-later
"""Many probes at once: what hangs is inconclusive, what breaks does not disturb the others."""

import threading
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.probes import engine
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)
from ansible_collections.hospital.patching.plugins.module_utils.probes.clock_offset import TimeProbe
from ansible_collections.hospital.patching.plugins.module_utils.probes.load import LoadProbe
from ansible_collections.hospital.patching.plugins.module_utils.probes.postgresql import PostgresqlProbe


class Scripted(Probe):
    """Answers by a function."""

    NAME = "scripted"

    # Long, because on a busy machine a thread may begin late; nothing here waits for it but what hangs.
    def __init__(self, name, look, context, timeout_s=30):
        super().__init__({"name": name, "type": "scripted", "timeout_s": timeout_s}, context)
        self.look = look


class SleeplessClock(Clock):
    """Time passes only by sleeping, and by nothing else."""

    def __init__(self):
        self.elapsed = 0.0

    def now(self):
        return datetime(2026, 11, 22, 7, 0, 0, tzinfo=timezone.utc) + timedelta(seconds=self.elapsed)

    def monotonic(self):
        return self.elapsed

    def sleep(self, seconds):
        self.elapsed += seconds


def healthy():
    return Reading("fine", {"a": 1})


def failing():
    raise Failed("not fine", {"a": 2})


def test_all_probes_run_at_the_same_time(make_context):
    # Sixty probes that each wait for all others end only if they really run side by side.
    together = threading.Barrier(60)

    def meet():
        together.wait(20)
        return Reading("met", None)

    probes = [Scripted(str(number), meet, make_context()) for number in range(60)]
    results = engine.run_probes(probes, Clock())
    assert [result["verdict"] for result in results] == ["ok"] * 60
    assert [result["name"] for result in results] == [str(number) for number in range(60)]


def test_a_hanging_probe_is_inconclusive_and_alone(make_context):
    release = threading.Event()

    def hang():
        release.wait(30)
        return Reading("too late", None)

    probes = [Scripted("hangs", hang, make_context(), timeout_s=1), Scripted("lives", healthy, make_context())]
    try:
        results = engine.run_probes(probes, Clock())
    finally:
        release.set()
    assert [result["verdict"] for result in results] == ["inconclusive", "ok"]
    assert results[0]["detail"] == "no end within 1 s"


def test_a_defect_of_a_probe_is_inconclusive_and_quotes_nothing(make_context):
    def broken():
        raise KeyError("Patient Name")

    (result,) = engine.run_probes([Scripted("broken", broken, make_context())], Clock())
    assert result["verdict"] == "inconclusive"
    assert result["detail"] == "the probe broke off: KeyError"


def test_what_is_not_ok_is_read_again_until_it_is(make_context):
    answers = [failing, failing, healthy]
    good = []

    def later():
        return answers.pop(0)()

    def once():
        good.append(1)
        return healthy()

    probes = [Scripted("later", later, make_context()), Scripted("good", once, make_context())]
    results = engine.run_probes(probes, SleeplessClock(), wait_s=30)
    assert [result["verdict"] for result in results] == ["ok", "ok"]
    assert len(good) == 1


def read_with(make_context, answers, wait_s):
    """Return the result of one probe that answers in turn, read by a clock that only sleeping moves."""
    clock = SleeplessClock()

    def look():
        answer = answers.pop(0)
        return answer()

    (result,) = engine.run_probes([Scripted("one", look, make_context()._replace(clock=clock))], clock, wait_s=wait_s)
    return result


def test_what_is_ok_at_once_was_never_seen_otherwise(make_context):
    result = read_with(make_context, [healthy], 30)
    assert (result["at"], result["not_ok"]) == ("2026-11-22T07:00:00Z", None)


def test_it_is_said_when_a_probe_became_ok_and_when_it_was_not(make_context):
    result = read_with(make_context, [failing, failing, failing, healthy], 30)
    assert result["at"] == "2026-11-22T07:00:06Z"
    assert result["not_ok"] == {"from": "2026-11-22T07:00:00Z", "to": "2026-11-22T07:00:04Z"}


def test_what_never_became_ok_was_not_until_the_last_reading(make_context):
    result = read_with(make_context, [failing] * 9, 7)
    assert result["at"] == "2026-11-22T07:00:06Z"
    assert result["not_ok"] == {"from": "2026-11-22T07:00:00Z", "to": "2026-11-22T07:00:06Z"}


def slow_with(make_context, earlier, *answers_ms):
    """Return the result of a probe that took so long before, and takes these times now, and how long was waited."""
    clock, left = SleeplessClock(), list(answers_ms)

    def look():
        return Reading("fine", {"latency_ms": left.pop(0) if len(left) > 1 else left[0]})

    probe = Scripted("one", look, make_context()._replace(clock=clock))
    probe.earlier = earlier
    (result,) = engine.run_probes([probe], clock, wait_s=30)
    return result, clock.elapsed


def test_one_that_is_far_slower_than_before_is_read_again_until_it_is_not(make_context):
    result, elapsed = slow_with(make_context, {"latency_ms": 10}, 4000, 900, 200)
    assert (result["verdict"], result["value"], elapsed) == ("ok", {"latency_ms": 200}, 4)
    # It served from its first answer on.
    assert (result["at"], result["not_ok"]) == ("2026-11-22T07:00:00Z", None)


def test_one_that_stays_slow_is_waited_for_to_the_end(make_context):
    result, elapsed = slow_with(make_context, {"latency_ms": 10}, 4000)
    assert (result["verdict"], result["value"], elapsed) == ("ok", {"latency_ms": 4000}, 30)


@pytest.mark.parametrize("earlier", [None, {}, {"latency_ms": "10"}, {"latency_ms": 2000}])
def test_one_that_was_as_slow_before_or_not_known_is_not_waited_for(make_context, earlier):
    assert slow_with(make_context, earlier, 4000)[1] == 0


@pytest.mark.parametrize(
    ("kind", "key", "least"),
    [(LoadProbe, "load_percent", 50), (TimeProbe, "offset_ms", 25), (PostgresqlProbe, "lag_ms", 2500)],
)
def test_what_a_start_makes_worse_for_a_while_is_read_again_until_it_is_as_before(make_context, kind, key, least):
    clock, left = SleeplessClock(), [9 * least, 10 + least + 1, 10 + least]
    probe = Scripted("one", lambda: Reading("fine", {key: left.pop(0)}), make_context()._replace(clock=clock))
    probe.SETTLING, probe.earlier = kind.SETTLING, {key: 10}
    (result,) = engine.run_probes([probe], clock, wait_s=30)
    assert (result["verdict"], result["value"], clock.elapsed) == ("ok", {key: 10 + least}, 4)


def test_a_number_that_was_large_before_has_to_grow_by_half_to_be_waited_for(make_context):
    probe = Scripted("one", healthy, make_context())
    probe.SETTLING, probe.earlier = LoadProbe.SETTLING, {"load_percent": 400}
    assert [probe.is_settling({"load_percent": number}) for number in (600, 601)] == [False, True]
    assert not probe.is_settling({"load_percent": None})


def test_waiting_ends(make_context):
    clock = SleeplessClock()
    results = engine.run_probes([Scripted("bad", failing, make_context())], clock, wait_s=10)
    assert results[0]["verdict"] == "failed"
    assert clock.elapsed <= 10


def test_libraries_are_loaded_once_and_before_any_time_limit_begins(make_context, monkeypatch):
    order = []
    monkeypatch.setattr(engine.libraries, "optional", order.append)

    def look():
        order.append("look")
        return healthy()

    probes = [Scripted(name, look, make_context()) for name in ("first", "second")]
    for probe in probes:
        probe.libraries = lambda: ["pynetdicom"]
    assert engine.verdict(engine.run_probes(probes, Clock())) == "ok"
    assert order == ["pynetdicom", "look", "look"]


def soak_with(make_context, *answers, **options):
    """Return the result of a probe that answers in turn and then stays healthy, and how long it was watched."""
    clock, left = SleeplessClock(), list(answers)

    def look():
        return left.pop(0)() if left else healthy()

    probe = Scripted("one", look, make_context()._replace(clock=clock))
    (result,) = engine.run_probes([probe], clock, **options)
    return result, clock.elapsed


def unsure():
    raise Inconclusive("no answer", None)


def test_a_healthy_service_stays_ok_for_its_whole_soak(make_context):
    result, elapsed = soak_with(make_context, soak_s=30)
    assert (result["verdict"], elapsed, result["not_ok"]) == ("ok", 30, None)
    assert result["soak"] == {"readings": 7, "not_ok": 0}


def test_a_flapping_service_is_caught_and_told(make_context):
    result, elapsed = soak_with(make_context, healthy, healthy, failing, healthy, soak_s=600)
    assert result["verdict"] == "failed"
    assert result["detail"] == "flapping: not ok in 1 of 5 readings: not fine"
    assert result["value"] == {"a": 2}
    assert result["not_ok"] == {"from": "2026-11-22T07:00:20Z", "to": "2026-11-22T07:00:20Z"}
    assert elapsed < 100  # the way back does not wait for the rest


def test_a_service_that_dies_again_is_told_so(make_context):
    result, _elapsed = soak_with(make_context, failing, healthy, healthy, *[failing] * 9, wait_s=10, soak_s=30)
    assert result["detail"] == "it did not last: not ok in 3 of 5 readings: not fine"


def test_one_that_could_not_be_told_in_one_reading_does_not_pass(make_context):
    result, elapsed = soak_with(make_context, healthy, unsure, healthy, soak_s=30)
    assert (result["verdict"], elapsed) == ("inconclusive", 30)
    assert result["soak"] == {"readings": 7, "not_ok": 1}


def test_what_is_not_ok_when_the_soak_begins_is_not_watched(make_context):
    result, elapsed = soak_with(make_context, *[failing] * 9, soak_s=30)
    assert (result["verdict"], elapsed, "soak" in result) == ("failed", 0, False)


def test_a_long_soak_has_few_readings(make_context):
    result, elapsed = soak_with(make_context, soak_s=3600)
    assert (result["soak"]["readings"], elapsed) == (61, 3600)


def test_what_only_all_readings_together_show_is_failed(make_context):
    clock = SleeplessClock()
    probe = Scripted("one", healthy, make_context()._replace(clock=clock))

    def settled(values):
        raise Failed("restarted between the {} readings".format(len(values)), values[-1])

    probe.settled = settled
    (result,) = engine.run_probes([probe], clock, soak_s=10)
    assert (result["verdict"], result["detail"]) == ("failed", "restarted between the 3 readings")
    assert result["not_ok"] == {"from": "2026-11-22T07:00:00Z", "to": "2026-11-22T07:00:10Z"}


def test_of_latencies_the_median_stands_for_the_soak(make_context):
    answers = [lambda ms=ms: Reading("fine", {"latency_ms": ms, "status": 200}) for ms in (10, 900, 30, 20)]
    result, _elapsed = soak_with(make_context, *answers, soak_s=15)
    assert result["value"] == {"latency_ms": 20, "status": 200}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["ok", "ok"], "ok"),
        (["ok", "inconclusive"], "inconclusive"),
        (["inconclusive", "failed", "ok"], "failed"),
        ([], "inconclusive"),
    ],
)
def test_the_worst_verdict_counts(verdicts, expected):
    assert engine.verdict([{"verdict": verdict} for verdict in verdicts]) == expected
