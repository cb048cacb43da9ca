# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that judges health: by what the approved plan says of the host, and on record."""

from __future__ import annotations

import json
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action.run_health import ActionModule
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, server


def probe(verdict="ok", **value):
    return {
        "name": "ris",
        "type": "systemd",
        "target": "ris.service",
        "verdict": verdict,
        "detail": f"it is {verdict}",
        "seconds_ms": 5,
        "at": "2026-11-22T08:00:00Z",
        "not_ok": None,
        "value": value or None,
    }


@pytest.fixture
def judge(tmp_path):
    """Return a function that judges host s1 of a run; its settings come first."""

    def run(settings, before, after=None, check=False):
        made = planned({"s1": server("s1", "s", downtime_s=60, **settings)})
        evidence = Run(str(tmp_path), PLAN_ID)
        evidence.evidence.save_plan(made)
        run_of_plan = Run.start(str(tmp_path), PLAN_ID)
        arguments = {
            "evidence_dir": str(tmp_path),
            "run_id": PLAN_ID,
            "step": "verify" if after else "health_before",
            "before": before,
            "after": after,
            "versions": {},
        }
        plugin = ActionModule.__new__(ActionModule)
        plugin._task = SimpleNamespace(check_mode=check)
        plugin.validate_argument_spec = lambda spec: (None, arguments)
        with mock.patch.object(ActionBase, "run", return_value={}):
            result = plugin.run(task_vars={"inventory_hostname": "s1"})
        return result, run_of_plan.ledger.read()

    return run


def test_a_worse_number_fails_the_host_and_is_on_record(judge):
    result, records = judge({}, [probe(restarts={"ris.service": 0})], [probe(restarts={"ris.service": 4})])
    assert (result["failed"], result["verdict"]) == (True, "failed")
    assert "restarts of ris.service was 0 and is 4" in result["msg"]
    assert (records[-1]["event"], records[-1]["detail"]["verdict"]) == ("failed", "failed")


def test_the_thresholds_of_the_plan_count(judge):
    settings = {"thresholds": {3: {"restarts": {"noise": 9}}}}
    result, records = judge(settings, [probe(restarts={"ris.service": 0})], [probe(restarts={"ris.service": 4})])
    assert result["verdict"] == "ok"
    assert records[-1]["event"] == "done"


def test_what_is_broken_before_is_refused(judge):
    assert judge({}, [probe("failed")])[0]["failed"] is True


def test_what_may_be_broken_before_is_told_and_starts(judge):
    result, records = judge({"broken_before": ["ris"]}, [probe("failed")])
    assert result["verdict"] == "ok"
    assert records[-1]["detail"]["findings"][0]["finding"] == "ris: it is failed (before the update)"


def test_check_mode_records_nothing(judge, tmp_path):
    result, records = judge({}, [probe(failed_units=0)], [probe(failed_units=0)], check=True)
    assert (result["verdict"], records) == ("ok", [])
    assert not (tmp_path / "figures").exists()


def test_numbers_are_kept_and_what_is_usual_excuses(judge, tmp_path):
    path = tmp_path / "figures" / "s1.json"
    slow = [probe(latency_ms=6000)]
    for _night in range(5):
        assert judge({}, slow)[0]["verdict"] == "ok"
    assert len(json.loads(path.read_text())["readings"]) == 5
    result, records = judge({}, [probe(latency_ms=12)], slow)
    assert result["verdict"] == "ok"
    (told,) = records[-1]["detail"]["figures"]
    assert (told["before"], told["after"], told["usual"], told["earlier"]) == (12, 6000, 6000, [6000] * 5)


def test_a_host_that_is_not_ok_teaches_nothing(judge, tmp_path):
    judge({}, [probe(latency_ms=12)], [probe(latency_ms=60000)])
    assert not (tmp_path / "figures").exists()


def test_a_damaged_history_is_told_and_left_alone(judge, tmp_path):
    path = tmp_path / "figures" / "s1.json"
    path.parent.mkdir()
    path.write_text("nonsense")
    result, _records = judge({}, [probe(latency_ms=12)], [probe(latency_ms=13)])
    assert result["verdict"] == "ok"
    assert "numbers of earlier readings were not used" in result["findings"][0]["finding"]
    assert path.read_text() == "nonsense"


def test_a_history_that_cannot_be_written_fails_no_host(judge, tmp_path):
    (tmp_path / "figures").write_text("in the way")
    result, _records = judge({}, [probe(latency_ms=12)])
    assert result["verdict"] == "ok"
    assert "were not kept" in result["findings"][0]["finding"]
