# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import candidates
from ansible_collections.hospital.patching.plugins.plugin_utils.lost import Mark
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import plan_digest
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_html import plan_page
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import plan_table
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALL_HOSTS,
    PORTAL,
    planned,
    portal_pair,
)

VARIABLES = {"patching_device_segments": [], "ansible_host": "10.1.0.1"}
PENDING = {"updates": [], "manager": "apt"}


def test_an_assessed_host_brings_its_pending_updates():
    found = candidates.candidate("portal1", VARIABLES, {"status": "assessed", "pending": PENDING, "reason": ""})
    assert (found.address, found.assessment, found.why_not) == ("10.1.0.1", PENDING, None)


@pytest.mark.parametrize("given", [{}, {"patching_snapshot": "auto"}, {"patching_snapshot": {"provider": "auto"}}])
def test_a_way_back_that_assess_found_out_is_planned_and_told(given):
    known = {"provider": "lvm", "why": "/ is ext4 on /dev/mapper/system-root"}
    document = {"status": "assessed", "pending": PENDING, "reason": "", "restore_points": known}
    found = candidates.candidate("portal1", {**VARIABLES, **given}, document)
    assert (found.settings.snapshot, found.snapshot_found) == ({"provider": "lvm"}, known["why"])
    fleet = portal_pair()
    settings = replace(fleet["portal1"].settings, snapshot=found.settings.snapshot)
    fleet["portal1"] = replace(fleet["portal1"], settings=settings, snapshot_found=found.snapshot_found)
    plan = planned(fleet).plan
    assert plan["hosts"]["portal1"]["snapshot"] == {"provider": "lvm"}
    fleet["portal1"] = replace(fleet["portal1"], snapshot_found="another number of bytes is free")
    assert plan_digest(planned(fleet).plan) == plan_digest(plan), "what holds is the provider, not the reason"
    for told in (plan_table(plan), str(plan_page(plan))):
        assert "lvm, because / is ext4 on /dev/mapper/system-root" in told


def test_a_way_back_that_the_site_names_is_not_found_out():
    document = {
        "status": "assessed",
        "pending": PENDING,
        "reason": "",
        "restore_points": {"provider": "lvm", "why": ""},
    }
    given = {**VARIABLES, "patching_snapshot": "preserved"}
    assert candidates.candidate("portal1", given, document).settings.snapshot == {"provider": "preserved"}


def test_a_fact_of_the_same_play_goes_before_the_stored_document():
    document = {"status": "assessed", "pending": PENDING, "reason": ""}
    fresh = {**VARIABLES, "ansible_facts": {"patching_assessment": document}}
    stale = {"status": "unreachable", "pending": None, "reason": "no answer"}
    assert candidates.candidate("portal1", fresh, stale).why_not is None


@pytest.mark.parametrize(
    ("status", "outcome"), [("unreachable", "unreachable"), ("failed", "refused"), ("not_contacted", "excluded")]
)
def test_a_host_that_could_not_be_assessed_says_why(status, outcome):
    found = candidates.candidate("portal1", VARIABLES, {"status": status, "pending": None, "reason": "because"})
    assert (found.why_not.outcome, found.why_not.reason) == (outcome, "because")


def test_a_host_that_was_never_assessed_is_refused():
    assert "assess.yml" in candidates.candidate("portal1", VARIABLES, None).why_not.reason


def test_a_host_that_nobody_asked_for_counts_as_out_unless_it_was_found_well():
    unknown = candidates.bystander("portal2", VARIABLES, None)
    assert (unknown.assessment, unknown.why_not.outcome) == (None, "excluded")
    document = {"status": "assessed", "pending": PENDING, "reason": ""}
    well = candidates.bystander("portal2", VARIABLES, document)
    assert (well.assessment, well.why_not.outcome) == (PENDING, "excluded")
    held = {**document, "holder": {"run_id": "20261122T010000Z-ab12cd34", "time": "2026-11-22T01:00:00Z"}}
    assert candidates.bystander("portal2", VARIABLES, held).assessment is None


def test_a_host_that_an_earlier_run_still_holds_is_refused_and_counts_as_out():
    holder = {"run_id": "20261122T010000Z-ab12cd34", "time": "2026-11-22T01:00:00Z"}
    document = {"status": "assessed", "pending": PENDING, "reason": "", "holder": holder}
    found = candidates.candidate("portal1", VARIABLES, document)
    assert found.assessment is None
    assert holder["run_id"] in found.why_not.reason


