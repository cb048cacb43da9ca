# SPDX-License-Identifier: GPL-3.0-or-later
"""An emergency: what it plans, what broken glass shortens, and what it never does."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    break_glass,
    broken_freezes,
    emergency,
    plan_drops,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.batch import Limits
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.gate import decide, decide_reboot, decide_way_back
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import plan_digest, verify_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_html import plan_page
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import plan_table
from ansible_collections.hospital.patching.plugins.plugin_utils.wave_check import wave_problems
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALLOWED,
    NOW,
    endpoint,
    hosts_of,
    loaded,
    patched,
    planned,
    server,
)

CVE = "CVE-2026-1519"
ASKED = {
    "emergency": True,
    "cve": CVE,
    "break_glass": ["freeze", "soak", "rings"],
    "break_glass_reason": "the portal is being attacked",
    "break_glass_second": "Dr. Jane Roe",
}
NOTHING = Exclusion("excluded", "no update that is pending fixes it")
FREEZE, LATER = "2026-11-20 00:00 to 2026-11-30 00:00, UTC", "2026-12-23 18:00 to 2027-01-02 06:00, UTC"


def read(**more):
    return emergency.read({**ASKED, **more}, lambda: "ada", NOW)


def plan_of(fleet, tmp_path, **more):
    """Plan as update_plan does."""
    urgent = read(**more)
    fleet = urgent.applied(fleet)
    return planned(fleet, urgent=urgent.breaking(fleet, tmp_path, NOW))


def ask(plan, host, states=None, now=NOW, frozen=None, **more):
    return decide(plan, host, now, states or {}, ALLOWED, None, frozen, **more)


def web(**settings):
    return {f"web{number}": server(f"web{number}", "web", **settings) for number in (1, 2, 3)}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"cve": ""}, "the emergency: no CVE is named; expected one like CVE-2026-12345"),
        ({"cve": "log4shell"}, "plan_cve: 'log4shell'; expected a name like"),
        ({"break_glass": ["window"]}, "is to shorten window: plan with an emergency window instead"),
        ({"break_glass": ["min_healthy"]}, "is to shorten min_healthy: patients need the service"),
        ({"break_glass": ["way_back"]}, "is to shorten way_back: no install without a way back"),
        ({"break_glass": ["verification"]}, "is to shorten verification: a host that is not proven healthy"),
        ({"break_glass": ["hands_off"]}, "is to shorten hands_off: a vendor_locked host is never connected to"),
        ({"break_glass": ["inhibit"]}, "is to shorten inhibit: have whoever set it say go"),
        (
            {"break_glass": ["freezes"]},
            "is to shorten freezes; expected some of rings, soak, age, freeze, approval. Next: perhaps",
        ),
        ({"break_glass": []}, "it does not say what to shorten"),
        ({"break_glass_reason": " "}, "no reason; expected one that an auditor will read"),
        ({"break_glass_second": ""}, "no second person; expected the name of another person who agrees"),
        ({"break_glass_second": "ADA"}, "the second person is ADA, who asks himself"),
        ({"emergency": False}, "it is asked for in a plan as on any other night; expected an emergency, for one CVE"),
    ],
)
def test_a_request_that_is_incomplete_or_asks_too_much_is_refused(more, told):
    with pytest.raises(PatchingError) as refused:
        read(**more)
    assert told in str(refused.value)


def test_without_break_glass_an_emergency_shortens_nothing(tmp_path):
    nothing = {"break_glass": [], "break_glass_reason": "", "break_glass_second": ""}
    fleet = web(freezes=[FREEZE], min_healthy=1)
    urgent = read(**nothing)
    assert urgent.glass is None
    made = plan_of(fleet, tmp_path, **nothing).plan
    assert (made["emergency"]["cve"], made["emergency"]["break_glass"], hosts_of(made)) == (CVE, None, [])
    assert "Emergency: only what fixes CVE-2026-1519." in plan_table(made)


def test_what_cannot_be_printed_does_not_reach_who_reads_the_plan():
    found = read(break_glass_reason="attack\x1b[2K\u202e", break_glass_second="Dr.\nJane\x07 Roe").glass
    assert (found.reason, found.second) == ("attack[2K", "Dr. Jane Roe")


def test_words_may_come_as_one_text_as_on_a_command_line():
    assert read(break_glass="soak,freeze").glass.shortens == ("soak", "freeze")
    assert read(break_glass=["Freeze", " soak"]).glass.shortens == ("soak", "freeze")
    assert read(break_glass=["soak", "freeze"]).glass == read(break_glass="freeze soak").glass


def broken(made):
    found = made["emergency"]["break_glass"]
    return [(one["freeze"], one["start"]) for one in found["freezes"]], [one["told"] for one in found["freeze_files"]]


def test_a_freeze_in_force_is_broken_by_name_and_one_that_is_not_counts_on(tmp_path):
    made = plan_of(web(freezes=[FREEZE, LATER]), tmp_path).plan
    assert broken(made) == ([(FREEZE, "2026-11-20T00:00:00Z")], [])
    assert made["hosts"]["web1"]["freezes"] == [FREEZE, LATER]
    assert ask(made, "web1", freezes=[FREEZE, LATER]).decision == "go"
    new = "2026-11-22 00:00 to 2026-11-23 00:00, UTC"
    assert "a freeze lasts from" in ask(made, "web1", freezes=[FREEZE, LATER, new]).reason
    reboot = decide_reboot(made, "web1", NOW, ALLOWED, None)
    back = decide_way_back(made, "web1", NOW, {}, ALLOWED, None, False)
    assert (reboot.decision, back.decision) == ("go", "go")


def calendar(path, *events):
    """Write a calendar with an event of six hours at each of the hours of the plan's day."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test"]
    for hour in events:
        lines += ["BEGIN:VEVENT", f"UID:{hour}", "DTSTAMP:20260101T000000Z"]
        lines += [f"DTSTART:20261122T{hour:02}0000Z", "DURATION:PT6H", "END:VEVENT"]
    path.write_text("\r\n".join([*lines, "END:VCALENDAR", ""]))


