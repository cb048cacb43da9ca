# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import dropping
from ansible_collections.hospital.patching.plugins.plugin_utils.approvals import RECENT
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, portal_pair

PLAN = planned(portal_pair()).plan
DIGEST = PLAN["digest"]
OPTIONS = {"parallel": 10, "canaries": 1, "shard": 0, "shards": 1}


def test_who_asks_for_nothing_gets_a_plan_of_everything():
    assert dropping.read("", [], []) is None
    assert dropping.read(" ", [""], [" "], cve="CVE-2026-1519") is None


def test_names_are_taken_once_and_without_the_blanks_around_them():
    found = dropping.read(f" {DIGEST}", ["web3", " db1", "web3", ""], ["openssl "])
    assert found == dropping.Drops(DIGEST, ("web3", "db1"), ("openssl",))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("", ["web3"], []), "plan_drop: plan_from is not given; .* Next: add -e plan_from=sha256"),
        (("", ["web3"], ["curl"]), "plan_drop and plan_drop_updates: plan_from is not given"),
        ((DIGEST, [], [" "]), "plan_from: nothing to drop; expected plan_drop or plan_drop_updates"),
        (("evidence/plans/x/plan.json", ["web3"], []), "expected the digest or id of a kept plan"),
        ((DIGEST[:-1], ["web3"], []), "expected the digest or id of a kept plan"),
        ((DIGEST, ["web3"], [], "CVE-2026-1519"), "plan_cve is CVE-2026-1519, .* plan_drop_updates"),
    ],
)
def test_what_makes_no_sense_together_is_refused(asked, told):
    with pytest.raises(PatchingError, match=told):
        dropping.read(*asked)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_the_planner_is_refused_unless_it_is_what_was_approved(option):
    dropping.require_as_approved(PLAN, OPTIONS)
    with pytest.raises(PatchingError, match=f"plan_{option}: 7 beside plan_from, where the approved plan has"):
        dropping.require_as_approved(PLAN, {**OPTIONS, option: 7})
    part = "limits" if option in PLAN["limits"] else "shard"
    key = "of" if option == "shards" else "number" if option == "shard" else option
    approved = {**PLAN, part: {**PLAN[part], key: 7}}
    dropping.require_as_approved(approved, {**OPTIONS, option: 7})
    dropping.require_as_approved(approved, OPTIONS)


def record(host, step, event="begin"):
    return {"host": host, "step": step, "event": event, "detail": {}}


def test_a_plan_that_was_only_staged_or_refused_by_the_gate_may_be_dropped_from():
    records = [record(None, "stage"), record("web1", "stage", "note"), record(None, "gate"), record("web1", "gate")]
    records.append(record("web1", "record", "outcome"))
    dropping.require_current(PLAN, [PLAN_ID], records)


@pytest.mark.parametrize("step", ["lock", "health_before", "drain", "install"])
def test_a_plan_whose_run_has_begun_with_a_host_is_refused(step):
    with pytest.raises(PatchingError, match=f"plan {PLAN_ID}.*its run has begun with web1; .*start that plan again"):
        dropping.require_current(PLAN, [PLAN_ID], [record(None, "gate"), record("web1", step)])


def test_a_plan_whose_approvals_would_not_be_looked_at_is_refused():
    later = [f"20261123T{n // 60:02}{n % 60:02}00Z-ab12cd34" for n in range(RECENT)]
    # One that needs no approval is in no list.
    for plans in ([], [PLAN_ID, *later[: RECENT - 1]]):
        dropping.require_current(PLAN, plans, [])
    for plans in ([PLAN_ID, *later],):
        with pytest.raises(PatchingError, match="none of the newest 50 approved plans"):
            dropping.require_current(PLAN, plans, [])


def test_hosts_that_are_left_and_not_asked_for_are_named_and_not_forgotten():
    dropping.require_all_asked_for(PLAN, ["portal1", "portal2", "lb1"])
    with pytest.raises(PatchingError, match=r"it keeps portal2, which patching_hosts leaves out .* plan_drop=portal2"):
        dropping.require_all_asked_for(PLAN, ["portal1"])


def test_it_says_where_the_plan_comes_from_and_how_to_go_on():
    other = {**PLAN, "digest": "sha256:" + "b" * 64}
    told = dropping.told(PLAN, other, ())
    assert f"Derived from plan {PLAN_ID} ({DIGEST}); needs no new approval" in told[0]
    assert f"-e patching_plan={other['digest']}" in told[1]
    assert dropping.told(PLAN, other, ["web5"])[2:] == [
        "By estimate too late for work and way back in their windows, so the gate will stop them: web5"
    ]
