# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans that only leave something out of an approved one: they keep its waves, and every promise of a plan."""

from __future__ import annotations

import copy
import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import plan_derived, plan_drops
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import verify_manifest
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import plan_digest, verify_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import plan_table
from ansible_collections.hospital.patching.plugins.plugin_utils.shards import Shard
from ansible_collections.hospital.patching.plugins.plugin_utils.waves import Limits
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    FACTS,
    NOW,
    PLAN_ID,
    candidate,
    endpoint,
    hosts_of,
    loaded,
    lost,
    pending,
    planned,
    server,
    update,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.test_plan_properties import (
    broken_promises,
    example_fleets,
    fleets,
)

ID, NEXT_ID = "20261122T081000Z-ab12cd35", "20261122T082000Z-ab12cd36"
#: Why a random plan may be refused: it is empty, or a workstation would have to become the canary.
PLAN_AGAIN = re.compile(r"(every host is dropped|is in ring canary); expected")
ALL = ("openssl", "tzdata", "nginx")
WEB = {"min_healthy": 2}


def web(count=5, updates=ALL, **more):
    assessed = pending(*(update(name) for name in updates))
    return {f"web{n}": server(f"web{n}", "web", assessed, **{**WEB, **more}) for n in range(1, count + 1)}


def derive(made, hosts=(), updates=(), plan_id=ID, now=NOW):
    return plan_derived.derive(loaded(made), plan_id, now, hosts, updates)


def refusal(made, hosts=(), updates=(), now=NOW):
    with pytest.raises(PatchingError) as caught:
        derive(made, hosts, updates, now=now)
    return str(caught.value)


def test_a_host_leaves_its_wave_and_the_others_go_as_approved():
    made = planned(web())
    assert hosts_of(made.plan) == [["web1"], ["web2", "web3", "web4"], ["web5"]]
    plan = derive(made, ["web3"]).plan
    assert hosts_of(plan) == [["web1"], ["web2", "web4"], ["web5"]]
    assert plan["not_planned"]["web3"] == {"outcome": "excluded", "reason": f"it was dropped from plan {PLAN_ID}"}
    assert (plan["plan_id"], plan["digest"]) != (PLAN_ID, made.plan["digest"])
    for key in ("limits", "services", "shard", "site", "failure_budget"):
        assert plan[key] == made.plan[key]
    assert all(plan["hosts"][host] == made.plan["hosts"][host] for host in plan["hosts"])


def test_an_empty_wave_vanishes_and_the_others_are_numbered_anew():
    plan = derive(planned(web()), ["web2", "web3", "web4"]).plan
    assert [(wave["number"], wave["hosts"]) for wave in plan["waves"]] == [(1, ["web1"]), (2, ["web5"])]


def test_the_approved_plan_itself_is_not_changed():
    made = planned(web())
    before = copy.deepcopy(made)
    derive(made, ["web1"], ["openssl"])
    assert made == before


def test_the_same_drops_give_the_same_digest_whenever_they_are_asked_for():
    made = planned(web())
    one = derive(made, ["web3", "web4"], ["openssl"])
    other = derive(made, ["web4", "web3"], ["openssl"], NEXT_ID, NOW + timedelta(minutes=5))
    assert one.plan["digest"] == other.plan["digest"]


@pytest.mark.parametrize(
    ("items", "left"),
    [
        (["openssl"], ["tzdata", "nginx"]),
        (["openssl=3.0.17-1", "nginx"], ["tzdata"]),
        (["DSA-5999-1"], ["openssl", "nginx"]),
    ],
)
def test_an_update_is_dropped_by_name_by_version_or_by_advisory_on_all_hosts_and_from_the_manifest(items, left):
    assessed = pending(update("openssl"), update("tzdata", advisories=["DSA-5999-1"]), update("nginx"))
    made = planned({f"web{n}": server(f"web{n}", "web", assessed, **WEB) for n in range(1, 4)})
    derived = derive(made, updates=items)
    assert hosts_of(derived.plan) == hosts_of(made.plan)
    for entry in derived.plan["hosts"].values():
        assert [one["name"] for one in entry["updates"]] == left
    (manifest,) = derived.manifests.values()
    assert sorted(one["name"] for one in manifest["entries"]) == sorted(left)
    assert manifest["digest"] not in made.manifests