def test_an_event_that_is_added_to_a_broken_calendar_counts(tmp_path):
    calendar(tmp_path / "freezes.ics", 6)
    text = f"ics {tmp_path}/freezes.ics"
    made = plan_of(web(freezes=[text]), tmp_path).plan
    assert broken(made)[0] == [(text, "2026-11-22T06:00:00Z")]
    assert ask(made, "web1").decision == "go"
    calendar(tmp_path / "freezes.ics", 6, 7)
    answer = ask(made, "web1")
    assert (answer.decision, "a freeze lasts from 2026-11-22T07:00:00Z" in answer.reason) == ("stop", True)


def test_a_freeze_that_cannot_be_read_is_not_broken(tmp_path):
    """Nobody knows what he would break."""
    missing = f"ics {tmp_path}/missing.ics"
    made = plan_of(web(freezes=[missing]), tmp_path).plan
    assert (hosts_of(made), broken(made)) == ([], ([], []))
    assert "missing.ics" in made["not_planned"]["web1"]["reason"]


def test_without_freeze_among_the_words_freezes_count(tmp_path):
    (tmp_path / "freeze").write_text("year's end\n")
    made = plan_of(web(freezes=[FREEZE]), tmp_path, break_glass=["soak"]).plan
    assert (hosts_of(made), broken(made)) == ([], ([], []))


def test_no_freeze_is_broken_that_only_hosts_have_that_are_not_planned(tmp_path):
    others = {"pacs1": replace(server("pacs1", "pacs", downtime_s=60, freezes=[FREEZE]), why_not=NOTHING)}
    assert broken(plan_of({**web(), **others}, tmp_path).plan) == ([], [])


def test_a_freeze_file_is_broken_as_it_is_and_not_one_that_cannot_be_read(tmp_path):
    (tmp_path / "freeze").write_text("year's end\n")
    made = plan_of(web(), tmp_path).plan
    assert broken(made)[1] == [f"{tmp_path}/freeze says: year's end"]
    glass, path = made["emergency"]["break_glass"], tmp_path / "freeze"
    assert broken_freezes.is_broken(glass, path)
    for content in ("mass casualty\n", "year's end\nand a mass casualty\n"):
        path.write_text(content)
        assert not broken_freezes.is_broken(glass, path)
    # The same words, put there again, are another freeze.
    path.unlink()
    path.write_text("year's end\n")
    os.utime(path, ns=(0, 0))
    assert not broken_freezes.is_broken(glass, path)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert broken(plan_of(web(), tmp_path).plan)[1] == []
    path.unlink()
    os.mkfifo(path)
    assert broken(plan_of(web(), tmp_path).plan)[1] == []
    assert broken(plan_of(web(), tmp_path / "not there").plan)[1] == []


