# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a document."""

from __future__ import annotations

import copy
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json
from ansible_collections.hospital.patching.plugins.plugin_utils.report import (
    build_report,
    render_html,
    render_text,
    schema_path,
    words,
)
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


def test_a_service_whose_hosts_take_turns_and_were_seen_to_serve_has_no_downtime():
    portal = service(build_report(*sample_night.witnessed_night(), {}, sample_night.TRAFFIC), "portal")
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


def test_a_peer_that_was_only_seen_before_or_only_afterwards_proves_nothing(good: Document):
    """Before portal2 was drained portal1 was ok; nobody has looked at it since."""
    portal = service(good, "portal")
    assert portal["downtime"] is None
    assert portal["downtime_basis"] == "this run did not see another host serve before and after portal2 was out"
    plan, records = sample_night.witnessed_night()
    unseen = [record for record in records if not (record["host"] == "portal1" and "seen" in record["detail"])]
    portal = service(build_report(plan, unseen, {}), "portal")
    assert portal["downtime_basis"] == "this run did not see another host serve before and after portal1 was out"


@pytest.mark.parametrize("seen", [None, [], [{"host": "portal2", "probes": []}]])
def test_a_look_that_saw_nothing_is_tolerated(seen: Any):
    plan, records = sample_night.witnessed_night()
    for record in records:
        if "seen" in record["detail"]:
            record["detail"]["seen"] = seen
    assert service(build_report(plan, records, {}), "portal")["downtime"] is None


def test_what_a_person_takes_back_days_later_is_not_the_night(good: Document, taken_back: Document):
    for key in ("started", "ended", "took_s", "window", "finished"):
        assert taken_back[key] == good[key], key
    assert [row["parts"] for row in taken_back["timeline"]] == [row["parts"] for row in good["timeline"]]
    assert [row["out"] for row in taken_back["timeline"]] == [row["out"] for row in good["timeline"]]
    (later,) = taken_back["later"]
    assert later == {
        "kind": "taken back",
        "by": "akim",
        "reason": sample_night.WHY,
        "start": "2026-11-25T07:00:04Z",
        "end": "2026-11-25T07:01:17Z",
        "hosts": [
            {"host": "portal1", "outcome": "rolled_back", "reason": None},
            {"host": "portal2", "outcome": None, "reason": "no way back fits before the window ends"},
        ],
        "not_asked": ["ws1", "db1", "lb1"],
    }


def test_a_host_that_was_not_asked_for_is_told_so_and_one_that_was_left_why():
    plan, records = sample_night.taken_back_night()
    (later,) = build_report(plan, records, {})["later"]
    assert [one["host"] for one in later["hosts"]] == ["portal1"]
    assert later["not_asked"] == [one for one in plan["hosts"] if one != "portal1"]
    # A rollback of all runs leaves hosts on which another run has built.
    for record in records:
        if record["detail"].get("rollback"):
            record["detail"]["rollback"]["left"] = {"db1": "a later run has brought it further"}
    (later,) = build_report(plan, records, {})["later"]
    assert later["hosts"][1:] == [{"host": "db1", "outcome": None, "reason": "a later run has brought it further"}]
    assert "db1" not in later["not_asked"]


def test_nobody_is_asked_for_where_the_run_itself_goes_on():
    plan, records = sample_night.good_night()
    again = sample_night.Night(plan)
    again.records, again.now = records, again.now + timedelta(days=1)
    again._append(None, "gate", "begin", plan_digest=plan["digest"])
    assert [one["not_asked"] for one in build_report(plan, again.records, {})["later"]] == [[]]


def test_a_host_that_is_taken_back_days_later_was_out_twice_for_as_long_as_that(taken_back: Document):
    portal = service(taken_back, "portal")
    assert [(one["host"], one["afterwards"]) for one in portal["out"]] == [
        ("portal1", False),
        ("portal1", True),
        ("portal2", False),
    ]
    assert all(60 <= one["out_s"] <= 110 for one in portal["out"])
    assert portal["out_at_once"] == 1
    portal1 = host(taken_back, "portal1")
    assert portal1["out_ms"] < 200_000
    assert portal1["unavailable"]["at_most_s"] < 250
    assert taken_back["totals"]["longest_out_ms"] < 110_000