def test_a_managed_host_that_may_not_be_contacted_is_refused_not_quietly_excluded():
    document = {"status": "not_contacted", "pending": None, "reason": "patching_device_segments is not set"}
    found = candidates.candidate("portal1", {**VARIABLES, "patching_service": "portal"}, document)
    assert found.why_not.outcome == "refused"


def test_a_host_that_is_lost_or_stolen_is_in_no_plan_whatever_assess_saw():
    missing = Mark("stolen", "reported stolen by Ada at 2026-11-22T07:00:00Z", {})
    document = {"status": "assessed", "pending": PENDING, "reason": ""}
    fresh = {**VARIABLES, "patching_service": "portal", "ansible_facts": {"patching_assessment": document}}
    found = candidates.candidate("portal1", fresh, document, missing)
    assert (found.why_not.outcome, found.why_not.reason) == ("excluded", missing.reason)
    assert found.assessment is None
    assert candidates.bystander("portal1", fresh, document, missing).assessment is None


def test_a_host_that_was_found_since_is_assessed_again_first():
    document = {"status": "lost", "pending": None, "reason": "reported lost by Ada"}
    found = candidates.candidate("portal1", VARIABLES, document)
    assert found.why_not.outcome == "refused"
    assert "run assess.yml again" in found.why_not.reason


@pytest.mark.parametrize("of", [{"patching_service": "portal"}, {}, {"patching_policy": "vendor_locked"}])
def test_a_plan_says_that_a_host_is_lost_before_anything_else_and_counts_it_as_out(of):
    missing = Mark("lost", "reported lost by Ada at 2026-11-22T07:00:00Z", {})
    hosts = portal_pair()
    hosts["portal1"] = candidates.candidate("portal1", {**ALL_HOSTS, **PORTAL, **of}, None, missing)
    plan = planned(hosts).plan
    entry = plan["not_planned"]["portal1"]
    assert (entry["outcome"], entry["reason"]) == ("excluded", missing.reason)
    assert "portal1" not in plan["hosts"]


def test_nobody_is_drained_through_a_lost_load_balancer():
    hosts = portal_pair()
    missing = Mark("stolen", "reported stolen by Ada", {})
    hosts["lb1"] = candidates.candidate("lb1", ALL_HOSTS, None, missing)
    assert planned(hosts).plan["hosts"] == {}


def test_by_policy_a_host_that_others_may_update_is_refused_as_far_as_assess_knows_them():
    updaters = [
        {"name": "apt-daily-upgrade.timer", "kind": "unit", "active": True, "enabled": True, "running": False},
        {"name": "apt-daily.timer", "kind": "unit", "active": False, "enabled": False, "running": False},
    ]
    document = {"status": "assessed", "pending": PENDING, "reason": "", "software": {"competing_updaters": updaters}}
    assert candidates.candidate("portal1", VARIABLES, document).why_not is None
    refusing = {**VARIABLES, "patching_competing_updaters": "refuse"}
    found = candidates.candidate("portal1", refusing, document).why_not
    assert found.outcome == "refused"
    assert found.reason.startswith("host portal1: apt-daily-upgrade.timer: it may update this host by itself")
    updaters[0]["active"] = False
    assert candidates.candidate("portal1", refusing, document).why_not is None


def test_that_a_host_owes_a_reboot_already_is_in_its_plan_and_told():
    host = portal_pair()["portal1"]
    document = {
        "status": "assessed",
        "pending": host.assessment,
        "reason": "",
        "software": {"reboot_required": {"required": True, "reasons": ["/run/reboot-required is set by dbus"]}},
    }
    found = candidates.candidate("portal1", VARIABLES, document)
    assert found.reboot_owed == ("/run/reboot-required is set by dbus",)
    plan = planned({**portal_pair(), "portal1": replace(host, reboot_owed=found.reboot_owed)}).plan
    assert plan["hosts"]["portal1"]["reboot_owed"] == list(found.reboot_owed)
    assert "reboot_owed" not in plan["hosts"]["portal2"]
    for shown in (plan_table(plan), plan_page(plan)):
        assert "Reboot owed already, whatever is installed" in shown
        assert "/run/reboot-required is set by dbus: portal1" in shown.replace("</li>", "")
