# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed run has left behind, and what becomes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import recovery
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


@pytest.mark.parametrize(
    ("at_to", "at_from", "restarted", "may_restart", "back", "restart", "outcome"),
    [
        (False, True, False, True, False, False, "not_started"),
        (True, False, True, False, False, False, "patched"),
        (True, False, False, True, False, True, "patched"),
        (True, False, False, False, False, False, "unverified"),
        (False, False, False, True, True, True, "rolled_back"),
        (False, False, False, False, True, False, "rolled_back"),
    ],
)
def test_the_way_in_which_a_host_is_secured(at_to, at_from, restarted, may_restart, back, restart, outcome):
    way = recovery.way(at_to, at_from, restarted, may_restart)
    assert (way.back, way.restart, way.outcome) == (back, restart, outcome)
    assert way.expect == ("to" if at_to else "from")


def test_a_serving_process_is_restarted_in_its_window_only():
    serving = planned({"a1": server("a1", "s", downtime_s=60, window="Sun 07:00, 3 h, UTC")}).plan["hosts"]["a1"]
    assert recovery.may_restart(serving, NOW)
    assert not recovery.may_restart(serving, NOW + timedelta(hours=2)), "the way back no longer fits"
    assert not recovery.may_restart(serving, NOW + timedelta(days=1))
    entry = {**serving, "drain": {"type": "haproxy"}}
    assert recovery.may_restart(entry, NOW + timedelta(days=1)), "nobody is on a drained host"


def test_a_restart_counts_when_it_came_after_the_last_installation():
    install, restart = record("a", "install", "done"), record("a", "restart", "done")
    assert recovery.restarted([install, restart], "a")
    assert not recovery.restarted([restart, install], "a")
    assert not recovery.restarted([install, restart], "b")
    assert recovery.installed([record("a", "install", "failed")], "a")
    assert not recovery.installed([restart], "a")


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
