# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are asked before the broad ring, and how the gate waits for them."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import (
    answers,
    plan_derived,
    plan_drops,
    plan_html,
    plan_text,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.gate import decide
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import host_states
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import Planned
from ansible_collections.hospital.patching.plugins.plugin_utils.promotion import Trials, promoted
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALLOWED,
    NOW,
    PLAN_ID,
    PORTAL,
    candidate,
    endpoint,
    loaded,
    planned,
    server,
)

LABEL = {"name": "label", "type": "person", "ask": "Print a label", "who": ["Ada", "Ben"], "within_s": 1800}
BEGIN = NOW - timedelta(hours=2)


def fleet(probes=(LABEL,), **settings):
    return {name: server(name, "portal", probes=list(probes), **settings) for name in ("portal1", "portal2", "portal3")}


PLAN = planned(fleet()).plan


def record(step, event, host=None, at=NOW, **detail):
    return {"time": stamp(at), "host": host, "step": step, "event": event, "detail": detail, "hash": f"{at}{detail}"}


def begun(*more):
    return [record("gate", "begin", at=BEGIN, plan_digest=PLAN["digest"]), *more]


def canary(outcome="patched", at=NOW - timedelta(minutes=20)):
    return record("record", "outcome", "portal1", at=at, outcome=outcome, reason="")


def answered(answer, at=NOW, by="Ada", **more):
    detail = {"answer": answer, "service": "portal", "probe": "label", "by": by, "claimed": True, "reason": ""}
    return record("gate", "note", at=at, **(detail | more))


def gate(records, host="portal2", now=NOW, plan=None, objection="", **more):
    plan = plan or PLAN
    people = answers.standings(plan, "portal", records, lambda _asking, _record: objection)
    return decide(plan, host, now, host_states(records), ALLOWED, None, None, people=people, **more)


def test_a_question_is_of_the_service_and_its_broad_ring():
    (asking,) = answers.askings(PLAN)
    assert (asking.service, asking.probe, asking.who) == ("portal", "label", ("Ada", "Ben"))
    assert (asking.earlier, asking.hosts) == (("portal1",), ("portal2", "portal3"))


def test_nothing_of_it_is_read_on_a_host_or_from_a_peer():
    assert all(probe["type"] != "person" for entry in PLAN["hosts"].values() for probe in entry["probes"])
    assert all(not probes for probes in PLAN["services"]["portal"]["probes"].values())


def test_a_plan_without_a_question_is_as_it_was():
    plan = planned(fleet(())).plan
    assert answers.askings(plan) == []
    assert all("asks" not in entry for entry in plan["hosts"].values())
    assert "Asked of people" not in plan_text.plan_table(plan)


def test_the_plan_says_who_is_asked_what_and_who_waits():
    for shown in (plan_text.plan_table(PLAN), plan_html.plan_page(PLAN)):
        told = " ".join(shown.split())
        assert "Asked of people before the broad ring" in told
        assert "portal label: Print a label (Ada or Ben, within 30 min after portal1 is patched)" in told
        assert "portal2, portal3" in told


def test_the_canary_asks_nobody():
    assert gate(begun(), "portal1").decision == "go"


def test_after_the_canary_and_its_soak_the_broad_ring_waits_for_people():
    answer = gate(begun(canary()))
    assert (answer.decision, answer.until) == ("wait", NOW + timedelta(minutes=10))
    assert "portal: label (Print a label) is asked of Ada or Ben, until 2026-11-22T08:10:00Z" in answer.reason
    assert "-e answer_is=yes" in answer.reason


def test_a_yes_lets_it_begin_and_a_no_does_not():
    assert gate(begun(canary(), answered("yes"))).decision == "go"
    answer = gate(begun(canary(), answered("no", reason="the label is blank")))
    assert answer.decision == "stop"
    assert "Ada says no (claimed, not signed): the label is blank" in answer.reason
    assert "plan again" in answer.reason


def test_a_yes_does_not_shorten_the_soak():
    early = canary(at=NOW - timedelta(minutes=5))
    assert "must have run well until" in gate(begun(early, answered("yes"))).reason


def test_a_yes_counts_until_a_no_and_a_no_for_ever():
    assert gate(begun(canary(), answered("yes"), answered("no", by="Ben"))).decision == "stop"
    assert gate(begun(canary(), answered("no"), answered("yes", by="Ben"))).decision == "stop"


