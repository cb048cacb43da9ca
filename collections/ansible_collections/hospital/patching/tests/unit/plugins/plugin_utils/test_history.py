# SPDX-License-Identifier: GPL-3.0-or-later
"""What past nights make of the next one's estimates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.history import History, with_estimates
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import verify_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_drops import difference
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_html import plan_page
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import plan_table
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    endpoint,
    loaded,
    planned,
    server,
)


def at(seconds, host, step, event, **detail):
    return {
        "time": stamp(NOW + timedelta(seconds=seconds)),
        "host": host,
        "step": step,
        "event": event,
        "detail": detail,
    }


def opened(seconds):
    return at(seconds, None, "gate", "begin")


def patched(host, start, took):
    return [
        at(start, host, "gate", "done", before="host"),
        at(start + took, host, "record", "outcome", outcome="patched"),
    ]


def rolled_back(host, start, fails_after, back):
    return [
        at(start, host, "gate", "done", before="host"),
        at(start + 1, host, "gate", "done", before="reboot"),
        at(start + fails_after, host, "verify", "failed"),
        at(start + fails_after + 5, host, "install", "done"),
        at(start + fails_after + back, host, "record", "outcome", outcome="rolled_back"),
    ]


def disk_reverted(host, start, fails_after, back):
    """Return a night whose packages could not be put back either, and the disk was."""
    failed = start + fails_after
    return [
        at(start, host, "gate", "done", before="host"),
        at(failed, host, "verify", "failed"),
        at(failed + 20, host, "rollback", "failed"),
        at(failed + 21, host, "snapshot", "note", revert={"snapshot": "snap-1"}),
        at(failed + back - 5, host, "snapshot", "done", module="hospital.patching.host_snapshot_rollback"),
        at(failed + back, host, "record", "outcome", outcome="rolled_back"),
    ]


def asked_for(host, start, back):
    """Return what a person's revert of a host that does not answer records, after the run that had patched it."""
    return [
        at(start, None, "gate", "begin", rollback={"hosts": [host], "snapshot": "snap-1"}),
        at(start + 5, host, "gate", "done", before="host"),
        at(start + 6, host, "lock", "failed"),
        at(start + 10, host, "snapshot", "note", revert={"snapshot": "snap-1"}),
        at(start + 10 + back, host, "record", "outcome", outcome="rolled_back"),
    ]


def learned(*nights):
    history = History()
    for night in nights:
        history.learn([opened(0), *night])
    return history


def estimates(fleet, history):
    found = with_estimates(fleet, history)
    return {
        host: (
            one.settings.estimate_s,
            one.settings.way_back_s,
            one.estimated_by["forward"],
            one.estimated_by["way_back"],
        )
        for host, one in found.items()
    }


PAIR = {"a1": server("a1", "a"), "a2": server("a2", "a"), "b1": server("b1", "b", downtime_s=60), "w": endpoint("w")}
CONFIGURED = (1800, 1800, "setting", "setting")
#: The policy with which a disk revert is a way back.
DISK = {"disk_revert": True, "snapshot": {"provider": "lvm"}}
BY_DISK = {"d1": server("d1", "d", **DISK), "d2": server("d2", "d", **DISK), "p": server("p", "d")}


def test_the_time_from_the_gate_to_the_outcome_is_learned():
    assert learned(patched("a1", 10, 400)).forward == {"a1": [400]}


def test_the_way_back_begins_where_it_failed():
    history = learned(rolled_back("a1", 10, 300, 120))
    assert (history.forward, history.way_back) == ({}, {"a1": [120]})


@pytest.mark.parametrize("outcome", ["stuck", "unverified", "unreachable", "not_started", "refused", "nothing_to_do"])
def test_no_other_outcome_teaches_anything(outcome):
    night = [at(10, "a1", "gate", "done", before="host"), at(90, "a1", "record", "outcome", outcome=outcome)]
    assert learned(night) == History()


def test_what_a_dead_run_had_begun_teaches_nothing():
    night = [*patched("a1", 10, 400)[:1], opened(9000), *patched("a1", 10, 9400)[1:]]
    assert learned(night) == History()