def test_what_one_host_knows_to_be_of_an_advisory_is_dropped_on_the_hosts_that_do_not_know_it():
    """Else the manifest would still allow it, and the first host could get it as what another update needs."""
    knows = pending(update("curl", advisories=["DSA-1"]), update("nginx"))
    fleet = {"web1": server("web1", "web", knows, **WEB)}
    fleet |= {f"web{n}": server(f"web{n}", "web", pending(update("curl"), update("nginx")), **WEB) for n in (2, 3)}
    derived = derive(planned(fleet), updates=["DSA-1"])
    assert {one["name"] for entry in derived.plan["hosts"].values() for one in entry["updates"]} == {"nginx"}
    (manifest,) = derived.manifests.values()
    assert [one["name"] for one in manifest["entries"]] == ["nginx"]


def test_another_version_of_the_package_stays_in_its_own_manifest():
    fleet = web(4, ["openssl", "nginx"])
    fleet["web4"] = server("web4", "web", pending(update("openssl", after="3.0.18-1"), update("nginx")), **WEB)
    derived = derive(planned(fleet), updates=["openssl=3.0.18-1"])
    names = {host: [one["name"] for one in entry["updates"]] for host, entry in derived.plan["hosts"].items()}
    assert names == {"web1": ALL_TWO, "web2": ALL_TWO, "web3": ALL_TWO, "web4": ["nginx"]}
    allowed = {one["group"]: [entry["name"] for entry in one["entries"]] for one in derived.manifests.values()}
    assert allowed == {"debian-12-amd64": ["nginx", "openssl"], "debian-12-amd64.2": ["nginx"]}


ALL_TWO = ["openssl", "nginx"]


def test_a_manifest_of_which_nothing_is_dropped_stays_as_it_is_and_one_of_nobody_is_not_kept():
    fleet = web(3)
    fleet["web4"] = server("web4", "web", pending(update("openssl", after="3.0.18-1")), **WEB)
    made = planned(fleet)
    assert len(made.manifests) == 2
    derived = derive(made, ["web4"])
    assert derived.manifests == {
        made.plan["hosts"]["web1"]["manifest"]: made.manifests[made.plan["hosts"]["web1"]["manifest"]]
    }


def test_a_host_of_which_all_updates_are_dropped_is_left_out():
    fleet = web(4)
    fleet["web4"] = server("web4", "web", pending(update("curl")), **WEB)
    plan = derive(planned(fleet), updates=["curl"]).plan
    assert plan["not_planned"]["web4"]["reason"] == f"all its updates were dropped from plan {PLAN_ID}"
    assert hosts_of(plan) == [["web1"], ["web2", "web3"]]


def test_the_next_host_becomes_the_canary_alone_and_the_others_still_wait_for_its_soak():
    made = planned(web())
    plan = derive(made, ["web1"]).plan
    assert hosts_of(plan) == [["web2"], ["web3", "web4"], ["web5"]]
    assert {host: entry["ring"] for host, entry in plan["hosts"].items()} == {
        "web2": "canary",
        **dict.fromkeys(("web3", "web4", "web5"), "broad"),
    }
    assert [wave["soak_s"] for wave in plan["waves"]] == [600, 0, 0]
    again = derive(derive(made, ["web1"]), ["web2"], plan_id=NEXT_ID)
    assert again.plan["hosts"]["web3"]["ring"] == "canary"
    assert plan_drops.difference(loaded(made), loaded(again)) == "", "dropping twice is dropping both"


def test_the_next_canary_is_of_the_ring_that_would_have_gone_next():
    fleet = web(4)
    fleet["web1"] = server("web1", "web", pending(update()), ring="canary", **WEB)
    fleet["web4"] = server("web4", "web", pending(update()), ring="early", **WEB)
    made = planned(fleet)
    assert hosts_of(made.plan)[:2] == [["web1"], ["web4"]]
    plan = derive(made, ["web1"]).plan
    assert hosts_of(plan) == [["web4"], ["web2", "web3"]]
    assert plan["hosts"]["web4"]["ring"] == "canary"


def test_while_a_service_has_another_canary_nobody_becomes_one():
    made = planned({**web(3), "web4": server("web4", "web", pending(update()), ring="canary", **WEB), **other_canary()})
    assert sum(entry["ring"] == "canary" for entry in made.plan["hosts"].values()) == 2
    plan = derive(made, ["web4"]).plan
    assert [host for host, entry in plan["hosts"].items() if entry["ring"] == "canary"] == ["web5"]


def other_canary():
    return {"web5": server("web5", "web", pending(update()), ring="canary", **WEB)}


