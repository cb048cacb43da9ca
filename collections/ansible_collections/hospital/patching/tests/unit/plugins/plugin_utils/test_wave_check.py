# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import plan_digest, verify_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.wave_check import wave_problems
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import endpoint, planned, server


def fleet():
    drain = {"haproxy": "lb1", "backend": "web"}
    return {
        **{f"web{n}": server(f"web{n}", "web", tier=3, drain=drain, min_healthy=2) for n in range(1, 6)},
        **{f"ehr{n}": server(f"ehr{n}", "ehr", tier=3, never_with=["viewer"]) for n in (1, 2)},
        **{f"viewer{n}": server(f"viewer{n}", "viewer", tier=3) for n in (1, 2)},
        "lb1": server("lb1", "lb", tier=4, downtime_s=60),
        "ws1": endpoint("ws1"),
    }


PLAN = planned(fleet()).plan


def wave(plan, host):
    return next(wave for wave in plan["waves"] if host in wave["hosts"])


def move(plan, host, other):
    wave(plan, host)["hosts"].remove(host)
    wave(plan, other)["hosts"].append(host)
    plan["waves"] = [one for one in plan["waves"] if one["hosts"]]
    for number, one in enumerate(plan["waves"], 1):
        one["number"] = number


def test_a_good_plan_has_no_problem():
    assert wave_problems(PLAN) == []


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda plan: plan["waves"][0].update(number=7), "numbered"),
        (lambda plan: plan["waves"][-1]["hosts"].append("web1"), "web1 stands in 2 waves"),
        (lambda plan: plan["waves"][-1]["hosts"].append("stranger"), "stranger stands in a wave but is not planned"),
        (lambda plan: plan["waves"].pop(), "ws1 is planned but stands in no wave"),
        (lambda plan: plan["not_planned"].update(ws1={"outcome": "refused", "reason": "x"}), "both planned and not"),
        (lambda plan: plan["services"]["web"]["hosts"].remove("web1"), "web1 is no member of its service web"),
        (lambda plan: plan["services"].pop("web"), "no member of its service web"),
        (lambda plan: move(plan, "web5", "web2"), "4 hosts of web at once, 3 may be out"),
        (lambda plan: plan["services"]["web"]["out"].append("web9"), "3 hosts of web at once, 2 may be out"),
        (lambda plan: move(plan, "viewer2", "ehr2"), "ehr together with viewer"),
        (lambda plan: move(plan, "lb1", "web2"), "which drains it"),
        (lambda plan: move(plan, "ehr2", "viewer1"), "a canary is not alone"),
        (lambda plan: move(plan, "ws1", "web2"), "it is of servers and holds endpoints, servers"),
        (lambda plan: plan["hosts"]["web1"].update(ring="early"), "web has no canary"),
        (lambda plan: plan["hosts"]["ws1"].update(kind="server"), "has no canary"),
        (lambda plan: plan["hosts"]["lb1"].update(tier=2), "whose turn is later by kind, exposure or tier"),
        (lambda plan: plan["hosts"]["web5"].update(ring="early"), "comes after a later ring of web"),
    ],
)  # fmt: skip
def test_each_broken_promise_is_named_and_refuses_the_plan(edit, problem):
    plan = copy.deepcopy(PLAN)
    edit(plan)
    assert any(problem in text for text in wave_problems(plan)), wave_problems(plan)
    plan["digest"] = plan_digest(plan)
    with pytest.raises(PatchingError):
        verify_plan(plan)
