# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that takes an approval over from AWX, which is a DOUBLE on loopback here (awx_double)."""

from __future__ import annotations

import json
from contextlib import ExitStack
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import plan_approval
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.awx_double import (
    APPROVAL,
    TOKEN,
    WORKFLOW_JOB,
    AwxDouble,
    settings,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    PLAN_ID,
    PORTAL,
    candidate,
    planned,
)


class Office:
    """A plan of tier 2, an inventory without a list of who may sign, and an AWX."""

    def __init__(self, root, url, double):
        self.store, self.double, self.extra = Evidence(root), double, {}
        self.variables = PORTAL | {"patching_tier": 2} | settings(url, {"ada": "ada@hospital", "ben": "ben@hospital"})
        self.hostvars = {name: dict(self.variables) for name in ("portal1", "portal2")}
        made = planned({"lb1": candidate("lb1", {}), **{n: candidate(n, self.variables) for n in self.hostvars}})
        assert set(made.plan["hosts"]) == set(self.hostvars)
        self.digest = made.plan["digest"]
        self.store.save_plan(made)
        double.plan_job["artifacts"]["patching_plan"] = self.digest

    def approve(self, check=False, **options):
        plugin = plan_approval.ActionModule.__new__(plan_approval.ActionModule)
        defaults = {"key": None, "signature": None, "awx": None, "awx_workflow_job": None}
        arguments = {**defaults, "plan": self.digest, "evidence_dir": str(self.store.root), **options}
        plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
        plugin._loader, plugin._task = DataLoader(), mock.Mock(check_mode=check)
        with (
            mock.patch.object(ActionBase, "run", return_value={}),
            mock.patch.object(plan_approval, "load_extra_vars", return_value=self.extra),
        ):
            return plugin.run(task_vars={"hostvars": self.hostvars})

    def kept(self):
        return sorted(path.name for path in (self.store.plan_dir(PLAN_ID) / "approvals").glob("*"))


@pytest.fixture
def office(tmp_path, monkeypatch):
    monkeypatch.setenv("TOWER_OAUTH_TOKEN", TOKEN)
    monkeypatch.delenv("CONTROLLER_OAUTH_TOKEN", raising=False)
    double = AwxDouble("")
    with ExitStack() as stack:
        yield Office(tmp_path, stack.enter_context(double.serving()), double)


def test_an_approval_is_read_back_and_kept_without_the_token(office):
    told = office.approve(check=True, awx=APPROVAL)
    assert (told["changed"], told["approvers"], office.kept()) == (True, [], [])
    assert "ada@hospital would approve it" in told["text"]

    told = office.approve(awx=APPROVAL)
    assert (told["changed"], told["approvers"], told["rejected"]) == (True, ["ada@hospital"], [])
    assert office.kept() == [f"awx-{APPROVAL}.json"]
    record = (office.store.plan_dir(PLAN_ID) / "approvals" / office.kept()[0]).read_text()
    assert json.loads(record) | {"url": ""} == {
        "url": "",
        "id": APPROVAL,
        "user": "ada",
        "user_id": 7,
        "approved": "2026-11-22T07:30:00.123456Z",
        "plan": office.digest,
        "workflow_job": WORKFLOW_JOB,
        "plan_job": 501,
    }
    assert TOKEN not in record + str(told)
    assert office.approve(awx=APPROVAL)["changed"] is False
    assert "Approved by ada@hospital; its most critical hosts need 1" in office.approve()["text"]


def test_a_job_of_the_workflow_takes_all_its_approvals_over(office):
    office.double.approved(511, "ben", 8, after=APPROVAL)
    told = office.approve(awx_workflow_job=WORKFLOW_JOB)
    assert told["approvers"] == ["ada@hospital", "ben@hospital"]
    assert office.kept() == [f"awx-{APPROVAL}.json", "awx-511.json"]


def test_one_that_does_not_count_is_named_beside_those_that_do(office):
    """It may be another shard's, or of a plan that was made anew."""
    office.double.approved(511, "mallory", 9, after=APPROVAL)
    told = office.approve(awx_workflow_job=WORKFLOW_JOB)
    assert len(office.kept()) == 1
    assert any("mallory approved it, who is nobody in patching_awx_approvers" in line for line in told["text"])


def test_where_none_counts_that_is_refused_and_nothing_is_kept(office):
    for variables in office.hostvars.values():
        variables["patching_awx_approvers"] = {"somebody": "else@hospital"}
    told = office.approve(awx_workflow_job=WORKFLOW_JOB)
    assert told["failed"] is True
    assert "who is nobody in patching_awx_approvers" in told["msg"]
    assert office.kept() == []


def test_the_inventory_says_which_awx_for_all_hosts_alike(office):
    office.extra = {"patching_awx_approvers": {"mallory": "ada@hospital"}}
    assert "patching_awx_approvers is given on the command line" in office.approve(awx=APPROVAL)["msg"]
    office.extra = {}
    office.hostvars["portal2"]["patching_awx_workflow"] = 99
    assert "patching_awx_* differ among its hosts" in office.approve(awx=APPROVAL)["msg"]
    for variables in office.hostvars.values():
        del variables["patching_awx_url"]
    office.hostvars["portal2"]["patching_awx_workflow"] = 12
    assert "patching_allowed_signers is not set" in office.approve(awx=APPROVAL)["msg"]


def test_without_a_token_nothing_is_asked(office, monkeypatch):
    monkeypatch.delenv("TOWER_OAUTH_TOKEN")
    for variables in office.hostvars.values():
        variables["patching_allowed_signers"] = "/dev/null"
    told = office.approve(awx=APPROVAL)
    assert "CONTROLLER_OAUTH_TOKEN or TOWER_OAUTH_TOKEN is not set" in told["msg"]
    assert office.double.asked == []


def test_the_inventorys_stricter_tier_asks_for_approvals_that_the_plan_does_not(office):
    """Whoever planned may have said another one."""
    told = office.approve()
    assert (told["needed"], "1 more person has to approve it" in told["text"]) == (1, True)
    for variables in office.hostvars.values():
        variables["patching_tier"] = 1
    assert office.approve()["needed"] == 2
