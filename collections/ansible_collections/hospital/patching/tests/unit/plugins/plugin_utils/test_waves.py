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


@pytest.mark.parametrize("after", [{"a": ["b"], "b": ["a"]}, {"a": ["b1"], "b": ["a2"]}, {"a": ["a"], "b": []}])
def test_hosts_that_wait_for_each_other_are_refused(after):
    fleet = {**group("a", after=after["a"]), **group("b", after=after["b"]), **group("c")}
    reason = refused(fleet, "a1")
    assert reason.startswith("host a1: hosts that wait for each other: ")
    assert " before " in reason
    assert "correct patching_after" in reason
    assert {"c1", "c2"} <= set(planned(fleet).plan["hosts"])


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