def test_the_next_host_of_a_manifest_goes_alone_where_its_first_is_dropped():
    old = pending(update(), facts={**FACTS, "version_id": "11"})
    fleet = web(1, ["openssl"]) | {f"web{n}": server(f"web{n}", "web", old, **WEB) for n in range(2, 6)}
    made = planned(fleet)
    assert hosts_of(made.plan) == [["web1"], ["web2"], ["web3", "web4", "web5"]]
    plan = derive(made, ["web2"]).plan
    assert hosts_of(plan) == [["web1"], ["web3"], ["web4", "web5"]]
    assert plan["hosts"]["web3"]["ring"] == "broad"


def test_who_waits_for_a_host_that_is_dropped_waits_no_longer():
    fleet = web(2, min_healthy=1) | {"db1": server("db1", "db", pending(update()), min_healthy=0)}
    fleet["web2"] = server("web2", "web", pending(update()), min_healthy=1, after=["db1"])
    made = planned(fleet)
    plan = derive(made, ["db1"]).plan
    assert hosts_of(plan) == [wave for wave in hosts_of(made.plan) if wave != ["db1"]]
    assert plan["hosts"]["web2"]["after"] == ["db1"]


def test_hosts_that_are_dropped_count_as_serving_and_those_that_were_out_as_out():
    fleet = web()
    made = planned({**fleet, "web5": lost(fleet["web5"])})
    plan = derive(made, ["web3"]).plan
    assert plan["services"]["web"] == made.plan["services"]["web"]
    assert (plan["services"]["web"]["hosts"][2], plan["services"]["web"]["out"]) == ("web3", ["web5"])


def test_of_the_failure_budget_stays_what_rings_and_services_are_left():
    fleet = web(3) | {"db1": server("db1", "db", pending(update()), min_healthy=0)}
    made = planned(fleet)
    plan = derive(made, ["db1"]).plan
    assert set(made.plan["failure_budget"]["services"]) == {"web", "db"}
    assert plan["failure_budget"] == {
        **made.plan["failure_budget"],
        "services": {"web": made.plan["failure_budget"]["services"]["web"]},
    }


def test_the_plan_of_a_shard_stays_the_plan_of_that_shard():
    fleet = web(3) | {f"db{n}": server(f"db{n}", "db", pending(update())) for n in (1, 2, 3)}
    made = planned(fleet, shard=Shard(1, 2))
    (mine,) = {entry["service"] for entry in made.plan["hosts"].values()}
    other = "db" if mine == "web" else "web"
    plan = derive(made, [f"{mine}3"]).plan
    assert plan["shard"] == {"number": 1, "of": 2}
    assert f"does not patch {other}1 anyway: it is in shard 2 of 2" in refusal(made, [f"{other}1"])


# --- refusals ----------------------------------------------------------------------


def test_a_host_that_the_plan_does_not_know_is_refused():
    told = refusal(planned(web()), ["web2", "web33"])
    assert f"plan {PLAN_ID}, from which to drop: it does not know web33" in told
    assert "a group's name is none" in told


def test_a_host_that_is_not_planned_is_refused_with_the_plans_reason():
    told = refusal(planned({**web(), "old": candidate("old", {})}), ["old"])
    assert "it does not patch old anyway: " in told
    assert "observed" in told


@pytest.mark.parametrize("item", ["opensl", "openssl=3.0.15-1", "openssl=", "DSA-1", "open*"])
def test_an_update_that_no_host_gets_is_refused(item):
    told = refusal(planned(web()), updates=["nginx", item])
    assert f"no host of it gets {item!r}; expected NAME, NAME=VERSION (the new one)" in told


@pytest.mark.parametrize(("hosts", "updates"), [([f"web{n}" for n in range(1, 6)], []), ([], ALL), (["web1"], ALL)])
def test_a_plan_of_which_nothing_is_left_is_refused(hosts, updates):
    assert "every host is dropped; expected a host that is left" in refusal(planned(web()), hosts, updates)


