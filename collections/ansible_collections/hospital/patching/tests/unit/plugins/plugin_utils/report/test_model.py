# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a document."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json
from ansible_collections.hospital.patching.plugins.plugin_utils.report import build_report, schema_path
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.report import sample_night

Document = dict[str, Any]


def host(report: Document, name: str) -> Document:
    return next(one for one in report["hosts"] if one["host"] == name)


def test_every_night_obeys_the_schema(any_night: Document):
    validator = Draft202012Validator(json.loads(schema_path().read_text(encoding="utf-8")))
    assert not [error.message for error in validator.iter_errors(any_night)]


def test_every_night_can_be_digested(any_night: Document):
    """Canonical JSON refuses floats."""
    assert canonical_json(any_night)


def test_the_input_is_left_as_it_was():
    plan, records = sample_night.rolled_back_night()
    stages = sample_night.stages()
    before = copy.deepcopy((plan, records, stages))
    build_report(plan, records, stages)
    assert (plan, records, stages) == before


def test_excluded_hosts_count_in_the_denominator(good: Document):
    assert good["coverage"] == {
        "hosts": 6,
        "up_to_date": 5,
        "percent": 83,
        "by_outcome": {"excluded": 1, "patched": 5},
    }


def test_coverage_is_never_rounded_up_to_whole():
    plan = sample_night.plan()
    plan["hosts"] = {}
    plan["waves"] = []
    plan["not_planned"] = {f"h{n}": {"outcome": "nothing_to_do", "reason": "x"} for n in range(999)}
    plan["not_planned"]["pump1"] = {"outcome": "excluded", "reason": "vendor_locked"}
    assert build_report(plan, [], {})["coverage"]["percent"] == 99


def test_hosts_are_in_plan_order_then_those_not_planned(rolled_back: Document):
    assert [one["host"] for one in rolled_back["hosts"]] == ["ws1", "portal1", "portal2", "db1", "lb1", "pump1"]


def test_a_patched_host(good: Document):
    db1 = host(good, "db1")
    assert (db1["outcome"], db1["listed"], db1["installed"]) == ("patched", 25, 25)
    assert (db1["marks_equal"], db1["holds_equal"]) == (True, True)
    assert db1["reboot"]["rebooted"] is True
    assert db1["reboot"]["reasons"] == ["libc6"]
    assert db1["health"]["verdicts"] == {"before": "ok", "after": "ok", "after_rollback": None}
    postgresql = next(update for update in db1["updates"] if update["name"] == "postgresql-15")
    assert (postgresql["from"], postgresql["to"]) == ("15.14-0+deb12u1", "15.16-0+deb12u1")
    assert postgresql["cves"] == ["CVE-2026-2003", "CVE-2026-2004", "CVE-2026-2005"]
    assert postgresql["state"] == "installed"


def test_a_changelog_that_was_not_found_is_not_one_without_cves(good: Document):
    cves = {update["name"]: update["cves"] for update in host(good, "ws1")["updates"]}
    assert cves["libxml2"] is None
    assert cves["apt"] == []


def test_a_rolled_back_host(rolled_back: Document):
    portal1 = host(rolled_back, "portal1")
    assert (portal1["installed"], portal1["put_back"]) == (0, 25)
    assert portal1["health"]["verdicts"] == {"before": "ok", "after": "failed", "after_rollback": "ok"}
    nginx = next(update for update in portal1["updates"] if update["name"] == "nginx")
    assert (nginx["from"], nginx["to"], nginx["state"]) == ("1.22.1-9+deb12u2", "1.22.1-9+deb12u4", "put_back")
    assert [part["step"] for part in rolled_back["timeline"][1]["parts"]][-4:] == [
        "rollback",
        "restart",
        "verify",
        "return",
    ]
    assert portal1["returned"] is True
    assert rolled_back["totals"]["installed"] == 25
    assert rolled_back["totals"]["put_back"] == 25


def service(report: Document, name: str) -> Document:
    return next(one for one in report["services"] if one["service"] == name)


def test_a_service_whose_hosts_take_turns_has_no_downtime(good: Document):
    portal = service(good, "portal")
    assert portal["out_at_once"] == 1
    assert [(one["host"], one["how"]) for one in portal["out"]] == [("portal1", "drained"), ("portal2", "drained")]
    assert all(100 <= one["out_s"] <= 103 for one in portal["out"])
    assert portal["downtime"] == {"at_least_s": 0, "at_most_s": 0}
    assert portal["measured"]["failed"] == 0


def test_the_downtime_of_a_single_host_is_bounded_by_its_probes(good: Document):
    """db1: 9.8 s snapshot, 62 s install, 31 s restart, 14 s until its probes were ok; each bound within a second."""
    database = service(good, "portal-db")
    assert (database["out"][0]["how"], database["out_at_once"]) == ("held", 1)
    assert database["downtime"]["at_least_s"] == 0
    assert 117 <= database["downtime"]["at_most_s"] <= 119
    assert service(good, "portal-entry")["measured"] is None


def test_a_peer_that_this_run_never_saw_serve_proves_nothing(rolled_back: Document):
    portal = service(rolled_back, "portal")
    assert portal["downtime"] is None
    assert portal["downtime_basis"] == "this run did not see portal2 serve"


