# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that makes the plan, where it derives one: what it writes, and what it refuses before it writes."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import update_plan
from ansible_collections.hospital.patching.plugins.plugin_utils import evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    PLAN_ID,
    planned,
    portal_pair,
)

MADE = planned(portal_pair())
DIGEST = MADE.plan["digest"]
#: What a task that names none of its options has.
DEFAULTS = {name: option.get("default") for name, option in update_plan.ActionModule.ARGUMENTS.items()}


class Office:
    """An evidence directory with one plan of two hosts."""

    def __init__(self, root):
        self.root, self.store = root, evidence.Evidence(root)
        self.store.save_plan(MADE)

    def derive(self, check=False, **asked):
        plugin = update_plan.ActionModule.__new__(update_plan.ActionModule)
        plugin._task = SimpleNamespace(check_mode=check)
        given = {**DEFAULTS, "hosts": ["lb1", "portal1", "portal2"], "evidence_dir": str(self.root), "pattern": "all"}
        given |= {"derive_from": DIGEST, "drop": ["portal2"], **asked}
        plugin.validate_argument_spec = mock.Mock(return_value=(None, given))
        plugin.clock = mock.Mock()
        plugin.clock.now.return_value = NOW
        hosts = ["lb1", "portal1", "portal2"]
        task_vars = {"groups": {"all": hosts, "ungrouped": hosts}, "hostvars": {}, "ansible_forks": 5}
        plugin._loader = DataLoader()
        with mock.patch.object(ActionBase, "run", return_value={}):
            return plugin.run(task_vars=task_vars)


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path)


def test_a_derived_plan_is_kept_with_its_manifests_and_its_page_like_any_other(office):
    made = office.derive()
    assert made["changed"]
    loaded = office.store.load_plan(made["digest"])
    assert loaded.plan == made["plan"]
    assert list(loaded.plan["hosts"]) == ["portal1"]
    assert made["digest"] in (loaded.path.parent / "plan.html").read_text()
    assert f"Digest {made['digest']}" in made["text"]
    assert any(f"Derived from plan {PLAN_ID} ({DIGEST}); needs no new approval" in line for line in made["text"])
    assert any(line.endswith(f"-e patching_plan={made['digest']}") for line in made["text"])


def test_check_mode_shows_it_and_writes_nothing(office):
    made = office.derive(check=True)
    assert (made["changed"], made["page"], list(made["plan"]["hosts"])) == (False, None, ["portal1"])
    assert office.store.plans() == [PLAN_ID]


def test_a_plan_that_was_staged_may_be_dropped_from_and_one_whose_run_has_touched_a_host_not(office):
    run = Run.start(str(office.root), DIGEST)
    run.record(None, "stage", "begin")
    assert "failed" not in office.derive(check=True)
    run.record("portal1", "lock", "begin")
    told = office.derive()
    assert told["failed"]
    assert told["seen"] == "its run has begun with portal1"
    run.ledger.path.write_text(run.ledger.path.read_text().replace("portal1", "portal9"))
    assert office.derive()["failed"], "a damaged ledger proves nothing"
    assert office.store.plans() == [PLAN_ID]


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ({"derive_from": ""}, "plan_from is not given"),
        ({"derive_from": "sha256:" + "b" * 64}, "has this digest"),
        ({"derive_from": "20261122T080000Z-00000000"}, "no such plan in"),
        ({"drop": ["portal3"]}, "it does not know portal3"),
        ({"drop": ["lb1"]}, "it does not patch lb1 anyway"),
        ({"drop": ["portal1", "portal2"]}, "every host is dropped"),
        ({"drop": [], "drop_updates": ["nginx"]}, "no host of it gets 'nginx'"),
        ({"cve": "CVE-2026-1519"}, "plan_cve is CVE-2026-1519"),
        ({"shards": 4, "shard": 2}, "2 beside plan_from, where the approved plan has 1"),
        ({"hosts": ["portal2"]}, "it keeps portal1, which patching_hosts leaves out"),
    ],
)
def test_what_cannot_be_derived_is_refused_and_nothing_is_written(office, asked, seen):
    told = office.derive(**asked)
    assert told["failed"]
    assert seen in told["msg"]
    assert office.store.plans() == [PLAN_ID]
