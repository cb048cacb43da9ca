# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import (
    BAD,
    GOOD,
    OUTCOMES,
    by_host,
    exit_reason,
    host_states,
    reasons,
)


def record(host, step, event, **detail):
    return {"time": "2026-11-22T08:00:00Z", "host": host, "step": step, "event": event, "detail": detail}


def outcome(host, word):
    return record(host, "record", "outcome", outcome=word, reason=f"because {word}")


def plan(*hosts, **not_planned):
    return {
        "hosts": {host: {} for host in hosts},
        "waves": [{"hosts": list(hosts)}],
        "not_planned": {host: {"outcome": word, "reason": "planned so"} for host, word in not_planned.items()},
    }


def test_every_word_is_good_or_bad_and_none_is_both():
    assert not GOOD & BAD
    assert len(OUTCOMES) == 9


@pytest.mark.parametrize("word", sorted(BAD))
def test_a_bad_outcome_says_why_the_run_does_not_exit_0(word):
    reason = exit_reason({"db1": "patched", "web10": word, "web2": word})
    assert reason.startswith(f"{word}: web2, web10.")


def test_good_outcomes_exit_0():
    assert exit_reason(dict.fromkeys("abc", "patched") | {"d": "excluded", "e": "nothing_to_do"}) is None


def test_a_host_without_an_outcome_is_bad():
    assert exit_reason({"db1": ""}) is not None


@pytest.mark.parametrize("step", ["lock", "health_before", "drain", "snapshot", "install", "restart", "verify"])
def test_a_host_is_out_from_its_lock_until_it_is_returned(step):
    records = [record("db1", step, "begin")]
    assert host_states(records)["db1"].out
    assert not host_states([*records, record("db1", "return", "done")])["db1"].out


def test_a_failed_return_leaves_the_host_out():
    assert host_states([record("db1", "drain", "done"), record("db1", "return", "failed")])["db1"].out


@pytest.mark.parametrize("step", ["assess", "plan", "stage", "gate"])
def test_steps_that_disrupt_nothing_leave_a_host_in_service(step):
    assert "db1" not in host_states([record("db1", step, "done")])


@pytest.mark.parametrize("word", ["stuck", "unverified", "unreachable"])
def test_these_hosts_count_as_out(word):
    assert host_states([outcome("db1", word)])["db1"].out


def test_an_unverified_host_stays_out_although_it_was_returned():
    records = [record("db1", "drain", "done"), outcome("db1", "unverified"), record("db1", "return", "done")]
    assert host_states(records)["db1"].out


def test_a_stuck_host_that_a_person_returned_is_back():
    records = [record("db1", "drain", "done"), outcome("db1", "stuck"), record("db1", "return", "done")]
    assert not host_states(records)["db1"].out


def test_a_rolled_back_host_is_out_until_it_is_returned():
    records = [record("db1", "drain", "done"), outcome("db1", "rolled_back")]
    assert host_states(records)["db1"].out
    assert not host_states([*records, record("db1", "return", "done")])["db1"].out


def test_a_locked_host_that_had_nothing_to_do_is_back():
    assert not host_states([record("db1", "lock", "done"), outcome("db1", "nothing_to_do")])["db1"].out


def test_a_locked_host_that_was_refused_is_out_until_it_is_returned():
    assert host_states([record("db1", "lock", "done"), outcome("db1", "refused")])["db1"].out


def test_the_runs_own_records_belong_to_no_host():
    assert host_states([record(None, "record", "done")]) == {}


def test_outcomes_come_from_the_plan_and_the_ledger():
    made = plan("portal1", "portal2", pump1="excluded")
    records = [outcome("portal1", "patched"), outcome("stranger", "stuck")]
    assert by_host(made, records) == {"portal1": "patched", "pump1": "excluded"}
    assert reasons(made, records)["portal1"] == "because patched"


def test_a_host_that_failed_its_health_check_does_not_serve_though_it_is_released():
    records = [record("db1", "lock", "done"), record("db1", "health_before", "failed"), record("db1", "return", "done")]
    assert host_states(records)["db1"].out
    assert host_states([*records, outcome("db1", "refused")])["db1"].out


def test_a_stuck_host_stays_so_while_somebody_works_on_it():
    """Whoever takes it in hand and is interrupted must not make the run forget it, nor free its failure budget."""
    records = [record("db1", "drain", "done"), outcome("db1", "stuck"), record("db1", "lock", "done")]
    assert host_states(records)["db1"].outcome == "stuck"
    assert host_states(records)["db1"].out
    assert (
        host_states([*records, record("db1", "return", "done"), outcome("db1", "patched")])["db1"].outcome == "patched"
    )


def test_a_host_that_refused_to_be_held_is_not_out():
    assert "db1" not in host_states([record("db1", "lock", "failed", msg="held by another run")])
    lost = record("db1", "lock", "failed", lost_connection=True)
    assert host_states([lost])["db1"].out, "its answer was lost: it may be held"
