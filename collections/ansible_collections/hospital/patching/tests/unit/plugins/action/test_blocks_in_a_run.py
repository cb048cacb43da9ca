# SPDX-License-Identifier: GPL-3.0-or-later
"""A block in a run: at the plan, at the stage, at the gate and right before a host installs."""

from __future__ import annotations

from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import (
    run_gate,
    run_host,
    run_rollback,
    run_stage,
    update_block,
    update_block_info,
)
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import blocking, rollback
from ansible_collections.hospital.patching.plugins.plugin_utils.blocks import FILE, Block
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.transaction import build_transaction
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALL_HOSTS,
    ALLOWED,
    NOW,
    PLAN_ID,
    PORTAL,
    candidate,
    loaded,
    pending,
    planned,
    update,
)

OPENSSL, CURL = update("openssl", advisories=["DSA-1-1"]), update("curl", "7", "8")
HOSTS = ("portal1", "portal2")
BAD = Block("DSA-1-1", "labels fail", "anna@ctl", "2026-11-22T08:00:00Z")


class Now(Clock):
    def now(self):
        return NOW


@pytest.fixture
def run(tmp_path):
    """Return a run that is staged on both hosts, with openssl and curl."""
    fleet = {host: candidate(host, PORTAL, pending(OPENSSL, CURL)) for host in HOSTS}
    begun = Run(str(tmp_path), PLAN_ID)
    begun.evidence.start_run(PLAN_ID, loaded(planned({"lb1": candidate("lb1", {}), **fleet})))
    for host in HOSTS:
        begun.save_stage(host, staged(begun, host, OPENSSL, CURL))
    return begun


def staged(run, host, *updates):
    entries = build_transaction(host, "apt", updates, run.plan()["hosts"][host]["manifest"])
    return {"transaction": entries, "nothing_to_do": False, "preserved_dir": "/p", "not_preserved": [], "cves": {}}


def block(run, one=BAD):
    blocking.block(str(run.evidence.root / FILE), one)


def act(module, run, host="portal1", check=False, hostvars=None, **options):
    plugin = module.ActionModule.__new__(module.ActionModule)
    spec = module.ActionModule.ARGUMENTS
    given = {"run_id": PLAN_ID, "evidence_dir": str(run.evidence.root), **options}
    arguments = {**{name: one.get("default") for name, one in spec.items()}, **given}
    plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
    plugin._loader, plugin.clock = DataLoader(), Now()
    plugin._task, plugin._display = mock.Mock(check_mode=check), mock.Mock()
    known = {name: {**ALL_HOSTS, **(hostvars or {})} for name in HOSTS}
    task_vars = {"inventory_hostname": host, "hostvars": known, "groups": {"all": ["lb1", *HOSTS], "webs": HOSTS}}
    with (
        mock.patch.object(ActionBase, "run", return_value={}),
        mock.patch.object(run_gate.contacts, "journey", return_value=ALLOWED),
        mock.patch.object(run_gate, "load_extra_vars", return_value={}),
    ):
        return plugin.run(task_vars=task_vars)


def test_a_block_that_was_made_before_a_hosts_gate_stops_it_and_says_how_to_go_on(run):
    assert act(run_gate, run)["decision"] == "go"
    block(run)
    stopped = act(run_gate, run)
    assert (stopped["failed"], stopped["decision"]) == (True, "stop")
    assert "openssl 3.0.17-1: DSA-1-1 is blocked by anna@ctl since 2026-11-22T08:00:00Z: labels fail" in stopped["msg"]
    assert "stage.yml with this plan again leaves it out, which needs no new approval" in stopped["msg"]
    assert run.ledger.read()[-1]["detail"]["reason"] == stopped["msg"]


def test_a_block_that_was_made_after_a_hosts_gate_keeps_it_from_installing(run):
    entries = run.stage("portal1")["transaction"]
    before = len(run.ledger.read())
    assert act(run_gate, run, before="install", transaction=entries)["decision"] == "go"
    assert len(run.ledger.read()) == before, "a second go is no news"
    block(run)
    # Staged anew meanwhile, without what is blocked; what counts is what would be installed now.
    run.save_stage("portal1", staged(run, "portal1", CURL))
    stopped = act(run_gate, run, before="install", transaction=entries)
    assert stopped["msg"].startswith("nothing was installed: openssl 3.0.17-1")
    assert run.ledger.read()[-1]["detail"]["before"] == "install"
    assert act(run_gate, run)["decision"] == "go", "what it is staged with by now is not blocked"