def test_started_again_within_the_window_the_night_goes_on():
    plan, records = sample_night.good_night()
    again = sample_night.Night(plan)
    again.records, again.now = records, again.now + timedelta(hours=1)
    again._append(None, "gate", "begin", plan_digest=plan["digest"])
    again.step("ws1", "gate", 40, "refused", reason="not yet")
    report = build_report(plan, again.records, {})
    assert (report["later"], report["ended"][:13]) == ([], "2026-11-22T08")
    again.now += timedelta(days=1)
    again._append(None, "record", "done")
    again._append(None, "gate", "begin", plan_digest=plan["digest"])
    assert [one["kind"] for one in build_report(plan, again.records, {})["later"]] == ["continued"]


def test_a_host_that_a_person_returns_days_later_was_out_until_then():
    plan, records = sample_night.hard_night()
    later = sample_night.Night(plan)
    later.records, later.now = records, sample_night.OPENED + timedelta(days=2)
    later._append(None, "return", "note", asked_by="akim", hosts=["portal2"], reason="repaired")
    later.step("portal2", "lock", 3100)
    later.step("portal2", "return", 4100)
    later.outcome("portal2", "patched", "returned by akim: repaired")
    report = build_report(plan, later.records, {})
    assert [(one["kind"], one["by"]) for one in report["later"]] == [("return", "akim")]
    out = next(one for one in service(report, "portal")["out"] if one["host"] == "portal2")
    assert out["out_s"] > 2 * 86400 - 3600
    assert report["ended"] < "2026-11-22T08"


def test_what_is_restarted_again_on_the_way_back_is_named_once(rolled_back: Document):
    units = [one["unit"] for one in host(rolled_back, "portal1")["restarted"]]
    assert units == sample_night.UNITS["portal"]


def test_what_is_owed_is_named_once_processes_by_their_number():
    plan, records = sample_night.rolled_back_night()
    owed = [{"unit": "systemd-logind.service", "pid": 1}, {"unit": None, "pid": 7}, {"unit": None, "pid": 8}]
    for record in records:
        if record["step"] == "restart":
            record["detail"]["owed"] = owed
    found = host(build_report(plan, records, {}), "portal1")["owed"]
    assert [(one["unit"], one["pid"]) for one in found] == [("systemd-logind.service", 1), (None, 7), (None, 8)]