def test_nothing_known_leaves_what_is_configured():
    assert set(estimates(PAIR, History()).values()) == {CONFIGURED}
    assert estimates(PAIR, learned(*[patched("a1", 0, 100)] * 2))["a1"] == CONFIGURED


def test_a_soak_is_added_which_past_nights_may_not_have_had():
    plain, soaked = (
        with_estimates({"s1": server("s1", "s", **more)}, History())["s1"].settings
        for more in ({}, {"health_soak_s": 300})
    )
    assert soaked.estimate_s - plain.estimate_s == soaked.way_back_s - plain.way_back_s == 600


def test_three_own_nights_count_with_half_as_much_again():
    found = estimates(PAIR, learned(*(patched("a1", 0, took) for took in (600, 700, 610))))
    assert found["a1"] == (1080, 1800, "host", "setting")  # 700 s and half of it, in whole minutes
    assert found["a2"] == CONFIGURED


def test_five_nights_of_hosts_alike_count_for_those_without():
    found = estimates(PAIR, learned(*(patched("a1", 0, 300 + n) for n in range(5))))
    assert found["a2"][::2] == (480, "alike")
    assert found["b1"] == CONFIGURED
    assert found["w"] == CONFIGURED


def test_only_the_newest_ten_count_and_no_estimate_is_below_five_minutes():
    nights = [patched("a1", 0, 5000)] + [patched("a1", 0, 20)] * 10
    assert estimates(PAIR, learned(*nights))["a1"][::2] == (300, "host")


def test_a_way_back_that_took_longer_than_configured_counts_from_the_first_time():
    found = estimates(PAIR, learned(rolled_back("a1", 0, 100, 2500)))
    assert found["a2"] == (1800, 3780, "setting", "alike")
    # Also of a host like it, whatever it knows of itself.
    quick = [rolled_back("a1", 0, 100, 20)] * 3
    assert estimates(PAIR, learned(*quick, rolled_back("a2", 0, 100, 3600)))["a1"][1::2] == (5400, "alike")
    assert estimates(PAIR, learned(rolled_back("a1", 0, 100, 60)))["a1"] == CONFIGURED


def test_a_disk_revert_is_learned_apart_from_where_the_patch_failed():
    history = learned(disk_reverted("d1", 10, 300, 120))
    assert (history.forward, history.way_back, history.disk_back) == ({}, {}, {"d1": [120]})


def test_a_disk_revert_that_a_person_asked_for_is_learned_from_its_intent():
    history = learned([*patched("d1", 0, 400), *asked_for("d1", 5000, 700)])
    assert (history.forward, history.way_back, history.disk_back) == ({"d1": [400]}, {}, {"d1": [700]})


def test_a_disk_revert_that_was_cut_off_teaches_nothing():
    begun = disk_reverted("d1", 10, 300, 120)
    assert learned([*begun[:-2], opened(9000), *begun[-2:]]) == History()
    stuck = at(500, "d1", "record", "outcome", outcome="stuck")
    assert learned([*begun[:-2], stuck]) == History()
    # A later journey of the host does not inherit it.
    assert learned([*begun[:-2], stuck, *rolled_back("d1", 900, 10, 60)]).disk_back == {}


def test_a_disk_revert_counts_only_where_policy_says_that_it_is_the_way_back():
    found = estimates(BY_DISK, learned(*[disk_reverted("d1", 0, 100, 2500)] * 3))
    assert found["d1"] == (1800, 3780, "setting", "host")  # 2500 s and half of it, in whole minutes
    assert found["d2"] == (1800, 3780, "setting", "alike"), "from the first time on, as ways back are rare"
    assert found["p"] == CONFIGURED, "its packages are its way back"


@pytest.mark.parametrize(
    "policy",
    [{"disk_revert": False}, {"snapshot": {"provider": "preserved"}}, {"stateful": True}],
)
def test_what_is_never_put_back_by_disk_needs_no_time_for_it(policy):
    fleet = {"d1": server("d1", "d", **{**DISK, **policy})}
    assert estimates(fleet, learned(*[disk_reverted("d1", 0, 100, 2500)] * 3))["d1"] == CONFIGURED


