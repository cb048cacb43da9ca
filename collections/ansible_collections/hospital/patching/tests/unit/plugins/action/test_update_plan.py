# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that makes a plan: what it sees of who watches."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import update_plan
from ansible_collections.hospital.patching.plugins.plugin_utils import blocking
from ansible_collections.hospital.patching.plugins.plugin_utils.blocks import Block
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.watchers import Machine
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALL_HOSTS,
    NOW,
    PORTAL,
    leave_mark,
    pending,
    update,
)

HOSTS = ("portal1", "portal2")
#: What a task that names none of its options has.
DEFAULTS = {name: option.get("default") for name, option in update_plan.ActionModule.ARGUMENTS.items()}
CVE = "CVE-2026-1519"
BREAK_GLASS = {
    "emergency": True,
    "cve": CVE,
    "break_glass": ["freeze", "age"],
    "break_glass_reason": "attack",
    "break_glass_second": "Dr. Jane Roe",
}


def plan(root, tier=1, settings=None, shortened=(), **options):
    variables = {**ALL_HOSTS, **PORTAL, "patching_drain": "none", "patching_tier": tier}
    variables |= {"patching_allowed_signers": "files/approvers"}
    variables |= settings or {}
    updates = pending(update(cves=[CVE]), update("curl", cves=["CVE-2026-0002"]))
    document = {"status": "assessed", "pending": updates, "reason": "", "shortened": list(shortened)}
    for host in HOSTS:
        Evidence(root).save_assessment(host, document)
    plugin = update_plan.ActionModule.__new__(update_plan.ActionModule)
    arguments = {**DEFAULTS, "hosts": list(HOSTS), "pattern": "portal", "evidence_dir": str(root), **options}
    plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
    plugin.clock, plugin._task = mock.Mock(), mock.Mock(check_mode=False)
    plugin.clock.now.return_value = NOW
    task_vars = {
        "groups": {"all": list(HOSTS), "ungrouped": [], "portal": list(HOSTS)},
        "hostvars": {host: {**variables, "inventory_hostname": host} for host in HOSTS},
        "ansible_forks": 10,
    }
    plugin._loader = DataLoader()
    with mock.patch.object(ActionBase, "run", return_value={}):
        return plugin.run(task_vars=task_vars)


def refusal(made):
    assert made["plan"]["hosts"] == {}
    return made["plan"]["not_planned"]["portal1"]["reason"]


def test_the_plan_its_page_and_its_text_name_what_is_blocked(tmp_path):
    settings = {"patching_tier": 3, "patching_irreversible": [{"name": "curl", "reason": "a new format"}]}
    whole = plan(tmp_path, settings=settings)
    assert len(whole["plan"]["hosts"]["portal1"]["updates"]) == 1
    blocking.block(str(tmp_path / "blocks.yml"), Block("curl", "labels fail", "anna@ctl", "2026-11-22T08:00:00Z"))
    made = plan(tmp_path, settings={"patching_tier": 3})
    told = "Left out on portal1, portal2: curl is blocked by anna@ctl since 2026-11-22T08:00:00Z: labels fail"
    assert made["plan"]["left_out"] == [told]
    assert told in " ".join(" ".join(made["text"]).split())
    assert told in (tmp_path / "plans" / made["plan_id"] / "plan.html").read_text(encoding="utf-8")
    assert [one["name"] for one in made["plan"]["hosts"]["portal1"]["updates"]] == ["openssl"]
    assert any("reversible: no" in one for one in whole["plan"]["left_out"])


def test_tier_1_is_planned_while_a_second_machine_watches(tmp_path):
    assert "nobody has left a mark in watchers" in refusal(plan(tmp_path))
    leave_mark(tmp_path)
    made = plan(tmp_path)
    assert set(made["plan"]["hosts"]) == set(HOSTS)
    assert made["plan"]["hosts"]["portal1"]["approvals"] == 2


