# SPDX-License-Identifier: GPL-3.0-or-later
"""Competing updaters are found, stopped for a while, and never killed in the middle."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import competing_updaters
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

TIMERS = ["apt-daily.timer", "apt-daily-upgrade.timer"]


def test_only_what_exists_is_found(systemd):
    assert competing_updaters.find(systemd) == [
        {"name": name, "active": True, "enabled": True, "running": False} for name in TIMERS
    ]


def test_without_systemd_nothing_can_fire(systemd, monkeypatch):
    monkeypatch.setattr(competing_updaters, "SYSTEMD_MARKER", "/nonexistent")
    assert competing_updaters.find(systemd) == []
    assert systemd.calls == []


def test_an_update_that_runs_is_awaited(systemd, sleepless_clock):
    systemd.states["apt-daily-upgrade.service"] = "activating"
    shown = []

    def end_later():
        shown.append(1)
        if len(shown) == 3:
            systemd.states["apt-daily-upgrade.service"] = "inactive"

    systemd.on_show = end_later
    competing_updaters.suspend(systemd, TIMERS, sleepless_clock, 60)
    assert systemd.changes() == [["stop", "--"] + TIMERS]
    assert len(shown) == 3


def test_an_update_that_does_not_end_is_refused_and_not_killed(systemd, sleepless_clock):
    systemd.states["apt-daily-upgrade.service"] = "activating"
    with pytest.raises(PatchingError, match=r"apt-daily-upgrade\.timer: another updater is changing packages"):
        competing_updaters.suspend(systemd, TIMERS, sleepless_clock, 60)
    assert systemd.states["apt-daily-upgrade.service"] == "activating"


def test_nothing_to_stop_stops_nothing(systemd, sleepless_clock):
    competing_updaters.suspend(systemd, [], sleepless_clock, 60)
    assert systemd.changes() == []


def test_each_is_started_again_on_its_own(systemd):
    systemd.broken = {"apt-daily.timer"}
    assert competing_updaters.resume(systemd, TIMERS) == ["apt-daily.timer"]
    assert systemd.states["apt-daily-upgrade.timer"] == "active"