def test_a_service_that_was_left_alone_has_nothing_measured(rolled_back: Document):
    database = service(rolled_back, "portal-db")
    assert (database["out"], database["out_at_once"], database["downtime"]) == ([], None, None)


def test_the_application_of_a_host_that_was_put_back(rolled_back: Document):
    """It failed for most of 46 s, then was rolled back for 41 s, restarted for 5 s, and verified for 12 s."""
    seen = host(rolled_back, "portal1")["unavailable"]
    assert seen["probes"] == ["url_1"]
    assert 39 <= seen["at_least_s"] <= 41
    assert 180 <= seen["at_most_s"] <= 195
    assert host(rolled_back, "portal2")["unavailable"] is None


def test_a_host_that_is_stuck_is_still_away(hard: Document):
    portal2 = host(hard, "portal2")
    assert portal2["unavailable"]["at_most_s"] is None
    assert service(hard, "portal")["out"][1]["end"] is None
    assert [failure["step"] for failure in portal2["failures"]] == ["install", "rollback"]


def test_what_the_window_left(good: Document):
    assert good["window"]["time_zone"] == "America/Chicago"
    assert 2 * 3600 < good["window"]["left_s"] < 3 * 3600


@pytest.mark.parametrize(
    ("findings", "chain"), [(None, "not checked"), ([], "verified"), (["line 3: hash differs"], "broken")]
)
def test_the_chain_is_verified_only_when_someone_checked_it(findings: list[str] | None, chain: str):
    report = build_report(*sample_night.good_night(), {}, None, findings)
    assert report["evidence"]["chain"] == chain
    assert any("reordered" in line for line in report["evidence"]["evidence_for"]) is (chain == "verified")


def test_nothing_claims_compliance(any_night: Document):
    assert "complian" not in json.dumps(any_night["evidence"]).lower()
    assert any_night["evidence"]["anchored"] == "not anchored"


def test_an_unfinished_run(good: Document):
    plan, records = sample_night.good_night()
    report = build_report(plan, records[:20], {})
    assert (good["finished"], report["finished"]) == (True, False)
    assert None in {one["outcome"] for one in report["hosts"]}


@pytest.mark.parametrize("length", range(0, 50, 3))
def test_a_ledger_may_end_anywhere(length: int):
    plan, records = sample_night.good_night()
    report = build_report(plan, records[:length], {})
    assert report["evidence"]["records"] == len(records[:length])


def test_records_without_details_are_tolerated():
    plan, records = sample_night.rolled_back_night()
    for record in records:
        if record["event"] != "outcome":
            record["detail"] = {}
    report = build_report(plan, records, {})
    portal1 = host(report, "portal1")
    assert portal1["listed"] is None
    assert portal1["marks_equal"] is None
    assert portal1["health"]["verdicts"]["after"] is None
    assert Draft202012Validator(json.loads(schema_path().read_text(encoding="utf-8"))).is_valid(report)


def test_a_snapshot_revert_puts_everything_back():
    plan, records = sample_night.rolled_back_night()
    for record in records:
        if record["detail"].get("module") == "hospital.patching.update_rollback":
            record["detail"] = {"module": "hospital.patching.host_snapshot_rollback", "took_ms": 9000}
    portal1 = host(build_report(plan, records, {}), "portal1")
    assert (portal1["installed"], portal1["put_back"]) == (0, 25)


def test_a_failed_rollback_puts_nothing_back():
    plan, records = sample_night.rolled_back_night()
    for record in records:
        if record["detail"].get("module") == "hospital.patching.update_rollback":
            record["event"] = "failed"
    assert host(build_report(plan, records, {}), "portal1")["put_back"] == 0


def test_an_update_that_only_the_host_names_is_shown():
    plan, records = sample_night.good_night()
    install = next(one for one in records if one["host"] == "ws1" and one["step"] == "install")
    install["detail"]["installed"].append({"name": "stray", "arch": "amd64", "from": None, "to": "1"})
    stray = next(one for one in host(build_report(plan, records, {}), "ws1")["updates"] if one["name"] == "stray")
    assert (stray["kind"], stray["state"]) == ("new_install", "installed")


def test_notes_are_remarks():
    plan, records = sample_night.good_night()
    records.append({**records[-1], "host": "ws1", "event": "note", "detail": {"reason": "held by hand"}})
    assert build_report(plan, records, {})["remarks"][0]["text"] == "held by hand"


@pytest.mark.parametrize("key", ["failed", "failed_units"])
def test_units_that_did_not_come_back(key: str):
    plan, records = sample_night.good_night()
    restart = next(one for one in records if one["host"] == "ws1" and one["step"] == "restart")
    restart["detail"][key] = [{"unit": "ssh.service", "reason": "exit code 1"}]
    assert host(build_report(plan, records, {}), "ws1")["restart_failed"][0]["unit"] == "ssh.service"


def test_ansibles_own_failed_is_no_list_of_units():
    plan, records = sample_night.good_night()
    restart = next(one for one in records if one["host"] == "ws1" and one["step"] == "restart")
    restart["detail"]["failed"] = True
    assert host(build_report(plan, records, {}), "ws1")["restart_failed"] == []
