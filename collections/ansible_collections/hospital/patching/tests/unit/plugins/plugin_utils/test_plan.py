# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import (
    build_plan,
    check_batch,
    order,
    plan_digest,
    serial,
    verify_plan,
    wave_of,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import plan_table
from ansible_collections.hospital.patching.plugins.plugin_utils.waves import Limits
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    PLAN_ID,
    PORTAL,
    candidate,
    endpoint,
    hosts_of,
    lost,
    pending,
    planned,
    portal_pair,
    server,
    update,
)


def not_planned(candidates, host, now=NOW, **more):
    entry = planned(candidates, now, **more).plan["not_planned"][host]
    return entry["outcome"], entry["reason"]


def pair(service="s", **settings):
    return {f"{service}{number}": server(f"{service}{number}", service, **settings) for number in (1, 2)}


# --- the smallest configuration ------------------------------------------------


def test_the_smallest_configuration_is_planned_canary_first_then_the_other_after_its_soak():
    plan = planned(portal_pair()).plan
    assert plan["waves"] == [
        {"number": 1, "hosts": ["portal1"], "soak_s": 600, "kind": "servers"},
        {"number": 2, "hosts": ["portal2"], "soak_s": 0, "kind": "servers"},
    ]
    host = plan["hosts"]["portal1"]
    assert (host["ring"], host["tier"], host["min_healthy"], host["policy"]) == ("canary", 3, 1, "managed")
    assert host["drain"] == {"type": "haproxy", "host": "lb1", "backend": "portal", "server": "portal1"}
    assert host["snapshot"] == {"provider": "preserved"}
    assert [probe["url"] for probe in host["probes"]] == [PORTAL["patching_probe_url"]]
    assert (host["window"]["start"], host["window"]["end"]) == ("2026-11-22T07:00:00Z", "2026-11-22T10:00:00Z")
    assert plan["services"]["portal"]["min_healthy"] == 1
    assert plan["site"] == {"segments": ["10.9.0.0/16"]}
    assert plan["not_planned"]["lb1"]["outcome"] == "excluded"


def test_a_plan_made_before_its_window_is_for_that_window():
    plan = planned(portal_pair(), datetime(2026, 11, 20, 12, 0, tzinfo=UTC)).plan
    assert plan["hosts"]["portal2"]["window"]["start"] == "2026-11-22T07:00:00Z"


def test_a_plan_made_when_the_window_is_too_far_gone_is_for_the_next():
    plan = planned(portal_pair(), datetime(2026, 11, 22, 9, 30, tzinfo=UTC)).plan
    assert plan["hosts"]["portal1"]["window"]["start"] == "2026-11-29T07:00:00Z"


# --- determinism and digest ----------------------------------------------------


def test_the_digest_leaves_out_names_times_of_making_and_estimates():
    plan = planned(portal_pair()).plan
    other = build_plan("20261122T081500Z-00000000", NOW + timedelta(minutes=15), portal_pair()).plan
    assert other["digest"] == plan["digest"]
    other["hosts"]["portal1"]["estimate_s"] = 60
    assert plan_digest(other) == plan["digest"]


def test_an_archive_that_only_renews_its_date_leaves_the_digest():
    plans = [
        planned({"a": server("a", "s", pending(update(published=day, published_by="archive")), downtime_s=60)}).plan
        for day in ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")
    ]
    assert plans[0]["digest"] == plans[1]["digest"]


def test_what_a_feed_says_of_the_same_updates_leaves_the_digest():
    plans = [
        planned({"a": server("a", "s", pending(update(cves=cves)), downtime_s=60)}).plan
        for cves in (None, ["CVE-2026-10001"])
    ]
    assert plans[1]["hosts"]["a"]["updates"][0]["cves"] == ["CVE-2026-10001"]
    assert plans[0]["digest"] == plans[1]["digest"]


def test_a_plan_of_before_updates_named_their_source_is_still_read():
    old = {key: value for key, value in update().items() if not key.startswith(("source", "published"))}
    verify_plan(planned({"a": server("a", "s", pending(old), downtime_s=60)}).plan)


@pytest.mark.parametrize(
    "edit",
    [
        lambda plan: plan["hosts"]["portal1"].update(address="10.9.0.1"),
        lambda plan: plan["hosts"]["portal1"]["updates"].append(update("sudo")),
        lambda plan: plan["waves"].reverse(),
        lambda plan: plan["services"]["portal"].update(min_healthy=0),
        lambda plan: plan["site"].update(segments=[]),
        lambda plan: plan["failure_budget"].update(run=1),
        lambda plan: plan["hosts"]["portal1"].update(freeze_file="/nowhere/freeze"),
        lambda plan: plan["hosts"]["portal1"]["window"].update(end="2026-11-22T23:00:00Z"),
    ],
)
def test_an_edited_plan_is_refused(edit):
    plan = copy.deepcopy(planned(portal_pair()).plan)
    edit(plan)
    with pytest.raises(PatchingError, match="never edit one"):
        verify_plan(plan)


