# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of past runs, how often, and what becomes of those that are damaged."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import Ledger
from ansible_collections.hospital.patching.plugins.plugin_utils.past_runs import RUNS, Past
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW, loaded, planned, server

PLAN = planned({"a1": server("a1", "a", downtime_s=60)})
IDS = [f"20261122T0800{number:02d}Z-ab12cd34" for number in range(RUNS + 2)]


class Later(Clock):
    by = 0

    def now(self):
        return NOW + timedelta(seconds=self.by)


@pytest.fixture
def nights(tmp_path):
    """Return a function that keeps as many runs as it is given times, and the directory they lie in."""

    def keep(*times):
        for run_id, took in zip(IDS, times, strict=False):
            run = Run(str(tmp_path), run_id)
            run.evidence.start_run(run_id, loaded(PLAN))
            run.ledger.clock = Later()
            run.record(None, "gate", "begin")
            run.record("a1", "gate", "done", before="host")
            run.ledger.clock.by = took
            run.record("a1", "install", "done", took_ms=took * 1000)
            run.record("a1", "record", "outcome", outcome="patched", reason="")
        return Evidence(tmp_path)

    return keep


def test_each_ledger_is_read_once_for_all_that_is_learned(nights, monkeypatch):
    store, seen, read = nights(100, 200, 300), [], Ledger.read
    monkeypatch.setattr(Ledger, "read", lambda self: seen.append(self.path.parent.name) or read(self))
    past = Past.read(store)
    assert past.history.forward == {"a1": [100, 200, 300]}
    assert past.history.steps == {"install": {"a1": [100, 200, 300]}}
    assert {host for trials in past.trials.of.values() for host in trials} == {"a1"}
    assert seen == IDS[:3]


def test_only_the_newest_runs_are_read(nights):
    past = Past.read(nights(*range(1, RUNS + 3)))
    assert past.history.forward["a1"] == list(range(3, RUNS + 3))


def test_a_damaged_ledger_teaches_and_proves_nothing_and_is_named(nights):
    store = nights(100, 200, 300)
    path = store.ledger_path(IDS[1])
    path.write_text(path.read_text().replace("patched", "patchod"))
    past = Past.read(store)
    assert past.history.forward == {"a1": [100, 300]}
    assert [problem.partition(": ")[0] for problem in past.problems] == [f"Nothing is learned from run {IDS[1]}"]
    alone = nights(100)
    alone.ledger_path(IDS[0]).write_text("{}\n")
    alone.ledger_path(IDS[2]).write_text("{}\n")
    assert Past.read(alone).trials.of == {}


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"hosts": {"a1": {"ring": "x"}}}'])
def test_a_damaged_plan_proves_nothing_and_is_named_but_its_nights_times_count(nights, content):
    store = nights(100)
    (store.run_dir(IDS[0]) / "plan.json").write_text(content)
    past = Past.read(store)
    assert past.trials.of == {}
    assert past.problems[0].startswith(f"Run {IDS[0]} proves nothing for later rings: ")
    assert past.history.forward == {"a1": [100]}


def test_where_nobody_asks_for_promotion_no_plan_is_read(nights):
    store = nights(100)
    (store.run_dir(IDS[0]) / "plan.json").unlink()
    past = Past.read(store, trials=False)
    assert (past.trials.of, past.problems, past.history.forward) == ({}, [], {"a1": [100]})
