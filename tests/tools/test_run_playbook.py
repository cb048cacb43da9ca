# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point for the night: what Ctrl-C does, to a real Ansible too; no host is needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, portal_pair
from tests.support.playbook import ROOT
from tools import run_playbook
from tools.run_playbook import Night

# --- what is said and done -----------------------------------------------------


@pytest.fixture
def run(tmp_path):
    evidence_dir = str(tmp_path / "evidence")
    Run(evidence_dir, PLAN_ID).evidence.save_plan(planned(portal_pair()))
    return Run.start(evidence_dir, PLAN_ID)


@pytest.fixture
def press(monkeypatch):
    """Return a function that presses Ctrl-C so many seconds after the test began."""
    clock = [0.0]
    monkeypatch.setattr(run_playbook.time, "monotonic", lambda: clock[0])

    def at(night, seconds):
        clock[0] = seconds
        night.press(signal.SIGINT, None)

    return at


def opened(run):
    facts = {"patching_run": {"run_id": PLAN_ID, "evidence_dir": str(run.evidence.root), "hosts": []}}
    return {"event": "runner_on_ok", "stdout": "", "event_data": {"res": {"ansible_facts": facts}}}


def test_the_first_press_writes_the_stop_file_and_says_so_once(run, press, capsys):
    night = Night()
    night.see(opened(run))
    night.heed()
    assert not run.stop_requested()
    press(night, 1)
    night.heed()
    night.heed()
    assert run.stop_requested()
    said = capsys.readouterr().out
    assert said.count("hosts in flight are finished, none is started") == 1


def test_the_second_explains_and_only_the_third_ends(run, press, capsys):
    night = Night()
    night.see(opened(run))
    for seconds, ends in ((1, False), (3, False), (5, True)):
        press(night, seconds)
        night.heed()
        assert night.ended() is ends
    said = capsys.readouterr().out
    assert said.count(f"recover.yml -e patching_run_id={PLAN_ID}") == 2


def test_keys_hit_in_fright_count_once(run, press):
    night = Night()
    night.see(opened(run))
    for seconds in (1, 1.2, 1.4, 1.9):
        press(night, seconds)
    assert night.presses == 1


def test_a_press_before_the_run_is_open_is_heeded_when_it_opens(run, press, capsys):
    night = Night()
    press(night, 1)
    night.heed()
    assert "No run is open" in capsys.readouterr().out
    night.see(opened(run))
    night.heed()
    assert run.stop_requested()


def test_in_check_mode_no_run_is_asked_to_stop(run, press, capsys):
    night = Night(check=True)
    night.see(opened(run))
    press(night, 1)
    night.heed()
    assert not run.stop_requested()
    assert "nothing to stop" in capsys.readouterr().out


def test_a_stop_file_that_cannot_be_written_is_said(run, press, capsys, tmp_path):
    night = Night()
    event = opened(run)
    event["event_data"]["res"]["ansible_facts"]["patching_run"]["evidence_dir"] = str(tmp_path / "gone")
    night.see(event)
    press(night, 1)
    night.heed()
    assert "could not be asked to stop" in capsys.readouterr().out


@pytest.mark.parametrize(
    "event", [{}, {"stdout": "x"}, {"event_data": {"res": None}}, {"event_data": {"res": {"ansible_facts": {"a": 1}}}}]
)
def test_other_events_open_nothing(event):
    night = Night()
    assert night.see(event) is False
    assert night.runs == {}


@pytest.mark.parametrize(
    ("options", "check"), [(["-i", "x"], False), (["--check"], True), (["-DC"], True), (["-e", "a=-C"], False)]
)
def test_check_mode_is_recognized(options, check):
    playbook = str(ROOT / "playbooks/patch.yml")
    assert run_playbook.parse([playbook, *options]) == (playbook, options, check)


@pytest.mark.parametrize("arguments", [["no.yml"], [str(ROOT / "playbooks/patch.yml"), "-K"], []])
def test_what_cannot_work_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        run_playbook.parse(arguments)
    assert capsys.readouterr().err


# --- with a real Ansible -------------------------------------------------------


@pytest.fixture
def night(tmp_path, run):
    """Return the process of a night that opens its run, works for a while, and ends with a failure of its own."""
    digest = run.plan()["digest"]
    work = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(float(sys.argv[2]))"
    tasks = [
        {"hospital.patching.run_open": {"plan": digest, "evidence_dir": str(run.evidence.root), "step": "gate"}},
        {"ansible.builtin.command": {"argv": [sys.executable, "-c", work, str(tmp_path / "begun"), "{{ work_s }}"]}},
        {"ansible.builtin.file": {"path": str(tmp_path / "went_on"), "state": "touch"}},
        {"ansible.builtin.fail": {"msg": "a host was not patched"}},
    ]
    playbook, inventory = tmp_path / "night.yml", tmp_path / "hosts.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"lb1": {}, "portal1": {}, "portal2": {}}}}))
    started: list[subprocess.Popen[str]] = []

    def start(work_s):
        command = [sys.executable, str(ROOT / "tools/run_playbook.py"), str(playbook), "-i", str(inventory)]
        process = subprocess.Popen(
            [*command, "-e", f"work_s={work_s}"], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        wait_for(tmp_path / "begun")
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_for(path, limit_s=60):
    end = time.monotonic() + limit_s
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.1)


def test_ctrl_c_does_not_reach_ansible_and_the_exit_code_is_the_playbooks(night, run, tmp_path):
    process = night(work_s=3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the group in its foreground
    wait_for(run.stop_path, limit_s=10)
    assert not (tmp_path / "went_on").exists()
    said, _nothing = process.communicate(timeout=60)
    assert process.returncode == 2, said
    assert (tmp_path / "went_on").exists()
    assert "hosts in flight are finished, none is started" in said
    assert "a host was not patched" in said
    assert [r["detail"]["stop"] for r in run.ledger.read() if r["event"] == "note"] == ["requested"]


def test_a_terminal_that_is_gone_does_not_end_the_night(night, tmp_path):
    process = night(work_s=1)
    process.stdout.close()
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait(timeout=60) == 2
    assert (tmp_path / "went_on").exists()


def test_the_third_time_it_really_ends(night, tmp_path):
    process = night(work_s=20)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        os.killpg(process.pid, number)
        time.sleep(run_playbook.ONE_PRESS_S + 0.3)
    said, _nothing = process.communicate(timeout=30)
    assert process.returncode == 254
    assert not (tmp_path / "went_on").exists()
    assert f"recover.yml -e patching_run_id={PLAN_ID}" in said