def test_a_plan_of_a_newer_schema_is_refused():
    with pytest.raises(PatchingError, match="at schema"):
        verify_plan(planned(portal_pair()).plan | {"schema": 2})


def test_a_value_without_a_canonical_form_is_refused():
    bad = candidate("portal1", PORTAL | {"patching_snapshot": {"provider": "preserved", "wait": 1.5}})
    with pytest.raises(PatchingError, match="whole numbers"):
        planned({**portal_pair(), "portal1": bad})


def test_manifests_are_named_by_the_plan():
    found = planned(portal_pair())
    assert set(found.manifests) == {host["manifest"] for host in found.plan["hosts"].values()}
    assert found.plan["hosts"]["portal1"]["group"] == "debian-12-amd64"


# --- order ---------------------------------------------------------------------


def test_the_least_critical_tier_goes_first_and_endpoints_last():
    fleet = {
        **pair("a", tier=3),
        **pair("z", tier=4),
        "ws1": endpoint("ws1"),
        "ws10": endpoint("ws10"),
        "ws2": endpoint("ws2"),
    }
    assert hosts_of(planned(fleet).plan) == [["z1"], ["z2"], ["a1"], ["a2"], ["ws1", "ws2", "ws10"]]


def test_canaries_go_alone_then_services_go_side_by_side():
    fleet = {f"{service}{n}": server(f"{service}{n}", service) for service in "ab" for n in (1, 2, 10)}
    assert hosts_of(planned(fleet).plan) == [["a1"], ["b1"], ["a2", "b2"], ["a10", "b10"]]


def test_as_many_go_together_as_may_be_out():
    fleet = {f"web{n}": server(f"web{n}", "web", min_healthy=2) for n in range(1, 6)}
    assert hosts_of(planned(fleet).plan) == [["web1"], ["web2", "web3", "web4"], ["web5"]]


def test_no_wave_is_larger_than_the_limit():
    fleet = {f"ws{n}": endpoint(f"ws{n}") for n in range(1, 6)}
    assert serial(planned(fleet, limits=Limits(parallel=2)).plan) == [1, 2, 2]


def test_partners_are_never_together():
    fleet = {**pair("ehr", never_with=["viewer"]), **pair("viewer")}
    assert hosts_of(planned(fleet).plan) == [["ehr1"], ["viewer1"], ["ehr2"], ["viewer2"]]


def test_a_stated_canary_is_the_canary():
    fleet = pair() | {"s3": server("s3", "s", ring="canary"), "s2": server("s2", "s", ring="early")}
    plan = planned(fleet).plan
    assert hosts_of(plan) == [["s3"], ["s2"], ["s1"]]
    assert [wave["soak_s"] for wave in plan["waves"]] == [600, 600, 0]


def test_a_load_balancer_never_goes_together_with_what_it_drains():
    drain = {"haproxy": "lb2", "backend": "web"}
    fleet = {
        **{f"web{n}": server(f"web{n}", "web", min_healthy=0, drain=drain) for n in (1, 2, 3)},
        **{f"lb{n}": server(f"lb{n}", "balancers", min_healthy=0) for n in (1, 2)},
    }
    for wave in hosts_of(planned(fleet).plan):
        assert not ("lb2" in wave and any(host.startswith("web") for host in wave))


def test_an_empty_plan_has_no_waves():
    plan = planned({"lb1": candidate("lb1", {})}).plan
    assert (plan["waves"], serial(plan), order(plan)) == ([], [], [])


# --- who is not planned ----------------------------------------------------------


def test_an_observed_host_is_excluded():
    assert not_planned({"a": candidate("a", {})}, "a")[0] == "excluded"


def test_a_locked_host_is_excluded_even_in_a_service():
    locked = candidate("pump1", {"patching_policy": "vendor_locked", "patching_service": "pumps"}, None)
    outcome, reason = not_planned({"pump1": locked}, "pump1")
    assert outcome == "excluded"
    assert "never contacted" in reason


def test_a_host_without_an_assessment_says_why():
    bare = server("a", "s", downtime_s=60)
    for outcome in ("unreachable", "refused"):
        gone = Candidate(bare.settings, None, None, Exclusion(outcome, "because"))
        assert not_planned({"a": gone}, "a") == (outcome, "because")
    assert not_planned({"a": Candidate(bare.settings, None, None, None)}, "a")[0] == "unreachable"