def test_a_way_back_by_disk_that_nobody_has_seen_takes_what_is_configured():
    quick = [rolled_back("d1", 0, 100, 20)] * 3
    assert estimates({"d1": server("d1", "d")}, learned(*quick))["d1"][1::2] == (300, "host")
    assert estimates(BY_DISK, learned(*quick))["d1"][1::2] == (1800, "setting")
    # Both are known then, and the longer one counts.
    both = learned(*quick, *[disk_reverted("d1", 0, 100, 600)] * 3)
    assert estimates(BY_DISK, both)["d1"][1::2] == (900, "host")
    assert estimates(BY_DISK, learned(*[disk_reverted("d1", 0, 100, 20)] * 3))["d1"][1::2] == (1800, "setting")


def test_five_disk_reverts_of_hosts_alike_count_for_those_without():
    both = [disk_reverted("d1", 0, 100, 600 + n) for n in range(5)] + [rolled_back("d1", 0, 100, 20)] * 5
    assert estimates(BY_DISK, learned(*both))["d2"][1::2] == (960, "alike")


def test_the_plan_says_by_what_the_way_back_was_estimated():
    found = with_estimates(BY_DISK, learned(*[disk_reverted("d1", 0, 100, 2500)] * 3))
    hosts = planned(found).plan["hosts"]
    assert {host: hosts[host]["estimated_by"]["way_back"] for host in BY_DISK} == {
        "d1": "host",
        "d2": "alike",
        "p": "setting",
    }


def test_the_plan_goes_by_it_says_so_and_keeps_its_digest_where_the_waves_are_the_same():
    before = planned(PAIR).plan
    found = with_estimates(PAIR, learned(*(patched("a1", 0, 600) for _night in range(5))))
    after = planned(found).plan
    assert after["hosts"]["a1"]["estimated_by"] == {"forward": "host", "way_back": "setting"}
    text = plan_table(after)
    assert "15 min *" in text
    assert "15 min ~" in text
    assert "* learned from the host's own past nights; ~ learned from hosts like it" in text
    assert "learned" not in plan_table(before)
    assert (after["waves"] == before["waves"]) == (after["digest"] == before["digest"])


def stepwise(host, start, **took):
    """Return a night that went well, whose steps took so many seconds each; the stage came an hour before it."""
    records, now = [at(start - 3600, host, "stage", "done", took_ms=took.pop("stage") * 1000)], start
    records.append(at(start, host, "gate", "done", before="host"))
    for step, seconds in took.items():
        now += seconds
        records.append(at(now, host, step, "done", took_ms=seconds * 1000))
    return [*records, at(now, host, "record", "outcome", outcome="patched")]


USUAL = {"stage": 90, "snapshot": 20, "install": 400, "restart": 100, "verify": 9}


def test_three_nights_of_a_step_count_with_half_as_much_again_and_no_floor():
    found = with_estimates(PAIR, learned(*[stepwise("a1", 0, **USUAL)] * 3))
    assert found["a1"].estimated_steps_s == {
        "stage": 135,
        "snapshot": 30,
        "install": 600,
        "restart": 150,
        "verify": 14,
    }
    assert found["a2"].estimated_steps_s == {}, "three nights of another host are too few"


def test_five_nights_of_hosts_alike_count_for_a_steps_time_too():
    found = with_estimates(PAIR, learned(*(stepwise("a1", 0, **{**USUAL, "stage": n}) for n in range(1, 6))))
    assert found["a2"].estimated_steps_s["stage"] == 8
    assert found["b1"].estimated_steps_s == found["w"].estimated_steps_s == {}


def test_the_longest_of_the_newest_ten_counts():
    nights = [stepwise("a1", 0, **{**USUAL, "install": took}) for took in (9000, 70, 30, *[10] * 8)]
    assert with_estimates(PAIR, learned(*nights))["a1"].estimated_steps_s["install"] == 105