def test_the_version_that_made_it_is_the_collections(good: Document):
    galaxy = Path(schema_path()).parents[3] / "galaxy.yml"
    version = re.search(r"^version: (.+)$", galaxy.read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert good["made_by"].startswith(f"hospital.patching {version[1]}, report ")


def test_a_peer_that_this_run_never_saw_serve_proves_nothing(rolled_back: Document):
    plan, records = sample_night.rolled_back_night()
    unseen = [record for record in records if "seen" not in record["detail"]]
    portal = service(build_report(plan, unseen, {}), "portal")
    assert portal["downtime"] is None
    assert portal["downtime_basis"] == "this run did not see portal2 serve"
    portal = service(rolled_back, "portal")
    assert portal["downtime_basis"] == "this run did not see another host serve before and after portal1 was out"


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


def test_the_numbers_that_a_patch_changed_stand_beside_those_of_earlier_nights():
    plan, records = sample_night.good_night()
    number = {
        "probe": "url_1",
        "figure": "latency_ms",
        "of": "",
        "unit": "ms",
        "before": 34,
        "after": 951,
        "usual": None,
        "earlier": [31, 33],
    }
    for record in records:
        if (record["host"], record["step"], record["event"]) == ("portal1", "verify", "done"):
            record["detail"]["figures"] = [number]
    report = build_report(plan, records, sample_night.stages(), None, [])
    assert host(report, "portal1")["health"]["figures"] == [number]
    assert host(report, "portal2")["health"]["figures"] == []
    assert Draft202012Validator(json.loads(schema_path().read_text(encoding="utf-8"))).is_valid(report)
    page = render_html(report)
    assert page.count("<h3>Numbers</h3>") == 1
    assert "<td>not measured</td><td>34</td><td>951</td>" in page
    assert "31, 33" in page


def test_a_snapshot_revert_puts_everything_back():
    plan, records = sample_night.rolled_back_night()
    for record in records:
        if record["detail"].get("module") == "hospital.patching.update_rollback":
            record["detail"] = {"module": "hospital.patching.host_snapshot_rollback", "took_ms": 9000}
    portal1 = host(build_report(plan, records, {}), "portal1")
    assert (portal1["installed"], portal1["put_back"]) == (0, 25)


def test_what_an_earlier_attempt_had_put_back_counts_too():
    plan, records = sample_night.rolled_back_night()
    detail = next(one["detail"] for one in records if "update_rollback" in str(one["detail"].get("module")))
    first, *detail["installed"] = detail["installed"]
    detail["already"] = [{"name": first["name"], "arch": first["arch"], "version": first["to"]}]
    assert host(build_report(plan, records, {}), "portal1")["put_back"] == 25


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


def test_a_typed_name_is_told_as_a_claim():
    plan, records = sample_night.good_night()
    opened = next(record for record in records if record["step"] == "gate" and record["host"] is None)
    opened["detail"]["claimed"] = "Dr. Jane Roe"
    report = build_report(plan, records, sample_night.stages(), sample_night.TRAFFIC, [])
    assert report["opened"]["approval"].endswith("; claimed, not signed: Dr. Jane Roe")


def test_who_has_signed_is_named_once_and_how():
    plan, records = sample_night.good_night()
    assert build_report(plan, records, {})["opened"]["signed_by"] == []
    signed = [
        {"by": "ada@hospital", "plan": "sha256:1", "source": "ssh", "signature": "sha256:2"},
        {"by": "ben@hospital", "plan": "sha256:1", "source": "https://awx.example/api/v2", "record": "sha256:3"},
        {"by": "Dr. Roe", "plan": "sha256:1", "source": "ssh", "signature": "sha256:4", "second": True},
    ]
    for record in records:
        if (record["step"], record["event"]) == ("gate", "done"):
            record["detail"]["approved"] = {"signed": signed, "list_digest": "sha256:5"}
    report = build_report(plan, records, {})
    assert report["opened"]["signed_by"] == [
        "ada@hospital",
        "ben@hospital (in AWX, https://awx.example/api/v2)",
        "Dr. Roe (of the list for broken glass)",
    ]
    assert "signed by ada@hospital, ben@hospital (in AWX" in " ".join(render_text(report).split())
    assert "Dr. Roe (of the list for broken glass)" in render_html(report)


def test_what_a_disk_revert_has_lost_is_told_in_minutes_and_bytes():
    plan, records = sample_night.rolled_back_night()
    assert "disk_revert" not in host(build_report(plan, records, {}), "portal1")
    lost = {"since": "2026-11-22T07:18:00Z", "seconds": 2520, "size_bytes": 1_288_490_189, "unknown": None}
    last = records[-1]
    intent = {"snapshot": "snap-1", "tail_digest": "sha256:1", "source": "journal", "loss": lost}
    noted = {**last, "host": "portal1", "step": "snapshot", "event": "note", "detail": {"revert": intent}}
    done = {**noted, "event": "done", "detail": {"record": {"event": "reverted"}, "took_ms": 5}}
    begun, ended = (build_report(plan, [*records[:-1], *more, last], {}) for more in ([noted], [noted, done]))
    schema = Draft202012Validator(json.loads(schema_path().read_text(encoding="utf-8")))
    assert schema.is_valid(begun)
    assert schema.is_valid(ended)
    told = "42 minutes since 2026-11-22T07:18:00Z is lost: about 1.2 GiB"
    assert words.put_back(host(ended, "portal1")).startswith("to snap-1; ")
    assert words.put_back(host(begun, "portal1")).startswith("begun to snap-1, and not ended; ")
    assert words.put_back(host(ended, "portal2")) == ""
    assert told in render_html(ended)
    assert told in " ".join(render_text(ended).split())
