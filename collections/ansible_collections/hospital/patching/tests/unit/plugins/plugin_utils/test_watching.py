# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that have gone silent, and those that have not."""

from __future__ import annotations

import os
from datetime import timedelta
from unittest import mock

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import watching
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    PLAN_ID,
    planned,
    portal_pair,
)

OTHER = "20261121T080000Z-00000001"


def record(run, host, step, event, at=0, **detail):
    """Append a record as if it were written ``at`` seconds after NOW."""
    run.ledger.clock = mock.Mock()
    run.ledger.clock.stamp.return_value = stamp(NOW + timedelta(seconds=at))
    run.record(host, step, event, **detail)


def touch(run, at):
    path = run.evidence.run_dir(run.run_id) / "alive"
    path.touch()
    seconds = (NOW + timedelta(seconds=at)).timestamp()
    os.utime(path, (seconds, seconds))


@pytest.fixture
def run(tmp_path):
    """Return a run that holds portal1 when its controller dies at NOW."""
    Run(str(tmp_path), PLAN_ID).evidence.save_plan(planned(portal_pair()))
    opened = Run.start(str(tmp_path), PLAN_ID)
    record(opened, None, "stage", "begin", at=-7200, plan_digest=opened.plan()["digest"])
    record(opened, None, "gate", "begin", at=-60, plan_digest=opened.plan()["digest"])
    record(opened, "portal1", "gate", "done", at=-30)
    record(opened, "portal1", "drain", "done")
    return opened


def look(run, after_s, silent_s=600):
    return watching.silent_runs(str(run.evidence.root), NOW + timedelta(seconds=after_s), silent_s)


def test_a_silent_run_is_found_with_what_to_do(run):
    (found,) = look(run, 600)
    assert found.result() == {
        "run_id": PLAN_ID,
        "last_sign": "2026-11-22T08:00:00Z",
        "out_of_service": ["portal1"],
        "seen": "begun, not closed, and no sign of life since 2026-11-22T08:00:00Z; out of service now: portal1",
        "next_step": f"ansible-playbook -i INVENTORY playbooks/recover.yml -e patching_run_id={PLAN_ID}",
    }


def test_before_the_time_is_over_it_is_not_silent(run):
    assert look(run, 599) == []


def test_a_sign_beside_the_ledger_counts(run):
    touch(run, at=1800)
    assert look(run, 2399) == []
    assert [found.last_sign for found in look(run, 2400)] == [NOW + timedelta(seconds=1800)]


def test_asking_a_dead_run_to_stop_does_not_hide_it(run):
    record(run, None, "gate", "note", at=590, stop="requested")
    assert look(run, 600)


@pytest.mark.parametrize("host", ["portal1", None])
def test_only_the_runs_own_end_closes_it(run, host):
    record(run, host, "record", "done", at=10, outcomes={})
    assert bool(look(run, 6000)) is (host is not None)


def test_a_note_after_the_end_does_not_open_it_again(run):
    record(run, None, "record", "done", at=10, outcomes={})
    record(run, "portal1", "record", "note", at=20)
    assert look(run, 6000) == []


def test_begun_anew_after_its_end_it_is_watched_again(run):
    record(run, None, "record", "done", at=10, outcomes={})
    record(run, None, "gate", "begin", at=20, plan_digest=run.plan()["digest"])
    assert look(run, 6000)


def test_a_run_that_was_only_staged_disrupts_nothing(tmp_path):
    Run(str(tmp_path), PLAN_ID).evidence.save_plan(planned(portal_pair()))
    staged = Run.start(str(tmp_path), PLAN_ID)
    assert look(staged, 6000) == []
    record(staged, None, "stage", "begin", plan_digest=staged.plan()["digest"])
    touch(staged, at=0)
    assert look(staged, 6000) == []


def test_hosts_that_are_back_are_not_named(run):
    record(run, "portal1", "return", "done", at=5)
    (found,) = look(run, 6000)
    assert found.out == ()
    assert "out of service now: no host" in found.seen


def test_a_clock_that_is_ahead_does_not_hide_a_silence(run):
    touch(run, at=86400)
    (found,) = look(run, 700)
    assert "a clock is wrong" in found.seen
    touch(run, at=700 + 300)
    assert look(run, 700) == []


# --- what cannot be read -------------------------------------------------------


def damaged(run):
    content = run.ledger.path.read_bytes()
    run.ledger.path.write_bytes(content.replace(b'"step":"drain"', b'"step":"verify"'))


def no_record(run):
    run.ledger.path.write_bytes(run.ledger.path.read_bytes() + b"nonsense\n")


