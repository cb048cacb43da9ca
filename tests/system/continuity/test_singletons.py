# SPDX-License-Identifier: GPL-3.0-or-later
"""A service of one host is away in its night for as long as its processes restart, and no longer."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from tests.support import lab, singletons
from tests.support.night import Night
from tests.support.playbook import HOSPITAL_INVENTORY

pytestmark = pytest.mark.slow


def test_a_night_on_those_that_are_alone(grown, tmp_path):
    hosts = [one.host for one in singletons.SINGLETONS]
    lab.reset(hosts)
    night = Night(tmp_path / "evidence", hosts="lab_monitors:dnf_servers:zypper_servers")
    night.inventory = HOSPITAL_INVENTORY
    night.ready()
    with ExitStack() as held:
        watches = {one.host: held.enter_context(singletons.watch(one)) for one in singletons.SINGLETONS}
        patched = night.play("patch")
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(hosts, "patched")
    singletons.see_that_downtime_was_a_restart(watches)
    singletons.see_that_the_report_agrees(json.loads((night.run / "report.json").read_text(encoding="utf-8")), watches)