def test_a_host_without_updates_has_nothing_to_do():
    assert not_planned({"a": server("a", "s", pending(), downtime_s=60)}, "a")[0] == "nothing_to_do"


def test_a_host_with_nothing_to_do_still_counts_in_its_service():
    plan = planned({"s1": server("s1", "s", pending()), "s2": server("s2", "s")}).plan
    assert hosts_of(plan) == [["s2"]]
    assert plan["hosts"]["s2"]["ring"] == "canary"


@pytest.mark.parametrize(
    "assessment",
    [
        {"manager": "apt", "facts": {}},
        pending(update(sha256="short")),
        pending(update(), facts={"id": "debian"}),
        {"updates": [update()], "facts": {"id": "a", "version_id": "1", "architecture": "x"}},
    ],
)
def test_an_assessment_that_cannot_be_used_is_refused(assessment):
    outcome, reason = not_planned({"a": server("a", "s", assessment, downtime_s=60)}, "a")
    assert outcome == "refused"
    assert re.search("assessment.* cannot be used", reason)


@pytest.mark.parametrize("setting", ["service", "window", "drain"])
def test_a_managed_server_states_its_service_window_and_drain(setting):
    one = server("a", **{"service": "s", "downtime_s": 60, "policy": "managed"} | {setting: None})
    outcome, reason = not_planned({"a": one}, "a")
    assert outcome == "refused"
    assert f"patching_{setting} is not set" in reason


def test_an_endpoint_needs_none_of_them():
    plan = planned({"ws1": endpoint("ws1")}).plan
    assert plan["hosts"]["ws1"]["window"] is None
    assert plan["hosts"]["ws1"]["drain"]["type"] == "none"


def test_a_vendor_validated_host_is_refused_without_a_list():
    assert "vendor" in not_planned({"a": server("a", "s", policy="vendor_validated", downtime_s=60)}, "a")[1]


def test_a_single_host_without_accepted_downtime_is_refused():
    outcome, reason = not_planned({"db1": server("db1", "db")}, "db1")
    assert outcome == "refused"
    assert "patching_downtime_s" in reason
    assert "patching_min_healthy" in reason


@pytest.mark.parametrize(("tier", "needed"), [(1, "2 signed"), (2, "1 signed")])
def test_critical_tiers_need_signers(tier, needed):
    outcome, reason = not_planned(pair(tier=tier), "s1")
    assert outcome == "refused"
    assert needed in reason
    assert "patching_allowed_signers" in reason


def test_tier_1_is_refused_without_a_watcher():
    fleet = pair(tier=1, allowed_signers="files/approvers")
    assert "no watcher on a second machine: nobody has looked for one" in not_planned(fleet, "s1")[1]
    for nothing in ("watch2 looked last at 2026-11-22T07:26:00Z", "", False, None):
        entry = planned(fleet, watched=nothing).plan["not_planned"]["s1"]
        assert entry["outcome"] == "refused"
        assert f"no watcher on a second machine: {nothing}; expected" in entry["reason"]
        assert "watch_install.yml" in entry["reason"]
    assert planned(fleet, watched=True).plan["hosts"]["s1"]["approvals"] == 2


def test_tier_2_with_signers_is_planned_and_needs_one():
    assert planned(pair(tier=2, allowed_signers="files/approvers")).plan["hosts"]["s1"]["approvals"] == 1


def test_a_host_named_like_a_group_or_a_pattern_is_refused():
    fleet = {name: server(name, "s") for name in ("web", "web[1:2]", "web3")}
    plan = planned(fleet, groups={"web"}).plan
    assert {name: entry["outcome"] for name, entry in plan["not_planned"].items()} == {
        "web": "refused",
        "web[1:2]": "refused",
    }
    assert hosts_of(plan) == [["web3"]]


def test_the_rest_of_a_service_is_refused_while_a_member_is_unreachable():
    outcome, reason = not_planned({"s1": server("s1", "s"), "s2": lost(server("s2", "s"))}, "s1")
    assert outcome == "refused"
    assert "bring s2 back first" in reason


def test_a_service_is_refused_while_its_partner_is_degraded():
    fleet = {**pair("ehr", never_with=["viewer"]), **pair("viewer", min_healthy=0)}
    fleet["viewer2"] = lost(fleet["viewer2"])
    assert "never disrupted with ehr" not in planned(fleet).plan["not_planned"]["viewer2"]["reason"]
    assert "viewer" in not_planned(fleet, "ehr1")[1]


