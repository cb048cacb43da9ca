# SPDX-License-Identifier: GPL-3.0-or-later
"""A night on every service that has two hosts, with real security updates, which nobody at work notices."""

from __future__ import annotations

import pytest

from tests.support import database_pair, lab
from tests.support.clinical import Account

pytestmark = pytest.mark.slow
HOSTS = ("portal1", "portal2", "lb1", "lb2", "db1", "db2")
NOTHING = Account(frozenset(), frozenset(), frozenset())


def test_the_night_nobody_noticed(redundant_night, ward):
    night = redundant_night
    plan = night.ready()
    assert {host for wave in plan["waves"] for host in wave["hosts"]} == set(HOSTS)
    with ward:
        ward.goes_on()
        patched = night.play("patch")
        ward.goes_on()
    print(ward)
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(HOSTS, "patched")
    assert ward.failed == []
    assert ward.misread == []
    assert database_pair.accounts(ward.acknowledged) == dict.fromkeys(database_pair.DATABASES, NOTHING)
    for host in HOSTS:
        pending = lab.exec(host, "apt-get update -qq && (apt-get -s dist-upgrade | grep -c ^Inst || true)")
        assert pending == "0\n", f"{host} still has {pending} updates pending"
