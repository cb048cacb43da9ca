# SPDX-License-Identifier: GPL-3.0-or-later
"""A night on every service that has two hosts, with real security updates, which nobody at work notices."""

from __future__ import annotations

import json
import urllib.request
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support import archive, database_pair, lab, singletons
from tests.support.clinical import Account, Ward
from tests.support.told import tell
from tests.system.continuity.conftest import DEVICES

HOSTS = ("portal1", "portal2", "lb1", "lb2", "db1", "db2", "engine1", "engine2", "pacs1", "pacs2")
ALONE = tuple(one.host for one in singletons.SINGLETONS)
NOTHING = Account(frozenset(), frozenset(), frozenset())


def silences() -> list[dict[str, Any]]:
    """Every silence that the hospital's monitor knows, those that have ended as well."""
    with urllib.request.urlopen(f"http://{lab.address('monitor1')}:9093/api/v2/silences", timeout=10) as answer:
        return list(json.loads(answer.read()))


def silenced(one: dict[str, Any]) -> str:
    """The host of whose alerts a silence is."""
    values = [matcher["value"] for matcher in one["matchers"] if matcher["name"] == "instance"]
    found = [host for host in HOSTS if any(host in value for value in values)]
    assert len(found) == 1, one
    return found[0]


def see_that_nobody_noticed(ward: Ward) -> None:
    """Require of the traffic that nothing failed, and of both databases that nothing is lost."""
    tell(ward)
    assert ward.failed == []
    assert ward.misread == []
    assert database_pair.accounts(ward.acknowledged) == dict.fromkeys(database_pair.DATABASES, NOTHING)


def test_portals_and_databases_are_patched_and_nobody_notices(small_night, ward):
    night = small_night
    plan = night.ready()
    waves = [host for wave in plan["waves"] for host in wave["hosts"]]
    assert sorted(waves) == ["db1", "db2", "portal1", "portal2"]
    assert waves.index("db2") < waves.index("db1"), "the one that writes hands over to one that is patched"
    with ward:
        ward.goes_on()
        patched = night.play("patch")
        ward.goes_on()
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(sorted(waves), "patched")
    assert (database_pair.state("db1"), database_pair.state("db2")) == ("follows", "writes")
    see_that_nobody_noticed(ward)


@pytest.mark.slow
def test_the_night_nobody_noticed(redundant_night, ward, senders, modalities, readers):
    night = redundant_night
    everybody = (ward, senders, modalities, readers)
    plan = night.ready()
    assert {host for wave in plan["waves"] for host in wave["hosts"]} == {*HOSTS, *ALONE}
    assert {host: plan["not_planned"][host]["outcome"] for host in DEVICES} == dict.fromkeys(DEVICES, "excluded")
    with ExitStack() as held:
        for one in everybody:
            held.enter_context(one)
        watches = {one.host: held.enter_context(singletons.watch(one)) for one in singletons.SINGLETONS}
        for one in everybody:
            one.goes_on()
        patched = night.play("patch")
        for one in everybody:
            one.goes_on()
    for one in (senders, modalities, readers):
        tell(one)
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys((*HOSTS, *ALONE), "patched")
    see_that_nobody_noticed(ward)
    assert senders.unacknowledged == []
    assert modalities.failed == []
    assert readers.failed == []
    assert readers.misread == []
    assert archive.accounts(modalities.acknowledged) == dict.fromkeys(archive.NODES, NOTHING)
    assert database_pair.message_accounts(senders.acknowledged) == dict.fromkeys(database_pair.DATABASES, NOTHING)
    made = silences()
    assert sorted(silenced(one) for one in made) == sorted(HOSTS), "one silence of each host and no other"
    assert {one["status"]["state"] for one in made} == {"expired"}, "a host that is proven is heard again"
    for host in HOSTS:
        pending = lab.exec(host, "apt-get update -qq && (apt-get -s dist-upgrade | grep -c ^Inst || true)")
        assert pending == "0\n", f"{host} still has {pending} updates pending"
    assert {host: lab.pump_connections(host) for host in DEVICES} == {host: [] for host in DEVICES}
    singletons.see_that_downtime_was_a_restart(watches)