def test_rings_and_soak_are_shortened_and_one_canary_stays(tmp_path):
    fleet = {
        "web1": server("web1", "web", ring="canary", soak_s=7200, min_healthy=1),
        "web2": server("web2", "web", ring="early", soak_s=7200, min_healthy=1, promotion={"count": 3}),
        "web3": server("web3", "web", ring="broad", soak_s=7200, min_healthy=1, promotion={"count": 3}),
    }
    made = plan_of(fleet, tmp_path).plan
    assert hosts_of(made) == [["web1"], ["web2", "web3"]]
    assert {host: entry["ring"] for host, entry in made["hosts"].items()} == {
        "web1": "canary",
        "web2": "broad",
        "web3": "broad",
    }
    assert {entry["soak_s"] for entry in made["hosts"].values()} == {break_glass.SOAK_S}
    assert ask(made, "web2", {"web1": patched(ago_s=61)}).decision == "go"
    assert ask(made, "web2", {"web1": patched(ago_s=30)}).decision == "wait"
    assert all(one.settings.promotion is None for one in read().applied(fleet).values())
    kept = plan_of(fleet, tmp_path, break_glass=["freeze"]).plan
    assert hosts_of(kept) == [["web1"], ["web2"], ["web3"]]


def test_a_soak_time_is_never_made_longer(tmp_path):
    made = plan_of(web(soak_s=10), tmp_path).plan
    assert made["hosts"]["web2"]["soak_s"] == 10


def exposed_fleet(**servers):
    mail = {"tier": 2, "downtime_s": 600, "exposed": True, "allowed_signers": "approvers"}
    return {
        "files1": server("files1", "files", tier=4, downtime_s=600, **servers),
        "portal1": server("portal1", "portal", **servers),
        "portal2": server("portal2", "portal", exposed=True, **servers),
        "laptop1": endpoint("laptop1", exposed=True),
        "mail1": server("mail1", "mail", **mail, **servers),
    }


def test_exposed_hosts_go_first_in_an_emergency_and_only_there(tmp_path):
    made = plan_of(exposed_fleet(), tmp_path).plan
    assert hosts_of(made) == [["portal2"], ["mail1"], ["files1"], ["portal1"], ["laptop1"]]
    assert made["emergency"]["exposed"] == ["laptop1", "mail1", "portal2"]
    assert hosts_of(planned(exposed_fleet()).plan) == [["files1"], ["portal1"], ["portal2"], ["mail1"], ["laptop1"]]


def test_exposed_hosts_go_first_although_a_host_of_an_earlier_window_was_left_out_as_late(tmp_path):
    """Found among 2,000 random fleets: it was not planned, and yet they had lost their place to it."""
    window = "Sun 08:00, 90 min, UTC"
    early = server("early1", "early", tier=2, downtime_s=600, allowed_signers="approvers", window=window)
    fleet = exposed_fleet(window="Sun 09:00, 8 h, UTC") | {"early1": early}
    del fleet["laptop1"]
    made = plan_of(fleet, tmp_path).plan
    assert made["not_planned"]["early1"]["reason"].startswith("its turn would come at 2026-11-22T")
    assert made["emergency"]["first"] == ["mail1", "portal2"]
    assert hosts_of(made) == [["portal2"], ["mail1"], ["files1"], ["portal1"]]


def test_whom_an_exposed_host_waits_for_goes_first_with_it(tmp_path):
    fleet = exposed_fleet()
    fleet["portal1"] = server("portal1", "portal", ring="canary")
    fleet["portal2"] = server("portal2", "portal", ring="broad", exposed=True, after=["db1"])
    fleet["db1"] = server("db1", "database", tier=1, downtime_s=600, allowed_signers="approvers")
    urgent = read(break_glass=["soak"])
    made = planned(urgent.applied(fleet), urgent=urgent, watched=True).plan
    assert hosts_of(made) == [["portal1"], ["mail1"], ["db1"], ["portal2"], ["files1"], ["laptop1"]]


