# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils.gate import decide, decide_reboot, decide_way_back
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import HostState
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import Contact
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALLOWED,
    NOW,
    PORTAL,
    candidate,
    endpoint,
    lost,
    patched,
    planned,
    portal_pair,
    server,
    state,
    watch,
)

PLAN = planned(portal_pair()).plan
NIGHT_ICS = "\r\n".join(
    (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:test",
        "BEGIN:VEVENT",
        "UID:night",
        "DTSTAMP:20260101T000000Z",
        "DTSTART;TZID=America/Chicago:20261122T010000",
        "DURATION:PT3H",
        "RRULE:FREQ=WEEKLY",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
)
IN_PROGRESS = state(None, out=True)


BLOCKED = Contact(False, ("10.9.0.1",), "inside the device segment 10.9.0.0/16")


def ask(host, states=None, now=NOW, plan=None, contact=ALLOWED, stop_requested=None, frozen=None, **more):
    return decide(plan or PLAN, host, now, states or {}, contact, stop_requested, frozen, **more)


def lenient(number=5):
    """Return the settings of hosts that go on after some failures."""
    return {"failure_budget": dict.fromkeys(("run", "ring", "service"), number)}


def five(**settings):
    return planned({f"web{n}": server(f"web{n}", "web", min_healthy=2, **settings) for n in range(1, 6)}).plan


def partners(**settings):
    fleet = {f"{s}{n}": server(f"{s}{n}", s, **settings) for s in ("ehr", "viewer") for n in (1, 2)}
    fleet["ehr1"] = server("ehr1", "ehr", never_with=["viewer"], **settings)
    return planned(fleet).plan


def test_the_canary_goes_when_everything_is_well():
    assert ask("portal1").decision == "go"


def test_a_host_that_the_plan_does_not_name_stops():
    assert ask("lb1").decision == "stop"


def test_a_stop_request_stops_even_what_would_only_wait():
    answer = ask("portal2", {"portal1": IN_PROGRESS}, stop_requested="run/stop says: theatre list is late")
    assert answer.decision == "stop"
    assert answer.reason.startswith("the run is asked to stop: run/stop says: theatre list is late; to go on, ")


def test_a_freeze_stops_even_what_would_only_wait():
    answer = ask("portal2", {"portal1": IN_PROGRESS}, frozen="/srv/freeze says: mass casualty")
    assert answer.decision == "stop"
    assert answer.reason.startswith("nothing may be disrupted: /srv/freeze says: mass casualty; to go on, ")


HOUR = "2026-11-22 {:02}:00 to 2026-11-22 {:02}:00, UTC"


def pair(now=NOW, **settings):
    variables = PORTAL | {f"patching_{name}": value for name, value in settings.items()}
    hosts = {name: candidate(name, variables) for name in ("portal1", "portal2")}
    return planned({"lb1": candidate("lb1", {}), **hosts}, now).plan


@pytest.mark.parametrize(
    ("freeze", "decision"),
    [(HOUR.format(7, 9), "stop"), (HOUR.format(8, 9), "stop"), (HOUR.format(6, 8), "go"), (HOUR.format(9, 10), "go")],
)
def test_a_freeze_of_a_calendar_over_work_and_way_back_stops(freeze, decision):
    """Work and way back need an hour, and it is eight."""
    plan = copy.deepcopy(PLAN)
    for entry in plan["hosts"].values():
        entry["freezes"] = [freeze]
    answer = ask("portal1", plan=plan)
    assert answer.decision == decision
    if decision == "stop":
        assert answer.reason == (
            f"nothing may be disrupted: a freeze lasts from {freeze[:10]}T{freeze[11:16]}:00Z"
            f" to {freeze[20:30]}T{freeze[31:36]}:00Z"
        )


def test_a_freeze_holds_before_a_reboot_and_on_the_way_back_and_without_a_window():
    plan = copy.deepcopy(PLAN)
    plan["hosts"]["portal1"]["freezes"] = [HOUR.format(7, 9)]
    assert reboot(plan=plan).decision == "stop"
    for outside in (False, True):
        assert decide_way_back(plan, "portal1", NOW, {}, ALLOWED, None, outside).decision == "stop"
    seen = planned({"ws1": endpoint("ws1", freezes=[HOUR.format(8, 9)])}).plan
    assert ask("ws1", plan=seen).reason.startswith("nothing may be disrupted: a freeze lasts from")


def test_a_freeze_that_the_inventory_has_since_the_plan_counts_everywhere():
    since = {"freezes": [HOUR.format(7, 9)]}
    assert ask("portal1", **since).decision == "stop"
    assert decide_reboot(PLAN, "portal1", NOW, ALLOWED, None, **since).decision == "stop"
    assert decide_way_back(PLAN, "portal1", NOW, {}, ALLOWED, None, outside_window=True, **since).decision == "stop"
    assert ask("portal1", freezes=["2026-11-22 09:30 to 2026-11-22 10:00, UTC"]).decision == "go"


def test_the_inventorys_tier_asks_for_approvals_that_the_plan_does_not():
    assert ask("portal1", approvals=1).decision == "stop"
    assert ask("portal1", approvals=1, approvers=("ada",)).decision == "go"


def test_a_plan_avoids_the_freezes_that_are_known():
    before = NOW - timedelta(days=2)
    plan = pair(before, freezes=["2026-11-22 01:00 to 2026-11-22 02:00, America/Chicago"])
    assert plan["hosts"]["portal1"]["window"]["start"] == "2026-11-22T08:00:00Z"
    plan = pair(before, freezes=["2026-11-22 00:00 to 2026-11-22 05:00, America/Chicago"])
    assert plan["hosts"]["portal1"]["window"]["start"] == "2026-11-29T07:00:00Z"


@pytest.mark.parametrize("which", ["window", "freezes"])
def test_a_calendar_that_cannot_be_read_stops(which, tmp_path):
    plan, text = copy.deepcopy(PLAN), f"ics {tmp_path}/absent.ics"
    entry = plan["hosts"]["portal1"]
    entry["window"]["text"], entry["freezes"] = (text, []) if which == "window" else (entry["window"]["text"], [text])
    answers = [
        ask("portal1", plan=plan),
        reboot(plan=plan),
        decide_way_back(plan, "portal1", NOW, {}, ALLOWED, None, outside_window=False),
    ]
    assert {answer.decision for answer in answers} == {"stop"}
    assert all("absent.ics is not there" in answer.reason for answer in answers)


def test_a_window_of_a_calendar_is_read_again_when_the_gate_is_asked(tmp_path):
    path = tmp_path / "nights.ics"
    path.write_text(NIGHT_ICS)
    plan = pair(window=f"ics {path}")
    assert plan["hosts"]["portal1"]["window"] == {
        "text": f"ics {path}",
        "start": "2026-11-22T07:00:00Z",
        "end": "2026-11-22T10:00:00Z",
    }
    assert ask("portal1", plan=plan).decision == "go"
    path.write_text(NIGHT_ICS.replace("END:VEVENT", "STATUS:CANCELLED\r\nEND:VEVENT"))
    assert ask("portal1", plan=plan).decision == "stop"


def test_an_inhibit_is_waited_for_up_to_the_cut_off():
    answer = ask("portal1", inhibited="/srv/theatre says: list two runs late")
    assert (answer.decision, answer.reason) == ("wait", "not now: /srv/theatre says: list two runs late")
    assert answer.until == NOW + timedelta(hours=1)
    late = ask("portal1", now=NOW + timedelta(hours=1), inhibited="/srv/theatre says: list two runs late")
    assert late.decision == "stop"
    assert late.reason.startswith("not now: /srv/theatre says: list two runs late; after 2026-11-22T09:00:00Z")


def test_a_stop_goes_before_an_inhibit():
    assert ask("portal1", inhibited="x", stop_requested="enough").decision == "stop"


def test_an_address_that_may_not_be_contacted_stops():
    answer = ask("portal1", contact=BLOCKED)
    assert (answer.decision, answer.reason) == ("stop", "inside the device segment 10.9.0.0/16")


# --- window ----------------------------------------------------------------------


def test_before_the_window_it_waits_until_it_opens():
    answer = ask("portal1", now=datetime(2026, 11, 22, 6, 0, tzinfo=UTC))
    assert answer.decision == "wait"
    assert answer.until == datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


def test_work_and_way_back_must_end_with_the_window():
    last = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    assert ask("portal1", now=last).decision == "go"
    answer = ask("portal1", now=last + timedelta(seconds=1))
    assert answer.decision == "stop"
    assert "3600 s" in answer.reason


def test_a_window_that_has_passed_stops():
    assert ask("portal1", now=NOW + timedelta(days=7)).decision == "stop"


def test_the_rule_itself_is_evaluated_too_so_a_plan_that_lies_about_it_stops():
    plan = copy.deepcopy(PLAN)
    plan["hosts"]["portal1"]["window"] |= {"start": "2026-11-23T07:00:00Z", "end": "2026-11-23T17:00:00Z"}
    answer = ask("portal1", plan=plan, now=datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    assert answer.decision == "stop"
    assert "not open long enough" in answer.reason


def test_a_plan_that_widens_the_window_stops_where_the_rule_ends():
    plan = copy.deepcopy(PLAN)
    plan["hosts"]["portal1"]["window"]["end"] = "2026-11-22T18:00:00Z"
    assert ask("portal1", plan=plan, now=datetime(2026, 11, 22, 9, 30, tzinfo=UTC)).decision == "stop"


def test_an_endpoint_without_a_window_goes_when_it_is_seen():
    plan = planned({"ws1": endpoint("ws1")}).plan
    assert ask("ws1", plan=plan, now=NOW + timedelta(days=3)).decision == "go"


# --- the ring before -------------------------------------------------------------


def test_the_next_host_waits_until_the_canary_has_run_well():
    answer = ask("portal2", {"portal1": patched(ago_s=100)})
    assert answer.decision == "wait"
    assert answer.until == NOW + timedelta(seconds=500)
    assert ask("portal2", {"portal1": patched(ago_s=600)}).decision == "go"


@pytest.mark.parametrize("states", [{}, {"portal1": HostState(None, NOW, out=False)}])
def test_the_next_host_waits_for_a_canary_that_is_not_finished(states):
    answer = ask("portal2", states)
    assert answer.decision == "wait"
    assert answer.until == datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def test_waiting_ends_at_the_last_moment_at_which_the_work_fits():
    assert ask("portal2", {}, now=datetime(2026, 11, 22, 9, 0, tzinfo=UTC)).decision == "stop"


def test_a_soak_that_ends_too_late_stops_at_once():
    now = datetime(2026, 11, 22, 8, 55, tzinfo=UTC)
    assert ask("portal2", {"portal1": patched(0, now)}, now=now).decision == "stop"


def test_a_canary_with_nothing_to_do_needs_no_soak():
    assert ask("portal2", {"portal1": state("nothing_to_do", out=False)}).decision == "go"


@pytest.mark.parametrize("outcome", ["refused", "not_started", "excluded"])
def test_a_canary_that_proved_nothing_stops_its_service(outcome):
    answer = ask("portal2", {"portal1": state(outcome, out=False)})
    assert answer.decision == "stop"
    assert "nothing is proven" in answer.reason


# --- how long it waits -----------------------------------------------------------


def test_a_window_that_opens_too_late_for_the_work_is_not_waited_for():
    plan = copy.deepcopy(PLAN)
    plan["hosts"]["portal1"]["window"]["end"] = "2026-11-22T07:30:00Z"
    answer = ask("portal1", plan=plan, now=datetime(2026, 11, 22, 6, 0, tzinfo=UTC))
    assert answer.decision == "stop"
    assert "the window opens at 2026-11-22T07:00:00Z; after 2026-11-22T06:30:00Z" in answer.reason


def test_a_host_without_a_window_does_not_wait_for_ever():
    plan = planned({f"ws{n}": endpoint(f"ws{n}", service="pcs") for n in (1, 2)}).plan
    waiting = ask("ws2", {"ws1": IN_PROGRESS}, plan=plan, asked=NOW)
    assert (waiting.decision, waiting.until) == ("wait", NOW + timedelta(seconds=1800 + 1800 + 600))
    over = ask("ws2", {"ws1": IN_PROGRESS}, plan=plan, now=waiting.until, asked=NOW)
    assert over.decision == "stop"
    assert "nothing is waited for after 2026-11-22T09:10:00Z" in over.reason


PEER_STATES = st.one_of(
    st.none(),
    st.builds(
        lambda outcome, out, ago: HostState(outcome, NOW - timedelta(seconds=ago), out),
        st.sampled_from([None, "patched", "nothing_to_do", "refused"]),
        st.booleans(),
        st.integers(0, 7200),
    ),
)


@given(st.dictionaries(st.sampled_from(["web1", "web2", "web3", "web4"]), PEER_STATES), st.integers(-8, 8))
def test_no_wait_goes_beyond_the_cut_off(found, quarters):
    plan = five(window="Sun 07:00, 3 h, UTC")
    states = {host: state for host, state in found.items() if state is not None}
    cut_off = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    now = NOW + timedelta(minutes=15 * quarters)
    answer = ask("web5", states, plan=plan, now=now)
    if answer.decision == "wait":
        assert now < answer.until <= cut_off
    assert ask("web5", states, plan=plan, now=max(now, cut_off)).decision != "wait"


@given(st.dictionaries(st.sampled_from(["web1", "web2", "web3", "web4"]), PEER_STATES), st.data())
def test_a_further_failure_never_turns_stop_into_go(found, data):
    plan = five(failure_budget={"run": data.draw(st.integers(0, 2)), "ring": 2, "service": "40 %"})
    states = {host: state for host, state in found.items() if state is not None}
    in_service = [f"web{n}" for n in range(1, 5) if not (f"web{n}" in states and states[f"web{n}"].out)]
    more = states | {host: state("rolled_back", out=False) for host in in_service[:1]}
    decisions = [ask("web5", known, plan=plan).decision for known in (states, more)]
    assert decisions != ["stop", "go"]


# --- before a reboot -------------------------------------------------------------


def reboot(now=NOW, contact=ALLOWED, frozen=None, plan=None, host="portal1"):
    return decide_reboot(plan or PLAN, host, now, contact, frozen)


def test_a_reboot_needs_time_for_both_soaks_too():
    made = planned({"s1": server("s1", "s", window="Sun 08:00, 4 h, UTC", downtime_s=60, health_soak_s=300)}).plan
    last = datetime(2026, 11, 22, 12, 0, tzinfo=UTC) - timedelta(seconds=900 + 60 + 600 + 1800)
    assert reboot(last, plan=made, host="s1").decision == "go"
    assert reboot(last + timedelta(seconds=1), plan=made, host="s1").decision == "stop"


def test_a_reboot_needs_time_for_itself_the_settling_and_the_way_back():
    last = datetime(2026, 11, 22, 10, 0, tzinfo=UTC) - timedelta(seconds=900 + 60 + 1800)
    assert reboot(last).decision == "go"
    answer = reboot(last + timedelta(seconds=1))
    assert answer.decision == "stop"
    assert answer.reason == (
        "the reboot was not begun: reboot, settling and way back need 2760 s, but the window"
        " 'Sun 01:00, 3 h, America/Chicago' ends at 2026-11-22T10:00:00Z"
    )


@pytest.mark.parametrize("moment", [NOW - timedelta(hours=2), NOW + timedelta(hours=3), NOW + timedelta(days=7)])
def test_outside_the_plans_window_nothing_is_rebooted(moment):
    answer = reboot(moment)
    assert answer.decision == "stop"
    assert "the reboot was not begun" in answer.reason


def test_a_plan_that_lies_about_the_window_reboots_nothing():
    plan = copy.deepcopy(PLAN)
    plan["hosts"]["portal1"]["window"]["end"] = "2026-11-22T18:00:00Z"
    assert "ends at 2026-11-22T10:00:00Z" in reboot(NOW + timedelta(minutes=90), plan=plan).reason
    assert "is not open now" in reboot(NOW + timedelta(hours=3), plan=plan).reason


def test_a_host_without_a_window_may_be_rebooted_at_any_time():
    assert reboot(NOW + timedelta(days=3), plan=planned({"ws1": endpoint("ws1")}).plan, host="ws1").decision == "go"


def test_a_freeze_and_hands_off_hold_before_a_reboot_too():
    assert reboot(frozen="/srv/freeze says: no").reason.startswith(
        "the reboot was not begun: nothing may be disrupted: /srv/freeze says: no"
    )
    assert reboot(contact=BLOCKED).reason == "the reboot was not begun: inside the device segment 10.9.0.0/16"


# --- failures --------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["rolled_back", "unverified", "stuck", "unreachable"])
def test_one_failed_host_stops_the_run_wherever_it_was(outcome):
    fleet = portal_pair() | {"db1": server("db1", "db", downtime_s=60)}
    plan = planned(fleet).plan
    answer = ask("portal1", {"db1": state(outcome, out=False)}, plan=plan)
    assert answer.decision == "stop"
    assert answer.reason == (
        f"db1 is {outcome.replace('_', ' ')}: the run stopped before it could harm another (failed hosts allowed: 0)"
    )


def test_drift_refuses_one_host_and_not_the_fleet():
    plan = planned(portal_pair() | {"db1": server("db1", "db", downtime_s=60)}).plan
    assert ask("portal1", {"db1": state("refused", out=False)}, plan=plan).decision == "go"


# --- availability ----------------------------------------------------------------


def test_hosts_go_as_long_as_enough_stay_healthy():
    plan = five()
    done = {"web1": patched(ago_s=3600)}
    assert ask("web4", done | {"web2": IN_PROGRESS, "web3": IN_PROGRESS}, plan=plan).decision == "go"
    answer = ask("web5", done | dict.fromkeys(("web2", "web3", "web4"), IN_PROGRESS), plan=plan)
    assert answer.decision == "wait"
    assert "web2, web3, web4" in answer.reason


def test_a_host_that_does_not_come_back_by_itself_stops_its_service():
    plan = planned({f"s{n}": server(f"s{n}", "s", **lenient()) for n in (1, 2)}).plan
    answer = ask("s2", {"s1": state("rolled_back", out=True)}, plan=plan)
    assert answer.decision == "stop"
    assert "by itself" in answer.reason


def test_a_returned_host_is_healthy_again():
    states = {"web1": patched(3600), "web2": state("rolled_back", out=False)}
    assert ask("web3", states, plan=five(**lenient())).decision == "go"


def test_a_member_that_was_out_when_planned_still_counts():
    fleet = {f"web{n}": server(f"web{n}", "web", min_healthy=3) for n in range(1, 6)}
    fleet["web5"] = lost(fleet["web5"])
    plan = planned(fleet).plan
    assert ask("web1", plan=plan).decision == "go"
    assert ask("web3", {"web1": patched(3600), "web2": IN_PROGRESS}, plan=plan).decision == "wait"


@pytest.mark.parametrize("host", ["ehr1", "viewer1"])
def test_a_partner_that_is_out_holds_either_side(host):
    other = {"ehr1": "viewer2", "viewer1": "ehr2"}[host]
    assert ask(host, {other: IN_PROGRESS}, plan=partners()).decision == "wait"
    answer = ask(host, {other: state("stuck", out=True)}, plan=partners(**lenient()))
    assert answer.decision == "stop"
    assert "never disrupted with" in answer.reason


def test_a_partner_that_the_plan_does_not_know_stops():
    plan = copy.deepcopy(partners())
    del plan["services"]["viewer"]
    assert ask("ehr1", plan=plan).decision == "stop"


def test_a_load_balancer_and_what_it_drains_wait_for_each_other():
    drain = {"haproxy": "lb1", "backend": "web"}
    fleet = {
        "web1": server("web1", "web", min_healthy=0, drain=drain),
        "web2": server("web2", "web", min_healthy=0, drain=drain),
    }
    plan = planned(fleet | {"lb1": server("lb1", "lb", downtime_s=60)}).plan
    assert ask("web1", {"lb1": IN_PROGRESS}, plan=plan).decision == "wait"
    assert ask("lb1", {"web1": IN_PROGRESS}, plan=plan).decision == "wait"
    assert ask("lb1", {}, plan=plan).decision == "go"


# --- approval --------------------------------------------------------------------


@pytest.mark.parametrize(("tier", "needed"), [(1, 2), (2, 1), (3, 0), (4, 0)])
def test_critical_tiers_need_as_many_different_approvers(tier, needed):
    fleet = {f"s{n}": server(f"s{n}", "s", tier=tier, allowed_signers="files/approvers") for n in (1, 2)}
    plan = planned(fleet, watched=True).plan
    people, watched = ["anna", "ben"], watch() if tier == 1 else None
    assert ask("s1", plan=plan, approvers=people[:needed], watch=watched).decision == "go"
    if needed:
        assert ask("s1", plan=plan, approvers=[people[0]] * (needed - 1)).decision == "stop"
    if needed == 2:
        assert ask("s1", plan=plan, approvers=["anna", "anna"]).decision == "stop"


# --- somebody watches -------------------------------------------------------------


def tier(number):
    fleet = {f"s{n}": server(f"s{n}", "s", tier=number, allowed_signers="files/approvers") for n in (1, 2)}
    return planned(fleet, watched=True).plan


def ask_for(plan, host="s1", **more):
    return ask(host, plan=plan, **{"approvers": ["anna", "ben"], **more})


@pytest.mark.parametrize("seen", ["watch2 looked last at 2026-11-22T07:26:00Z, more than 600 s ago", "", None])
def test_tier_1_waits_for_a_watcher_and_stops_at_its_cut_off(seen):
    plan = tier(1)
    answer = ask_for(plan, watch=seen)
    assert answer.decision == "wait"
    assert f"no watcher on a second machine: {seen or 'nobody has looked for one'}" in answer.reason
    late = ask_for(plan, watch=seen, now=answer.until)
    assert late.decision == "stop"
    assert "see to watch.yml there; after 2026-11-23T23:00:00Z work and way back no longer fit" in late.reason
    assert ask_for(plan, watch=watch()).decision == "go"


@pytest.mark.parametrize("number", [2, 3, 4])
def test_other_tiers_need_no_watcher_unless_the_inventory_has_made_them_tier_1(number):
    plan = tier(number)
    assert ask_for(plan).decision == "go"
    assert ask_for(plan, tier=2).decision == "go"
    assert "no watcher on a second machine" in ask_for(plan, tier=1).reason
    assert ask_for(plan, tier=1, watch=watch()).decision == "go"


def test_the_inventory_does_not_lower_the_tier_of_the_plan():
    assert ask_for(tier(1), tier=4).decision == "wait"


def test_missing_approvals_stop_though_a_watcher_is_waited_for():
    assert ask_for(tier(1), approvers=["anna"]).decision == "stop"


def test_a_host_that_the_run_has_taken_is_finished_without_a_watcher_and_no_other():
    assert ask_for(tier(1), states={"s1": IN_PROGRESS}, taken=True).decision == "go"
    # Out, and nothing was done to it: it did not answer, or was ill before.
    assert ask_for(tier(1), states={"s1": state("unreachable", out=True)}).decision == "wait"
    assert decide_reboot(tier(1), "s1", NOW, ALLOWED, None).decision == "go"
    assert decide_way_back(tier(1), "s1", NOW, {}, ALLOWED, None, outside_window=False).decision == "go"


def test_nothing_new_starts_after_the_cut_off_though_work_would_still_fit():
    made = planned({"s1": server("s1", "s", window="Sun 08:00, 4 h, UTC", downtime_s=60, cut_off_s=7200)}).plan
    assert made["hosts"]["s1"]["cut_off_s"] == 7200
    last = datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert ask("s1", plan=made, now=last).decision == "go"
    assert ask("s1", plan=made, now=last + timedelta(seconds=1)).decision == "stop"
    plain = planned({"s1": server("s1", "s", window="Sun 08:00, 4 h, UTC", downtime_s=60)}).plan
    assert ask("s1", plan=plain, now=last + timedelta(minutes=50)).decision == "go"
    assert "cut_off_s" not in plain["hosts"]["s1"]


def test_a_window_that_is_all_cut_off_is_refused():
    made = planned({"s1": server("s1", "s", window="Sun 08:00, 2 h, UTC", downtime_s=60, cut_off_s=9000)}).plan
    assert "nothing starts in the last 150 min" in made["not_planned"]["s1"]["reason"]
    assert "lower patching_cut_off_s" in made["not_planned"]["s1"]["reason"]


def test_a_host_whose_turn_comes_after_the_cut_off_is_refused():
    settings = {"window": "Sun 08:00, 4 h, UTC", "downtime_s": 60, "estimate_s": 3600}
    fleet = {f"s{n}": server(f"s{n}", f"s{n}", **settings) for n in (1, 2, 3)}
    assert len(planned(fleet).plan["hosts"]) == 3
    fleet = {f"s{n}": server(f"s{n}", f"s{n}", **settings, cut_off_s=9000) for n in (1, 2, 3)}
    assert len(planned(fleet).plan["hosts"]) == 2
