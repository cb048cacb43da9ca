# SPDX-License-Identifier: GPL-3.0-or-later
"""The sign of life between two records."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from unittest import mock

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import heartbeat
from ansible_collections.hospital.patching.plugins.plugin_utils.heartbeat import Heartbeat
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, portal_pair

OLD = 1_000_000_000


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sign of life")]


def wait_until(true, limit_s=5.0) -> bool:
    """Return whether ``true()`` came true."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return False


def test_the_first_sign_comes_before_the_step(tmp_path):
    assert heartbeat.last_beat(tmp_path) is None
    with Heartbeat(tmp_path, every_s=60):
        assert (tmp_path / "alive").exists()


def test_signs_go_on_while_the_step_lasts_and_end_with_it(tmp_path):
    alive = tmp_path / "alive"
    with Heartbeat(tmp_path, every_s=0.02):
        os.utime(alive, (OLD, OLD))
        assert wait_until(lambda: alive.stat().st_mtime > OLD)
        assert threads()
    assert not threads()
    os.utime(alive, (OLD, OLD))
    time.sleep(0.1)
    assert alive.stat().st_mtime == OLD


def test_a_step_that_fails_ends_them_too_and_its_error_comes_through(tmp_path):
    with pytest.raises(PatchingError, match="it broke"):
        with Heartbeat(tmp_path, every_s=60):
            raise PatchingError("step", "it broke", "that it works", "look")
    assert not threads()


def test_a_directory_that_is_full_or_read_only_does_not_end_the_step(tmp_path):
    with mock.patch("pathlib.Path.touch", side_effect=OSError(28, "No space left on device")) as touch:
        with Heartbeat(tmp_path, every_s=0.02):
            assert wait_until(lambda: touch.call_count > 2)
    assert not threads()


def test_a_run_that_has_no_folder_gets_none(tmp_path):
    with Heartbeat(tmp_path / "never-begun"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_worker_whose_controller_was_killed_gives_no_more_signs(tmp_path):
    alive = tmp_path / "alive"
    with mock.patch.object(heartbeat.os, "getppid", side_effect=[77, 1, 1, 1, 1, 1]):
        with Heartbeat(tmp_path, every_s=0.02):
            os.utime(alive, (OLD, OLD))
            assert wait_until(lambda: not threads())
    assert alive.stat().st_mtime == OLD


# --- the run's last sign -------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    """Return a run that was opened at 2001-09-09, as far as its ledger goes."""
    Run(str(tmp_path), PLAN_ID).evidence.save_plan(planned(portal_pair()))
    opened = Run.start(str(tmp_path), PLAN_ID)
    opened.ledger.clock = mock.Mock()
    opened.ledger.clock.stamp.return_value = "2001-09-09T01:46:40Z"
    opened.record(None, "gate", "begin", plan_digest=opened.plan()["digest"])
    return opened


def test_the_last_record_is_a_sign_of_life(run):
    assert run.last_sign() == datetime.fromtimestamp(OLD, UTC)


def test_a_beat_after_it_is_a_newer_one_and_one_before_it_is_not(run):
    with run.heartbeat():
        pass
    alive = run.evidence.run_dir(PLAN_ID) / "alive"
    os.utime(alive, (OLD + 90, OLD + 90))
    assert run.last_sign() == datetime.fromtimestamp(OLD + 90, UTC)
    os.utime(alive, (OLD - 90, OLD - 90))
    assert run.last_sign(run.ledger.read()) == datetime.fromtimestamp(OLD, UTC)


def test_that_somebody_wants_it_to_stop_is_no_sign_of_life(run):
    run.ledger.clock.stamp.return_value = "2001-09-09T02:46:40Z"
    run.record(None, "gate", "note", stop="requested", by="root@controller1", file="")
    assert run.last_sign() == datetime.fromtimestamp(OLD, UTC)
    run.record(None, "gate", "note", recovering=[])
    assert run.last_sign() == datetime.fromtimestamp(OLD + 3600, UTC)


def test_check_mode_gives_no_sign(run):
    with run.heartbeat(check=True):
        assert not threads()
    assert not (run.evidence.run_dir(PLAN_ID) / "alive").exists()


def test_a_run_that_was_never_begun_has_none(tmp_path):
    with pytest.raises(PatchingError, match="no sign of life"):
        Run(str(tmp_path), PLAN_ID).last_sign()