def test_a_host_in_the_middle_of_its_installation_is_finished(run):
    run.record("portal1", "health_before", "done", verdict="ok", probes=[])
    block(run)
    assert act(run_gate, run)["decision"] == "stop"
    run.record("portal1", "install", "done", changed=True, installed=[])
    assert act(run_gate, run)["decision"] == "go"
    assert act(run_gate, run, before="install", transaction=run.stage("portal1")["transaction"])["decision"] == "go"


@pytest.mark.parametrize("before", ["host", "install"])
def test_blocks_that_cannot_be_read_close_the_gate(run, before):
    (run.evidence.root / FILE).write_text("- openssl\n", encoding="utf-8")
    stopped = act(run_gate, run, before=before, transaction=run.stage("portal1")["transaction"])
    assert stopped["decision"] == "stop"
    assert "an entry that is no mapping" in stopped["msg"]


def test_what_is_blocked_is_left_out_at_stage_without_a_new_approval(run):
    everything = act(run_host, run, part="manifest")
    assert ([one["name"] for one in everything["updates"]], everything["blocked"]) == (["openssl", "curl"], [])
    block(run)
    left = act(run_host, run, part="manifest")
    assert [one["name"] for one in left["updates"]] == ["curl"]
    act(run_stage, run, stage=staged(run, "portal1", CURL), blocked=left["blocked"])
    assert act(run_host, run, part="transaction")["left_out"] == (
        "; left out because it is blocked: openssl 3.0.17-1 (DSA-1-1: labels fail)"
    )
    assert run.ledger.read()[-1]["detail"]["blocked"] == left["blocked"]
    assert act(run_gate, run)["decision"] == "go"


def test_a_host_of_which_all_is_blocked_is_not_staged(run):
    block(run)
    block(run, Block("curl", "slow"))
    refused = act(run_host, run, part="manifest")
    assert refused["failed"]
    assert "host portal1: all that the plan has for it is blocked, openssl 3.0.17-1" in refused["msg"]


def test_an_update_that_brings_a_blocked_one_back_is_refused_at_stage(run):
    block(run)
    refused = act(run_stage, run, stage=staged(run, "portal1", OPENSSL, CURL), blocked=[])
    assert "what is left of its updates needs openssl 3.0.17-1: DSA-1-1 is blocked" in refused["msg"]
    assert refused["next_step"].startswith("assess and plan again")


def test_assess_is_told_what_is_blocked_on_this_host(run):
    block(run, Block("openssl", "why", hosts=("portal2",)))
    assert act(update_block_info, run)["deny"] == []
    (deny,) = act(update_block_info, run, "portal2")["deny"]
    assert (deny["item"], deny["fleet"]) == ("openssl", True)
    (run.evidence.root / FILE).write_text("?", encoding="utf-8")
    assert act(update_block_info, run)["problem"]


def test_a_block_of_some_hosts_names_them_and_one_that_names_no_host_is_refused(run):
    made = act(update_block, run, item="openssl", reason="labels fail", hosts=["portal*", "lb1"])
    assert "This block is for lb1, portal1, portal2 only" in made["text"]
    everywhere = act(update_block, run, item="openssl", reason="labels fail", hosts=[])
    assert not any("This block is for" in line for line in everywhere["text"])
    for name, why in (("portall*", "no host of the inventory"), ("webs", "the name of a group")):
        refused = act(update_block, run, item="curl", reason="slow", hosts=["lb1", name])
        assert refused["failed"]
        assert refused["msg"].startswith(f"block_hosts, '{name}': {why}")
    assert "curl" not in (run.evidence.root / FILE).read_text(encoding="utf-8")
    assert act(update_block, run, item="openssl", hosts=["gone"], state="absent")["changed"]


def test_whoever_blocks_is_recorded_and_may_withdraw(run):
    made = act(update_block, run, item="openssl=3.0.17-1", reason="labels\nfail", hosts=[], state="present")
    assert made["changed"]
    assert act(run_gate, run)["decision"] == "stop"
    assert not act(update_block, run, item="openssl=3.0.17-1", reason="me too", hosts=[], state="present")["changed"]
    assert act(update_block, run, item="openssl=3.0.17-1", reason="a driver", state="absent")["changed"]
    assert act(run_gate, run)["decision"] == "go"
    assert "no reason" in act(update_block, run, item="openssl", reason="", hosts=[], state="present")["msg"]