@pytest.mark.parametrize(
    ("balancer", "reason"),
    [("a1", "names the host itself"), ("lb9", "which the inventory does not know"), ("lb1", "could not be assessed")],
)
def test_a_drain_that_cannot_work_is_refused(balancer, reason):
    fleet = pair("a", drain={"haproxy": balancer, "backend": "web"}) | {"lb1": lost(candidate("lb1", {}))}
    assert reason in not_planned(fleet, "a1")[1]


def test_contradicting_checksums_refuse_the_hosts_that_want_them_and_no_others():
    fleet = {
        **pair("a"),
        "b1": server("b1", "b", pending(update(sha256="b" * 64)), downtime_s=60),
        "c1": server("c1", "c", pending(update("curl")), downtime_s=60),
    }
    plan = planned(fleet).plan
    assert list(plan["hosts"]) == ["c1"]
    assert {entry["outcome"] for entry in plan["not_planned"].values()} == {"refused"}


# --- time ----------------------------------------------------------------------


def test_work_that_fits_no_occurrence_is_refused():
    outcome, reason = not_planned(pair(window="Sun 01:00, 59 min, UTC"), "s1")
    assert outcome == "refused"
    assert "lasts 59 min" in reason


def test_hosts_whose_turn_comes_too_late_are_refused_with_the_next_window():
    fleet = {f"s{n}": server(f"s{n}", "s", window="Sun 08:00, 2 h, UTC") for n in range(1, 6)}
    plan = planned(fleet).plan
    assert hosts_of(plan) == [["s1"], ["s2"]]
    entry = plan["not_planned"]["s3"]
    assert entry["outcome"] == "refused"
    assert "the next in which it fits opens at 2026-11-29T08:00:00Z" in entry["reason"]


def test_a_host_of_another_night_is_excluded_and_says_when():
    fleet = {**pair("a", window="Sun 08:00, 3 h, UTC"), **pair("b", window="Tue 08:00, 3 h, UTC")}
    outcome, reason = not_planned(fleet, "b1")
    assert outcome == "excluded"
    assert "2026-11-24T08:00:00Z" in reason
    assert hosts_of(planned(fleet).plan) == [["a1"], ["a2"]]


def test_an_always_open_window_is_planned_at_any_time_of_day():
    for hour in range(24):
        plan = planned(pair(), datetime(2026, 11, 22, hour, 55, tzinfo=UTC)).plan
        assert hosts_of(plan) == [["s1"], ["s2"]]
        assert plan["hosts"]["s1"]["window"]["start"] == "2026-11-22T00:00:00Z"


# --- what a run is held against --------------------------------------------------


def test_an_unknown_host_or_a_group_of_its_name_refuses_the_run():
    plan = planned(portal_pair()).plan
    verify_plan(plan, known_hosts=["portal1", "portal2", "lb1"], groups=["web"])
    with pytest.raises(PatchingError, match="does not know portal2"):
        verify_plan(plan, known_hosts=["portal1"])
    with pytest.raises(PatchingError, match="group of the inventory"):
        verify_plan(plan, groups=["portal1"])


def test_a_batch_is_exactly_its_wave():
    plan = planned({f"ws{n}": endpoint(f"ws{n}") for n in (1, 2, 3)}, limits=Limits(parallel=2)).plan
    check_batch(plan, ["ws1"])
    check_batch(plan, ["ws2", "ws3"])
    assert wave_of(plan, "ws3")["number"] == 2


@pytest.mark.parametrize("batch", [[], ["ws2"], ["ws3", "ws2"], ["ws1", "ws2", "ws3"], ["ws1", "ws2"], ["stranger"]])
def test_any_other_batch_is_refused(batch):
    plan = planned({f"ws{n}": endpoint(f"ws{n}") for n in (1, 2, 3)}, limits=Limits(parallel=2)).plan
    with pytest.raises(PatchingError):
        check_batch(plan, batch)


def test_the_plan_has_the_id_it_was_given():
    assert planned(portal_pair()).plan["plan_id"] == PLAN_ID


def test_a_host_that_was_not_asked_for_serves_but_is_not_planned():
    pair = portal_pair()
    pair["portal2"] = replace(pair["portal2"], why_not=Exclusion("excluded", "the plan was not asked for this host"))
    plan = planned(pair).plan
    assert [wave["hosts"] for wave in plan["waves"]] == [["portal1"]]
    assert plan["not_planned"]["portal2"]["outcome"] == "excluded"
    assert list(plan["services"]["portal"]["probes"]) == ["portal1", "portal2"]


