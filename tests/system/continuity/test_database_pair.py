# SPDX-License-Identifier: GPL-3.0-or-later
"""Two databases of which one writes change places while wards place orders, and no committed order is lost."""

from __future__ import annotations

import pytest

from tests.support import database_pair, lab
from tests.support.clinical import Account, Ward
from tests.support.database_pair import DATABASES, state, streams_to
from tests.support.told import tell

pytestmark = pytest.mark.slow
NOTHING = Account(frozenset(), frozenset(), frozenset())


def leave(host: str) -> str:
    """What the site's own command of a switchover says; its exit status is the last word."""
    return lab.exec(host, "ehr-database leave 2>&1; echo $?")


def see_that_nothing_was_lost(ward: Ward) -> None:
    tell(ward)
    assert ward.failed == []
    assert ward.misread == []
    assert database_pair.accounts(ward.acknowledged) == dict.fromkeys(DATABASES, NOTHING)


def test_the_databases_change_places_and_back_without_a_lost_order(ward):
    with ward:
        ward.goes_on()
        said = leave("db1")
        assert said.endswith("db2 writes, db1 follows\n0\n"), said
        ward.goes_on()
        assert lab.exec("db1", "ehr-database follows") == "db1 follows\n"
        said = leave("db2")
        assert said.endswith("db1 writes, db2 follows\n0\n"), said
        assert lab.exec("db2", "ehr-database follows") == "db2 follows\n"
    see_that_nothing_was_lost(ward)


def test_one_that_follows_has_nothing_to_hand_over(ward):
    with ward:
        ward.goes_on()
        assert leave("db2") == "db2 does not write, nothing to do\n0\n"
    assert (state("db1"), state("db2")) == ("writes", "follows")
    see_that_nothing_was_lost(ward)


def test_nobody_is_moved_to_a_database_that_is_away(ward):
    with ward:
        ward.goes_on()
        lab.exec("db2", "systemctl stop postgresql@15-main")
        said = leave("db1")
        assert said == "db2 is not answering, expected one that follows; nobody was moved\n1\n"
        assert state("db1") == "writes"
        lab.exec("db2", "systemctl start postgresql@15-main")
    see_that_nothing_was_lost(ward)


def test_nobody_is_moved_to_a_database_that_no_longer_streams(ward):
    with ward:
        # what it has is applied no further, as by a report that runs for hours
        database_pair.query("db2", "SELECT pg_wal_replay_pause()")
        ward.goes_on()
        said = leave("db1")
        assert "db2 still lacks something though nobody writes; nobody was moved\n1\n" in said
        assert state("db1") == "writes"
        database_pair.query("db2", "SELECT pg_wal_replay_resume()")
    see_that_nothing_was_lost(ward)


def test_nobody_is_moved_past_a_pool_that_cannot_be_told_to_wait(pair):
    """Its users would be cut off in the middle of what they write."""
    lab.exec("portal2", "systemctl stop pgbouncer")
    try:
        said = leave("db1")
    finally:
        lab.exec("portal2", "systemctl start pgbouncer")
    assert said.startswith("portal2 port 6432 did not answer to SHOW VERSION")
    assert (state("db1"), state("db2")) == ("writes", "follows")


def test_both_are_patched_the_follower_first_and_no_committed_order_is_lost(pair_night, ward):
    night = pair_night
    plan = night.ready()
    assert [wave["hosts"] for wave in plan["waves"]] == [["db2"], ["db1"]]
    with ward:
        ward.goes_on()
        patched = night.play("patch")
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(DATABASES, "patched")
    begun = [record["host"] for record in night.records() if record["step"] == "install"]
    assert begun.index("db1") > max(place for place, host in enumerate(begun) if host == "db2")
    assert (state("db1"), state("db2")) == ("follows", "writes")
    assert streams_to("db2") == "db1"
    see_that_nothing_was_lost(ward)
    for host in DATABASES:
        pending = lab.exec(host, "apt-get -s dist-upgrade | grep -c ^Inst || true")
        assert pending == "0\n", f"{host} still has {pending} updates pending"
