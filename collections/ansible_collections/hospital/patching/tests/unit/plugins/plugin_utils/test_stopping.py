# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a run to stop, and taking that back."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import stopping
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    PLAN_ID,
    planned,
    portal_pair,
)

BY = "nightly@controller1"
LINE = "2026-11-22T08:00:00Z nightly@controller1: the theatre list runs late"


@pytest.fixture
def run(tmp_path):
    Run(str(tmp_path), PLAN_ID).evidence.save_plan(planned(portal_pair()))
    opened = Run.start(str(tmp_path), PLAN_ID)
    opened.record(None, "gate", "begin", plan_digest=opened.plan()["digest"])
    return opened


def ask(run, reason="the theatre list\nruns late", check=False, later_s=0):
    return stopping.request(run, BY, reason, NOW + timedelta(seconds=later_s), check=check)


def notes(run):
    return [record["detail"] for record in run.ledger.read() if record["event"] == "note"]


def test_the_file_says_when_who_and_why_and_the_ledger_too(run):
    assert not run.stop_requested()
    asked = ask(run)
    assert asked == stopping.Asked(True, LINE)
    assert run.stop_requested()
    assert run.stop_path.read_text(encoding="utf-8") == LINE + "\n"
    assert notes(run) == [{"stop": "requested", "by": BY, "file": LINE}]
    assert "hosts in flight are finished, none is started" in stopping.explain(run, "requested", asked)


def test_the_second_request_keeps_the_first(run):
    ask(run)
    again = stopping.request(run, "other@elsewhere", "me too", NOW + timedelta(hours=1))
    assert again == stopping.Asked(False, LINE)
    assert run.stop_path.read_text(encoding="utf-8") == LINE + "\n"
    assert len(notes(run)) == 1
    assert "already" in stopping.explain(run, "requested", again)


def test_a_reason_is_not_required_at_two_in_the_morning(run):
    assert ask(run, reason=" ").line.endswith(": no reason given")


def test_a_file_dropped_by_hand_is_obeyed_kept_and_noted_once(run):
    run.stop_path.touch()
    assert ask(run) == stopping.Asked(False, "")
    assert run.stop_path.read_bytes() == b""
    ask(run)
    assert notes(run) == [{"stop": "requested", "by": BY, "file": ""}]


def test_withdrawn_it_is_gone_and_may_be_asked_again(run):
    ask(run)
    taken_back = stopping.withdraw(run, BY, "theatre is done")
    assert taken_back == stopping.Asked(True, LINE)
    assert not run.stop_requested()
    assert notes(run)[-1] == {"stop": "withdrawn", "by": BY, "reason": "theatre is done", "file": LINE}
    assert "may go on" in stopping.explain(run, "withdrawn", taken_back)
    assert ask(run, later_s=60).changed
    assert [note["stop"] for note in notes(run)] == ["requested", "withdrawn", "requested"]


def test_nothing_to_withdraw_changes_nothing(run):
    nothing = stopping.withdraw(run, BY, "")
    assert nothing == stopping.Asked(False, "")
    assert notes(run) == []
    assert "nobody has asked" in stopping.explain(run, "withdrawn", nothing)


def test_check_mode_says_the_same_and_writes_nothing(run):
    assert ask(run, check=True).changed
    assert not run.stop_requested()
    assert notes(run) == []
    ask(run)
    assert stopping.withdraw(run, BY, "", check=True).changed
    assert run.stop_requested()
    assert len(notes(run)) == 1


@pytest.mark.parametrize("do", [ask, lambda run: stopping.withdraw(run, BY, "")], ids=["request", "withdraw"])
def test_an_unknown_run_is_refused_and_leaves_nothing(tmp_path, do):
    with pytest.raises(PatchingError, match="no such run"):
        do(Run(str(tmp_path), PLAN_ID))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_said(run):
    with mock.patch("tempfile.mkstemp", side_effect=OSError(30, "Read-only file system")):
        with pytest.raises(PatchingError, match="Read-only file system"):
            ask(run)
    assert notes(run) == []


def test_a_damaged_ledger_does_not_keep_the_file_from_being_written(run):
    run.ledger.path.write_bytes(b"{}\n")
    with pytest.raises(PatchingError, match="the stop file itself is there and is obeyed"):
        ask(run)
    assert run.stop_requested()


def test_a_file_that_cannot_be_removed_is_said(run):
    ask(run)
    with mock.patch("pathlib.Path.unlink", side_effect=PermissionError(13, "Permission denied")):
        with pytest.raises(PatchingError, match="Permission denied"):
            stopping.withdraw(run, BY, "")
    assert run.stop_requested()
