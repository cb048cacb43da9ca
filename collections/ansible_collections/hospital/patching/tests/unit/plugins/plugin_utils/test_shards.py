# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import plan_table
from ansible_collections.hospital.patching.plugins.plugin_utils.shards import Shard, shards
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    candidate,
    endpoint,
    hosts_of,
    planned,
    portal_pair,
    server,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.test_plan_properties import fleets


def services(*names, size=2, **settings):
    return {f"{name}{n}": server(f"{name}{n}", name, **settings) for name in names for n in range(1, size + 1)}


def test_services_stay_whole_and_parts_are_about_as_large():
    found = shards(services(*"abcdefgh"), 4)
    assert sorted(found.values()) == sorted([1, 2, 3, 4] * 4)
    assert all(found[f"{name}1"] == found[f"{name}2"] for name in "abcdefgh")


@pytest.mark.parametrize("relation", ["never_with", "depends_on", "after"])
def test_what_is_known_together_stays_together(relation):
    fleet = {**services("a", **{relation: ["b"]}), **services("b", "c", "d")}
    found = shards(fleet, 3)
    assert len({found[host] for host in ("a1", "a2", "b1", "b2")}) == 1
    assert len(set(found.values())) == 3


def test_a_host_that_goes_after_another_host_and_one_that_another_drains_stay_with_it():
    fleet = {**services("a", after=["w1"]), "w1": endpoint("w1"), "w2": endpoint("w2"), **portal_pair()}
    found = shards(fleet, 3)
    assert found["a1"] == found["w1"]
    assert found["portal1"] == found["portal2"] == found["lb1"]


@given(fleets(), st.integers(1, 5), st.randoms(use_true_random=False))
def test_every_host_is_planned_by_one_shard_and_no_service_by_two(fleet, count, shuffler):
    whole = planned(fleet, watched=True).plan
    parts = [planned(fleet, watched=True, shard=Shard(number, count)).plan for number in range(1, count + 1)]
    asked = [host for part in parts for host, entry in part["not_planned"].items() if "in shard" in entry["reason"]]
    assert {host for host in fleet if asked.count(host) == count} == set()
    assert not any(
        {entry["service"] for entry in one["hosts"].values()}
        & {entry["service"] for entry in other["hosts"].values()} - {None}
        for number, one in enumerate(parts)
        for other in parts[:number]
    )
    # A part has the whole night to itself, so it may have room for hosts that the whole fleet's plan has refused.
    assert set(whole["hosts"]) <= {host for part in parts for host in part["hosts"]}
    hosts = list(fleet)
    shuffler.shuffle(hosts)
    assert shards({host: fleet[host] for host in hosts}, count) == shards(fleet, count)


def test_hosts_of_another_shard_serve_and_say_where_they_are():
    plan = planned(services("a", "b"), shard=Shard(2, 2)).plan
    assert hosts_of(plan) == [["b1"], ["b2"]]
    assert plan["not_planned"]["a1"] == {"outcome": "excluded", "reason": "it is in shard 1 of 2"}
    assert plan["services"]["a"]["out"] == []
    assert "Shard 2 of 2" in plan_table(plan)
    assert "Shard" not in plan_table(planned(portal_pair()).plan)


def test_a_large_fleet_is_cut_in_balance():
    dice = random.Random(1)
    fleet = {f"s{s}h{n}": server(f"s{s}h{n}", f"s{s}") for s in range(60) for n in range(dice.randint(1, 9))}
    found = list(shards(fleet, 4).values())
    sizes = [found.count(number) for number in (1, 2, 3, 4)]
    assert max(sizes) - min(sizes) <= 1


def test_observed_hosts_weigh_nothing():
    fleet = {**{f"old{n}": candidate(f"old{n}", {}) for n in range(20)}, **services("a", "b")}
    found = shards(fleet, 2)
    assert found["a1"] != found["b1"]


@pytest.mark.parametrize(("number", "of"), [(0, 2), (3, 2), (1, 0), (-1, 4)])
def test_a_shard_that_there_is_not_is_refused(number, of):
    with pytest.raises(PatchingError, match=f"plan_shard: shard {number} of {of}"):
        Shard.read(number, of)


def test_of_several_shards_one_has_to_be_named():
    assert Shard.read(0, 1) == Shard(1, 1)
    with pytest.raises(PatchingError, match="shard 0 of 2; expected a number from 1 to 2"):
        Shard.read(0, 2)