def test_a_plan_in_which_an_exposed_host_comes_last_is_refused(tmp_path):
    made = plan_of(exposed_fleet(), tmp_path).plan
    made["waves"] = [{**wave, "number": n} for n, wave in enumerate(made["waves"][2:4] + made["waves"][:2], 1)] + [
        {**made["waves"][4]}
    ]
    told = "portal2 comes after portal1, whose turn is later by kind, exposure or tier"
    assert any(told in one for one in wave_problems(made)), wave_problems(made)


def test_broken_glass_never_widens_the_window_or_takes_a_host_below_min_healthy(tmp_path):
    shut = web(window="Sun 10:00, 3 h, UTC")
    made = plan_of(shut, tmp_path, break_glass=list(break_glass.SHORTENS)).plan
    assert ask(made, "web1").decision == "wait"
    made = plan_of(web(), tmp_path, break_glass=list(break_glass.SHORTENS)).plan
    out = {"web2": replace(patched(ago_s=600), outcome=None, out=True)}
    assert "1 of 3 hosts may be out, and web2 is" in ask(made, "web1", out).reason
    assert ask(made, "web1", inhibited="theatre list").decision == "wait"


def test_a_window_that_opens_when_the_glass_is_whole_again_is_refused(tmp_path):
    fleet = {**web(window="Sat 23:00, 3 h, UTC"), "files1": server("files1", "files", downtime_s=600)}
    made = plan_of(fleet, tmp_path).plan
    assert hosts_of(made) == [["files1"]]
    reason = made["not_planned"]["web1"]["reason"]
    assert reason.startswith("its window opens at 2026-11-28T23:00:00Z, and the break-glass is over at 2026-11-23T08")
    assert reason.endswith("plan with an emergency window: -e \"patching_window='…'\"")


def test_broken_glass_is_over_the_day_after(tmp_path):
    daily = "daily 07:00, 4 h, UTC"
    made = plan_of(web(freezes=[daily]), tmp_path).plan
    until = NOW + break_glass.LASTS
    assert break_glass.over_since(made, until - timedelta(seconds=1)) is None
    answer = ask(made, "web1", now=until)
    assert answer.decision == "stop"
    # A host that the run has taken is finished, through the freeze that was broken for it, and no other.
    assert ask(made, "web1", now=until, taken=True).decision == "go"
    for state in (
        replace(patched(0), outcome="unreachable", out=True),
        replace(patched(0), outcome="refused", out=True),
    ):
        assert ask(made, "web1", {"web1": state}, now=until).decision == "stop"
    unfrozen = plan_of(web(), tmp_path).plan
    assert "break-glass is over since 2026-11-23T08:00:00Z" in ask(unfrozen, "web1", now=until).reason
    # Whoever takes it back days later meets the freeze.
    assert decide_way_back(made, "web1", until, {}, ALLOWED, None, True).decision == "stop"
    assert decide_way_back(made, "web1", until + timedelta(hours=4), {}, ALLOWED, None, True).decision == "go"


def test_a_host_whose_turn_comes_when_the_glass_is_whole_again_is_refused(tmp_path):
    settings = {"downtime_s": 60, "window": "2026-11-22 00:00 to 2026-11-26 00:00, UTC", "estimate_s": 7200}
    fleet = {f"s{n}": server(f"s{n}", f"s{n}", **settings) for n in range(1, 15)}
    made = plan_of(fleet, tmp_path).plan
    assert len(made["hosts"]) == 12
    late = [entry["reason"] for entry in made["not_planned"].values()]
    assert len(late) == 2
    assert all("its turn would come at" in one and "the break-glass is over at 2026-11-23T08" in one for one in late)
    assert len(planned(fleet).plan["hosts"]) == 14


def test_rings_that_are_one_allow_no_failure(tmp_path):
    """A share of all hosts would be more than the shares of each ring."""
    budget = {"run": {"count": 9}, "ring": {"count": 5}, "service": {"count": 9}}
    made = plan_of(web(min_healthy=0, failure_budget=budget), tmp_path).plan
    assert (made["failure_budget"]["rings"], made["failure_budget"]["run"]) == ({"canary": 0, "broad": 0}, 9)
    kept = plan_of(web(min_healthy=0, failure_budget=budget), tmp_path, break_glass=["soak"]).plan
    assert kept["failure_budget"]["rings"]["broad"] > 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"until": "2099-01-01T00:00:00Z"}, "its break-glass lasts until 2099"),
        ({"second": "ADA"}, "its break-glass has ada for both persons"),
        ({"shortens": ["soak"]}, "its break-glass names freezes that it does not break"),
    ],
)
def test_a_plan_whose_break_glass_no_release_would_have_made_is_refused(tmp_path, change, told):
    made = plan_of(web(freezes=[FREEZE]), tmp_path).plan
    made["emergency"]["break_glass"] |= change
    made["digest"] = plan_digest(made)
    with pytest.raises(PatchingError, match=told):
        verify_plan(made)


