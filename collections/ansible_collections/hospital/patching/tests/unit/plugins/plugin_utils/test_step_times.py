# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a ledger's records say how long a step took."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.step_times import step_seconds
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW

ROLLBACK = "hospital.patching.update_rollback"


def ledger(*rows):
    """Return records, a second apart unless a row says when it is; ``gate`` alone lets a1 go, ``run`` begins a run."""
    short = {"gate": ("gate", "done", {"before": "host"}), "patched": ("record", "outcome", {"outcome": "patched"})}
    records = []
    for number, row in enumerate(rows):
        step, event, detail = short.get(row, row) if isinstance(row, str) else row
        records.append(
            {
                "time": stamp(NOW + timedelta(seconds=detail.pop("at", number) if isinstance(row, tuple) else number)),
                "host": None if detail.pop("run", False) else "a1",
                "step": step,
                "event": event,
                "detail": dict(detail),
            }
        )
    return records


def run(**detail):
    return ("gate", "begin", {"run": True, **detail})


def done(step, took_ms, **detail):
    return (step, "done", {"took_ms": took_ms, **detail})


def seconds(*rows):
    return step_seconds(ledger(*rows)).get("a1", {})


def test_a_steps_records_are_added_up_in_whole_seconds():
    probes = [done("verify", 300), done("verify", 800), ("verify", "done", {"verdict": "ok"})]
    assert seconds(run(), "gate", done("install", 12_001), *probes, "patched") == {"install": 13, "verify": 2}


def test_a_step_with_a_begin_and_no_measurement_lasts_from_the_one_to_the_other():
    began, ended = ("snapshot", "begin", {"at": 10}), ("snapshot", "done", {"at": 52})
    assert seconds(run(), "gate", began, ended, "patched") == {"snapshot": 42}


def test_a_stage_is_learned_though_it_comes_before_the_gate_and_without_an_outcome():
    assert seconds(done("stage", 90_000), run(), done("stage", 2000)) == {"stage": 90}, "the second had it already"


@pytest.mark.parametrize("event", ["failed", "refused"])
def test_what_did_not_end_well_and_what_followed_it_teaches_nothing(event):
    back = [done("install", 7000, module=ROLLBACK), done("restart", 5000), done("verify", 3000)]
    failed = ("restart", event, {"took_ms": 600_000})
    outcome = ("record", "outcome", {"outcome": "rolled_back"})
    assert seconds(run(), "gate", done("install", 60_000), failed, *back, outcome) == {"install": 60}
    assert seconds(("stage", event, {"took_ms": 5000})) == {}


def test_a_probe_that_answered_badly_ends_the_way_forward():
    bad = [done("verify", 5000), ("verify", "failed", {"verdict": "inconclusive"})]
    assert seconds(run(), "gate", done("install", 2000), *bad, done("return", 1000), "patched") == {"install": 2}


def test_a_host_that_a_person_takes_back_walks_no_way_forward():
    back = [done("lock", 1000), done("install", 7000, module=ROLLBACK), done("restart", 5000)]
    outcome = ("record", "outcome", {"outcome": "rolled_back"})
    assert seconds(run(rollback={"reason": "slow"}), "gate", *back, outcome) == {}


def test_what_a_dead_run_had_begun_teaches_nothing():
    assert seconds(run(), "gate", done("install", 900_000), run(), "gate", done("verify", 4000), "patched") == {
        "verify": 4
    }
    assert seconds(run(), "gate", done("install", 900_000), run(), "patched") == {}


def test_a_host_that_gave_way_counts_from_its_last_gate():
    gave_way = [done("lock", 30_000), done("return", 20_000)]
    assert seconds(run(), "gate", *gave_way, "gate", done("lock", 1000), "patched") == {"lock": 1}


def test_waiting_at_a_gate_is_no_step():
    reboot = done("gate", 9000, before="reboot")
    assert seconds(run(), "gate", done("restart", 2000), reboot, done("restart", 50_000), "patched") == {"restart": 52}
