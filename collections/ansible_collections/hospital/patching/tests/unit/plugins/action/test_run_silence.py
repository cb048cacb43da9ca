# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that silences a host's alerts and lifts that: what the ledger keeps, and who is told when it ends early."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import run_silence
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import records
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW, PLAN_ID, planned, server
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.silence_doubles import (
    AlertmanagerDouble,
    ends,
)

HOST = "db1"


@pytest.fixture
def monitor():
    with AlertmanagerDouble() as running:
        yield running


@pytest.fixture
def run(tmp_path, monitor):
    return begun(tmp_path, {"alertmanager": monitor.url})


def begun(tmp_path, silence):
    fleet = {HOST: server(HOST, "db", downtime_s=60, estimate_s=600, way_back_s=310, silence=silence)}
    store = Run(str(tmp_path / "evidence"), PLAN_ID)
    # Devices may be anywhere but on loopback, where the monitor of these tests is.
    store.evidence.save_plan(planned(fleet))
    return Run.start(str(tmp_path / "evidence"), PLAN_ID)


def call(run, state, check=False, login=None, now=NOW, **more):
    plugin = run_silence.ActionModule.__new__(run_silence.ActionModule)
    arguments = {"run_id": PLAN_ID, "evidence_dir": str(run.evidence.root), "state": state, "way_back": False, **more}
    plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
    plugin._task = SimpleNamespace(check_mode=check)
    plugin.clock = mock.Mock()
    plugin.clock.now.return_value = now
    hostvars = {HOST: {"patching_silence_login": login} if login else {}}
    with mock.patch.object(ActionBase, "run", return_value={}):
        return plugin.run(task_vars={"inventory_hostname": HOST, "hostvars": hostvars})


def recorded(run):
    return [(one["event"], one["detail"]) for one in run.ledger.read() if one["step"] == "silence"]


def test_a_silence_lasts_for_the_estimate_and_the_way_back_and_its_id_is_in_the_ledger(run, monitor):
    made = call(run, "silenced", now=NOW + timedelta(seconds=1))
    assert ends(monitor.silences[made["id"]]) == NOW + timedelta(seconds=960), "the next whole minute after 911 s"
    assert made["until"] == "2026-11-22T08:16:00Z"
    assert [event for event, _detail in recorded(run)] == ["begin", "done"]
    assert recorded(run)[1][1]["id"] == made["id"]
    assert call(run, "lifted")["changed"] is True
    assert monitor.standing() == []
    assert records.standing(run.ledger.read(), HOST) is None
    assert len(monitor.asked) == 3 + 3, "list, make, read back; list, read, end"
    assert call(run, "lifted")["changed"] is False
    assert len(monitor.asked) == 6, "what was lifted is not asked for again"


def test_a_silence_lasts_for_a_rehearsed_revert_as_well(run, monitor):
    run.record(None, "gate", "begin", rehearse=[HOST])
    made = call(run, "silenced")
    assert ends(monitor.silences[made["id"]]) == NOW + timedelta(seconds=1260), "the next whole minute after 1220 s"


def test_a_monitor_that_cannot_be_asked_refuses_the_host(run, monitor):
    monitor.broken = (503, "busy")
    refused = call(run, "silenced")
    assert refused["failed"] is True
    assert "status 503: busy" in refused["msg"]
    assert recorded(run)[-1][0] == "failed"


def test_by_policy_or_on_the_way_back_it_goes_on_with_a_note(run, monitor, tmp_path):
    monitor.broken = (401, "")
    went_on = call(run, "silenced", way_back=True)
    assert "not silenced" in went_on["warnings"][0]
    assert recorded(run)[-1][0] == "note"
    other = begun(tmp_path / "other", {"alertmanager": monitor.url, "when_unavailable": "go_on"})
    assert "failed" not in call(other, "silenced")
    assert "status 401" in recorded(other)[-1][1]["unsilenced"]


def test_a_silence_that_cannot_be_lifted_keeps_nobody_from_the_return_and_is_told(run, monitor):
    call(run, "silenced")
    monitor.broken = (503, "busy")
    told = call(run, "lifted")
    assert "failed" not in told
    assert "may last until 2026-11-22T08:16:00Z" in told["warnings"][0]
    assert recorded(run)[-1][0] == "note", "the host has not failed"
    monitor.broken = None
    assert call(run, "lifted")["changed"] is True


def test_what_a_controller_had_made_when_it_was_killed_is_lifted_without_its_id(run, monitor):
    call(run, "silenced")
    lines = run.ledger.path.read_text(encoding="utf-8").splitlines(keepends=True)
    run.ledger.path.write_text("".join(lines[:-1]), encoding="utf-8")
    assert recorded(run)[-1][0] == "begin"
    assert call(run, "lifted")["changed"] is True
    assert monitor.standing() == []


def test_check_mode_and_a_host_without_a_monitor_ask_nobody(run, monitor, tmp_path):
    assert call(run, "silenced", check=True)["changed"] is False
    assert call(begun(tmp_path / "other", "none"), "silenced")["changed"] is False
    assert monitor.asked == []
    assert recorded(run) == []


def test_a_login_is_in_no_record_and_no_message(run, monitor):
    call(run, "silenced", login={"token": "s3cret-token"})
    assert monitor.asked[0][3] == "Bearer s3cret-token"
    monitor.broken = (401, "s3cret-token is no token")
    told = call(run, "lifted", login={"token": "s3cret-token"})
    broken = call(run, "silenced", login={"tokn": "s3cret-token"})
    assert "(set, not shown)" in broken["msg"]
    everything = run.ledger.path.read_text(encoding="utf-8") + str(told) + str(broken)
    assert "s3cret-token" not in everything


# --- when it ends while the host is out -------------------------------------------


def told(run, now):
    return [one.result() for one in records.ended(str(run.evidence.root), now)]


def test_people_are_told_once_when_a_silence_ends_while_its_host_is_out(run):
    until = call(run, "silenced")["until"]
    run.record(HOST, "drain", "done")
    after = NOW + timedelta(seconds=961)
    assert told(run, NOW + timedelta(seconds=959)) == []
    assert told(run, after) == [{"run_id": PLAN_ID, "host": HOST, "until": until}]
    (one,) = records.ended(str(run.evidence.root), after)
    assert "its alerts are silenced no longer" in str(one)
    assert records.remember([one], after) == []
    assert told(run, after) == []


def test_of_a_closed_run_they_are_told_too(run):
    call(run, "silenced")
    run.record(HOST, "record", "outcome", outcome="stuck", reason="its disk is full")
    run.record(None, "record", "done", outcomes={HOST: "stuck"})
    assert len(told(run, NOW + timedelta(days=1))) == 1


@pytest.mark.parametrize("how", ["lifted", "returned"])
def test_of_a_host_that_is_back_nobody_is_told(run, how):
    call(run, "silenced")
    run.record(HOST, "drain", "done")
    if how == "lifted":
        call(run, "lifted")
    else:
        run.record(HOST, "return", "done", module="hospital.patching.host_journal")
    assert told(run, NOW + timedelta(days=1)) == []
