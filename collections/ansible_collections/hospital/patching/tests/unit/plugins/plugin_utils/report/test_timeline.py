# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a journey, from records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.report import timeline


def record(time: str, step: str, event: str = "done", host: str | None = "a", **detail: Any) -> dict[str, Any]:
    return {"time": f"2026-11-22T{time}Z", "host": host, "step": step, "event": event, "detail": detail}


def parts(*records: dict[str, Any]) -> list[timeline.Part]:
    return timeline.parts_by_host(records).get("a", [])


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-22T{text}+00:00").astimezone(UTC)


def test_start_is_derived_from_the_time_taken_when_begin_is_missing():
    (part,) = parts(record("01:00:30", "install", took_ms=20_000))
    assert (part.start, part.end, part.length_ms) == (at("01:00:10"), at("01:00:30"), 20_000)


def test_a_begin_record_gives_the_start():
    (part,) = parts(record("01:00:00", "install", "begin"), record("01:00:30", "install"))
    assert (part.start, part.length_ms, part.status) == (at("01:00:00"), 30_000, "done")


def test_a_step_that_only_began_is_running():
    (part,) = parts(record("01:00:00", "install", "begin"))
    assert part.to_json()["status"] == "running"
    assert part.to_json()["took_ms"] is None


def test_records_of_one_step_are_one_part():
    (part,) = parts(
        record("01:00:02", "verify", took_ms=2000, results=[{"name": "x"}], verdict="ok"),
        record("01:00:05", "verify", took_ms=3000, results=[{"name": "y"}], verdict=None),
    )
    assert part.length_ms == 5000
    assert [one["name"] for one in part.detail["results"]] == ["x", "y"]
    assert part.detail["verdict"] == "ok"


def test_a_snapshot_that_was_announced_is_one_part():
    (part,) = parts(
        record("01:00:00", "snapshot", "begin", module="hospital.patching.host_journal"),
        record("01:00:02", "snapshot", took_ms=2000, record={"event": "snapshot_pending"}),
        record("01:00:05", "snapshot", took_ms=3000, record=None, snapshot={"id": "sha256:1"}),
    )
    assert (part.start, part.length_ms, part.status) == (at("01:00:00"), 5000, "done")
    assert part.detail["snapshot"] == {"id": "sha256:1"}


def test_a_step_that_is_begun_again_is_a_new_part():
    found = parts(
        record("01:00:00", "install", "begin"),
        record("01:00:30", "install", "failed"),
        record("02:00:00", "install", "begin"),
        record("02:00:30", "install"),
    )
    assert [part.status for part in found] == ["failed", "done"]


def test_a_failed_verdict_is_a_failed_part_even_when_the_probing_itself_went_well():
    assert parts(record("01:00:00", "verify", verdict="failed"))[0].status == "failed"
    assert parts(record("01:00:00", "verify", verdict="inconclusive"))[0].status == "inconclusive"


def test_the_rollback_modules_are_their_own_part():
    found = parts(
        record("01:00:00", "install", took_ms=1000),
        record("01:00:09", "install", took_ms=9000, module="hospital.patching.update_rollback"),
    )
    assert [part.step for part in found] == ["install", "rollback"]


def test_a_rollback_whose_begin_names_no_module_is_one_part():
    found = parts(
        record("01:00:00", "install", "begin"),
        record("01:00:09", "install", module="hospital.patching.update_rollback"),
    )
    assert [part.step for part in found] == ["rollback"]


def test_run_level_records_notes_and_outcomes_are_no_parts():
    assert not timeline.parts_by_host(
        [
            record("01:00:00", "gate", "begin", host=None),
            record("01:00:00", "gate", "note"),
            record("01:00:00", "record", "outcome"),
        ]
    )


def test_staging_is_timed_but_not_drawn():
    found = parts(record("01:00:00", "stage", took_ms=5000), record("02:00:00", "gate", took_ms=10))
    assert [part.step for part in timeline.night(found)] == ["gate"]
    assert {row["step"]: row["took_ms"] for row in timeline.seconds_by_step(found)} == {"stage": 5000, "gate": 10}


def test_a_repeated_step_is_summed():
    found = parts(
        record("01:00:05", "verify", "failed", took_ms=5000),
        record("01:00:06", "rollback", took_ms=1000),
        record("01:00:09", "verify", took_ms=3000),
    )
    assert timeline.seconds_by_step(found)[0] == {"step": "verify", "took_ms": 8000, "status": "done"}


def test_absence_lasts_from_drain_to_return():
    found = parts(record("01:00:05", "drain", took_ms=5000), record("01:02:00", "return", took_ms=1000))
    (out,) = timeline.absences(found)
    assert out == timeline.Absence(at("01:00:00"), at("01:02:00"))
    assert timeline.milliseconds(out, None) == 120_000


def test_absence_without_return_lasts_until_the_end_of_the_run():
    (out,) = timeline.absences(parts(record("01:00:05", "drain", took_ms=5000)))
    assert out.end is None
    assert timeline.milliseconds(out, at("01:10:00")) == 600_000


def test_a_host_with_nothing_to_drain_is_never_absent():
    assert timeline.absences(parts(record("01:00:05", "drain", type="none"))) == []


def test_each_drain_lasts_to_its_own_return():
    found = parts(
        record("01:00:00", "drain"),
        record("01:02:00", "return"),
        record("04:00:00", "drain"),
        record("04:00:10", "install"),
        record("04:00:20", "drain"),
        record("04:01:00", "return", "failed"),
        record("04:01:10", "lock"),
        record("04:02:00", "return"),
        record("05:00:00", "drain"),
    )
    assert timeline.absences(found) == [
        timeline.Absence(at("01:00:00"), at("01:02:00")),
        timeline.Absence(at("04:00:00"), at("04:02:00")),
        timeline.Absence(at("05:00:00"), None),
    ]


def test_a_drain_that_failed_is_not_sure():
    found = parts(record("01:00:00", "drain", "failed"), record("01:02:00", "return"))
    assert timeline.absences(found) == [timeline.Absence(at("01:00:00"), at("01:02:00"), sure=False)]


def test_absences_that_touch_do_not_overlap():
    first = timeline.Absence(at("01:00:00"), at("01:05:00"))
    second = timeline.Absence(at("01:05:00"), at("01:06:00"))
    third = timeline.Absence(at("01:04:00"), None)
    assert timeline.most_at_once([first, second]) == 1
    assert timeline.most_at_once([first, second, third]) == 2
