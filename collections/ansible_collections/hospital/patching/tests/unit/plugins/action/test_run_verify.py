# SPDX-License-Identifier: GPL-3.0-or-later
"""The task with which evidence is checked."""

from __future__ import annotations

from unittest import mock

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action.run_verify import ActionModule
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, portal_pair


@pytest.fixture
def run(tmp_path):
    Run(str(tmp_path), PLAN_ID).evidence.save_plan(planned(portal_pair()))
    opened = Run.start(str(tmp_path), PLAN_ID)
    opened.record(None, "stage", "begin", plan_digest=opened.plan()["digest"])
    return opened


def verified(run, run_id=PLAN_ID, head=""):
    plugin = ActionModule.__new__(ActionModule)
    arguments = {"run_id": run_id, "evidence_dir": str(run.evidence.root), "head": head}
    plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
    with mock.patch.object(ActionBase, "run", return_value={}):
        return plugin.run(task_vars={})


def test_whole_evidence_returns_its_head(run):
    head = run.ledger.head()
    result = verified(run, head=f"1:{head.hash}")
    assert result == {
        "changed": False,
        "findings": [],
        "head": {"count": 1, "hash": head.hash},
        "records": 1,
        "text": mock.ANY,
    }


def test_findings_fail_the_task_and_are_all_in_its_result(run):
    (run.evidence.run_dir(PLAN_ID) / "plan.json").unlink()
    result = verified(run)
    assert result["failed"] is True
    assert result["changed"] is False
    assert "plan.json: it is missing" in result["msg"]
    assert result["next_step"].startswith("keep the folder as it is")
    assert result["findings"][0] == {
        "file": "plan.json",
        "line": None,
        "seen": "it is missing",
        "expected": "the file that the run kept",
    }


def test_an_unknown_run_is_refused(run):
    result = verified(run, run_id="20261122T080000Z-ffffffff")
    assert result["failed"] is True
    assert "no such run" in result["msg"]
    assert "findings" not in result