def changed_in_the_middle(run):
    content = run.ledger.path.read_bytes()
    run.ledger.path.write_bytes(content.replace(b'"host":"portal1"', b'"host":"portal2"', 1))


def a_folder(run):
    run.ledger.path.unlink()
    run.ledger.path.mkdir()


def gone(run):
    touch(run, at=0)
    run.ledger.path.unlink()


def empty(run):
    touch(run, at=0)
    run.ledger.path.write_bytes(b"")


@pytest.mark.parametrize("harm", [damaged, no_record, changed_in_the_middle, a_folder, gone, empty])
def test_a_ledger_that_cannot_be_read_counts_as_silent_at_once(run, harm):
    harm(run)
    (found,) = look(run, 0)
    assert found.last_sign is None
    assert str(run.ledger.path) in str(found)
    assert "look at its hosts" in found.next_step


def test_a_torn_last_line_is_what_a_kill_leaves(run):
    with run.ledger.path.open("ab") as handle:
        handle.write(b'{"detail":')
    (found,) = look(run, 600)
    assert found.out == ("portal1",)


def test_a_folder_that_cannot_be_read_counts_as_silent(run):
    with mock.patch.object(Run, "last_sign", side_effect=PermissionError(13, "Permission denied")):
        (found,) = look(run, 0)
    assert "Permission denied" in str(found)


def test_one_unreadable_run_does_not_hide_another(run):
    folder = run.evidence.run_dir(OTHER)
    folder.mkdir()
    (folder / "ledger.jsonl").write_bytes(b"nonsense\n")
    assert [found.run_id for found in look(run, 600)] == [OTHER, PLAN_ID]


def test_an_evidence_directory_that_is_gone_is_no_night_without_runs(tmp_path):
    assert watching.silent_runs(str(tmp_path), NOW, 600) == []
    with pytest.raises(PatchingError, match="no run is watched"):
        watching.silent_runs(str(tmp_path / "unmounted"), NOW, 600)
    assert not (tmp_path / "unmounted").exists()


# --- paging once ---------------------------------------------------------------


def due(run, after_s):
    found = look(run, after_s)
    return watching.due(str(run.evidence.root), found, NOW + timedelta(seconds=after_s))


def paged(run, after_s):
    return watching.remember(str(run.evidence.root), look(run, after_s), NOW + timedelta(seconds=after_s))


def test_a_silence_is_paged_once_and_every_hour(run):
    assert due(run, 600)
    assert paged(run, 600) == []
    assert not due(run, 660)
    assert not due(run, 600 + 3599)
    assert due(run, 600 + 3600)


def test_a_new_silence_is_paged_anew(run):
    paged(run, 600)
    touch(run, at=700)
    assert not due(run, 800)
    assert due(run, 1300)


def test_an_unreadable_run_is_paged_once_although_it_shows_signs_of_life(run):
    no_record(run)
    paged(run, 0)
    touch(run, at=60)
    assert not due(run, 60)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"last_sign": 1, "paged_at": "yesterday"}'])
def test_what_is_remembered_badly_is_paged_again(run, content):
    (run.evidence.run_dir(PLAN_ID) / "paged.json").write_text(content, encoding="utf-8")
    assert due(run, 600)


def test_a_page_from_the_future_does_not_keep_the_next_one_back(run):
    paged(run, 86400)
    assert due(run, 600)


def test_what_cannot_be_remembered_is_said(run):
    with mock.patch("tempfile.mkstemp", side_effect=OSError(30, "Read-only file system")):
        (problem,) = paged(run, 600)
    assert "every look pages again" in problem
    assert due(run, 601)


def test_one_message_names_every_run_and_what_went_wrong(run):
    text = watching.message(look(run, 600), ["the page command failed"])
    assert text.startswith(f"run {PLAN_ID}: begun, not closed")
    assert text.endswith("Paging: the page command failed.")
    error = watching.with_problems(PatchingError("directory", "gone", "there", "mount it"), ["no page"])
    assert error.seen == "gone; no page"


def test_open_runs_are_those_that_were_not_closed_or_cannot_be_read(run):
    root = str(run.evidence.root)
    assert watching.open_runs(root) == [PLAN_ID]
    record(run, None, "record", "done", outcomes={})
    assert watching.open_runs(root) == []
    run.ledger.path.write_text("no ledger\n", encoding="utf-8")
    assert watching.open_runs(root) == [PLAN_ID]
    with pytest.raises(PatchingError, match="mount it or correct"):
        watching.open_runs(root + "/gone")