def test_the_stage_is_learned_and_is_no_part_of_the_time_in_the_window():
    one = with_estimates(PAIR, learned(*[stepwise("a1", 0, **{**USUAL, "stage": 5000})] * 3))["a1"]
    assert one.estimated_steps_s["stage"] == 7500
    assert one.settings.estimate_s == 840  # 529 s and half of it


def test_steps_that_were_slow_on_different_nights_count_as_if_they_were_on_one():
    slow = [{**USUAL, step: 1000} for step in ("snapshot", "install", "restart")]
    one = with_estimates(PAIR, learned(*(stepwise("a1", 0, **night) for night in slow)))["a1"]
    # The longest of these nights took 1509 s, from which alone the estimate would be 2280 s.
    assert one.settings.estimate_s == 4560  # 3 x 1000 and 9 s, half as much again, in whole minutes
    assert one.estimated_by["forward"] == "host"
    assert one.settings.estimate_s >= sum(one.estimated_steps_s.values()) - one.estimated_steps_s["stage"]


def test_a_slow_step_counts_though_every_such_night_failed_later():
    night = [
        at(0, "a1", "gate", "done", before="host"),
        at(2500, "a1", "install", "done", took_ms=2_500_000),
        at(2510, "a1", "verify", "failed", took_ms=10_000),
        at(2600, "a1", "record", "outcome", outcome="stuck"),
    ]
    found = with_estimates(PAIR, learned(*[night] * 5))
    assert found["a1"].settings.estimate_s == 3780
    assert (found["a1"].estimated_by["forward"], found["a2"].estimated_by["forward"]) == ("host", "alike")
    assert "verify" not in found["a1"].estimated_steps_s


def test_what_is_configured_stays_where_the_known_steps_fit_into_it():
    night = stepwise("a1", 0, stage=1, install=60)[:-1]  # it has no outcome yet
    failed = [at(70, "a1", "verify", "failed"), at(80, "a1", "record", "outcome", outcome="stuck")]
    one = with_estimates(PAIR, learned(*[[*night, *failed]] * 3))["a1"]
    assert one.estimated_steps_s == {"stage": 2, "install": 90}
    assert (one.settings.estimate_s, one.estimated_by["forward"]) == (1800, "setting")


def without_steps(fleet):
    return {host: replace(one, estimated_steps_s={}) for host, one in fleet.items()}


def test_steps_change_no_digest_and_need_no_new_approval():
    fleet = with_estimates(PAIR, learned(*[stepwise("a1", 0, **USUAL)] * 5))
    told, silent = planned(fleet), planned(without_steps(fleet))
    assert told.plan["hosts"]["a1"]["estimated_steps_s"]["install"] == 600
    assert "estimated_steps_s" not in told.plan["hosts"]["b1"]
    assert told.plan["digest"] == silent.plan["digest"]
    assert difference(loaded(told), loaded(silent)) == difference(loaded(silent), loaded(told)) == ""
    verify_plan(told.plan)
    verify_plan(silent.plan)


def test_the_page_tells_the_steps_and_only_where_some_are_known():
    fleet = with_estimates(PAIR, learned(*[stepwise("a1", 0, **USUAL)] * 5))
    page = plan_page(planned(fleet).plan).replace("\N{NO-BREAK SPACE}", " ")
    assert "<td>stage 2 min 15 s, snapshot 30 s, install 10 min 00 s, restart 2 min 30 s, verify 14 s</td>" in page
    assert "from past nights" not in plan_page(planned(PAIR).plan)


def test_a_rehearsed_revert_is_a_way_back_that_was_gone_and_its_night_says_nothing_else():
    rehearsed = [
        at(0, "a1", "gate", "done", before="host"),
        at(5, "a1", "snapshot", "done", took_ms=2000),
        at(60, "a1", "snapshot", "note", rehearsal={"provider": "container", "snapshot": "s", "took_s": 41}),
        at(70, "a1", "install", "done", took_ms=9000),
        at(900, "a1", "record", "outcome", outcome="patched"),
    ]
    history = learned(rehearsed)
    assert (history.disk_back, history.forward, history.steps) == ({"a1": [41]}, {}, {})
    assert learned(rehearsed, patched("a1", 1000, 300)).forward == {"a1": [300]}
