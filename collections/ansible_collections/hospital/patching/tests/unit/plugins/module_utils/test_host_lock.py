# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding a host: exactly what was stopped is started again, whatever happens in between."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transient_scope
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host_lock import HostLock, caller
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal

RUN = "20261122T010000Z-aaaaaaaa"
OTHER = "20261122T010000Z-bbbbbbbb"
TIMERS = ["apt-daily.timer", "apt-daily-upgrade.timer"]


@pytest.fixture
def lock(tmp_path, systemd, sleepless_clock):
    return HostLock(Journal(str(tmp_path / "state")), systemd, sleepless_clock, 60)


def test_holding_stops_and_releasing_starts_exactly_those(lock, systemd):
    systemd.states["apt-daily.timer"] = "inactive"
    held = lock.hold(RUN, {"controller": "ctl1"})
    assert held == (True, ["apt-daily-upgrade.timer"], [])
    assert lock.journal.holder()["detail"] == {"controller": "ctl1", "suspended": ["apt-daily-upgrade.timer"]}
    assert lock.release(RUN, {}) == (True, ["apt-daily-upgrade.timer"], [])
    assert systemd.states["apt-daily.timer"] == "inactive"
    assert systemd.states["apt-daily-upgrade.timer"] == "active"
    assert lock.journal.holder() is None


def test_a_second_call_changes_nothing(lock, systemd):
    lock.hold(RUN, {})
    changes = systemd.changes()
    assert lock.hold(RUN, {}) == (False, TIMERS, [])
    assert systemd.changes() == changes
    lock.release(RUN, {})
    assert lock.release(RUN, {}) == (False, [], [])


def test_updaters_that_a_reboot_brought_back_are_stopped_again(lock, systemd):
    systemd.states["apt-daily.timer"] = "inactive"
    lock.hold(RUN, {})
    systemd.states.update(dict.fromkeys(TIMERS, "active"))
    assert lock.hold(RUN, {}).changed is True
    assert sorted(lock.suspended(RUN)) == sorted(TIMERS)
    assert systemd.states["apt-daily.timer"] == "inactive"


def test_check_mode_writes_and_stops_nothing(lock, systemd, tmp_path):
    assert lock.hold(RUN, {}, write=False) == (True, TIMERS, [])
    assert not (tmp_path / "state").exists()
    assert systemd.changes() == []
    lock.hold(RUN, {})
    before = systemd.changes()
    assert lock.hold(RUN, {}, write=False).changed is False
    assert lock.release(RUN, {}, write=False).changed is True
    assert systemd.changes() == before
    assert lock.journal.holder() is not None


def test_another_runs_host_is_refused_before_anything_is_stopped(lock, systemd):
    lock.journal.hold(OTHER, {})
    for write in (True, False):
        with pytest.raises(PatchingError, match=OTHER):
            lock.hold(RUN, {}, write)
        with pytest.raises(PatchingError, match=OTHER):
            lock.release(RUN, {}, write)
    assert systemd.changes() == []


def test_what_is_stopped_is_journalled_first(lock, systemd):
    # Killed between the record and the stop: the next release still knows what to start.
    systemd.broken = set(TIMERS)
    with pytest.raises(PatchingError):
        lock.hold(RUN, {})
    held = [record for record in lock.journal.read() if record["event"] == "held"]
    assert held[0]["detail"]["suspended"] == TIMERS


def test_a_host_that_is_being_updated_is_not_kept(lock, systemd):
    systemd.states["apt-daily-upgrade.service"] = "activating"
    with pytest.raises(PatchingError, match="another updater"):
        lock.hold(RUN, {})
    assert lock.journal.holder() is None
    assert systemd.states["apt-daily.timer"] == "active"


def test_one_that_does_not_start_again_is_told(lock, systemd):
    lock.hold(RUN, {})
    systemd.broken = {"apt-daily.timer"}
    assert lock.release(RUN, {}).not_resumed == ["apt-daily.timer"]
    assert lock.journal.read()[-1]["detail"] == {
        "resumed": ["apt-daily-upgrade.timer"],
        "not_resumed": ["apt-daily.timer"],
    }


def test_the_next_run_starts_with_an_empty_list(lock, systemd):
    lock.hold(RUN, {})
    lock.release(RUN, {})
    systemd.states["apt-daily.timer"] = "inactive"
    lock.hold(RUN, {})
    assert lock.suspended(RUN) == ["apt-daily-upgrade.timer"]


def test_a_fraction_cannot_be_journalled(lock):
    with pytest.raises(PatchingError, match="float"):
        lock.hold(RUN, {"load": 0.5})
    assert lock.journal.read() == []


def test_where_the_call_came_from(monkeypatch):
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.5 40000 10.0.0.21 22")
    assert caller() == "10.0.0.5"
    monkeypatch.delenv("SSH_CONNECTION")
    assert caller() == "unknown"


def test_work_that_outlived_its_controller_is_awaited(lock, monkeypatch):
    """Until it has ended nobody can tell what the host is, so the host is not handed over."""
    seen = [[4242], [4242], []]
    monkeypatch.setattr(transient_scope, "workers", lambda _proc: seen.pop(0))
    assert lock.hold(RUN, {}).changed
    assert seen == []


def test_work_that_does_not_end_refuses_the_hold(lock, monkeypatch):
    monkeypatch.setattr(transient_scope, "workers", lambda _proc: [4242])
    with pytest.raises(PatchingError, match=r"process 4242\) is still at work after 3600 s"):
        lock.hold(RUN, {})
    assert lock.journal.holder() is None


def test_by_policy_a_host_that_others_may_update_is_not_held(lock, systemd):
    with pytest.raises(PatchingError, match=r"apt-daily\.timer, apt-daily-upgrade\.timer: it may update this host"):
        lock.hold(RUN, {}, updaters="refuse")
    assert lock.journal.holder() is None
    assert systemd.changes() == []


def test_on_a_host_that_is_held_by_that_policy_one_that_shows_up_is_suspended(lock, systemd):
    systemd.states.update(dict.fromkeys(TIMERS, "inactive"))
    lock.hold(RUN, {}, updaters="refuse")
    systemd.states["apt-daily.timer"] = "active"
    assert lock.hold(RUN, {}, updaters="refuse").suspended == ["apt-daily.timer"]
    lock.release(RUN, {})
    assert systemd.states["apt-daily.timer"] == "active"


def test_by_policy_they_are_only_told(lock, systemd):
    assert lock.hold(RUN, {}, updaters="observe") == (True, [], [])
    assert lock.observed == TIMERS
    assert lock.journal.holder()["detail"] == {"suspended": [], "observed": TIMERS}
    assert systemd.changes() == []


def test_a_job_of_cron_is_told_and_a_reason_to_refuse(lock, tmp_path):
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    (tmp_path / "etc/cron.d/nightly").write_text("0 4 * * * root apt-get -y upgrade\n")
    lock.hold(RUN, {})
    assert lock.observed == ["/etc/cron.d/nightly"]
    lock.release(RUN, {})
    with pytest.raises(PatchingError, match=r"/etc/cron\.d/nightly"):
        lock.hold(OTHER, {}, updaters="refuse")
