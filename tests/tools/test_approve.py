# SPDX-License-Identifier: GPL-3.0-or-later
"""approve.yml, as two people use it: a plan of tier 1 that one signs here and one elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

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

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")


class Office:
    """A plan of tier 1, and two people who may approve it."""

    def __init__(self, root: Path, tier: int = 1, **more: object) -> None:
        self.root, self.store = root, Evidence(root / "evidence")
        self.settings = {**PORTAL, "patching_tier": tier, "patching_allowed_signers": str(root / "approvers"), **more}
        fleet = {name: candidate(name, self.settings) for name in ("portal1", "portal2")}
        made = planned({"lb1": candidate("lb1", {}), **fleet}, watched=True)
        self.digest = made.plan["digest"]
        self.store.save_plan(made)
        hosts = dict.fromkeys(fleet, self.settings)
        (root / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        for name in ("ada", "ben", "mallory"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / name], check=True)
        listed = [f"{name}@hospital {(root / name).with_suffix('.pub').read_text()}" for name in ("ada", "ben")]
        (root / "approvers").write_text("".join(listed))

    def approve(self, *options: str, **extra: str) -> tuple[int, str]:
        """Play approve.yml; return its exit code and what it says."""
        values = {"patching_plan": self.digest, "patching_evidence_dir": str(self.store.root), **extra}
        command = ["ansible-playbook", "-i", str(self.root / "hosts.json"), "playbooks/approve.yml", *options]
        command += ["-e", json.dumps(values)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=False)
        return done.returncode, " ".join(done.stdout.split())

    def kept(self) -> int:
        return len(list((self.store.plan_dir(PLAN_ID) / "approvals").glob("*.sig")))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_one_signs_here_and_one_elsewhere(office):
    code, said = office.approve()
    assert code == 0
    assert "Approved by nobody; its most critical hosts need 2" in said
    assert f"echo {office.digest} | ssh-keygen -Y sign -n hospital.patching.plan -f KEY > approval.sig" in said

    code, said = office.approve("--check", approve_key=str(office.root / "ada"))
    assert (code, office.kept()) == (0, 0)
    assert "ada@hospital would approve it" in said
    code, said = office.approve(approve_key=str(office.root / "ada"))
    assert code == 0
    assert "Approved by ada@hospital; its most critical hosts need 2" in said

    command = f"echo {office.digest} | ssh-keygen -Y sign -n hospital.patching.plan -f ben > approval.sig"
    subprocess.run(command, shell=True, cwd=office.root, check=True, capture_output=True)
    code, said = office.approve(approve_signature=str(office.root / "approval.sig"))
    assert code == 0
    assert "Approved by ada@hospital, ben@hospital; its most critical hosts need 2" in said
    assert office.kept() == 2


def test_a_strangers_signature_is_refused_and_not_kept(office):
    code, said = office.approve(approve_key=str(office.root / "mallory"))
    assert code != 0
    assert "its key is nobody's in" in said
    assert office.kept() == 0


def test_a_plan_of_tier_3_needs_no_signature(tmp_path):
    code, said = Office(tmp_path, tier=3).approve(approve_key=str(tmp_path / "ada"))
    assert code != 0
    assert "start it with its digest: that approves tiers 3 and 4" in said


def test_one_approves_in_awx_and_one_signs(tmp_path, monkeypatch):
    """AWX is a DOUBLE on loopback (awx_double)."""
    monkeypatch.setenv("CONTROLLER_OAUTH_TOKEN", TOKEN)
    double = AwxDouble("")
    with double.serving() as url:
        office = Office(tmp_path, **settings(url, {"ada": "ada@hospital"}))
        double.plan_job["artifacts"]["patching_plan"] = office.digest
        code, said = office.approve("-vvv", approve_awx_workflow_job=str(WORKFLOW_JOB))
        assert code == 0
        assert "Approved by ada@hospital; its most critical hosts need 2" in said
        assert TOKEN not in said
        code, said = office.approve(approve_awx=str(APPROVAL), approve_key=str(office.root / "ben"))
        assert code == 0
        assert "Approved by ada@hospital, ben@hospital; its most critical hosts need 2" in said
    code, said = office.approve()
    assert code == 0
    assert "Approved by ben@hospital; its most critical hosts need 2" in said
    assert f"Does not count: awx-{APPROVAL}.json: {url}" in said


def test_the_job_that_plans_hands_the_digest_over_to_awx(tmp_path, monkeypatch):
    """The statistics of a job are its artifacts in AWX."""
    (tmp_path / "hosts.yml").write_text("all: {hosts: {portal1: {patching_device_segments: []}}}")
    monkeypatch.setenv("ANSIBLE_SHOW_CUSTOM_STATS", "1")
    command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), "hospital.patching.plan"]
    command += ["-e", json.dumps({"patching_hosts": "all", "patching_evidence_dir": str(tmp_path / "evidence")})]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    (plan,) = (tmp_path / "evidence" / "plans").glob("*/plan.json")
    assert f"patching_plan: {json.loads(plan.read_text())['digest']}" in done.stdout.partition("CUSTOM STATS")[2]