def test_a_locked_member_is_not_probed():
    pair = portal_pair()
    pair["portal3"] = server("portal3", "portal", None, policy="vendor_locked", min_healthy=1)
    pair["portal3"] = replace(pair["portal3"], assessment=None, why_not=Exclusion("excluded", "locked"))
    assert "portal3" not in planned(pair).plan["services"]["portal"]["probes"]


def test_a_plan_that_asks_for_fewer_approvals_than_its_tier_is_refused_whatever_its_digest():
    plan = planned({"a1": server("a1", "s", tier=2, downtime_s=60, allowed_signers="files/approvers")}).plan
    assert plan["hosts"]["a1"]["approvals"] == 1
    plan["hosts"]["a1"]["approvals"] = 0
    plan["digest"] = plan_digest(plan)
    with pytest.raises(PatchingError, match="a1 of tier 2 asks for 0 approvals instead of 1"):
        verify_plan(plan)


def test_a_primary_is_switched_over_by_hook_on_its_replica_after_that():
    hook = {"hook": ["repmgr", "standby", "switchover"], "back": [], "on": "db2"}
    fleet = {
        "db1": server("db1", "database", role="primary", drain=hook),
        "db2": server("db2", "database", role="replica"),
    }
    made = planned(fleet).plan
    assert hosts_of(made) == [["db2"], ["db1"]]
    assert made["hosts"]["db1"]["drain"] == {
        "type": "hook",
        "host": "db2",
        "server": "db1",
        "hook": ["repmgr", "standby", "switchover"],
        "back": [],
    }
    on_itself = {"hook": ["away"], "back": ["home"]}
    made = planned({"app1": server("app1", "app", drain=on_itself, downtime_s=60)}).plan
    assert made["hosts"]["app1"]["drain"] == {"type": "hook", "server": "app1", **on_itself}
    assert "hook" in plan_table(made)


def test_a_cluster_keeps_its_majority():
    fleet = {f"q{n}": server(f"q{n}", "cluster", role="quorum", min_healthy=2) for n in range(1, 6)}
    reason = planned(fleet).plan["not_planned"]["q1"]["reason"]
    assert "patching_min_healthy is 2, so that 3 hosts may be out; expected at most 2: of the 5 with" in reason
    fleet = {f"q{n}": server(f"q{n}", "cluster", role="quorum", min_healthy=3) for n in range(1, 6)}
    assert max(len(wave) for wave in hosts_of(planned(fleet).plan)) == 2


def test_a_freeze_is_named_where_it_and_not_the_window_keeps_a_host_out():
    long = "2026-11-20 00:00 to 2027-12-30 00:00, UTC"
    reason = planned({"s1": server("s1", "s", downtime_s=60, freezes=[long])}).plan["not_planned"]["s1"]["reason"]
    assert "would open at 2026-11-22T00:00:00Z, but a freeze lasts from 2026-11-20T00:00:00Z" in reason
    assert reason.endswith("wait until they end, or in an emergency break_glass=freeze")


def test_a_drain_by_a_module_is_in_the_plan_with_its_options():
    node = {"pacemaker": "pacs1", "on": "pacs2"}
    fleet = {"pacs1": server("pacs1", "pacs", drain=node), "pacs2": server("pacs2", "pacs")}
    assert planned(fleet).plan["hosts"]["pacs1"]["drain"] == {
        "type": "pacemaker",
        "host": "pacs2",
        "server": "pacs1",
        "options": {"pacemaker": "pacs1", "min_peers": 1},
    }


def test_nobody_is_drained_by_a_device():
    fleet = {
        "s1": server("s1", "s", drain={"hook": ["away"], "back": [], "on": "pump1"}),
        "s2": server("s2", "s"),
        "pump1": candidate("pump1", {"patching_policy": "vendor_locked"}),
    }
    assert "patching_drain names pump1, a medical device" in planned(fleet).plan["not_planned"]["s1"]["reason"]


def test_a_plan_says_by_what_health_is_judged_only_where_the_site_does():
    changed = {1: {"latency_ms": {"failed_percent": 50}}, 3: {"restarts": {"noise": 0}}}
    told = {"broken_before": ["labels"], "thresholds": changed, "health_soak_s": 60}
    made = planned({"s1": server("s1", "s", downtime_s=60, **told), "t1": server("t1", "t", downtime_s=60)}).plan
    entry, plain = made["hosts"]["s1"], made["hosts"]["t1"]
    assert (entry["broken_before"], entry["health_soak_s"]) == (["labels"], 60)
    assert entry["thresholds"] == {"restarts": {"noise": 0}}  # of its own tier
    assert not {"broken_before", "thresholds", "health_soak_s"} & set(plain)
