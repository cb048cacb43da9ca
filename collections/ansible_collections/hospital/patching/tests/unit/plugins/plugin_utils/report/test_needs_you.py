# SPDX-License-Identifier: GPL-3.0-or-later
"""The first five lines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.hidden_processes import VEILED, WHY
from ansible_collections.hospital.patching.plugins.plugin_utils.report import build_report, words
from ansible_collections.hospital.patching.plugins.plugin_utils.report.next_steps import KINDS
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.report import sample_night

Document = dict[str, Any]


def with_outcomes(outcomes: dict[str, str], reason: str = "because of {host}") -> Document:
    """Return the report of a good night whose outcomes were others."""
    plan, records = sample_night.good_night()
    for record in records:
        if record["event"] == "outcome" and record["host"] in outcomes:
            host = record["host"]
            record["detail"] = {"outcome": outcomes[host], "reason": reason.format(host=host)}
    return build_report(plan, records, sample_night.stages(), None, [])


def test_a_good_night_needs_nobody(good: Document):
    assert good["needs_you"] == []


def test_the_reason_of_a_rollback_is_in_the_first_line(rolled_back: Document):
    first, second = rolled_back["needs_you"]
    assert first["host"] == "portal1"
    assert first["why"] == (
        "After 25 updates probe url_1 (http://portal1/metadata) fails since the update: status 503 after 34 ms;"
        " expected 200; the run stopped there"
    )
    assert first["now"] == "back on its old versions, proven healthy by the same probes, serving again"
    assert first["feels"] == "nothing, but 25 updates missing (22 security)"
    assert first["command"] == "ansible-playbook -i INVENTORY playbooks/prepare.yml"
    assert first["call"] == "the owner of portal"
    assert second["host"] == "portal2, db1, lb1"
    assert second["why"] == sample_night.STOPPED
    assert second["now"] == "not touched, on the old versions"
    assert second["command"] == "ansible-playbook -i INVENTORY playbooks/prepare.yml"
    assert second["call"] == "the owners of portal, portal-db, portal-entry"


def test_a_host_held_out_of_service_is_loud_and_first(hard: Document):
    first, *others = hard["needs_you"]
    assert (first["host"], first["word"]) == ("portal2", "STUCK, HELD OUT OF SERVICE")
    assert first["why"].startswith("While installing 25 updates: apt-get install: exit 100: clinical-portal: schema")
    assert "Putting it back failed too: clinical-portal:all: 1.4.0 has no preserved package" in first["why"]
    assert "Next:" not in first["why"]
    assert first["now"] == "drained at lb1; nothing returns it to its users but a person"
    assert first["deadline"] == "now"
    assert first["command"] == (
        f"ansible-playbook -i INVENTORY playbooks/return.yml -e patching_run_id={sample_night.RUN_ID}"
        " -e return_hosts=portal2 -e \"return_reason='…'\""
    )
    assert [line["kind"] for line in others] == ["rolled_back", "not_started"]


def test_a_stuck_host_that_nothing_drains_is_not_called_held_out_of_service():
    first = with_outcomes({"db1": "stuck"})["needs_you"][0]
    assert first["word"] == "STUCK"
    assert "nothing keeps its users away" in first["now"]


def test_a_host_whose_drain_failed_is_not_called_held_out_of_service(undrained: Document):
    first = undrained["needs_you"][0]
    assert first["word"] == "STUCK, PERHAPS STILL IN USE"
    assert first["now"] == "its drain failed, so it is not known whether lb1 still sends users to it"
    assert first["feels"] == "unknown; without this host, portal runs on 1 of 2 hosts; no spare"
    assert first["why"].startswith("Before any update was installed, at drain: lb1: the connection was lost")


def test_a_run_that_was_cut_off_after_a_failed_drain_does_not_call_the_host_drained():
    plan, records = sample_night.undrained_night()
    cut = next(number for number, record in enumerate(records, 1) if record["step"] == "drain")
    (line,) = build_report(plan, records[:cut], {}, None, [])["needs_you"]
    assert line["now"] == "perhaps drained: portal1"


def test_who_asked_for_a_rollback_and_why_is_said(taken_back: Document):
    (line,) = taken_back["needs_you"]
    assert (line["kind"], line["word"]) == ("taken_back", "taken back")
    assert line["why"] == "25 updates taken back for akim: label printing fails"
    assert line["now"] == "back on its old versions, proven healthy by the same probes, serving again"
    assert line["next"].startswith("Settle with akim what becomes of the update")
    assert "maker" not in line["next"]


def test_a_part_that_was_taken_back_is_not_called_everything():
    plan, records = sample_night.taken_back_night(("clinical-portal", "nginx"))
    report = build_report(plan, records, sample_night.stages(), None, [])
    (line,) = report["needs_you"]
    assert line["now"] == "2 of 25 updates taken back, proven healthy by the same probes, serving again"
    assert line["feels"] == "nothing, but 2 updates missing (1 security)"
    portal1 = next(one for one in report["hosts"] if one["host"] == "portal1")
    assert words.gist(portal1).startswith("2 of 25 updates put back")


def test_a_host_on_which_nothing_was_left_to_take_back():
    plan, records = sample_night.taken_back_night()
    asked = next(number for number, record in enumerate(records) if "rollback" in record["detail"])
    kept = [one for one in records[asked:] if one["host"] is None or one["event"] == "outcome"]
    (line,) = build_report(plan, records[:asked] + kept, {}, None, [])["needs_you"]
    assert line["now"] == "nothing was left to take back, so nothing was done"


def test_few_updates_are_named():
    plan, records = sample_night.rolled_back_night()
    portal = plan["hosts"]["portal1"]
    portal["updates"] = [one for one in portal["updates"] if one["name"] == "clinical-portal"]
    for record in records:
        if record["host"] == "portal1" and record["detail"].get("installed"):
            installed = record["detail"]["installed"]
            record["detail"]["installed"] = [one for one in installed if one["name"] == "clinical-portal"]
    first = build_report(plan, records, {}, None, [])["needs_you"][0]
    assert first["why"].startswith("After clinical-portal 1.4.0 → 1.4.1 probe url_1")


def test_a_failing_probe_of_users_is_told_before_what_follows_from_it():
    plan, records = sample_night.rolled_back_night()
    failed = next(one for one in records if one["step"] == "verify" and one["event"] == "failed")
    units = {"probe": "builtin-units", "finding": "nginx.service was healthy and is failed now", "verdict": "failed"}
    failed["detail"]["findings"].insert(0, units)
    why = build_report(plan, records, {}, None, [])["needs_you"][0]["why"]
    assert "probe url_1" in why
    assert "(and 1 more, below)" in why


def test_a_wrong_version_is_told_by_what_was_seen_and_expected():
    plan, records = sample_night.rolled_back_night()
    failed = next(one for one in records if one["step"] == "verify" and one["event"] == "failed")
    failed["detail"]["findings"] = [
        {"subject": "openssl:amd64", "seen": "3.0.17", "expected": "3.0.18", "verdict": "failed"}
    ]
    report = build_report(plan, records, {}, None, [])
    assert "openssl:amd64: 3.0.17; expected 3.0.18" in report["needs_you"][0]["why"]
    portal1 = next(one for one in report["hosts"] if one["host"] == "portal1")
    assert portal1["health"]["findings"][0]["finding"] == "openssl:amd64: 3.0.17; expected 3.0.18"


def test_a_host_that_is_not_proven_after_its_rollback_is_not_called_so():
    plan, records = sample_night.rolled_back_night()
    proof = [one for one in records if one["step"] == "verify" and one["host"] == "portal1"][-1]
    proof["detail"].update(verdict="inconclusive")
    assert "NOT proven healthy" in build_report(plan, records, {}, None, [])["needs_you"][0]["now"]


def test_what_does_not_fit_is_named_with_its_trouble():
    plan = sample_night.plan()
    plan["not_planned"] = {f"h{n}": {"outcome": "unreachable", "reason": f"no route {n}"} for n in range(6)}
    last = build_report(plan, [], {})["needs_you"][-1]
    assert "h4 (unreachable), h5 (unreachable)" in last["why"]


def test_every_line_says_everything(any_night: Document):
    for line in any_night["needs_you"]:
        assert all(line[key] for key in ("host", "word", "feels", "why", "next", "deadline", "command", "call"))


def test_never_more_than_five_lines_and_none_is_lost():
    plan = sample_night.plan()
    plan["not_planned"] = {f"h{n}": {"outcome": "unreachable", "reason": f"no route {n}"} for n in range(12)}
    lines = build_report(plan, [], {})["needs_you"]
    assert len(lines) == 5
    assert lines[-1]["kind"] == "more"
    named = {name for line in lines for name in line["hosts"]}
    assert named == {*plan["not_planned"], *plan["hosts"]}


def test_exactly_five_lines_are_shown_as_they_are():
    lines = with_outcomes(dict.fromkeys(sample_night.HOSTS, "unverified"))["needs_you"]
    assert [line["kind"] for line in lines] == ["unverified"] * 5


def test_the_most_urgent_comes_first_whatever_its_place_in_the_plan():
    outcomes = {
        "ws1": "refused",
        "portal1": "rolled_back",
        "portal2": "unverified",
        "db1": "unreachable",
        "lb1": "stuck",
    }
    lines = with_outcomes(outcomes)["needs_you"]
    assert [line["kind"] for line in lines] == ["stuck", "unreachable", "unverified", "rolled_back", "refused"]
    assert [line["deadline"] for line in lines[:3]] == ["now"] * 3


def test_the_lower_tier_comes_first_among_equals():
    lines = with_outcomes({"ws1": "stuck", "lb1": "stuck"})["needs_you"]
    assert [line["host"] for line in lines] == ["lb1", "ws1"]


def test_one_cause_is_one_line():
    lines = with_outcomes(dict.fromkeys(sample_night.HOSTS, "not_started"), reason="the stop file was there")[
        "needs_you"
    ]
    assert len(lines) == 1
    assert len(lines[0]["hosts"]) == 5


@pytest.mark.parametrize(
    ("outcomes", "feels"),
    [
        ({"portal1": "stuck"}, "portal runs on 1 of 2 hosts; no spare"),
        ({"portal1": "stuck", "portal2": "stuck"}, "portal counts as out of service"),
        ({"db1": "stuck"}, "portal-db counts as out of service"),
        ({"ws1": "stuck"}, "whoever uses this host is without it"),
        ({"portal1": "unreachable"}, "unknown; if it is down, portal runs on 1 of 2 hosts; no spare"),
        ({"portal1": "unverified"}, "unknown: in use, but not proven to work"),
    ],
)
def test_what_users_feel(outcomes: dict[str, str], feels: str):
    assert with_outcomes(outcomes)["needs_you"][0]["feels"] == feels


def test_fewer_hosts_than_needed_is_said():
    plan, records = sample_night.good_night()
    plan["services"]["portal"]["min_healthy"] = 2
    records[-1]["detail"] = {}
    for record in records:
        if record["event"] == "outcome" and record["host"] == "portal1":
            record["detail"] = {"outcome": "stuck", "reason": "x"}
    assert build_report(plan, records, {})["needs_you"][0]["feels"] == (
        "portal runs on 1 of 2 hosts, fewer than the 2 it needs"
    )


def test_a_named_owner_is_called():
    plan, records = sample_night.rolled_back_night()
    plan["services"]["portal"]["owner"] = "Portal team, 5-1234"
    assert build_report(plan, records, {})["needs_you"][0]["call"] == "Portal team, 5-1234"


def test_a_device_that_was_contacted_comes_before_everything():
    traffic = {"devices": {"pump1": {"connections": 1}}}
    plan, records = sample_night.rolled_back_night()
    first = build_report(plan, records, {}, traffic, ["line 3: hash differs"])["needs_you"]
    assert [line["kind"] for line in first[:2]] == ["device_contacted", "evidence"]


def test_users_who_were_hurt_although_there_was_a_spare():
    traffic = {"services": {"portal": {"requests": 100, "failed": 2, "downtime_ms": 200}}}
    (line,) = build_report(*sample_night.good_night(), {}, traffic, [])["needs_you"]
    assert line["host"] == "service portal"
    assert "2 of 100 requests failed" in line["feels"]


def test_downtime_beyond_what_the_service_accepts():
    plan, records = sample_night.good_night()
    plan["hosts"]["db1"]["downtime_s"] = 5
    verify = next(one for one in records if one["host"] == "db1" and one["step"] == "verify")
    for probe in verify["detail"]["probes"]:
        probe["not_ok"] = {"from": _before(probe["at"], 11), "to": _before(probe["at"], 2)}
    (line,) = build_report(plan, records, {}, None, [])["needs_you"]
    assert (line["kind"], line["host"]) == ("felt", "service portal-db")
    assert "accepts 5.0" in line["why"]
    assert "8\N{NO-BREAK SPACE}s to" in line["feels"]


def _before(at: str, seconds: int) -> str:
    return stamp(read_stamp(at) - timedelta(seconds=seconds))


def test_downtime_that_a_service_accepts_needs_nobody(good: Document):
    """portal-db has one host and failed requests."""
    assert next(one for one in good["services"] if one["service"] == "portal-db")["measured"]["failed"] == 3
    assert good["needs_you"] == []


@pytest.mark.parametrize(
    ("step", "detail", "kind"),
    [
        ("install", {"marks_equal": False}, "marks"),
        ("install", {"holds_equal": False}, "marks"),
        ("install", {"conffile_proposals": ["/etc/x.dpkg-dist"]}, "conffile"),
        ("restart", {"owed": [{"unit": "dbus.service", "pid": 1, "reason": "excluded"}]}, "reboot_owed"),
        ("restart", {"reboot_required": {"required": True, "reasons": ["kernel"]}, "rebooted": False}, "reboot_owed"),
    ],
)
def test_a_patched_host_may_still_need_someone(step: str, detail: Document, kind: str):
    plan, records = sample_night.good_night()
    next(one for one in records if one["host"] == "ws1" and one["step"] == step)["detail"].update(detail)
    (line,) = build_report(plan, records, {}, None, [])["needs_you"]
    assert (line["kind"], line["host"]) == (kind, "ws1")
    assert line["why"]


@pytest.mark.parametrize(
    ("owed", "told"),
    [
        (["excluded"], "still running old code: app0.service"),
        (["a (1) runs since x, and " + WHY], "not known what it runs: app0.service"),
        (["a (1) runs y", VEILED], "still running old code: app0.service; not known what it runs: app1.service"),
    ],
)
def test_what_root_could_not_see_is_not_called_old_code(owed: list[str], told: str):
    plan, records = sample_night.good_night()
    items = [{"unit": f"app{number}.service", "pid": 1, "reason": reason} for number, reason in enumerate(owed)]
    next(one for one in records if one["host"] == "ws1" and one["step"] == "restart")["detail"]["owed"] = items
    (line,) = build_report(plan, records, {}, None, [])["needs_you"]
    assert (line["kind"], line["why"]) == ("reboot_owed", told)


def test_a_run_that_was_cut_off_is_to_be_resumed():
    plan, records = sample_night.good_night()
    (line,) = build_report(plan, records[:5], {}, None, [])["needs_you"]
    assert line["kind"] == "unfinished"
    assert line["command"].endswith(f"patching_plan={sample_night.RUN_ID}")


def test_ranks_are_distinct():
    assert len({kind.rank for kind in KINDS.values()}) == len(KINDS)


def test_a_command_cannot_be_extended_by_a_name():
    plan = sample_night.plan()
    plan["not_planned"] = {"a; reboot": {"outcome": "unreachable", "reason": "x"}}
    line = next(one for one in build_report(plan, [], {})["needs_you"] if one["kind"] == "unreachable")
    assert line["command"].startswith("ansible -i INVENTORY 'a; reboot' -b")


def test_broken_glass_needs_a_review_after_a_good_night_too(emergency):
    line = emergency["needs_you"][0]
    assert (line["kind"], line["word"], line["deadline"]) == ("break_glass", "break-glass used", "today")
    assert "asked for by ada, second person (claimed, not signed) Dr. Jane Roe" in line["why"]
    assert "Have it reviewed by somebody who took no part" in line["next"]