def test_a_host_that_stands_late_for_no_reason_any_more_stays_where_it_was_approved():
    """Moving it would need a new approval, and turns by tier are a preference."""
    fleet = {
        "ris1": server("ris1", "ris", pending(update()), tier=3, min_healthy=0, downtime_s=60),
        "db1": server("db1", "db", pending(update()), tier=2, min_healthy=0, allowed_signers="files/approvers"),
        "app1": server("app1", "app", pending(update()), tier=4, min_healthy=0, after=["db1"]),
        "pacs1": server("pacs1", "pacs", pending(update()), tier=2, min_healthy=0, allowed_signers="files/approvers"),
    }
    made = planned(fleet)
    assert hosts_of(made.plan).index(["app1"]) > hosts_of(made.plan).index(["ris1"])
    left = derive(made, ["db1"]).plan
    assert hosts_of(left) == [wave for wave in hosts_of(made.plan) if wave != ["db1"]]
    assert left["derived_from"] == made.plan["plan_id"]
    verify_plan(left)
    assert "Derived from plan" in plan_table(left)
    # A plan that is made anew has no such excuse.
    del left["derived_from"]
    left["digest"] = plan_digest(left)
    with pytest.raises(PatchingError, match="whose turn is later by kind, exposure or tier"):
        verify_plan(left)


def test_no_server_becomes_canary_beside_a_workstation_of_its_service_that_is_one():
    fleet = web(3, min_healthy=1)
    fleet["ws1"] = endpoint("ws1", service="web", ring="canary", min_healthy=1)
    made = planned(fleet)
    assert made.plan["hosts"]["ws1"]["ring"] == "canary"
    assert "web2 is in ring canary" in refusal(made, ["web1"])


def test_a_plan_whose_windows_have_passed_is_refused_and_who_comes_too_late_is_named():
    window = {"window": "Sun 08:00, 2 h, UTC", "estimate_s": 1800, "way_back_s": 600}
    made = planned(web(3, **window))
    assert plan_derived.late(made.plan) == []
    told = refusal(made, ["web2"], now=NOW + timedelta(days=1))
    assert "none of the hosts that are left fits into its window now" in told
    plan = derive(made, ["web2"], now=NOW + timedelta(minutes=60)).plan
    assert hosts_of(plan) == [["web1"], ["web3"]]
    assert plan_derived.late(plan) == ["web3"]


# --- all plans ---------------------------------------------------------------------


def holds_every_promise(made, derived, fleet, now):
    plan = derived.plan
    verify_plan(plan, known_hosts=fleet)
    for manifest in derived.manifests.values():
        verify_manifest(manifest)
    assert set(derived.manifests) == {entry["manifest"] for entry in plan["hosts"].values()}
    assert plan_drops.difference(loaded(made), loaded(derived)) == ""
    # How long it takes is the gate's to judge: a soak that was not there before may push somebody out of his window.
    timeless = [text for text in broken_promises(plan, fleet, now) if not text.startswith(("ends too late", "in a fr"))]
    assert timeless == []


def derived_or_refused(made, hosts, updates, now, plan_id=ID):
    """Return the derived plan, or None where nothing is left or the waves cannot be kept."""
    try:
        return derive(made, hosts, updates, plan_id, now)
    except PatchingError as error:
        if PLAN_AGAIN.search(str(error)):
            return None
        raise


@st.composite
def drops(draw, plan):
    hosts = draw(st.sets(st.sampled_from(sorted(plan["hosts"])), max_size=min(4, len(plan["hosts"]) - 1)))
    names = sorted({one["name"] for entry in plan["hosts"].values() for one in entry["updates"]})
    versions = sorted({f"{one['name']}={one['to']}" for e in plan["hosts"].values() for one in e["updates"]})
    return hosts, draw(st.sets(st.sampled_from(names + versions), max_size=1))


@settings(max_examples=200)
@given(fleets(), st.integers(1, 4), st.integers(1, 3), st.data())
def test_every_derived_plan_keeps_every_promise_and_needs_no_new_approval(fleet, parallel, canaries, data):
    made = planned(fleet, watched=True, limits=Limits(parallel, canaries))
    first = made
    for plan_id in (ID, NEXT_ID):
        if not made.plan["hosts"]:
            return
        derived = derived_or_refused(made, *data.draw(drops(made.plan)), NOW, plan_id)
        if derived is None:
            return
        holds_every_promise(first, derived, fleet, NOW)
        made = derived


def test_of_twenty_fleets_any_one_host_can_be_dropped():
    """That the property above is about plans and not about refusals."""
    refused = derived = 0
    for fleet in example_fleets():
        made = planned(fleet)
        for host in made.plan["hosts"]:
            found = derived_or_refused(made, [host], [], NOW)
            if found is None:
                refused += 1
            else:
                holds_every_promise(made, found, fleet, NOW)
                derived += 1
    assert refused * 10 < derived