def test_no_answer_in_time_is_inconclusive_and_never_a_yes():
    at = NOW + timedelta(minutes=10)
    assert gate(begun(canary()), now=at).decision == "wait"
    answer = gate(begun(canary()), now=at + timedelta(seconds=1))
    assert answer.decision == "stop"
    assert "is inconclusive, no answer until 2026-11-22T08:10:00Z" in answer.reason
    late = gate(begun(canary(), answered("yes", at=at + timedelta(seconds=1))), now=at + timedelta(seconds=2))
    assert (late.decision, "it came after 2026-11-22T08:10:00Z" in late.reason) == ("stop", True)
    assert gate(begun(canary(), answered("yes", at=at)), now=at + timedelta(hours=1)).decision == "go"


def test_a_yes_from_before_the_canary_was_done_does_not_count():
    answer = gate(begun(answered("yes", at=BEGIN), canary()))
    assert (answer.decision, "before the earlier ring was finished" in answer.reason) == ("stop", True)


def test_a_yes_that_is_objected_to_does_not_count():
    answer = gate(begun(canary(), answered("yes")), objection="its key is nobody's")
    assert (answer.decision, "its key is nobody's" in answer.reason) == ("stop", True)


def test_a_no_needs_nobody_s_proof():
    assert "says no" in gate(begun(canary(), answered("no")), objection="its key is nobody's").reason


def test_a_host_that_is_out_already_is_finished():
    assert gate(begun(canary()), taken=True).decision == "go"
    assert gate(begun(canary(), answered("no")), taken=True).decision == "go"


def test_without_a_look_at_the_answers_nobody_begins():
    records = begun(canary())
    answer = decide(PLAN, "portal2", NOW, host_states(records), ALLOWED, None, None)
    assert (answer.decision, "nobody has looked" in answer.reason) == ("stop", True)


@pytest.mark.parametrize("outcome", ["rolled_back", "refused"])
def test_a_canary_that_failed_asks_nobody(outcome):
    records = begun(canary(outcome))
    assert answers.standings(PLAN, "portal", records)["label"].is_open is False
    assert gate(records).decision == "stop"


def test_a_canary_that_had_nothing_to_do_leaves_the_question_of_the_night_before():
    records = begun(canary("nothing_to_do"))
    one = answers.standings(PLAN, "portal", records)["label"]
    assert (one.is_open, one.until) == (True, BEGIN + timedelta(seconds=1800))


def test_two_questions_want_two_answers_and_the_gravest_counts():
    plan = planned(fleet([LABEL, {**LABEL, "name": "order"}])).plan
    assert "order" in gate(begun(canary(), answered("yes")), plan=plan).reason
    assert gate(begun(canary(), answered("no", probe="order")), plan=plan).decision == "stop"
    both = begun(canary(), answered("yes"), answered("yes", probe="order"))
    assert gate(both, plan=plan).decision == "go"


def test_the_window_is_not_outlived_by_the_time_that_people_have():
    hours = {**LABEL, "within_s": 86400}
    hosts = {name: candidate(name, PORTAL | {"patching_probes": [hours]}) for name in ("portal1", "portal2")}
    plan = planned({"lb1": candidate("lb1", {}), **hosts}).plan
    answer = gate(begun(canary()), plan=plan)
    # The window ends at 10:00Z; forward and back take an hour.
    assert (answer.decision, stamp(answer.until)) == ("wait", "2026-11-22T09:00:00Z")
    assert "no longer fit in the window" in gate(begun(canary()), plan=plan, now=NOW + timedelta(hours=1)).reason


