# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import lost
from ansible_collections.hospital.patching.plugins.plugin_utils.lost import Report
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW

REPORT = Report("ws1", "stolen", "Ada Nurse", "2026-11-22T07:00:00Z", "ward 3", "unknown", "the door was open")
FOUND = Report("ws1", "found", "Ben Guard", "2026-11-22T07:30:00Z", reason="installed anew")
KNOWN = ("ws1", "ws2")


def record(root, report=REPORT, later_s=0, **more):
    return lost.record(root, report, "nightly@controller1", NOW + timedelta(seconds=later_s), **more)


def records(root):
    return json.loads((root / "lost/ws1.json").read_text(encoding="utf-8"))["records"]


def test_a_report_is_recorded_and_marks_the_host(tmp_path):
    assert lost.mark(tmp_path, "ws1") is None
    assert record(tmp_path)
    (kept,) = records(tmp_path)
    assert kept == {
        "state": "stolen",
        "reported_by": "Ada Nurse",
        "time": "2026-11-22T07:00:00Z",
        "last_seen": "ward 3",
        "patient_data": "unknown",
        "reason": "the door was open",
        "recorded_by": "nightly@controller1",
        "recorded": "2026-11-22T08:00:00Z",
        "previous": None,
    }
    found = lost.mark(tmp_path, "ws1")
    assert (found.state, found.reason) == (
        "stolen",
        "reported stolen by Ada Nurse at 2026-11-22T07:00:00Z, last seen ward 3",
    )
    assert lost.mark(tmp_path, "ws2") is None


def test_found_takes_the_mark_back_and_nothing_is_forgotten(tmp_path):
    record(tmp_path)
    assert record(tmp_path, FOUND)
    assert lost.mark(tmp_path, "ws1") is None
    assert record(tmp_path, replace(REPORT, state="lost"))
    assert lost.mark(tmp_path, "ws1").state == "lost"
    assert [kept["state"] for kept in records(tmp_path)] == ["stolen", "found", "lost"]


def test_the_same_report_again_changes_nothing(tmp_path):
    record(tmp_path)
    before = (tmp_path / "lost/ws1.json").read_bytes()
    assert not record(tmp_path, later_s=60)
    assert (tmp_path / "lost/ws1.json").read_bytes() == before
    record(tmp_path, FOUND)
    assert not record(tmp_path, replace(FOUND, reason="says it once more"))


def test_more_that_becomes_known_is_added(tmp_path):
    record(tmp_path)
    assert record(tmp_path, replace(REPORT, patient_data="yes"))
    assert lost.mark(tmp_path, "ws1").record["patient_data"] == "yes"


def test_finding_what_nobody_missed_changes_nothing(tmp_path):
    assert not record(tmp_path, FOUND)
    assert not (tmp_path / "lost/ws1.json").exists()


def test_check_mode_says_the_same_and_writes_nothing(tmp_path):
    assert record(tmp_path, check_only=True)
    assert list(tmp_path.iterdir()) == []
    record(tmp_path)
    assert not record(tmp_path, check_only=True)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"host": "ws9"}, "does not know 'ws9'"),
        ({"host": ""}, "does not know ''"),
        ({"reported_by": " \n"}, "nobody reports it"),
        ({"time": "yesterday"}, "'yesterday'"),
        ({"time": "2026-11-22 07:00"}, "2026-11-22 07:00"),
        ({"time": "2026-02-30T07:00:00Z"}, "2026-02-30"),
        ({"time": ""}, "the time ''"),
        ({"time": "2026-11-22T08:05:01Z"}, "lies ahead"),
        ({"state": "found", "reason": " "}, "no reason to take the mark back"),
    ],
)
def test_a_report_that_cannot_stand_is_refused(change, seen):
    with pytest.raises(PatchingError, match=seen):
        lost.check(replace(REPORT, **change), KNOWN, NOW)


def test_texts_become_one_line_of_bounded_length():
    report = lost.check(replace(REPORT, reported_by=" Ada\nNurse\x1b[2J ", reason="x" * 5000), KNOWN, NOW)
    assert report.reported_by == "Ada Nurse [2J"
    assert len(report.reason) == lost.LONGEST


def damage(root, change):
    path = root / "lost/ws1.json"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda _text: "",
        lambda _text: "[]",
        lambda _text: '{"host": "ws1", "records": []}',
        lambda _text: '{"host": "ws1", "records": [{"state": "found", "x": 1.5}]}',
        lambda text: text.replace('"host": "ws1"', '"host": "ws2"'),
        lambda text: text.replace("Ada Nurse", "Eve Thief"),
        lambda text: text.replace('"stolen"', '"fine"'),
    ],
    ids=["empty", "list", "no records", "float", "other host", "changed record", "unknown state"],
)
def test_a_damaged_file_counts_as_a_mark_and_is_not_written_over(tmp_path, change):
    record(tmp_path)
    record(tmp_path, FOUND)
    damage(tmp_path, change)
    assert lost.mark(tmp_path, "ws1").state == "unreadable"
    before = (tmp_path / "lost/ws1.json").read_bytes()
    with pytest.raises(PatchingError):
        record(tmp_path)
    assert (tmp_path / "lost/ws1.json").read_bytes() == before


def test_a_link_that_leads_nowhere_counts_as_a_mark(tmp_path):
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost/ws1.json").symlink_to(tmp_path / "gone")
    assert lost.mark(tmp_path, "ws1").state == "unreadable"


def test_reports_at_the_same_time_are_all_kept(tmp_path):
    reports = [replace(REPORT, reported_by=f"person {number}") for number in range(8)]
    threads = [threading.Thread(target=record, args=(tmp_path, report)) for report in reports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {kept["reported_by"] for kept in records(tmp_path)} == {report.reported_by for report in reports}
    assert lost.mark(tmp_path, "ws1").state == "stolen"


def test_a_directory_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "lost").touch()
    with pytest.raises(PatchingError, match="patching_evidence_dir"):
        record(tmp_path)


def test_a_host_name_that_would_leave_the_folder_is_refused(tmp_path):
    with pytest.raises(PatchingError, match="cannot name a file"):
        record(tmp_path / "evidence", replace(REPORT, host="../ws1"))
    assert list(tmp_path.iterdir()) == []


def test_a_host_is_not_found_before_it_was_lost(tmp_path):
    lost.record(tmp_path, lost.Report("ws1", "stolen", "Ada", "2026-11-22T08:00:00Z"), "ada", NOW)
    early = lost.Report("ws1", "found", "Ben", "2026-11-22T07:00:00Z", reason="in the cupboard")
    with pytest.raises(PatchingError, match="before it was reported stolen at 2026-11-22T08:00:00Z"):
        lost.record(tmp_path, early, "ben", NOW)
    assert lost.mark(tmp_path, "ws1") is not None
