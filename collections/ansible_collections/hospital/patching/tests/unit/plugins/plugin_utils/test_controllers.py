# SPDX-License-Identifier: GPL-3.0-or-later
"""One controller drives a run at a time."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def test_containers_of_one_machine_share_its_boot_and_not_what_tells_controllers_apart(tmp_path):
    assert controllers.boot_id(tmp_path) is None
    path = tmp_path / "sys/kernel/random/boot_id"
    path.parent.mkdir(parents=True)
    path.write_text("27cc5915\n", encoding="utf-8")
    assert controllers.machine(tmp_path) is None, "its process namespace cannot be read"
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[7]")
    assert (controllers.boot_id(tmp_path), controllers.machine(tmp_path)) == ("27cc5915", "27cc5915 pid:[7]")
    path.write_text("\n", encoding="utf-8")
    assert (controllers.boot_id(tmp_path), controllers.machine(tmp_path)) == (None, None)


def record(step, event, host=None, **detail):
    return {"host": host, "step": step, "event": event, "detail": detail}


def here(pid):
    started = controllers._started(pid)
    return {"controller": "me", "machine": controllers.machine(), "pid": pid, "process_started": started}


def test_the_last_opening_that_was_not_closed_says_who_drives():
    begin, closed = record("gate", "begin", pid=1), record("record", "done")
    assert controllers.driver([]) is None
    assert controllers.driver([record("stage", "begin")]) is None
    assert controllers.driver([begin, record("lock", "done", "a")]) == {"pid": 1}
    assert controllers.driver([begin, closed]) is None
    assert controllers.driver([begin, closed, record("gate", "begin", pid=2)]) == {"pid": 2}
    assert controllers.driver([begin, record("record", "done", "a")]) == {"pid": 1}, "that closed a host, not the run"


def test_on_this_machine_the_process_itself_is_looked_at():
    assert "runs on this machine" in controllers.alive(here(os.getpid()), NOW - timedelta(days=1), NOW)
    process = subprocess.Popen(["sleep", "60"])
    detail = here(process.pid)
    assert controllers.alive(detail, NOW, NOW)
    process.kill()
    process.wait()
    assert controllers.alive(detail, NOW, NOW) is None, "a sign of life of a moment ago does not make it alive"


def test_a_number_that_another_process_got_meanwhile_is_not_the_controller():
    detail = {**here(os.getpid()), "process_started": "1"}
    assert controllers.alive(detail, NOW, NOW) is None


def test_of_another_machine_the_signs_of_life_count():
    there = {**here(os.getpid()), "controller": "elsewhere", "machine": "another boot pid:[1]"}
    assert "elsewhere gave a sign of life 59 s ago" in controllers.alive(there, NOW - timedelta(seconds=59), NOW)
    assert controllers.alive(there, NOW - timedelta(seconds=60), NOW) is None


class Waiting(Clock):
    """A clock at NOW; something may happen while it sleeps."""

    def __init__(self, meanwhile=lambda: None):
        self.meanwhile = meanwhile

    def now(self):
        return NOW

    def sleep(self, seconds):
        self.meanwhile()


def test_a_run_that_somebody_drives_is_refused(tmp_path):
    run = Run(str(tmp_path), PLAN_ID)
    controllers.require_alone(run, [], Waiting())
    run.record(None, "gate", "begin", started_by="ann", **here(os.getpid()))
    with pytest.raises(PatchingError, match=r"it was started by ann from .* its process \d+ runs on this machine"):
        controllers.require_alone(run, run.ledger.read(), Waiting())
    run.record(None, "record", "done", outcomes={})
    controllers.require_alone(run, run.ledger.read(), Waiting())


def test_another_machine_whose_clock_lags_is_seen_to_be_alive(tmp_path, monkeypatch):
    """Its last sign looks old; while it is watched another one comes."""
    run = Run(str(tmp_path), PLAN_ID)
    run.record(None, "gate", "begin", **{**here(1), "controller": "elsewhere", "machine": "another"})
    signs = [NOW - timedelta(minutes=5)]
    monkeypatch.setattr(Run, "last_sign", lambda self, records=None: signs[-1])
    detail = controllers.driver(run.ledger.read())
    assert controllers.showing_life(run, detail, Waiting()) is None
    beats = Waiting(lambda: signs.append(signs[-1] + timedelta(seconds=5)))
    assert controllers.showing_life(run, detail, beats) == "elsewhere gives signs of life now"


def test_patching_does_not_go_on_where_a_rollback_was_killed(tmp_path):
    run = Run(str(tmp_path), PLAN_ID)
    begun = [record("gate", "begin", rollback={"hosts": ["a"]}), record("gate", "begin", recovering=["a"])]
    with pytest.raises(PatchingError, match=r"a rollback of it was killed .* Next: .*recover\.yml"):
        controllers.require_no_rollback(run, begun)
    controllers.require_no_rollback(run, [*begun, record("record", "done")])
    controllers.require_no_rollback(run, [record("gate", "begin")])


def test_evidence_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(PatchingError, match=r"opening\.lock: .*; expected a directory that can be written"):
        with controllers.opening(Run(str(tmp_path / "gone"), PLAN_ID)):
            pass


def test_one_after_the_other_opens(tmp_path):
    run = Run(str(tmp_path), PLAN_ID)
    run.evidence.run_dir(PLAN_ID).mkdir(parents=True)
    with controllers.opening(run):
        script = (
            "import fcntl, sys; handle = open(sys.argv[1], 'a'); fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)"
        )
        path = run.evidence.run_dir(PLAN_ID) / "opening.lock"
        second = subprocess.run(["python3", "-c", script, str(path)], capture_output=True, check=False)
        assert b"BlockingIOError" in second.stderr
