# SPDX-License-Identifier: GPL-3.0-or-later
"""plan.yml at one in the morning: a host and an update are left out of an approved plan, in one command."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    pending,
    planned,
    server,
    update,
)

ROOT = Path(__file__).resolve().parents[2]


class Night:
    """A plan of four hosts of one service whose window opens within the hour."""

    def __init__(self, root: Path) -> None:
        self.root, self.store, now = root, Evidence(root / "evidence"), datetime.now(UTC)
        window = f"daily {now + timedelta(hours=1):%H}:00, 6 h, UTC"
        assessed = pending(update("openssl"), update("curl", after="8.1-2"))
        fleet = {f"web{n}": server(f"web{n}", "web", assessed, window=window, min_healthy=1) for n in range(1, 5)}
        made = planned(fleet, now)
        self.digest, self.plan_id = made.plan["digest"], made.plan["plan_id"]
        self.store.save_plan(made)
        (root / "hosts.json").write_text(json.dumps({"all": {"hosts": {host: {} for host in fleet}}}))

    def plan(self, *extra: str) -> tuple[int, str]:
        """Play plan.yml with these ``-e``; return its exit code and what it says."""
        words = ["ansible-playbook", "-i", str(self.root / "hosts.json"), "playbooks/plan.yml"]
        for one in (f"patching_evidence_dir={self.store.root}", "patching_hosts=all", *extra):
            words += ["-e", one]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=False)
        return done.returncode, " ".join(done.stdout.split())


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path)


def test_hosts_and_updates_are_dropped_in_one_command(night):
    code, said = night.plan(f"plan_from={night.digest}", "plan_drop=web3,web1", '{"plan_drop_updates": ["curl=8.1-2"]}')
    assert code == 0, said
    assert f"Derived from plan {night.plan_id} ({night.digest}); needs no new approval" in said
    newest = next(night.store.load_plan(one) for one in night.store.plans() if one != night.plan_id)
    assert f"start it with -e patching_plan={newest.plan['digest']}" in said
    assert [wave["hosts"] for wave in newest.plan["waves"]] == [["web2"], ["web4"]]
    assert {one["name"] for entry in newest.plan["hosts"].values() for one in entry["updates"]} == {"openssl"}


def test_a_drop_without_its_plan_plans_nothing(night):
    code, said = night.plan("plan_drop=web3")
    assert code != 0
    assert "plan_drop: plan_from is not given" in said
    assert night.store.plans() == [night.plan_id]
