# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan of tier 2 that somebody has signed, and what may still be changed of it."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.support import lab
from tests.support.expect import version
from tests.support.night import as_found
from tests.support.playbook import LAB_INVENTORY


@pytest.fixture
def approved(night, tmp_path):
    """Return a night whose hosts are of tier 2, with a plan that Ada has signed."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "ada"], check=True)
    (tmp_path / "approvers").write_text("ada@hospital " + (tmp_path / "ada.pub").read_text())
    hosts = yaml.safe_load(LAB_INVENTORY.read_text(encoding="utf-8"))
    critical = {"patching_tier": 2, "patching_allowed_signers": str(tmp_path / "approvers")}
    hosts["hospital"]["children"]["portal"]["vars"] = critical
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    (tmp_path / "group_vars").symlink_to(LAB_INVENTORY.parent / "group_vars")
    night.inventory = tmp_path / "hosts.yml"
    night.prepare()
    signed = night.play("approve", approve_key=str(tmp_path / "ada"))
    assert signed.rc == 0, signed.stdout
    return night


@pytest.mark.slow
def test_a_host_is_dropped_without_a_new_approval_and_nothing_is_added_without_one(approved):
    before = as_found("portal2")
    dropped = approved.play("plan", plan_from=approved.plan["digest"], plan_drop="portal2")
    assert dropped.rc == 0, dropped.stdout
    whole, approved.plan = approved.plan, dropped.results("Make the plan")[0]["plan"]
    assert [wave["hosts"] for wave in approved.plan["waves"]] == [["portal1"]]
    assert approved.play("stage").rc == 0
    patched = approved.play("patch")
    assert patched.rc == 0, patched.stdout
    assert approved.outcomes() == {"portal1": "patched"}
    assert (version("portal1"), as_found("portal2")) == ("1.1.0", before)
    (went,) = [one["detail"] for one in approved.records("portal1") if (one["step"], one["event"]) == ("gate", "done")]
    (signature,) = went["approved"]["signed"]
    assert (signature["by"], signature["plan"]) == ("ada@hospital", whole["digest"])
    assert approved.play("verify", patching_run_id=approved.plan["plan_id"]).rc == 0

    # Another version is not what she signed.
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.2.0"))
    approved.prepare()
    assert list(approved.plan["hosts"]) == ["portal1", "portal2"]
    assert approved.play("stage").rc == 0
    typed = approved.play("patch", patching_approved_by="Ada")
    assert typed.rc != 0
    assert set(approved.outcomes().values()) == {"not_started"}
    assert "signed approvals of the plan by 1 people, and 0 have signed" in approved.reason("portal1")