def test_a_night_of_the_broad_ring_alone_asks_from_its_staging_on_and_waits_from_its_begin():
    """Its canary went on an earlier night: nobody is woken for what could be asked by day."""
    plan = promoted_night()
    (asking,) = answers.askings(plan)
    # One of them leads the night by name only.
    assert plan["hosts"]["portal1"]["ring"] == "canary"
    assert (asking.earlier, asking.hosts) == ((), ("portal1", "portal2", "portal3"))
    one = answers.standing(asking, [])
    assert (one.is_open, one.until) == (True, None)
    assert "within 1800 s of the run's begin" in answers.told(one)
    by_day = answered("yes", at=BEGIN - timedelta(hours=9))
    assert answers.standing(asking, [by_day]).says == "yes"
    assert gate([by_day, *begun()], "portal1", plan=plan).decision == "go"
    assert gate([by_day, *begun()], plan=plan).reason == "portal1 (canary) is not finished yet"
    assert gate(begun(), "portal1", plan=plan, now=BEGIN + timedelta(seconds=1800)).decision == "wait"
    assert gate(begun(), "portal1", plan=plan, now=BEGIN + timedelta(seconds=1801)).decision == "stop"


def promoted_night():
    settings = {"ring": "broad", "promotion": {"count": 1}}
    trials = Trials()
    before = planned({"web1": server("web1", "web", ring="canary", downtime_s=60)}, now=NOW - timedelta(days=2)).plan
    trials.learn(
        before, [record("record", "outcome", "web1", at=NOW - timedelta(days=1), outcome="patched", reason="")]
    )
    return planned(promoted(fleet(**settings), trials, NOW)).plan


def test_without_promotion_the_one_that_leads_the_night_shows_the_others():
    (asking,) = answers.askings(planned(fleet(ring="broad")).plan)
    assert (asking.earlier, asking.hosts) == (("portal1",), ("portal2", "portal3"))


def test_who_leads_in_the_place_of_a_dropped_canary_asks_nobody():
    made = planned(fleet())
    plan = plan_derived.derive(loaded(made), "20261122T080000Z-00000001", NOW, ["portal1"], []).plan
    (asking,) = answers.askings(plan)
    assert (asking.earlier, asking.hosts) == (("portal2",), ("portal3",))
    assert plan_drops.difference(loaded(made), loaded(planned_as(made, plan))) == ""


def planned_as(made, plan):
    return Planned(plan, made.manifests)


def test_tiers_1_and_2_want_a_signature_whatever_is_stated():
    more = {"tier": 2, "allowed_signers": "/approvers"}
    assert [one.signed for one in answers.askings(planned(fleet(**more)).plan)] == [True]
    assert [one.signed for one in answers.askings(PLAN)] == [False]
    assert [one.signed for one in answers.askings(planned(fleet([{**LABEL, "signed": True}], **more)).plan)] == [True]


def refused(candidates, host="portal2"):
    return planned(candidates).plan["not_planned"][host]["reason"]


def test_a_signed_answer_needs_a_list_of_who_may_sign():
    reason = refused(fleet([{**LABEL, "signed": True}]))
    assert "the probe label needs a signed answer, and patching_allowed_signers is not set" in reason


def test_an_endpoint_asks_nobody():
    assert "asks a person, and an endpoint is patched when it is seen" in refused(
        {"ws1": endpoint("ws1", probes=[LABEL])}, "ws1"
    )


@pytest.mark.parametrize("other", [[], [{**LABEL, "ask": "Print two labels"}], [{**LABEL, "who": ["Ben"]}]])
def test_a_service_asks_one_thing(other):
    hosts = {**fleet(), "portal3": server("portal3", "portal", probes=other)}
    assert "patching_probes asks people otherwise on portal3 than on portal1" in refused(hosts)


def test_how_to_answer_survives_the_shell_and_ansible():
    names = {"name": 'label "print" $1', "who": ["Ada O`Neil"]}
    (asking,) = answers.askings(planned(fleet([{**LABEL, **names}])).plan)
    assert "'" not in asking.command()
    shown = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {asking.command()}"], capture_output=True, text=True, check=True
    )
    words = shown.stdout.splitlines()
    assert words[:3] == ["answer.yml", "-e", f"patching_run_id={PLAN_ID}"]
    given = [json.loads(word) for word in words if word.startswith("{")]
    assert given == [{"answer_probe": names["name"]}, {"answer_name": names["who"][0]}]


def test_a_statement_is_of_its_run_question_answer_and_reason():
    (asking,) = answers.askings(PLAN)
    said = {asking.statement(answer, reason) for answer in ("yes", "no") for reason in ("", "blank")}
    (other,) = answers.askings(planned(fleet([{**LABEL, "ask": "Log in"}])).plan)
    assert len(said | {other.statement("yes", "")}) == 5
