# SPDX-License-Identifier: GPL-3.0-or-later
"""The first five lines."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.report import build_report
from ansible_collections.hospital.patching.plugins.plugin_utils.report.needs_you import KINDS
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
    assert "503" in first["why"]
    assert first["feels"] == "nothing: back on its old versions, 25 updates missing (22 security)"
    assert first["call"] == "the owner of portal"
    assert second["host"] == "portal2, db1, lb1"
    assert second["call"] == "the owners of portal, portal-db, portal-entry"


def test_every_line_says_everything(any_night: Document):
    for line in any_night["needs_you"]:
        assert all(line[key] for key in ("host", "feels", "deadline", "command", "call"))


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
    assert [line["deadline"] for line in lines[:3]] == ["tonight"] * 3


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
    assert "2 failed" in line["feels"]


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
    assert line["command"].startswith("ansible 'a; reboot' -b")
