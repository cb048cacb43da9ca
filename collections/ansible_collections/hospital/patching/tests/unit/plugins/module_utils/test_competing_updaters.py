# SPDX-License-Identifier: GPL-3.0-or-later
"""Competing updaters are found, stopped for a while, and never killed in the middle."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import competing_updaters
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

TIMERS = ["apt-daily.timer", "apt-daily-upgrade.timer"]


def test_only_what_exists_is_found(systemd):
    assert competing_updaters.find(systemd) == [
        {"name": name, "kind": "unit", "active": True, "enabled": True, "running": False} for name in TIMERS
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


# --- snapd, PackageKit, cron --------------------------------------------------

BUSCTL = " ".join(competing_updaters.TRANSACTIONS)
#: As snap 2.58 and later print them (cmd_snap_op.go, cmd_changes.go); no container of the lab runs snapd.
SNAP_TIME = "timer: 00:00~24:00/4\nlast: today at 07:47 UTC\nnext: today at 13:12 UTC\n"
SNAP_HELD = SNAP_TIME.replace(
    "next: today at 13:12 UTC", "hold: tomorrow at 07:47 UTC\nnext: today at 13:12 UTC (but held)"
)
SNAP_CHANGES = (
    "ID   Status  Spawn               Ready               Summary\n"
    '12   Done    today at 01:00 UTC  today at 01:02 UTC  Auto-refresh snap "core22"\n'
)


def one(runner, name):
    return next(found for found in competing_updaters.find(runner) if found["name"] == name)


@pytest.fixture
def snapd(systemd):
    systemd.states["snapd.service"] = "active"
    systemd.answers = {
        "snap refresh --time": (0, SNAP_TIME),
        "snap changes": (0, SNAP_CHANGES),
        "snap refresh --hold=24h": (0, ""),
        "snap refresh --unhold": (0, ""),
    }
    return systemd


def test_refreshes_of_snaps_are_held_by_their_own_means(snapd, sleepless_clock):
    assert competing_updaters.active(snapd) == [*TIMERS, "snapd"]
    competing_updaters.suspend(snapd, ["snapd"], sleepless_clock, 60)
    assert ["snap", "refresh", "--hold=24h"] in snapd.others
    assert snapd.states["snapd.service"] == "active"
    assert competing_updaters.resume(snapd, ["snapd"]) == []
    assert snapd.others[-1] == ["snap", "refresh", "--unhold"]


def test_a_hold_of_the_sites_own_stays(snapd):
    snapd.answers["snap refresh --time"] = (0, SNAP_HELD)
    assert one(snapd, "snapd")["active"] is False


def test_a_refresh_that_is_at_work_is_awaited(snapd):
    assert one(snapd, "snapd")["running"] is False
    snapd.answers["snap changes"] = (0, SNAP_CHANGES.replace("Done ", "Doing"))
    assert one(snapd, "snapd")["running"] is True


def test_packagekit_is_stopped_only_once_it_is_idle(systemd, sleepless_clock):
    systemd.states["packagekit.service"] = "active"
    answers = [(0, 'ao 1 "/12_abc"\n'), (0, "ao 0\n")]

    class Answers(dict):
        def __getitem__(self, _command):
            assert systemd.states["packagekit.service"] == "active"
            return answers.pop(0)

    systemd.answers = Answers()
    competing_updaters.suspend(systemd, ["packagekit.service"], sleepless_clock, 60)
    assert answers == []
    assert systemd.states["packagekit.service"] == "inactive"


def test_a_packagekit_that_does_not_answer_counts_as_at_work(systemd):
    systemd.states["packagekit.service"] = "active"
    systemd.answers = {BUSCTL: (1, "")}
    assert one(systemd, "packagekit.service")["running"] is True


@pytest.mark.parametrize(
    ("place", "text", "found"),
    [
        ("etc/cron.d/cron-apt", "0 4 * * * root test -x /usr/sbin/cron-apt && /usr/sbin/cron-apt\n", True),
        ("etc/crontab", "0 4 * * 0 root apt-get update && apt-get -y dist-upgrade\n", True),
        ("var/spool/cron/root", "5 5 * * * /usr/bin/dnf -y update\n", True),
        ("var/spool/cron/crontabs/root", "5 5 * * * zypper --non-interactive patch\n", True),
        ("etc/cron.daily/0yum-daily.cron", "#!/bin/bash\nexec /usr/sbin/yum-cron\n", True),
        ("etc/cron.d/lists", "0 4 * * * root apt-get -q update\n", False),
        ("etc/cron.d/off", "# 0 4 * * * root apt-get -y upgrade\n", False),
        # Debian's own, which leaves the work to systemd's timers.
        (
            "etc/cron.daily/apt-compat",
            "#!/bin/sh\nset -e\nif [ -d /run/systemd/system ]; then\n    exit 0\nfi\n"
            "exec /usr/lib/apt/apt.systemd.daily\n",
            False,
        ),
        ("etc/cron.daily/dpkg", "#!/bin/sh\n/usr/libexec/dpkg/dpkg-db-backup\n", False),
        ("etc/cron.d/x.dpkg-dist", "0 4 * * * root apt-get -y upgrade\n", False),
    ],
)
def test_jobs_of_cron_that_change_packages_are_observed_by_name(systemd, tmp_path, place, text, found):
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert competing_updaters.cron_jobs(str(tmp_path)) == (["/" + place] if found else [])
    assert competing_updaters.active(systemd) == TIMERS
