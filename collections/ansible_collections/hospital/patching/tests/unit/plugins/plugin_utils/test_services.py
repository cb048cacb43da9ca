# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.services import services_of
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    candidate,
    endpoint,
    lost,
    server,
)


def services(**candidates):
    return services_of(candidates)


def test_size_less_one_must_stay_healthy():
    found, problems = services(web10=server("web10", "web"), web2=server("web2", "web"), lb1=candidate("lb1", {}))
    assert (found["web"].hosts, found["web"].min_healthy, found["web"].allowance) == (("web2", "web10"), 1, 1)
    assert problems == {}


def test_a_single_host_states_the_downtime_it_accepts():
    assert "patching_downtime_s" in services(db1=server("db1", "db"))[1]["db"]
    found, problems = services(db1=server("db1", "db", downtime_s=300))
    assert (found["db"].min_healthy, found["db"].allowance, problems) == (0, 1, {})
    found, problems = services(db1=server("db1", "db", min_healthy=0))
    assert (found["db"].allowance, problems) == (1, {})


def test_the_downtime_of_a_single_host_means_nothing_for_a_pair():
    assert services(a=server("a", "db", downtime_s=300), b=server("b", "db", downtime_s=300))[0]["db"].min_healthy == 1


@pytest.mark.parametrize("setting", ["tier", "min_healthy"])
def test_hosts_that_contradict_each_other_are_a_problem_of_the_service(setting):
    found = services(a=server("a", "s", **{setting: 2}), b=server("b", "s", **{setting: 1}), c=server("c", "s"))[1]
    assert f"patching_{setting}" in found["s"]


@pytest.mark.parametrize("count", [2, 3])
def test_min_healthy_that_lets_no_host_be_out_is_a_problem(count):
    pair = {host: server(host, "s", min_healthy=count) for host in "ab"}
    assert "none may ever be out" in services_of(pair)[1]["s"]


def test_a_member_that_could_not_be_assessed_counts_as_out():
    found = services(a=server("a", "s"), b=lost(server("b", "s")))[0]["s"]
    assert (found.out, found.allowance) == (("b",), 0)


def test_members_that_are_never_patched_still_serve():
    observed = candidate("b", {"patching_service": "s", "patching_policy": "observed"})
    found = services(a=server("a", "s"), b=observed)[0]["s"]
    assert (found.hosts, found.out) == (("a", "b"), ())


def test_never_with_binds_both_whichever_says_it():
    found = services(
        a=server("a", "ehr", never_with=["viewer"], downtime_s=60), b=server("b", "viewer", downtime_s=60)
    )[0]
    assert found["ehr"].never_with == ("viewer",)
    assert found["viewer"].never_with == ("ehr",)


def test_a_partner_that_no_host_carries_is_a_problem():
    assert "veiwer" in services(a=server("a", "ehr", never_with=["veiwer"], downtime_s=60))[1]["ehr"]


def test_a_service_cannot_be_its_own_partner():
    assert "itself" in services(a=server("a", "ehr", never_with=["ehr"], downtime_s=60))[1]["ehr"]


def test_hosts_without_a_service_are_in_none():
    assert services(a=endpoint("a"))[0] == {}
