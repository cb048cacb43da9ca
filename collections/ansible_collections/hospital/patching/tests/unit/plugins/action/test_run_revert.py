# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's request to put one host's disk back, held against a run."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import run_revert
from ansible_collections.hospital.patching.plugins.module_utils.journal import tail_digest
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers, rehearsal, rollback
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp
from ansible_collections.hospital.patching.tests.unit.plugins.action.test_blocks_in_a_run import (
    HOSTS,
    Now,
    closed_night,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import ALL_HOSTS, NOW

OLD, NEW = "20261115T080000Z-aaaaaaaa", "20261122T080000Z-bbbbbbbb"
POINT = {"id": "sha256:0c1d", "provider": "container", "created": "2026-11-22T07:30:00Z", "reason": "before the run"}
ASKED = {"state": "opened", "host": "portal1", "snapshot": POINT["id"], "reason": "it does not start"}


@pytest.fixture
def run(tmp_path):
    """Return a closed run that has patched portal1 with a restore point before."""
    made = closed_night(tmp_path, OLD, "portal1")
    made.record("portal1", "snapshot", "done", module="hospital.patching.host_snapshot", snapshot=POINT)
    made.evidence.save_assessment("portal1", {"software": {"packages": [{"name": "nginx", "version": "1"}]}})
    return made


def act(run, check=False, hostvars=None, **options):
    plugin = run_revert.ActionModule.__new__(run_revert.ActionModule)
    defaults = {name: one.get("default") for name, one in run_revert.ActionModule.ARGUMENTS.items()}
    given = {**defaults, "run_id": run.run_id, "evidence_dir": str(run.evidence.root), **options}
    plugin.validate_argument_spec = mock.Mock(return_value=(None, given))
    plugin._task, plugin.clock = mock.Mock(check_mode=check), Now()
    known = {name: {**ALL_HOSTS, **(hostvars or {})} for name in HOSTS}
    with mock.patch.object(ActionBase, "run", return_value={}):
        return plugin.run(task_vars={"hostvars": known, "groups": {"all": ["lb1", *HOSTS], "webs": HOSTS}})


def ask(run, check=False, hostvars=None, **options):
    return act(run, check, hostvars, **{**ASKED, **options})


def test_who_asked_for_what_is_recorded_and_what_is_lost_is_said(run):
    opened = ask(run)
    facts = opened["ansible_facts"]["patching_run"]
    assert (facts["hosts"], facts["snapshot"], facts["opened"]) == (["portal1"], POINT["id"], [run.run_id])
    assert "30 minutes" in opened["text"]
    asked, _since = rollback.last_asked(run.ledger.read())
    assert asked == {"hosts": ["portal1"], "updates": [], "reason": ASKED["reason"], "snapshot": POINT["id"]}
    assert rollback.not_taken_back(run.ledger.read()) == {"portal1": "its turn did not come"}


def test_check_mode_records_nothing(run):
    before = run.ledger.read()
    assert "portal1" in ask(run, check=True)["text"]
    act(run, check=True, **{**ASKED, "state": "kept"}, journal=[])
    assert run.ledger.read() == before
    assert not list(run.evidence.run_dir(run.run_id).glob("reverts/*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reason": " "}, "no reason"),
        ({"host": ""}, "no host"),
        ({"host": "portal9"}, "does not name it"),
        ({"snapshot": "sha256:beef"}, "made no restore point 'sha256:beef'"),
    ],
)
def test_what_the_run_does_not_know_is_refused(run, options, said):
    before = run.ledger.read()
    refused = ask(run, **options)
    assert refused["failed"]
    assert said in refused["msg"]
    assert "Next: " in refused["msg"]
    assert run.ledger.read() == before


def test_what_a_newer_run_has_installed_would_vanish(run, tmp_path):
    closed_night(tmp_path, NEW, "portal1")
    assert f"run {NEW} has installed 1 updates on it since" in ask(run)["msg"]


def test_a_run_that_was_killed_is_recovered_first(run):
    here = {"machine": controllers.machine(), "pid": 2**22 + 1, "process_started": "1"}
    run.record(None, "gate", "begin", controller="here", started_by="ada", **here)
    refused = ask(run)
    assert refused["failed"]
    assert "recover.yml" in refused["msg"]


@pytest.mark.parametrize(
    ("packages", "hostvars", "why"),
    [
        (["postgresql-15"], {}, "it has postgresql-15"),
        (["nginx"], {"patching_stateful": True}, "patching_stateful says so"),
        (["nginx"], {"patching_stateful": "perhaps"}, "cannot be read"),
        (["nginx"], {"patching_data_owners": ["ngin?"]}, "it has nginx"),
    ],
)
def test_a_host_whose_data_moves_on_needs_somebody_who_accepts_that(run, packages, hostvars, why):
    software = {"packages": [{"name": name, "version": "1"} for name in packages]}
    run.evidence.save_assessment("portal1", {"software": software})
    refused = ask(run, hostvars=hostvars)
    assert why in refused["msg"]
    assert "-e revert_loses_data=portal1" in refused["msg"]
    assert ask(run, hostvars=hostvars, loses_data="portal2")["failed"]
    assert "failed" not in ask(run, hostvars=hostvars, loses_data="portal1")
    assert why in rollback.last_asked(run.ledger.read())[0]["loses_data"]


