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


WHY = "verify says no."


@pytest.mark.parametrize(
    ("at_to", "at_from", "installed", "failed", "restarted", "may_restart", "back", "restart", "outcome"),
    [
        (False, True, False, None, False, True, False, False, "not_started"),
        (True, False, True, None, True, False, False, False, "patched"),
        (True, False, True, None, False, True, False, True, "patched"),
        (True, False, True, None, False, False, False, False, "unverified"),
        (True, False, False, None, False, True, False, True, "patched"),
        (False, False, False, None, False, True, True, True, "rolled_back"),
        (False, False, False, None, False, False, True, False, "rolled_back"),
        # The patch had failed: it is not called patched because it is still installed, nor forgotten when it is gone;
        # what was restarted then, was so before the packages were put back.
        (True, False, True, WHY, True, True, True, True, "rolled_back"),
        (False, True, True, WHY, True, True, False, True, "rolled_back"),
        (False, True, True, WHY, False, False, False, False, "rolled_back"),
        # A rollback that a person asked for was killed after its last package.
        (False, True, True, None, True, True, False, True, "rolled_back"),
    ],
)
def test_the_way_in_which_a_host_is_secured(
    at_to, at_from, installed, failed, restarted, may_restart, back, restart, outcome
):
    way = recovery.way(at_to, at_from, installed, failed, restarted, may_restart)
    assert (way.back, way.restart, way.outcome) == (back, restart, outcome)
    assert way.expect == ("to" if outcome in ("patched", "unverified") else "from")
    assert failed is None or failed in way.reason
    assert way.result()["release"] == ({"out": "unverified"} if outcome == "unverified" else {})


def test_a_serving_process_is_restarted_in_its_window_only():
    serving = planned({"a1": server("a1", "s", downtime_s=60, window="Sun 07:00, 3 h, UTC")}).plan["hosts"]["a1"]
    assert recovery.may_restart(serving, NOW, [])
    assert not recovery.may_restart(serving, NOW + timedelta(hours=2), []), "the way back no longer fits"
    assert not recovery.may_restart(serving, NOW + timedelta(days=1), [])
    entry = {**serving, "drain": {"type": "haproxy"}}
    assert recovery.may_restart(entry, NOW + timedelta(days=1), []), "nobody is on a drained host"


@pytest.mark.parametrize("window", [None, "Sun 07:00, 3 h, UTC"])
@pytest.mark.parametrize("freeze", ["2026-11-22 08:10 to 2026-11-22 09:00, UTC", "ics /nowhere/x.ics"])
def test_a_serving_process_is_not_restarted_in_a_freeze(window, freeze):
    settings = {"downtime_s": 60, "window": window, "policy": "managed", "kind": "server" if window else "endpoint"}
    made = planned({"a1": server("a1", "s", freezes=[], **settings)}).plan["hosts"]["a1"]
    assert recovery.may_restart(made, NOW, [])
    assert not recovery.may_restart({**made, "freezes": [freeze]}, NOW, [])


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
