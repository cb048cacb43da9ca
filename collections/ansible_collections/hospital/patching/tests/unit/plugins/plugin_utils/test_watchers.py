# SPDX-License-Identifier: GPL-3.0-or-later
"""Who counts as a watcher on a second machine, and what is said instead."""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.watchers import (
    AHEAD_S,
    LIMIT_S,
    Machine,
    path_of,
    proof,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    HERE,
    NOW,
    OTHER_BOOT,
    PLAN_ID,
    leave_mark,
    watch,
)


def ask(root, run_id=None, here=HERE):
    return proof(root, NOW, here, run_id)


def test_a_second_machine_that_has_just_looked_counts(tmp_path):
    leave_mark(tmp_path)
    assert ask(tmp_path) == watch()


def test_without_any_mark_nobody_watches(tmp_path):
    assert ask(tmp_path) == "nobody has left a mark in watchers of the evidence directory"
    assert "nobody has left a mark" in ask(tmp_path / "missing")


@pytest.mark.parametrize(("ago_s", "counts"), [(LIMIT_S, True), (LIMIT_S + 1, False), (-AHEAD_S, True)])
def test_a_mark_counts_for_ten_minutes_and_a_clock_may_be_a_minute_ahead(tmp_path, ago_s, counts):
    leave_mark(tmp_path, time=NOW - timedelta(seconds=ago_s))
    assert (ask(tmp_path) == watch(time=NOW - timedelta(seconds=ago_s))) is counts


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"time": NOW - timedelta(minutes=34)}, "watch2 looked last at 2026-11-22T07:26:00Z, more than 600 s ago"),
        ({"time": NOW + timedelta(seconds=AHEAD_S + 1)}, "watch2 looked in the future (2026-11-22T08:01:01Z)"),
        ({"boot": HERE.boot}, "watch2 watches on this very machine"),
        ({"machine": HERE.name}, "control1 has this machine's own name"),
        ({"silent_s": LIMIT_S + 1}, "lets a run be silent for 601 s"),
        ({"every_s": 121}, "lets a run be silent for 600 s and looks every 121 s: together 660 is the most"),
        ({"every_s": None}, "watch2 has looked once, and does not say how often it does (watch_every_s)"),
    ],
)
def test_what_was_seen_is_said_of_a_mark_that_does_not_count(tmp_path, change, seen):
    leave_mark(tmp_path, **change)
    assert seen in ask(tmp_path)


def test_it_must_have_seen_the_run(tmp_path):
    leave_mark(tmp_path, open_runs=("20261101T080000Z-00000001",))
    assert ask(tmp_path) == watch(open_runs=("20261101T080000Z-00000001",)), "before there is a run it need not"
    assert "did not see this run: not since it began, or it watches a copy" in ask(tmp_path, PLAN_ID)
    leave_mark(tmp_path, open_runs=(PLAN_ID,))
    assert ask(tmp_path, PLAN_ID) == watch(open_runs=(PLAN_ID,))


def test_one_that_counts_is_enough_and_the_last_that_looked_is_named(tmp_path):
    leave_mark(tmp_path, boot=HERE.boot, machine=HERE.name)
    leave_mark(tmp_path, time=NOW - timedelta(seconds=300))
    third = OTHER_BOOT.replace("1", "3")
    leave_mark(tmp_path, boot=third, machine="watch3", time=NOW - timedelta(seconds=30))
    (tmp_path / "watchers/broken.json").write_text("{")
    assert ask(tmp_path).machine == "watch3"


def test_of_many_marks_that_do_not_count_the_newest_are_named(tmp_path):
    for number in range(5):
        boot = OTHER_BOOT[:-1] + str(number)
        leave_mark(tmp_path, boot=boot, machine=f"watch{number}", time=NOW - timedelta(days=number + 1))
    told = ask(tmp_path)
    assert [f"watch{number}" in told for number in range(5)] == [True, True, True, False, False]
    assert told.endswith("; and 2 more")


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"boot": "another"},
        {"machine": ""},
        {"machine": "watch2\nand go"},
        {"time": "2026-11-22T08:00:00"},
        {"time": "2026-13-45T08:00:00Z"},
        {"time": None},
        {"pages_by": []},
        {"pages_by": ["hope"]},
        {"silent_s": "600"},
        {"every_s": 0},
        {"open_runs": "all"},
        {"trusted": True},
    ],
)
def test_a_mark_that_was_tampered_with_is_none(tmp_path, change):
    write_json(path_of(tmp_path, OTHER_BOOT), watch().document() | change)
    assert f"{OTHER_BOOT}.json cannot be read as a mark" in ask(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "[" * 100_000, '{"schema": 1, "schema": 1}', "\udcff"])
def test_what_is_no_mark_at_all_is_said(tmp_path, text):
    path = path_of(tmp_path, OTHER_BOOT)
    path.parent.mkdir()
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert "cannot be read as a mark" in ask(tmp_path)


def test_a_mark_that_lacks_something_or_bears_anothers_name_is_none(tmp_path):
    for missing in watch().document():
        document = watch().document()
        del document[missing]
        write_json(path_of(tmp_path, OTHER_BOOT), document)
        assert "cannot be read as a mark" in ask(tmp_path), missing
    path_of(tmp_path, OTHER_BOOT).unlink()
    path_of(tmp_path, "spare").write_text(json.dumps(watch().document()))
    assert ask(tmp_path) == f"spare.json cannot be read as a mark: it is that of {OTHER_BOOT}"


def test_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "watchers").mkdir()
    os.mkfifo(path_of(tmp_path, OTHER_BOOT))
    assert "cannot be read as a mark" in ask(tmp_path)


def test_a_folder_that_cannot_be_looked_through_is_said(tmp_path):
    (tmp_path / "watchers").write_text("in the way", encoding="utf-8")
    assert ask(tmp_path).startswith("the marks of watchers cannot be read: ")


def test_what_is_being_written_is_no_mark_yet(tmp_path):
    path = leave_mark(tmp_path)
    path.rename(path.with_name(f".{path.name}.x7k2"))
    assert "nobody has left a mark" in ask(tmp_path)


def test_a_machine_that_cannot_tell_itself_from_others_counts_nobody(tmp_path):
    leave_mark(tmp_path)
    assert "boot id cannot be read" in ask(tmp_path, here=Machine(None, "control1"))