def test_where_nobody_knows_what_is_installed_data_may_be(run):
    run.evidence.save_assessment("portal1", {"software": None})
    assert "not known" in ask(run)["msg"]
    assert "failed" not in ask(run, hostvars={"patching_stateful": False})


def test_what_the_journal_is_about_to_lose_is_kept_before_and_once(run):
    journal = [{"step": "snapshot", "event": "snapshot_pending"}, {"step": "install", "event": "begin"}]
    where = {"state": "kept", "host": "portal1", "snapshot": POINT["id"]}
    kept = act(run, **where, journal=journal)
    assert kept["tail_digest"] == tail_digest(journal[1:])
    (path,) = run.evidence.run_dir(run.run_id).glob("reverts/*.json")
    assert json.loads(path.read_text())["records"] == journal[1:]
    assert run.ledger.read()[-1]["detail"]["revert"]["tail_digest"] == kept["tail_digest"]
    # The revert was done and its controller killed: the journal says nothing any more.
    again = act(run, **where, journal=journal[:1])
    assert again["tail_digest"] == kept["tail_digest"]
    assert json.loads(path.read_text())["records"] == journal[1:]


def test_where_the_loss_is_asked_comes_from_the_approved_plan(run):
    before = run.ledger.read()
    found = act(run, **{**ASKED, "state": "located"})["place"]
    assert (found["provider"], found["on"]) == ("preserved", "portal1")
    assert "made no restore point" in act(run, **{**ASKED, "state": "located", "snapshot": "sha256:beef"})["msg"]
    assert run.ledger.read() == before


def test_how_many_bytes_are_lost_is_said_to_whoever_asks_and_whoever_has_to_accept_it(run):
    told = {"loss": {"size_bytes": 3 * 1024**3, "unknown": None}}
    refused = ask(run, told=told, hostvars={"patching_stateful": True})
    assert "about 3.0 GiB" in refused["msg"]
    failed = ask(run, check=True, told={"failed": False, "msg": "no virsh there"})
    assert "is not known: no virsh there" in failed["text"]
    assert "30 minutes since 2026-11-22T07:30:00Z is lost: about 3.0 GiB" in ask(run, told=told)["text"]


def test_what_is_lost_is_kept_with_the_intent(run):
    told = {"loss": {"size_bytes": 5, "unknown": "thin volumes"}}
    act(run, state="kept", host="portal1", snapshot=POINT["id"], journal=[], told=told)
    kept = run.ledger.read()[-1]["detail"]["revert"]["loss"]
    assert kept == {"since": POINT["created"], "seconds": 1800, "size_bytes": 5, "unknown": "thin volumes"}


# --- rehearsed


def test_a_proof_has_the_seconds_since_the_disk_was_about_to_be_put_back(run):
    where = {"host": "portal1", "snapshot": POINT["id"]}
    kept = act(run, **where, state="kept", journal=[{"step": "snapshot", "event": "snapshot_pending"}])
    detail = {"tail_digest": kept["tail_digest"], "snapshot": POINT["id"]}
    before = act(run, **where, state="rehearsed")
    assert "has not journalled that its disk was put back" in before["msg"]
    run.record("portal1", "snapshot", "done", record={"event": "reverted", "detail": detail})
    wrong = act(run, **{**where, "snapshot": "sha256:beef"}, state="rehearsed")
    assert "made no restore point" in wrong["msg"]
    begun = run.ledger.read()[-2]["time"]
    proof = act(run, **where, state="rehearsed")
    expected = max(0, int((NOW - read_stamp(begun)).total_seconds()))
    assert (proof["provider"], proof["took_s"]) == ("container", expected)
    assert rehearsal.last_proven(run.ledger.read())["container"]["host"] == "portal1"
    known = len(run.ledger.read())
    act(run, check=True, **where, state="rehearsed")
    assert len(run.ledger.read()) == known


def test_an_attempt_that_was_begun_again_is_no_proof_yet(run):
    where = {"host": "portal1", "snapshot": POINT["id"]}
    detail = {"tail_digest": "sha256:0", "snapshot": POINT["id"]}
    act(run, **where, state="kept", journal=[])
    run.record("portal1", "snapshot", "done", record={"event": "reverted", "detail": detail})
    act(run, **where, state="kept", journal=[])
    assert "has not journalled" in act(run, **where, state="rehearsed")["msg"]
