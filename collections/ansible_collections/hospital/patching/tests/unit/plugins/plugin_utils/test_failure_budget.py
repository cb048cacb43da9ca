# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils import failure_budget
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import FAILURES, OUTCOMES, HostState
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS, effective
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW, planned, server, state

FAILED = state("rolled_back", out=False)


def settings(service: str, budget: dict[str, Any]) -> Any:
    return effective("x", {"patching_service": service, "patching_failure_budget": budget})


def allowances(*stated: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    """Return the allowances of hosts of a ring and service with a budget."""
    hosts = {f"h{number}": one for number, one in enumerate(stated)}
    return failure_budget.allowances(
        {host: settings(service, budget) for host, (_ring, service, budget) in hosts.items()},
        {host: ring for host, (ring, _service, _budget) in hosts.items()},
    )


def plan_of(hosts: dict[str, tuple[str, str | None, int]], run: int = 9, ring: int = 9, service: int = 9) -> Any:
    """Return the part of a plan that the budget is held against: host → ring, service, tier."""
    return {
        "hosts": {host: {"ring": r, "service": s, "tier": tier} for host, (r, s, tier) in hosts.items()},
        "failure_budget": {
            "run": run,
            "rings": {r: ring for r, _s, _tier in hosts.values()},
            "services": {s: service for _r, s, _tier in hosts.values() if s is not None},
        },
    }


# --- what the plan carries -------------------------------------------------------


def test_nothing_stated_allows_none_anywhere():
    found = planned({f"web{n}": server(f"web{n}", "web", min_healthy=2) for n in range(1, 6)}).plan
    assert found["failure_budget"] == {"run": 0, "rings": {"canary": 0, "broad": 0}, "services": {"web": 0}}


def test_a_share_is_of_the_planned_hosts_of_its_level_and_rounds_down():
    share = dict.fromkeys(("run", "ring", "service"), "30 %")
    canary = {f"{name}1": server(f"{name}1", name, failure_budget=share) for name in ("a", "b")}
    others = {f"a{n}": server(f"a{n}", "a", failure_budget=share) for n in range(2, 8)}
    assert planned(canary | others).plan["failure_budget"] == {
        "run": 2,  # of 7: a service of one host that states no downtime is not planned
        "rings": {"canary": 0, "broad": 1},
        "services": {"a": 2},
    }


@pytest.mark.parametrize(
    ("limit", "hosts", "allowed"),
    [(0, 9, 0), (2, 9, 2), ("10 %", 9, 0), ("10 %", 10, 1), ("10 %", 19, 1), ("100 %", 3, 3), ("99 %", 100, 99)]
    + [({"count": 2, "share_percent": 10}, hosts, allowed) for hosts, allowed in ((9, 0), (15, 1), (20, 2), (90, 2))],
)
def test_a_count_a_share_and_the_smaller_of_both(limit, hosts, allowed):
    found = allowances(*[("broad", "web", {"run": limit, "ring": limit, "service": limit})] * hosts)
    assert found == {"run": allowed, "rings": {"broad": allowed}, "services": {"web": allowed}}


def test_of_hosts_that_differ_the_strictest_holds_and_only_at_its_own_level():
    loose, tight = {"run": 3, "ring": 3, "service": 3}, {"run": "50 %", "ring": 1, "service": 0}
    found = allowances(
        ("canary", "web", loose), ("broad", "web", loose), ("broad", "db", tight), ("early", "pacs", loose)
    )
    assert found == {
        "run": 2,
        "rings": {"canary": 3, "early": 3, "broad": 1},
        "services": {"db": 0, "pacs": 3, "web": 3},
    }


LIMITS = st.one_of(
    st.integers(0, 20),
    st.integers(0, 100).map("{} %".format),
    st.builds(lambda count, share: {"count": count, "share_percent": share}, st.integers(0, 20), st.integers(0, 100)),
)
BUDGETS = st.fixed_dictionaries({}, optional=dict.fromkeys(("run", "ring", "service"), LIMITS))
HOSTS = st.tuples(st.sampled_from(RINGS), st.sampled_from(["web", "db"]), BUDGETS)


@given(st.lists(HOSTS, min_size=1, max_size=8))
def test_no_host_gets_more_than_it_would_alone_ask_for(hosts):
    found = allowances(*hosts)
    for ring, service, budget in hosts:
        alike = allowances(*((r, s, budget) for r, s, _budget in hosts))
        assert found["run"] <= alike["run"]
        assert found["rings"][ring] <= alike["rings"][ring]
        assert found["services"][service] <= alike["services"][service]


@given(st.integers(0, 100), st.integers(1, 60))
def test_a_share_never_allows_more_than_it_says_and_a_count_of_that_size_means_the_same(share, hosts):
    by_share = allowances(*[("broad", "web", {"run": f"{share} %"})] * hosts)
    assert by_share["run"] * 100 <= share * hosts < (by_share["run"] + 1) * 100
    assert by_share == allowances(*[("broad", "web", {"run": by_share["run"]})] * hosts)


# --- who is stopped --------------------------------------------------------------

THREE_RINGS = {
    "c1": ("canary", "web", 3),
    "e1": ("early", "web", 3),
    "b1": ("broad", "web", 3),
    "b2": ("broad", "db", 3),
    "c2": ("canary", None, 4),
}


def stopped(plan: Any, *failed: str) -> set[str]:
    states = dict.fromkeys(failed, FAILED)
    return {host for host in plan["hosts"] if failure_budget.exceeded(plan, host, states)}


def test_too_many_in_the_run_stop_every_host():
    plan = plan_of(THREE_RINGS, run=1)
    assert stopped(plan, "c2") == set()
    assert stopped(plan, "c2", "b2") == set(THREE_RINGS)


def test_too_many_in_a_ring_stop_it_and_the_later_ones():
    plan = plan_of(THREE_RINGS, ring=0)
    assert stopped(plan, "c2") == set(THREE_RINGS)
    assert stopped(plan, "e1") == {"e1", "b1", "b2"}
    assert stopped(plan, "b2") == {"b1", "b2"}


def test_too_many_in_a_service_stop_only_its_hosts():
    plan = plan_of(THREE_RINGS, service=0)
    assert stopped(plan, "b2") == {"b2"}
    assert stopped(plan, "c1") == {"c1", "e1", "b1"}
    assert stopped(plan, "c2") == set()


def test_what_the_plan_does_not_name_allows_none():
    plan = plan_of(THREE_RINGS)
    plan["failure_budget"] |= {"rings": {}, "services": {}}
    assert stopped(plan, "b2") == {"b1", "b2"}


def test_the_reason_names_the_hosts_and_what_stopped():
    states = {"b2": state("unreachable", out=True), "e1": FAILED}
    told = failure_budget.exceeded(plan_of(THREE_RINGS, service=0), "b1", states)
    assert told == ("e1 is rolled back: service web stopped before it could harm another (failed hosts allowed: 0)")
    told = failure_budget.exceeded(plan_of(THREE_RINGS, ring=0), "b1", {"b2": states["b2"]})
    assert told == "b2 is unreachable: ring broad stopped before it could harm another (failed hosts allowed: 0)"


def test_one_failed_host_of_tier_1_stops_the_run_whatever_the_budget():
    plan = plan_of(THREE_RINGS | {"ehr1": ("broad", "ehr", 1)})
    assert stopped(plan, "ehr1") == set(plan["hosts"])
    assert "whatever" in failure_budget.exceeded(plan, "c1", {"ehr1": FAILED})


@pytest.mark.parametrize("outcome", sorted(OUTCOMES))
def test_exactly_failures_count(outcome):
    told = failure_budget.exceeded(plan_of(THREE_RINGS, run=0), "b1", {"c2": state(outcome, out=False)})
    assert bool(told) is (outcome in {"rolled_back", "unverified", "stuck", "unreachable"})


def test_a_host_that_was_unreachable_is_tried_again_and_still_stops_the_others():
    plan = plan_of(THREE_RINGS | {"ehr1": ("broad", "ehr", 1)}, run=0)
    states = {"ehr1": state("unreachable", out=True)}
    assert failure_budget.exceeded(plan, "ehr1", states) is None
    assert failure_budget.exceeded(plan, "b1", states) is not None
    assert failure_budget.exceeded(plan, "ehr1", states | {"b1": FAILED}) is not None
    assert failure_budget.exceeded(plan, "ehr1", {"ehr1": FAILED}) is not None, "a failed patch is not tried again"


def test_a_host_that_the_plan_does_not_name_does_not_count():
    assert stopped(plan_of(THREE_RINGS, run=0), "stranger") == set()


@st.composite
def nights(draw: st.DrawFn) -> tuple[Any, dict[str, HostState]]:
    """Draw a plan and what became of its hosts."""
    names = [f"h{number}" for number in range(draw(st.integers(1, 7)))]
    rings, services = st.sampled_from(RINGS), st.sampled_from(["web", "db", None])
    hosts = {name: (draw(rings), draw(services), draw(st.integers(1, 4))) for name in names}
    numbers = st.integers(0, 3)
    plan = plan_of(hosts, draw(numbers), draw(numbers), draw(numbers))
    outcomes = st.sampled_from([None, None, *sorted(OUTCOMES)])
    return plan, {name: HostState(draw(outcomes), NOW, out=False) for name in names}


@given(nights())
def test_a_host_goes_only_while_no_level_has_more_failed_hosts_than_allowed(night):
    """Judged from the numbers alone, sharing no code with the budget."""
    plan, states = night
    for host, mine in plan["hosts"].items():
        if failure_budget.exceeded(plan, host, states) is not None:
            continue
        failed = [
            plan["hosts"][name]
            for name, one in states.items()
            if one.outcome in FAILURES and (name, one.outcome) != (host, "unreachable")
        ]
        budget = plan["failure_budget"]
        assert len(failed) <= budget["run"]
        assert all(entry["tier"] > 1 for entry in failed)
        assert sum(entry["service"] == mine["service"] for entry in failed) <= budget["services"].get(
            mine["service"], 9
        )
        for ring, allowed in budget["rings"].items():
            if RINGS.index(ring) <= RINGS.index(mine["ring"]):
                assert sum(entry["ring"] == ring for entry in failed) <= allowed


@given(nights(), st.data())
def test_a_further_failure_never_lets_a_stopped_host_go(night, data):
    plan, states = night
    host = data.draw(st.sampled_from(sorted(states)))
    assume(failure_budget.exceeded(plan, host, states) is not None)
    more = states | {data.draw(st.sampled_from(sorted(states))): FAILED}
    assert failure_budget.exceeded(plan, host, more) is not None


@given(nights())
def test_within_the_budget_nobody_is_stopped(night):
    plan, states = night
    gentle = {name: one for name, one in states.items() if one.outcome not in FAILURES}
    assert not any(failure_budget.exceeded(plan, host, gentle) for host in plan["hosts"])