def test_without_a_watcher_that_counts_the_refusal_says_what_was_seen_and_what_to_do(tmp_path):
    leave_mark(tmp_path, time=NOW - timedelta(minutes=34))
    first = plan(tmp_path)
    assert "watch2 looked last at 2026-11-22T07:26:00Z" in refusal(first)
    assert "watch_install.yml with watch_page_command or watch_page_url on a second machine" in refusal(first)
    assert plan(tmp_path)["digest"] == first["digest"]
    here = Machine.here()
    leave_mark(tmp_path, boot=here.boot, machine=here.name)
    assert f"{here.name} watches on this very machine" in refusal(plan(tmp_path))


@pytest.mark.parametrize("tier", [2, 3, 4])
def test_other_tiers_are_planned_without(tmp_path, tier):
    assert set(plan(tmp_path, tier)["plan"]["hosts"]) == set(HOSTS)


def test_an_emergency_plans_what_fixes_its_cve_and_breaks_the_freeze_file_by_name(tmp_path):
    (tmp_path / "freeze").write_text("year's end\n")
    made = plan(tmp_path, tier=3, settings={"patching_exposed": True}, **BREAK_GLASS)
    found = made["plan"]["emergency"]
    assert (found["cve"], found["exposed"]) == (CVE, list(HOSTS))
    assert [one["told"] for one in found["break_glass"]["freeze_files"]] == [f"{tmp_path}/freeze says: year's end"]
    assert [one["name"] for entry in made["plan"]["hosts"].values() for one in entry["updates"]] == ["openssl"] * 2
    assert Evidence(tmp_path).load_plan(made["digest"]).plan["emergency"] == found
    assert any(line.startswith("Break-glass, asked for by ") for line in made["text"])


def test_a_refused_request_writes_no_plan(tmp_path):
    made = plan(tmp_path, tier=3, **{**BREAK_GLASS, "break_glass": ["min_healthy"]})
    assert made["failed"]
    assert "min_healthy: patients need the service" in made["msg"]
    assert Evidence(tmp_path).plans() == []


def test_no_other_night_is_planned_from_an_emergencys_assessment(tmp_path):
    assert set(plan(tmp_path, tier=3, shortened=["age"], **BREAK_GLASS)["plan"]["hosts"]) == set(HOSTS)
    assert "its assessment was made for an emergency" in refusal(plan(tmp_path, tier=3, shortened=["age"]))


def test_an_emergency_is_not_derived_from_another_plan(tmp_path):
    first = plan(tmp_path, tier=3, **BREAK_GLASS)["digest"]
    told = plan(tmp_path, tier=3, derive_from=first, drop=["portal2"], **BREAK_GLASS)["msg"]
    assert "plan_cve is CVE-2026-1519, which chooses updates anew" in told
    derived = plan(tmp_path, tier=3, derive_from=first, drop=["portal2"])["plan"]
    assert derived["emergency"] == Evidence(tmp_path).load_plan(first).plan["emergency"]


def test_what_comes_next_and_what_stands_against_it_is_said(tmp_path):
    made = plan(tmp_path, tier=2)
    assert any(line.startswith("Before it begins 1 person has to approve it: approve.yml") for line in made["text"])
    assert made["text"][-1] == f"Next: stage.yml, then patch.yml, each with -e patching_plan={made['digest']}"
    (tmp_path / "freeze").write_text("year's end\n")
    told = plan(tmp_path, tier=3)["text"]
    assert f"Frozen now, no host begins until that ends: {tmp_path}/freeze says: year's end" in told
    assert not any("to approve it" in line for line in told)
    assert not any(line.startswith("Frozen now") for line in plan(tmp_path, tier=3, **BREAK_GLASS)["text"])


def test_whoever_plans_does_not_decide_the_tier(tmp_path, monkeypatch):
    monkeypatch.setattr(update_plan, "load_extra_vars", lambda loader: {"patching_tier": 4})
    told = plan(tmp_path, tier=1)["msg"]
    assert "patching_tier is given on the command line, where whoever plans decides it" in told
    assert Evidence(tmp_path).plans() == []
    monkeypatch.setattr(
        update_plan, "load_extra_vars", lambda loader: {"patching_soak_s": 0, "patching_hosts": "portal"}
    )
    made = plan(tmp_path, tier=3)
    assert made["plan"]["given"] == ["patching_soak_s"]
    assert "Given on the command line, not by the inventory: patching_soak_s" in made["text"]
