# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds a hook: whether it may be done, and what the ledger says of it."""

from __future__ import annotations

from unittest import mock

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import run_hook
from ansible_collections.hospital.patching.plugins.plugin_utils import hook_files
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, server

HOST = "db1"
OPEN = {"patching_device_segments": [], "patching_policy": "managed", "ansible_host": "127.0.0.1"}


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "quiesce.sh"
    path.write_text("#!/bin/sh\n")
    return path


@pytest.fixture
def run(tmp_path, script):
    given = [
        {"step": "drain", "when": "before", "script": str(script), "timeout_s": 7, "name": "quiesce"},
        {"step": "verify", "when": "after", "run": ["prove"], "on": "lb1"},
        {"step": "verify", "when": "before", "run": ["wake"], "undoes": "quiesce"},
    ]
    fleet = {HOST: server(HOST, "db", min_healthy=0, downtime_s=60, hooks=given), "lb1": server("lb1", "lb")}
    store = Run(str(tmp_path / "evidence"), PLAN_ID)
    store.evidence.save_plan(planned(hook_files.sealed(fleet)))
    return Run.start(str(tmp_path / "evidence"), PLAN_ID)


def hook(run, number=0):
    return run.host(HOST)["hooks"][number]


def call(run, state, number=0, check=False, given=None, hostvars=None, **more):
    plugin = run_hook.ActionModule.__new__(run_hook.ActionModule)
    arguments = {"run_id": PLAN_ID, "evidence_dir": str(run.evidence.root), "state": state, "result": {}}
    arguments.update({"hook": given or hook(run, number), "way_back": False, "began_ms": 0, "undo": False, **more})
    plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
    plugin._task = mock.Mock(check_mode=check)
    variables = {"inventory_hostname": HOST, "hostvars": hostvars or {HOST: OPEN, "lb1": OPEN}}
    with mock.patch.object(ActionBase, "run", return_value={}):
        return plugin.run(task_vars=variables)


def recorded(run):
    return [(one["event"], one["detail"]) for one in run.ledger.read() if one["step"] == "hook"]


def test_a_hook_is_begun_once_and_done(run, script):
    begun = call(run, "begun")
    assert (begun["run"], begun["on"], begun["module"]) == (True, HOST, "ansible.builtin.script")
    assert "failed" not in call(run, "done", began_ms=begun["began_ms"])
    assert call(run, "begun")["run"] is False
    assert [event for event, _detail in recorded(run)] == ["begin", "done"]
    assert recorded(run)[1][1]["took_ms"] >= 0
    assert (recorded(run)[0][1]["at"], recorded(run)[0][1]["when"]) == ("drain", "before")


def test_check_mode_records_and_does_nothing(run):
    assert call(run, "begun", check=True)["run"] is False
    assert recorded(run) == []


def test_a_file_that_changed_since_the_approval_is_refused_and_recorded(run, script):
    script.write_text("#!/bin/sh\nreboot\n")
    begun = call(run, "begun")
    assert begun["failed"] is True
    assert begun["run"] is False
    assert "plan again and have that approved" in begun["msg"]
    assert recorded(run)[0][0] == "failed"


def test_a_hook_that_the_plan_does_not_have_is_refused(run):
    begun = call(run, "begun", given={**hook(run), "timeout_s": 8})
    assert "does not have for it" in begun["msg"]


def test_a_host_that_may_not_be_contacted_does_no_hook(run):
    devices = {**OPEN, "patching_device_segments": ["127.0.0.0/8"]}
    begun = call(run, "begun", number=1, hostvars={HOST: OPEN, "lb1": devices})
    assert begun["failed"] is True
    assert "host lb1 (127.0.0.1)" in begun["msg"]


def test_a_failure_is_told_with_its_last_line_and_fails_the_step(run):
    ended = call(run, "failed", result={"rc": 3, "stdout": "patients\nlag 40 MB"})
    assert ended["failed"] is True
    assert "exit 3: lag 40 MB" in ended["msg"]
    assert "patients" not in str(recorded(run))


@pytest.mark.parametrize(("seconds", "seen"), [(1, "exit 137"), (8, "no end after 7 s")])
def test_a_killed_hook_has_timed_out_only_when_its_time_was_up(run, seconds, seen):
    began_ms = int(run_hook.ActionModule.clock.monotonic() * 1000) - seconds * 1000
    assert seen in call(run, "failed", began_ms=began_ms, result={"rc": 137})["msg"]


def test_on_the_way_back_a_failure_of_verify_is_told_and_does_not_stop_it(run):
    ended = call(run, "failed", number=1, way_back=True, result={"rc": 3})
    assert "failed" not in ended
    assert "The way back goes on" in ended["warnings"][0]
    assert recorded(run)[0][0] == "failed"


@pytest.mark.parametrize(("number", "is_lost"), [(0, True), (1, False)])
def test_a_host_is_unreachable_only_when_it_is_the_one_that_does_not_answer(run, number, is_lost):
    ended = call(run, "failed", number=number, result={"lost_connection": True, "msg": "no answer"})
    assert ended["lost_connection"] is is_lost


def test_a_counterpart_is_done_where_its_hook_was_begun_and_only_once(run):
    undo = {"number": 2, "way_back": True, "undo": True}
    assert call(run, "begun", **undo)["run"] is False
    call(run, "begun")
    assert call(run, "begun", check=True, **undo)["run"] is False
    assert call(run, "begun", **undo)["run"] is True
    call(run, "done", **undo)
    assert call(run, "begun", **undo)["run"] is False
    assert [(event, detail["at"]) for event, detail in recorded(run)] == [
        ("begin", "drain"),
        ("begin", "verify"),
        ("done", "verify"),
    ]


def test_a_counterpart_that_fails_is_a_failure_for_no_probe_decides_afterwards(run):
    call(run, "begun")
    ended = call(run, "failed", number=2, way_back=True, undo=True, result={"rc": 3})
    assert ended["failed"] is True
    assert "hook 'wake' before verify of host db1: exit 3" in ended["msg"]