@pytest.mark.parametrize(
    ("variables", "rules"),
    [
        ({}, {"owners": [], "safe": []}),
        ({"patching_data_owners": ["pacs*"]}, {"owners": ["pacs*"], "safe": []}),
        ({"patching_data_owners": "pacs*"}, {"owners": ["*"], "safe": []}),
        ({"patching_downgrade_safe": [{"name": "slapd"}]}, {"owners": [], "safe": []}),
        (
            {"patching_downgrade_safe": [{"name": "slapd", "from": "2", "to": "1"}]},
            {"owners": [], "safe": [{"name": "slapd", "from": "2", "to": "1"}]},
        ),
    ],
)
def test_who_owns_data_is_read_as_the_inventory_has_it_now(run, variables, rules):
    assert act(run_host, run, hostvars=variables, part="transaction")["data_rules"] == rules


def closed_night(root, run_id, *hosts):
    fleet = {name: candidate(name, PORTAL, pending(OPENSSL)) for name in HOSTS}
    fleet["lb1"] = candidate("lb1", {})
    made = planned(fleet)
    kept = Run(str(root), run_id)
    kept.evidence.start_run(run_id, loaded(made))
    done = [{"name": "openssl", "arch": "amd64", "from": "", "to": ""}]
    for host in hosts:
        kept.save_stage(host, staged(kept, host, OPENSSL))
        kept.record(host, "install", "done", module="hospital.patching.update_install", changed=True, installed=done)
        kept.record(host, "record", "outcome", outcome="patched", reason="")
    return kept


def test_an_advisory_is_taken_back_in_every_run_the_newest_first(tmp_path):
    """And where a host of the newest cannot be proven, no host of an older run is touched."""
    older = closed_night(tmp_path, "20261115T080000Z-aaaaaaaa", "portal1")
    newer = closed_night(tmp_path, "20261122T080000Z-bbbbbbbb", "portal2")
    where = {"run_id": "all", "advisories": ["DSA-1-1"], "reason": "labels fail"}
    opened = act(run_rollback, older, state="opened", hosts=[], updates=[], **where)
    facts = opened["ansible_facts"]["patching_run"]
    assert facts["hosts"] == ["portal2", "portal1"]
    assert facts["runs"] == {"portal2": newer.run_id, "portal1": older.run_id}
    assert facts["updates_of"] == {"portal1": ["openssl"], "portal2": ["openssl"]}
    assert rollback.last_asked(older.ledger.read())[0]["after_runs"] == [newer.run_id]

    def gate(kept, host):
        return act(run_gate, kept, host, run_id=kept.run_id, way_back=True, outside_window=True)

    waits = gate(older, "portal1")
    assert waits["msg"] == "portal2 was not taken back (its turn did not come); the rollback goes no further"
    assert gate(newer, "portal2")["decision"] == "go"
    newer.record("portal2", "record", "outcome", outcome="rolled_back", reason="")
    assert gate(older, "portal1")["decision"] == "go"

    closed = act(run_rollback, older, state="closed", runs=facts["opened"])
    assert "portal1 was not taken back" in closed["bad"]
    assert not closed["bad"].startswith("portal2")
    again = act(run_rollback, older, state="opened", hosts=["portal9"], updates=[], **where)
    assert "rollback of DSA-1-1 on portal9" in again["msg"]
    assert Evidence(tmp_path).runs() == [older.run_id, newer.run_id]


@pytest.mark.parametrize("names", [["openssl"], []])
def test_of_one_run_a_host_that_a_later_run_has_changed_is_left_and_does_not_keep_the_others(tmp_path, names):
    run = closed_night(tmp_path, "20261115T080000Z-aaaaaaaa", "portal1", "portal2")
    later = closed_night(tmp_path, "20261122T080000Z-bbbbbbbb", "portal2")
    where = {"run_id": run.run_id, "updates": names, "advisories": [], "reason": "labels fail"}
    opened = act(run_rollback, run, state="opened", hosts=["all"], **where)
    assert opened["ansible_facts"]["patching_run"]["hosts"] == ["portal1"]
    (told,) = opened["text"]
    assert told.startswith("portal2 is left as it is: ")
    assert f"patching_run_id={later.run_id} -e rollback_hosts=portal2" in told
    run.record("portal1", "record", "outcome", outcome="rolled_back", reason="")
    bad = act(run_rollback, run, run_id=run.run_id, state="closed")["bad"]
    assert bad.startswith("portal2 was not taken back: ")
    refused = act(run_rollback, run, state="opened", hosts=["portal2"], **where)
    assert f"since run {run.run_id}, run {later.run_id} has brought openssl" in refused["msg"]