def test_the_digest_binds_the_break_glass_and_another_needs_a_new_approval(tmp_path):
    made = plan_of(web(), tmp_path)
    verify_plan(made.plan)
    edited = {**made.plan, "emergency": {**made.plan["emergency"], "break_glass": None}}
    with pytest.raises(PatchingError, match="digest"):
        verify_plan(edited)
    same = plan_of(web(), tmp_path)
    assert plan_drops.difference(loaded(made), loaded(same)) == ""
    other = plan_of(web(), tmp_path, break_glass=["soak", "rings"])
    assert plan_drops.difference(loaded(made), loaded(other)).startswith("it is for another emergency")
    ordinary = planned(web(soak_s=60))
    assert plan_drops.difference(loaded(ordinary), loaded(made)).startswith("it is for another emergency")


def test_everybody_who_reads_the_plan_reads_that_the_glass_is_broken(tmp_path):
    made = plan_of(web(freezes=[FREEZE]), tmp_path).plan
    words = " ".join(plan_table(made).split())
    told = "Break-glass, asked for by ada, second person (claimed, not signed) Dr. Jane Roe"
    assert f"{told}: the portal is being attacked." in words
    assert "Shortened: rings, soak, freeze; begins no host after 2026-11-23T08:00:00Z." in words
    assert f"Freezes broken: {FREEZE} (from 2026-11-20T00:00:00Z to 2026-11-30T00:00:00Z)." in words
    assert told in plan_page(made)
    ordinary = planned(web()).plan
    assert ("emergency" in ordinary, "mergency" in plan_table(ordinary)) == (False, False)


def test_an_assessment_that_an_emergency_made_serves_no_other_night():
    fleet = {name: replace(one, is_young=True) for name, one in web().items()}
    for urgent in (None, read(break_glass=["soak"])):
        found = emergency.without_young(fleet, urgent)["web1"].why_not
        assert found.outcome == "refused"
        assert "younger than patching_min_age_days" in found.reason
        assert found.reason.endswith("Next: run assess.yml, then plan again.")
    assert emergency.without_young(fleet, read(break_glass=["age"])) == fleet
    assert emergency.without_young(web(), None) == web()


def test_only_the_host_that_an_exposed_one_waits_for_goes_before_and_not_those_like_it():
    fleet = {f"app{n}": server(f"app{n}", "app", min_healthy=1) for n in (1, 2, 3)}
    fleet["db1"] = server("db1", "database", downtime_s=60, after=["app1"])
    fleet["web1"] = server("web1", "web", downtime_s=60, exposed=True, after=["db1"])
    fleet["mail1"] = server("mail1", "mail", downtime_s=60, exposed=True)
    urgent = read(break_glass=["rings"])
    made = planned(urgent.applied(fleet), urgent=urgent, limits=Limits(1, 1)).plan
    order = [host for wave in hosts_of(made) for host in wave]
    assert set(order[:4]) == {"app1", "db1", "web1", "mail1"}
    assert order.index("app1") < order.index("db1") < order.index("web1")


def test_the_night_is_that_of_the_exposed_hosts_and_others_go_while_their_windows_are_shut(tmp_path):
    fleet = {
        "portal1": server("portal1", "portal", exposed=True, downtime_s=60, window="Sun 12:00, 3 h, UTC"),
        "files1": server("files1", "files", tier=4, downtime_s=60, window="Sun 08:00, 3 h, UTC"),
        "pacs1": server("pacs1", "pacs", downtime_s=60, window="Sun 20:00, 3 h, UTC"),
    }
    made = plan_of(fleet, tmp_path).plan
    assert hosts_of(made) == [["files1"], ["portal1"]]
    assert (made["emergency"]["exposed"], made["emergency"]["first"]) == (["portal1"], [])
    assert made["not_planned"]["pacs1"]["outcome"] == "excluded"
    # On any other night the first window is the plan's.
    assert hosts_of(planned(fleet).plan) == [["files1"]]
