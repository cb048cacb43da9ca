# SPDX-License-Identifier: GPL-3.0-or-later
"""An emergency at year's end: one flaw in a package of Debian's, a freeze, and a person who breaks the glass."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict

import pytest

from tests.support import killing, lab
from tests.support.night import PORTALS, Night
from tests.support.traffic import Traffic

#: No flaw's real name: which real one is pending here changes from month to month.
CVE = "CVE-2026-99999"
BREAK_GLASS = {
    "cve": CVE,
    "break_glass": "freeze,soak,age",
    "break_glass_reason": "the portal is being attacked",
    "break_glass_second": "Dr. Jane Roe, administrator on call",
}


def installed(host):
    asked = "dpkg-query -W -f '${Package}\\t${Version}\\n'"
    return dict(line.split("\t") for line in lab.exec(host, asked).splitlines())


@pytest.fixture
def night(tmp_path):
    """Return a night with all of Debian's updates pending, of which one source package fixes the flaw."""
    lab.publish()
    lab.reset(PORTALS)
    night = Night(tmp_path / "evidence", patching_debian_tracker=str(tmp_path / "tracker.json"))
    night.settings["patching_exposed"] = "{{ inventory_hostname == 'portal2' }}"
    (tmp_path / "tracker.json").write_text("{}", encoding="utf-8")
    assert night.play("assess").rc == 0
    source, version = smallest_source(night)
    fixed = {"status": "resolved", "fixed_version": version}
    tracker = {source: {CVE: {"releases": {"bookworm": fixed}}}}
    (tmp_path / "tracker.json").write_text(json.dumps(tracker), encoding="utf-8")
    yield night
    killing.end_all()


def assessment(night):
    return json.loads((night.evidence / "assess" / "portal1.json").read_text(encoding="utf-8"))


def smallest_source(night):
    """Return the name and version of what a portal host gets from Debian with the smallest download."""
    document = assessment(night)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for update in document["pending"]["updates"]:
        if update["origin"].startswith("Debian-Security:"):
            sizes[update["source"], update["source_to"]] += update["download_bytes"]
    return min(sizes, key=lambda one: sizes[one])


def test_one_flaw_is_mended_through_a_freeze_that_is_broken_by_name(night):
    freeze = night.evidence / "freeze"
    freeze.write_text("year's end\n", encoding="utf-8")
    asked_too_much = night.play("emergency", **{**BREAK_GLASS, "break_glass": "freeze,min_healthy"})
    assert asked_too_much.rc != 0
    assert "min_healthy: patients need the service while it is patched" in asked_too_much.messages()[0]
    assert not asked_too_much.results("Collect software facts"), "somebody had to wait for a refusal"

    made = night.play("emergency", **BREAK_GLASS)
    assert made.rc == 0, made.stdout
    night.plan = made.results("Make the plan")[0]["plan"]
    assert [wave["hosts"] for wave in night.plan["waves"]] == [["portal2"], ["portal1"]], "the exposed host goes first"
    wanted = {update["name"] for entry in night.plan["hosts"].values() for update in entry["updates"]}
    assert all(CVE in update["cves"] for entry in night.plan["hosts"].values() for update in entry["updates"])
    assert assessment(night)["shortened"] == ["age"]
    ordinary = night.play("plan").results("Make the plan")[0]["plan"]
    assert "its assessment was made for an emergency" in ordinary["not_planned"]["portal1"]["reason"]
    assert night.play("stage").rc == 0

    before = {host: installed(host) for host in PORTALS}
    shutil.copy2(freeze, kept := freeze.with_name("kept"))
    freeze.write_text("mass casualty\n", encoding="utf-8")
    stopped = night.play("patch")
    assert stopped.rc != 0
    assert set(night.outcomes().values()) == {"not_started"}
    assert "freeze says: mass casualty" in night.reason("portal2")
    assert {host: installed(host) for host in PORTALS} == before

    kept.replace(freeze)
    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch")
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
    changed = {name for host in PORTALS for name, version in installed(host).items() if before[host][name] != version}
    assert changed == wanted, "more or less was installed than what fixes the flaw"
    assert [answer for answer in traffic.answers if not answer.ok] == []

    report = json.loads((night.run / "report.json").read_text(encoding="utf-8"))
    assert report["emergency"] == night.plan["emergency"]
    assert report["needs_you"][0]["word"] == "break-glass used"
    assert "Break-glass, asked for by " in (night.run / "report.html").read_text(encoding="utf-8")
    (begun, *_more) = [one for one in night.records() if one["step"] == "gate" and one["event"] == "begin"]
    assert begun["detail"]["emergency"]["break_glass"]["second"] == "Dr. Jane Roe, administrator on call"
