# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.report import build_report, render_html, render_text
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.report import sample_night

Document = dict[str, Any]


@pytest.mark.parametrize("width", [60, 100])
def test_no_line_is_longer_than_the_width(any_night: Document, width: int):
    assert max(len(line) for line in render_text(any_night, width=width).splitlines()) <= width


def test_the_path_is_the_last_line_and_whole(good: Document):
    path = "evidence/" + "x" * 120 + "/report.html"
    assert render_text(good, path=path).splitlines()[-1] == f"Report: {path}"


def test_needs_you_comes_before_any_host(rolled_back: Document):
    text = render_text(rolled_back)
    assert text.index("Needs you") < text.index("portal1: rolled back")
    assert "503" in "\n".join(text[text.index("Needs you") :].splitlines()[:5])


def test_a_host_of_a_good_night(good: Document):
    text = render_text(good)
    section = text[text.index("\ndb1: patched") : text.index("\nlb1: patched")]
    assert "listed 25, installed 25" in section
    assert "marks as before, holds as before" in section
    assert "rebooted (libc6)" in section
    assert "ok → ok" in section
    assert "install 62 s" in section
    assert section.count(" → ") == 26
    assert "CVE-2026-2004" in section
    line = next(line for line in section.splitlines() if "postgresql-15" in line)
    assert line.split() == ["postgresql-15", "15.14-0+deb12u1", "→", "15.16-0+deb12u1", "CVE-2026-2005", "+2"]


def test_columns_are_aligned(good: Document):
    text = render_text(good)
    section = text[text.index("\ndb1: patched") : text.index("\nlb1: patched")]
    arrows = {line.index("→") for line in section.splitlines() if "→" in line and "health" not in line}
    assert len(arrows) == 1


def test_a_host_that_was_not_touched_is_short(rolled_back: Document):
    text = render_text(rolled_back)
    section = text[text.index("\nportal2: not started") : text.index("\ndb1: not started")]
    assert "→" not in section
    assert len(section.strip().splitlines()) <= 4


def test_what_was_not_measured_is_called_so(empty: Document):
    assert "Nothing has been recorded." in render_text(empty)
    assert "portal: no host of it was touched" in render_text(empty)


def test_the_first_five_lines_say_why_the_run_stopped(rolled_back: Document, hard: Document):
    assert "503" in "\n".join(render_text(rolled_back).splitlines()[:5])
    first = "\n".join(render_text(hard).splitlines()[:5])
    assert "STUCK, HELD OUT OF SERVICE" in first
    assert "schema migration failed" in first


def test_every_line_says_state_and_next_step(hard: Document):
    text = " ".join(render_text(hard).split())
    for line in hard["needs_you"]:
        for key in ("why", "now", "feels", "next", "command", "call"):
            assert " ".join(line[key].split()) in text


def test_services_say_how_long_nobody_served(rolled_back: Document, hard: Document):
    witnessed = build_report(*sample_night.witnessed_night(), sample_night.stages(), sample_night.TRAFFIC, [])
    services = {line.strip() for line in render_text(witnessed, width=400).splitlines()}
    assert any(
        line.startswith("portal: portal1 drained 1 min 4") and "downtime 0 s: at every" in line for line in services
    )
    assert any(
        line.startswith("portal-db: db1 held 2 min 0") and "downtime at most 1 min 5" in line for line in services
    )
    text = render_text(rolled_back, width=400)
    assert "downtime not measured: this run did not see another host serve before and after portal1 was out" in text
    assert "portal2 drained 39 s, NOT RETURNED" in render_text(hard, width=400)


def test_what_was_taken_back_days_later_has_a_line_of_its_own(taken_back: Document):
    text = render_text(taken_back, width=400)
    assert (
        "Taken back on Wednesday 25 November 2026, 01:00:04 to 01:01:17, for akim (label printing fails):"
        " portal1 rolled back; portal2 was left as it was (no way back fits before the window ends);"
        " not asked: ws1, db1, lb1."
    ) in text
    assert "after the night" in next(line for line in text.splitlines() if line.startswith("  portal: "))


@pytest.mark.parametrize(("number", "end"), [(11, "h9, h10."), (12, "h9 and 2 more.")])
def test_of_many_hosts_that_were_not_asked_a_sentence_names_some(taken_back: Document, number: int, end: str):
    taken_back["later"][0]["not_asked"] = [f"h{one}" for one in range(number)]
    assert end in render_text(taken_back, width=1000)


def test_a_drain_that_failed_is_not_called_drained(undrained: Document):
    text = render_text(undrained, width=400)
    assert "perhaps drained at lb1, which failed, for" in text
    assert "portal1 perhaps drained" in text


def test_colour_is_only_there_when_asked_for(rolled_back: Document):
    assert "\x1b" not in render_text(rolled_back)
    assert "\x1b[33m" in render_text(rolled_back, colour=True)


def test_data_cannot_drive_the_terminal(hostile: Document):
    text = render_text(hostile)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x00" not in text


def test_an_emergency_and_its_broken_glass_stand_at_the_top(emergency):
    lines = render_text(emergency).splitlines()
    assert "Emergency: only what fixes CVE-2026-1519, exposed hosts first (portal2)." in lines[2]
    assert lines[3].startswith("Break-glass, asked for by ada, second person (claimed, not signed) Dr. Jane Roe: the")
    assert "mergency" not in render_text({**emergency, "emergency": None, "needs_you": []})


def test_what_there_is_to_merge_is_told_by_keys_and_lines_in_both_forms():
    plan, records = sample_night.good_night()
    detail = next(one for one in records if one["host"] == "ws1" and one["step"] == "install")["detail"]
    proposal = "/etc/nginx/nginx.conf.dpkg-dist"
    changes = [
        {"key": "http.gzip", "change": "changed", "line": 21, "proposed_line": 20},
        {"key": None, "change": "added", "line": None, "proposed_line": 40},
    ]
    merge = {"file": proposal[:-10], "proposal": proposal, "format": "statements", "changes": changes, "more": 3}
    binary = {"file": "/etc/x", "proposal": "/etc/x.dpkg-dist", "format": None, "changes": [], "note": "binary"}
    detail.update(conffile_proposals=[proposal, "/etc/x.dpkg-dist"], conffile_merge=[merge, binary])
    report = build_report(plan, records, {}, None, [])
    text, page = " ".join(render_text(report).split()), render_html(report)
    for told in (
        "http.gzip changed (line 21, proposed 20)",
        "lines added (proposed line 40)",
        "and 3 more",
        "/etc/x: binary",
    ):
        assert told in text
    assert "Configuration to merge" in page
    assert "http.gzip changed (line 21, proposed 20)" in page


def test_the_starts_of_a_host_before_and_after_are_told_and_one_that_nobody_asked_for_too():
    plan, records = sample_night.good_night()
    mine = [one for one in records if one["host"] == "ws1" and one["event"] == "done"]
    for step, boot in (("lock", "a1"), ("return", "b2")):
        next(one for one in mine if one["step"] == step)["detail"]["boot"] = {"boot_id": boot, "booted": "x"}
    host = next(one for one in build_report(plan, records, {}, None, [])["hosts"] if one["host"] == "ws1")
    reboot = host["reboot"]
    assert (reboot["boot_before"], reboot["boot_after"], reboot["rebooted"]) == ("a1", "b2", True)
