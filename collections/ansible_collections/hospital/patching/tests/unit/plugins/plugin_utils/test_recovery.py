# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed run has left behind, and what becomes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import recovery
from ansible_collections.hospital.patching.plugins.plugin_utils.resumption import Taken
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW, planned, server


def record(host, step, event, **detail):
    return {"host": host, "step": step, "event": event, "time": "2026-11-22T08:00:00Z", "detail": detail}


BEGIN = record(None, "gate", "begin")
HELD = [record("a", "gate", "done", decision="go"), record("a", "lock", "done")]
PATCHED = [*HELD, record("a", "return", "done"), record("a", "record", "outcome", outcome="patched", reason="")]


def test_hosts_without_an_outcome_that_were_let_go_are_left_out():
    assert recovery.left_out([BEGIN, *HELD]) == ["a"]
    assert recovery.left_out([BEGIN, HELD[0]]) == ["a"], "it may be held, although the ledger was not told"
    assert recovery.left_out([BEGIN, *PATCHED]) == []
    assert recovery.left_out([BEGIN, *PATCHED, record("b", "gate", "refused")]) == []


@pytest.mark.parametrize("outcome", ["stuck", "unverified", "unreachable", "rolled_back"])
def test_what_a_person_has_to_look_at_is_not_recovered(outcome):
    assert recovery.left_out([BEGIN, *HELD, record("a", "record", "outcome", outcome=outcome, reason="")]) == []


CLEAN, CHANGED = Taken([]), Taken([], installed=True)
FAILED = Taken([], installed=True, failed="verify says no.")


@pytest.mark.parametrize(
    ("at_to", "at_from", "taken", "restarted", "may_restart", "back", "restart", "outcome"),
    [
        (False, True, None, False, True, False, False, "not_started"),
        (False, True, CLEAN, False, True, False, False, "not_started"),
        (True, False, CHANGED, True, False, False, False, "patched"),
        (True, False, CHANGED, False, True, False, True, "patched"),
        (True, False, CHANGED, False, False, False, False, "unverified"),
        (False, False, CLEAN, False, True, True, True, "rolled_back"),
        (False, False, CLEAN, False, False, True, False, "rolled_back"),
        # The patch had failed: it is not called patched because it is still installed, nor forgotten when it is gone.
        (True, False, FAILED, True, True, True, True, "rolled_back"),
        (False, True, FAILED, False, True, False, True, "rolled_back"),
        (False, True, FAILED, True, True, False, False, "rolled_back"),
    ],
)
def test_the_way_in_which_a_host_is_secured(at_to, at_from, taken, restarted, may_restart, back, restart, outcome):
    way = recovery.way(at_to, at_from, taken, restarted, may_restart)
    assert (way.back, way.restart, way.outcome) == (back, restart, outcome)
    assert way.expect == ("to" if outcome in ("patched", "unverified") else "from")
    assert taken is not FAILED or "verify says no." in way.reason


def test_a_serving_process_is_restarted_in_its_window_only():
    serving = planned({"a1": server("a1", "s", downtime_s=60, window="Sun 07:00, 3 h, UTC")}).plan["hosts"]["a1"]
    assert recovery.may_restart(serving, NOW)
    assert not recovery.may_restart(serving, NOW + timedelta(hours=2)), "the way back no longer fits"
    assert not recovery.may_restart(serving, NOW + timedelta(days=1))
    entry = {**serving, "drain": {"type": "haproxy"}}
    assert recovery.may_restart(entry, NOW + timedelta(days=1)), "nobody is on a drained host"


def test_whether_the_run_began_to_install_anything():
    assert recovery.installed([record("a", "install", "failed")], "a")
    assert not recovery.installed([record("a", "restart", "done")], "a")


@pytest.mark.parametrize(
    ("at_to", "at_from", "proven", "installed", "outcome"),
    [
        (True, False, True, True, "patched"),
        (False, True, True, True, "rolled_back"),
        (False, True, True, False, "not_started"),
        (False, False, True, True, "unverified"),
        (True, False, False, True, "unverified"),
    ],
)
def test_what_a_returned_host_is(at_to, at_from, proven, installed, outcome):
    assert recovery.returned(at_to, at_from, proven, installed) == outcome
