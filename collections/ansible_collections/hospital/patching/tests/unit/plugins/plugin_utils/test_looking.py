# SPDX-License-Identifier: GPL-3.0-or-later
"""The look that follows an intent."""

from __future__ import annotations

import copy

from ansible_collections.hospital.patching.plugins.plugin_utils import looking
from ansible_collections.hospital.patching.plugins.plugin_utils.exclusion import BackOff, Go, decide
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import planned, portal_pair, server

PLAN = planned(portal_pair()).plan
RUN, OTHER = "20261122T080000Z-ab12cd34", "20261122T080000Z-ffffffff"
OWN = looking.intent_of(PLAN, RUN, "portal1")


def look(peer="portal2", **more):
    return {"peer": peer, "records": [], "holder": None, **more}


def held(run=OTHER, **detail):
    record = {"services": ["portal"], "catalogue_digest": OWN.catalogue_digest, **detail}
    return {"run_id": run, "time": "2026-11-22T08:00:00Z", "detail": record}


def after(*looks, seen=()):
    return decide(OWN, looking.readings(looks, seen), PLAN["services"])


def test_the_intent_names_the_services_and_what_they_promise():
    assert OWN.services == ("portal",)
    assert looking.record_of(OWN) == {
        "host": "portal1",
        "services": ["portal"],
        "catalogue_digest": OWN.catalogue_digest,
    }
    other = copy.deepcopy(PLAN)
    other["services"]["portal"]["out"] = ["portal2"]
    assert looking.catalogue_digest(other) == OWN.catalogue_digest, "who is out is no matter of the catalogue"
    other["services"]["portal"]["min_healthy"] = 0
    assert looking.catalogue_digest(other) != OWN.catalogue_digest


def test_whom_to_look_at_and_by_which_probes():
    assert looking.peers(PLAN, OWN) == ["portal2"]
    (probe,) = looking.probes(PLAN, ["portal2"])
    assert probe["name"] == "portal2: url-1"
    assert probe["vantage"] == "controller"
    assert looking.probes(PLAN, ["portal9"]) == []


def test_a_host_without_a_service_looks_at_nobody():
    plan = planned({"a1": server("a1", "alone", downtime_s=60)}).plan
    assert looking.peers(plan, looking.intent_of(plan, RUN, "a1")) == []


def test_a_free_peer_that_serves_lets_it_go():
    assert after(look(), seen=[{"name": "portal2: url-1", "verdict": "ok"}]) == Go()


def test_a_peer_that_does_not_serve_its_users_is_out():
    answer = after(look(), seen=[{"name": "portal2: url-1", "verdict": "failed"}])
    assert isinstance(answer, BackOff)
    assert "portal2: url-1 is failed" in answer.reason
    assert not answer.retry, "nobody works on it, so it does not come back by itself"


def test_the_probe_of_another_host_says_nothing_of_this_one():
    assert after(look(), seen=[{"name": "portal20: url-1", "verdict": "failed"}]) == Go()


def test_a_peer_that_another_run_holds_is_out_for_now():
    answer = after(look(holder=held()))
    assert isinstance(answer, BackOff)
    assert (answer.retry, answer.clear) == (True, False), "the lower run keeps its intent"


def test_a_hold_that_shows_no_catalogue_is_never_passed():
    answer = after(look(holder=held(catalogue_digest=None)))
    assert isinstance(answer, BackOff)
    assert "another catalogue" in answer.reason


def test_what_cannot_be_read_counts_as_out():
    for unread in (
        {"peer": "portal2", "msg": "connection timed out", "lost_connection": True},
        {"peer": "portal2"},
    ):
        answer = after(unread)
        assert isinstance(answer, BackOff)
        assert "portal2 (cannot be read" in answer.reason
    assert isinstance(decide(OWN, looking.readings([], []), PLAN["services"]), BackOff), "nobody looked at all"


def test_a_peer_that_was_given_up_as_unverified_is_out():
    records = [{"event": "held", "detail": {}}, {"event": "released", "detail": {"out": "unverified"}}]
    answer = after(look(records=records))
    assert isinstance(answer, BackOff)
    assert "portal2 (unverified)" in answer.reason
    assert after(look(records=[*records, {"event": "released", "detail": {}}])) == Go()


def test_a_host_that_does_not_answer_is_not_waited_for_all_night():
    silent = looking.readings([{"peer": "portal2", "msg": "no route"}], [])
    assert looking.gives_up(OWN, silent, PLAN["services"], looks=2) is None
    assert "nobody works on it" in looking.gives_up(OWN, silent, PLAN["services"], looks=3)


def test_a_host_that_another_run_holds_is_waited_for_longer_but_not_for_ever():
    busy = looking.readings([look(holder=held())], [])
    assert looking.gives_up(OWN, busy, PLAN["services"], looks=59) is None
    assert looking.gives_up(OWN, busy, PLAN["services"], looks=60) == "60 looks did not help"


def test_a_host_that_may_not_be_contacted_counts_by_its_probes():
    locked = {"peer": "portal2", "no_journal": "vendor_locked"}
    assert after(locked, seen=[{"name": "portal2: url-1", "verdict": "ok"}]) == Go()
    for seen in ([], [{"name": "portal2: url-1", "verdict": "inconclusive"}]):
        answer = after(locked, seen=seen)
        assert isinstance(answer, BackOff)
        assert "no journal, and its probes are not ok" in answer.reason
