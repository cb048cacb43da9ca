# SPDX-License-Identifier: GPL-3.0-or-later
"""Who goes with whom and before whom, by example."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.batch import Limits
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import plan_digest, verify_plan
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    endpoint,
    hosts_of,
    pending,
    planned,
    server,
    update,
)


def group(service, size=2, **settings):
    return {f"{service}{n}": server(f"{service}{n}", service, **settings) for n in range(1, size + 1)}


def refused(fleet, host):
    entry = planned(fleet).plan["not_planned"][host]
    assert entry["outcome"] == "refused"
    return entry["reason"]


# --- order -----------------------------------------------------------------------


def test_a_declared_order_goes_before_the_tiers():
    fleet = {**group("db", tier=2, allowed_signers="files/approvers"), **group("ehr", tier=4, after=["db"])}
    assert hosts_of(planned(fleet).plan) == [["db1"], ["db2"], ["ehr1"], ["ehr2"]]


def test_whoever_waits_takes_his_later_rings_with_him():
    fleet = {**group("db", tier=3), **group("ehr", tier=4)}
    fleet["ehr1"] = server("ehr1", "ehr", tier=4, ring="canary", after=["db2"])
    assert hosts_of(planned(fleet).plan) == [["db1"], ["db2"], ["ehr1"], ["ehr2"]]


def test_a_single_host_may_be_named():
    fleet = {**group("ehr"), "ws1": endpoint("ws1", after=["ws2"]), "ws2": endpoint("ws2")}
    assert hosts_of(planned(fleet).plan) == [["ehr1"], ["ehr2"], ["ws2"], ["ws1"]]


def test_a_host_that_is_not_planned_is_not_waited_for():
    fleet = {**group("ehr", after=["db"]), "db1": server("db1", "db", pending(), downtime_s=60)}
    assert hosts_of(planned(fleet).plan) == [["ehr1"], ["ehr2"]]


def test_the_replicas_go_before_the_primary_and_one_of_them_is_the_canary():
    fleet = group("db", 3, min_healthy=1, soak_s=0)
    fleet["db1"] = server("db1", "db", min_healthy=1, soak_s=0, role="primary")
    fleet |= {f"db{n}": server(f"db{n}", "db", min_healthy=1, soak_s=0, role="replica") for n in (2, 3)}
    assert hosts_of(planned(fleet).plan) == [["db2"], ["db3"], ["db1"]]


def test_the_canary_is_one_that_waits_for_no_other_of_its_service():
    fleet = {**group("ehr"), "ehr1": server("ehr1", "ehr", after=["ehr2"])}
    assert hosts_of(planned(fleet).plan) == [["ehr2"], ["ehr1"]]


# --- together ----------------------------------------------------------------------


def test_a_service_is_not_patched_with_one_that_it_needs():
    fleet = {**group("db"), **group("ehr", depends_on=["db"]), **group("pacs")}
    waves = hosts_of(planned(fleet).plan)
    assert ["db2", "pacs2"] in waves or ["ehr2", "pacs2"] in waves
    assert not any({"db2", "ehr2"} <= set(wave) for wave in waves)


def test_the_first_host_of_a_manifest_goes_alone():
    fleet = group("web", 5, min_healthy=1, soak_s=0)
    fleet["web4"] = server("web4", "web", pending(update(after="9.9")), min_healthy=1, soak_s=0)
    assert hosts_of(planned(fleet).plan) == [["web1"], ["web4"], ["web2", "web3", "web5"]]


def test_several_canaries_go_together_where_the_site_allows_it():
    fleet = {**group("a", soak_s=0), **group("b", soak_s=0), **group("c", soak_s=0)}
    plan = planned(fleet, limits=Limits(canaries=2)).plan
    assert hosts_of(plan) == [["a1"], ["b1", "c1", "a2"], ["b2", "c2"]]
    assert plan["limits"] == {"parallel": 10, "canaries": 2}


def test_a_wave_waits_a_little_for_more_hosts():
    fleet = {**group("a"), **group("b")}
    assert hosts_of(planned(fleet).plan) == [["a1"], ["b1"], ["a2", "b2"]]


def test_no_wave_waits_until_a_window_has_closed():
    # At 09:00 a2 may go and b2 has to soak until 09:10; until then a2 fits, and at 09:10 no more.
    fleet = {**group("a", window="Sun 08:00, 125 min, UTC"), **group("b")}
    assert hosts_of(planned(fleet).plan) == [["a1"], ["b1"], ["a2"], ["b2"]]


# --- the longest path, and what takes about as long ------------------------------------


def test_what_most_hangs_on_goes_first():
    fleet = {**group("a"), **group("z", 4)}
    assert hosts_of(planned(fleet).plan)[0] == ["z1"]


def test_hosts_whose_work_takes_about_as_long_go_together():
    fleet = {f"ws{n}": endpoint(f"ws{n}", estimate_s=3600 if n % 2 else 600) for n in range(1, 10)}
    plan = planned(fleet, limits=Limits(parallel=4)).plan
    assert hosts_of(plan) == [["ws2"], ["ws1", "ws3", "ws5", "ws7"], ["ws4", "ws6", "ws8", "ws9"]]


def test_whose_window_closes_first_goes_first():
    fleet = {**group("a", window="Sun 08:00, 8 h, UTC"), **group("z", window="Sun 08:00, 125 min, UTC")}
    assert hosts_of(planned(fleet).plan) == [["z1"], ["a1"], ["z2"], ["a2"]]


# --- refusals -----------------------------------------------------------------------


def test_services_that_wait_for_each_other_are_refused():
    fleet = {**group("a", after=["b"]), **group("b", after=["a"]), **group("c")}
    plan = planned(fleet).plan
    assert hosts_of(plan) == [["c1"], ["c2"]]
    assert plan["not_planned"]["a1"] == {
        "outcome": "refused",
        "reason": "host a1: hosts that wait for each other: a1 before b1 before a1; expected an order without a circle."
        " Next: correct patching_after, start_order, patching_role or patching_ring of these hosts.",
    }


def test_only_those_in_the_circle_are_refused_and_it_names_them():
    fleet = group("x", 3, min_healthy=1, after=["a1"])
    fleet["x3"] = server("x3", "x", min_healthy=1, ring="canary")
    fleet["a1"] = server("a1", "a", downtime_s=60, after=["x2"])
    plan = planned(fleet).plan
    assert sorted(plan["hosts"]) == ["x1", "x3"]
    for host in ("a1", "x2"):
        assert "a1 before x2 before a1" in plan["not_planned"][host]["reason"]


def test_a_service_may_name_the_host_that_goes_first_of_all():
    assert hosts_of(planned(group("e", 3, after=["e3"], soak_s=0)).plan)[0] == ["e3"]


def test_a_service_that_goes_after_itself_is_refused():
    assert refused(group("e", after=["e"]), "e1").startswith("service e: patching_after of e1 names the service itself")


def test_the_canary_makes_no_circle_where_the_order_has_none():
    fleet = {"a1": server("a1", "a", after=["b1"]), "a2": server("a2", "a")}
    fleet["b1"] = server("b1", "b", downtime_s=60, after=["a2"])
    assert hosts_of(planned(fleet).plan) == [["a2"], ["b1"], ["a1"]]


def test_a_late_canary_makes_no_circle_of_those_that_are_left():
    day = {"window": "Sun 00:00, 24 h, UTC", "estimate_s": 600, "way_back_s": 600}
    fleet = {
        "z1": server("z1", "z", downtime_s=60, estimate_s=3600, way_back_s=600, window="Sun 08:00, 3 h, UTC"),
        "a1": server(
            "a1", "a", min_healthy=1, after=["z1"], estimate_s=3600, way_back_s=3000, window="Sun 08:00, 2 h, UTC"
        ),
        "a2": server("a2", "a", min_healthy=1, after=["b1"], **day),
        "a3": server("a3", "a", min_healthy=1, **day),
        "b1": server("b1", "b", downtime_s=60, after=["a3"], **day),
    }
    plan = planned(fleet).plan
    assert plan["not_planned"]["a1"]["outcome"] == "refused"
    order = [host for wave in hosts_of(plan) for host in wave]
    assert order.index("a3") < order.index("b1") < order.index("a2")


# --- whoever fits is planned --------------------------------------------------------


def test_whoever_waited_for_a_host_that_is_too_late_goes_without_it():
    night = {"window": "Sun 08:00, 90 min, UTC", "soak_s": 600}
    fleet = {**group("db", **night), **group("ehr", after=["db"], **night)}
    plan = planned(fleet).plan
    assert hosts_of(plan) == [["db1"], ["ehr1"]]
    assert set(plan["not_planned"]) == {"db2", "ehr2"}


def test_a_new_manifest_does_not_push_out_a_window_that_closes():
    fleet = group("x", window="Sun 08:00, 2 h, UTC", estimate_s=600)
    for number in range(1, 6):
        facts = {"id": "debian", "version_id": f"1{number + 2}", "architecture": "amd64"}
        fleet[f"s{number}"] = server(
            f"s{number}", f"s{number}", pending(update(), facts=facts), downtime_s=60, window="Sun 08:00, 12 h, UTC"
        )
    assert len(planned(fleet).plan["hosts"]) == 7


def test_no_wave_waits_where_a_later_tier_would_come_too_late():
    fleet = {**group("db", 4, tier=4, min_healthy=3, soak_s=0), **group("lab", tier=4, soak_s=600)}
    fleet["ehr1"] = server("ehr1", "ehr", tier=3, downtime_s=60, window="Sun 08:00, 3 h, UTC")
    assert len(planned(fleet, limits=Limits(10, 10)).plan["hosts"]) == 7


def test_a_night_that_is_too_short_is_not_filled_with_the_longest_work():
    fleet = {
        f"s{n}": server(
            f"s{n}", f"s{n}", downtime_s=60, estimate_s=60 + 20 * n, way_back_s=60, window="Sun 08:00, 1 h, UTC"
        )
        for n in range(40)
    }
    # 60 + 80 + 100 + … fill the hour with 16 hosts; the longest first would fill it with four.
    assert len(planned(fleet).plan["hosts"]) >= 14


def test_two_primaries_are_refused():
    assert "patching_role is primary on db1, db2" in refused(group("db", role="primary"), "db1")


def test_a_primary_in_a_ring_before_its_replicas_is_refused():
    fleet = {"db1": server("db1", "db", ring="canary", role="primary"), "db2": server("db2", "db", role="replica")}
    assert "hosts that wait for each other" in refused(fleet, "db1")


def test_a_name_that_nothing_has_is_refused():
    fleet = group("ehr", after=["dbb"])
    assert "patching_after names dbb, which is no service and no host" in refused(fleet, "ehr1")


@pytest.mark.parametrize("needed", ["ehr", "dbb"])
def test_a_service_needs_another_one_that_there_is(needed):
    reason = refused(group("ehr", depends_on=[needed]), "ehr1")
    assert reason.startswith("service ehr: patching_depends_on names ")


@pytest.mark.parametrize(("parallel", "canaries"), [(0, 1), (10, 0), (2, 3), (-1, -1)])
def test_limits_that_nobody_could_keep_are_refused(parallel, canaries):
    with pytest.raises(PatchingError, match=f"parallel is {parallel} and canaries {canaries}"):
        Limits.of(parallel, canaries)


# --- an edited plan -----------------------------------------------------------------


def edited(plan, waves):
    plan["waves"] = [
        {"number": n, "hosts": hosts, "soak_s": 0, "kind": plan["waves"][0]["kind"]} for n, hosts in enumerate(waves, 1)
    ]
    plan["digest"] = plan_digest(plan)
    return plan


@pytest.mark.parametrize(
    ("settings", "waves", "problem"),
    [
        ({"after": ["db"]}, [["ehr1"], ["db1"], ["db2"], ["ehr2"]], "ehr1 does not come after db1"),
        ({"depends_on": ["db"]}, [["db1"], ["ehr1"], ["db2", "ehr2"]], "ehr together with db, on which it depends"),
        ({}, [["db1"], ["ehr1"], ["db2", "ehr2"]], None),
    ],
)
def test_a_plan_that_breaks_what_the_inventory_declares_is_refused(settings, waves, problem):
    plan = edited(planned({**group("db"), **group("ehr", **settings)}).plan, waves)
    if problem is None:
        verify_plan(plan)
    else:
        with pytest.raises(PatchingError, match=problem):
            verify_plan(plan)


@pytest.mark.parametrize(
    ("limits", "waves", "problem"),
    [
        ((2, 1), [["a1"], ["b1"], ["c1"], ["a2", "b2", "c2"]], "3 hosts, of at most 2"),
        ((9, 2), [["a1", "b1", "c1"], ["a2", "b2", "c2"]], "3 canaries, of at most 2"),
        ((9, 1), [["a1", "b1"], ["c1"], ["a2", "b2", "c2"]], "a canary is not alone"),
        ((9, 3), [["a1", "b1", "c1"], ["a2", "b2", "c2"]], "the first host of debian-12-amd64 is not alone"),
    ],
)
def test_a_wave_beyond_the_plans_limits_is_refused(limits, waves, problem):
    fleet = {**group("a"), **group("b"), **group("c")}
    plan = edited(planned(fleet, limits=Limits(*limits)).plan, waves)
    with pytest.raises(PatchingError, match=problem):
        verify_plan(plan)
