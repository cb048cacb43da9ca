# SPDX-License-Identifier: GPL-3.0-or-later
"""The request to rehearse a revert, from the start of a run to the host's turn."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.action import run_gate, run_host, run_open
from ansible_collections.hospital.patching.plugins.plugin_utils import rehearsal
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.action.test_blocks_in_a_run import OPENSSL, act, staged
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    PLAN_ID,
    PORTAL,
    candidate,
    pending,
    planned,
)

FIT = {**PORTAL, "patching_disk_revert": True, "patching_snapshot": {"provider": "container"}}
EARLIER = "20261115T080000Z-aaaaaaaa"
PROOF = {"provider": "container", "snapshot": "sha256:0c1d", "took_s": 41}


@pytest.fixture
def run(tmp_path):
    """Return a planned run of two portals that may be put back, of which nothing is begun yet."""
    fleet = {name: candidate(name, FIT, pending(OPENSSL)) for name in ("portal1", "portal2")}
    fleet["lb1"] = candidate("lb1", {})
    made = Run(str(tmp_path), PLAN_ID)
    made.evidence.save_plan(planned(fleet))
    made.evidence.save_assessment("portal1", {"software": {"packages": [{"name": "nginx", "version": "1"}]}})
    return made


def start(run, *hosts, step="gate", check=False, hostvars=None):
    digest = run.evidence.load_plan(PLAN_ID).plan["digest"]
    return act(run_open, run, check=check, hostvars=hostvars, plan=digest, step=step, rehearse=list(hosts))


def begun(run):
    return run.ledger.read()[-1]["detail"]


def asked_of(run, host="portal1", hostvars=None):
    run.save_stage(host, staged(run, host, OPENSSL))
    return act(run_host, run, host, hostvars=hostvars, part="transaction")["rehearsal"]


def test_the_request_and_what_earlier_runs_have_proven_are_recorded_with_the_start(run):
    before = Run(str(run.evidence.root), EARLIER)
    before.evidence.run_dir(EARLIER).mkdir(parents=True)
    before.record("app7", "snapshot", "note", rehearsal=PROOF)
    assert "failed" not in start(run, "portal1")
    assert begun(run)["rehearse"] == ["portal1"]
    known = begun(run)["proven"]["container"]
    assert (known["host"], known["run_id"], known["took_s"]) == ("app7", EARLIER, 41)


def test_a_start_that_asks_for_none_says_nothing_of_it(run):
    assert "failed" not in start(run)
    assert not {"rehearse", "proven"}.intersection(begun(run))


def test_a_refused_request_leaves_no_run_behind(run):
    for hosts, hostvars, said in (
        (["portal2"], None, "it is of ring broad"),
        (["portal1"], {"patching_tier": 2}, "it is of tier 2"),
        (["portal1"], {"patching_tier": "unreadable"}, "it is of tier 1"),
        (["portal1"], {"patching_stateful": True}, "its data moves on: patching_stateful says so"),
        (["portal9"], None, "the plan does not name them"),
    ):
        refused = start(run, *hosts, hostvars=hostvars)
        assert refused["failed"]
        assert said in refused["msg"]
        assert not run.evidence.run_dir(PLAN_ID).exists() or not run.ledger.read()


def test_where_nobody_knows_what_is_installed_nothing_is_rehearsed(run):
    run.evidence.save_assessment("portal1", {"software": None})
    assert "what is installed on it is not known" in start(run, "portal1")["msg"]


def test_check_mode_refuses_the_same_and_records_nothing(run):
    assert start(run, "portal2", check=True)["failed"]
    assert "failed" not in start(run, "portal1", check=True)
    assert run.ledger.read() == []


def test_it_is_due_until_it_is_proven(run):
    start(run, "portal1")
    assert asked_of(run) == {"asked": True, "due": True, "why_not": ""}
    assert asked_of(run, "portal2") == {"asked": False, "due": False, "why_not": ""}
    run.record("portal1", "snapshot", "note", rehearsal=PROOF)
    assert asked_of(run) == {"asked": True, "due": False, "why_not": ""}


def test_once_something_is_installed_it_is_never_begun(run):
    start(run, "portal1")
    run.record("portal1", "health_before", "done", verdict="ok", probes=[])
    assert asked_of(run)["due"], "a run that was killed in its rehearsal begins it again"
    run.record("portal1", "install", "done", changed=True, installed=[])
    assert not asked_of(run)["due"]


def test_a_host_that_is_no_longer_fit_when_its_turn_comes_is_told(run):
    start(run, "portal1")
    assert asked_of(run, hostvars={"patching_stateful": True})["why_not"] == (
        "its data moves on: patching_stateful says so"
    )
    assert asked_of(run, hostvars={"patching_tier": 1})["why_not"] == "it is of tier 1"


def test_the_gate_reads_the_request_and_the_proof_from_the_ledger(run):
    start(run, "portal1")
    run.save_stage("portal2", staged(run, "portal2", OPENSSL))
    run.record("portal1", "record", "outcome", outcome="nothing_to_do", reason="it is at its target")
    stopped = act(run_gate, run, "portal2")
    assert stopped["decision"] == "stop"
    assert (
        "the revert of portal1 was to be rehearsed and is not proven: it is nothing to do (it is at" in stopped["msg"]
    )
    run.record("portal1", "snapshot", "note", rehearsal=PROOF)
    assert act(run_gate, run, "portal2")["decision"] == "go"
    assert rehearsal.Rehearsals.read(run.ledger.read()).missing() == []
