# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be left out of an approved plan, and that nothing else may differ."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Loaded
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_drops import difference as found_difference
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    pending,
    planned,
    portal_pair,
    server,
    update,
)

ASSESSED = pending(update("openssl"), update("tzdata"), update("nginx"))
WEB = {"min_healthy": 2, "freezes": ["daily 02:00, 1 h, UTC"]}
MADE = planned({**portal_pair(), **{f"web{n}": server(f"web{n}", "web", ASSESSED, **WEB) for n in range(1, 6)}})
PLAN = MADE.plan
#: What no approval is about: names, times of making, estimates, what follows from updates, and what is more careful.
FREE = (
    "digest",
    "plan_id",
    "created",
    "estimate_s",
    "way_back_s",
    "forward",
    "way_back",
    "manifest",
    "group",
    "cves",
    "not_planned",
)


def difference(approved, plan):
    return found_difference(*(Loaded(one, MADE.manifests, Path("plan.json")) for one in (approved, plan)))


def without(plan, hosts, updates):
    """Return the plan without some hosts and updates, edited as nobody else would."""
    left = copy.deepcopy(plan)
    for host in hosts:
        del left["hosts"][host]
    for entry in left["hosts"].values():
        entry["updates"] = [one for one in entry["updates"] if one["name"] not in updates]
    for wave in left["waves"]:
        wave["hosts"] = [host for host in wave["hosts"] if host in left["hosts"]]
    left["waves"] = [wave for wave in left["waves"] if wave["hosts"]]
    return left


@given(st.sets(st.sampled_from(sorted(PLAN["hosts"]))), st.sets(st.sampled_from(["openssl", "tzdata", "nginx"])))
def test_hosts_and_updates_may_be_dropped_and_not_be_added(hosts, updates):
    left = without(PLAN, hosts, updates)
    assert difference(PLAN, left) == ""
    if hosts or updates:
        assert difference(left, PLAN)


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in FREE:
                yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path


def edited(plan, path):
    changed = copy.deepcopy(plan)
    target = changed
    for key in path[:-1]:
        target = target[key]
    value = target[path[-1]]
    if isinstance(value, bool):
        target[path[-1]] = not value
    elif isinstance(value, int):
        target[path[-1]] = value + 1
    elif isinstance(value, list):
        target[path[-1]] = ["x"]
    else:
        target[path[-1]] = f"{value}x"
    return changed


PATHS = [path for path in leaves(PLAN) if path[0] != "waves"]


@pytest.mark.parametrize("path", PATHS, ids=[".".join(map(str, path)) for path in PATHS])
def test_every_other_value_needs_a_new_approval(path):
    changed = edited(PLAN, path)
    if path[-2:-1] == ("out",) or path[-1] == "out":
        assert difference(PLAN, changed) == "", "one more host that is out makes a plan more careful"
    else:
        assert difference(PLAN, changed)


def test_a_host_may_become_the_canary_in_the_place_of_one_that_was_dropped_and_not_beside_it():
    changed = copy.deepcopy(PLAN)
    changed["hosts"]["web2"]["ring"] = "canary"
    assert difference(PLAN, changed) == "web2 is in ring canary"
    assert difference(PLAN, without(changed, ["web1"], [])) == ""
    changed["hosts"]["web3"]["ring"] = "canary"
    assert difference(PLAN, without(changed, ["web1"], [])) == "web2 is in ring canary", "canaries await no soak"
    changed["hosts"]["web3"]["ring"] = "early"
    assert difference(PLAN, without(changed, ["web1"], [])) == "web3 is in ring early"
    changed = copy.deepcopy(PLAN)
    changed["hosts"]["web1"]["ring"] = "broad"
    assert difference(PLAN, changed) == "web1 is in ring broad"


def test_a_host_that_is_in_service_again_needs_a_new_approval():
    approved = copy.deepcopy(PLAN)
    approved["services"]["web"]["out"] = ["web5"]
    assert difference(approved, PLAN) == "of service web fewer hosts count as out"


def test_hosts_that_were_apart_are_not_put_together_and_keep_their_order():
    together, turned = copy.deepcopy(PLAN), copy.deepcopy(PLAN)
    together["waves"][0]["hosts"] += together["waves"].pop(1)["hosts"]
    assert difference(PLAN, together).endswith("are together")
    turned["waves"] = turned["waves"][::-1]
    assert difference(PLAN, turned).endswith("come later than they were approved")


def test_which_cves_an_update_fixes_needs_no_new_approval():
    changed = copy.deepcopy(PLAN)
    changed["hosts"]["web1"]["updates"][0]["cves"] = ["CVE-2026-1"]
    assert difference(PLAN, changed) == ""


def test_a_larger_budget_needs_a_new_approval():
    for level in ("run", ("rings", "broad"), ("services", "web")):
        changed = copy.deepcopy(PLAN)
        budget = changed["failure_budget"]
        if level == "run":
            budget["run"] += 1
        else:
            budget[level[0]][level[1]] += 1
        assert difference(PLAN, changed) == "more hosts may fail"


def test_a_manifest_may_allow_less_and_not_more():
    (digest,) = MADE.manifests
    manifest = MADE.manifests[digest]
    for entries, found in (
        (manifest["entries"][:1], ""),
        ([*manifest["entries"], {**manifest["entries"][0], "name": "netcat"}], "allows netcat 3.0.17-1"),
        ([{**manifest["entries"][0], "sha256": None}], f"allows {manifest['entries'][0]['name']} 3.0.17-1"),
        ([{**manifest["entries"][0], "kind": "new_install"}], f"allows {manifest['entries'][0]['name']} 3.0.17-1"),
    ):
        changed = copy.deepcopy(PLAN)
        for entry in changed["hosts"].values():
            entry["manifest"] = "sha256:other"
        other = {"sha256:other": {**manifest, "entries": entries, "digest": "sha256:other"}}
        approved, current = Loaded(PLAN, MADE.manifests, Path("a")), Loaded(changed, other, Path("b"))
        assert found_difference(approved, current).endswith(found)
        assert bool(found_difference(approved, current)) is bool(found)
