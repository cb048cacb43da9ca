# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils.plan_html import plan_page
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import WIDTH, plan_table
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    candidate,
    endpoint,
    pending,
    planned,
    portal_pair,
    server,
    update,
)


def test_the_smallest_configuration_reads_like_this():
    text = plan_table(planned(portal_pair() | {"ws1": endpoint("ws1")}).plan)
    lines = text.splitlines()
    assert lines[0] == "Plan 20261122T080000Z-ab12cd34, made 2026-11-22T08:00:00Z"
    assert lines[2] == "Device segments: 10.9.0.0/16"
    assert "Wave 1 (servers, 2026-11-22 08:00 to 08:30 UTC by estimate, then 10 min soak)" in lines
    assert "Wave 2 (servers, 2026-11-22 08:40 to 09:10 UTC by estimate)" in lines
    assert "Wave 3 (endpoints, 2026-11-22 09:10 to 09:40 UTC by estimate)" in lines
    assert any(line.split()[:4] == ["portal1", "portal", "3", "canary"] for line in lines)
    assert any("2026-11-22 07:00 - 10:00" in line for line in lines)
    assert any("when seen" in line for line in lines)
    assert "  openssl (amd64) 3.0.15-1 -> 3.0.17-1: portal1, portal2, ws1" in lines
    assert any(line.split()[:2] == ["lb1", "excluded"] for line in lines)


def test_an_empty_plan_says_so():
    assert "nothing will be disrupted" in plan_table(planned({"lb1": candidate("lb1", {})}).plan)


def test_an_approver_sees_what_the_site_lets_pass():
    changed = {"broken_before": ["labels"], "thresholds": {3: {"latency_ms": {"limit": None, "noise": 9}}}}
    made = planned({"s1": server("s1", "s", downtime_s=60, **changed), "t1": server("t1", "t", downtime_s=60)}).plan
    text, page = plan_table(made), plan_page(made)
    assert "Health is judged otherwise than by default" in text
    assert "  latency_ms: limit never, noise 9: s1" in text.splitlines()
    assert "  may fail before the patch: labels: s1" in text.splitlines()
    assert "may fail before the patch: labels: s1" in page
    assert "judged otherwise" not in plan_table(planned(portal_pair()).plan)


def test_an_approver_sees_how_many_hosts_may_fail():
    assert "Failed hosts allowed: none, the first one stops the run" in plan_table(planned(portal_pair()).plan)
    budget = {"run": 2, "ring": {"count": 1}}
    fleet = {f"s{n}": server(f"s{n}", "s", failure_budget=budget) for n in (1, 2)}
    assert "Failed hosts allowed: run 2, ring canary 1, ring broad 1; elsewhere none" in plan_table(planned(fleet).plan)


def test_segments_that_nobody_declared_are_said():
    plan = planned({}).plan
    assert "not declared" in plan_table(plan)
    assert "declared as none" in plan_table({**plan, "site": {"segments": []}})


def test_new_installs_and_removals_are_told_apart():
    text = plan_table(
        planned(
            {"a": server("a", "s", pending(update("new", before=None), update("old", after=None)), downtime_s=60)}
        ).plan
    )
    assert "new (amd64) (new) -> 3.0.17-1" in text
    assert "old (amd64) 3.0.15-1 -> (removed)" in text


@given(st.integers(1, 63), st.integers(1, 150), st.integers(1, 8))
def test_no_line_is_wider_than_the_terminal(host_length, version_length, size):
    names = [f"{'h' * host_length}{number}" for number in range(size)]
    long = pending(update(after="1" * version_length))
    fleet = {name: server(name, "s" * host_length, long, downtime_s=60) for name in names}
    fleet["x" * host_length] = candidate("x", {})
    assert max(len(line) for line in plan_table(planned(fleet).plan).splitlines()) <= WIDTH


def test_software_that_is_removed_stands_under_a_heading_of_its_own():
    gone = {**update("flash", before="32.0", after=None), "installer": "deb", "software": {"name": "flash"}, "order": 1}
    hosts = {"a": server("a", "s", pending(update("openssl"), gone), downtime_s=60)}
    text = plan_table(planned(hosts).plan)
    assert "Software that is removed, by the approval of this plan\n  flash 32.0: a\n" in text
    without = plan_table(planned({"a": server("a", "s", pending(update("openssl")), downtime_s=60)}).plan)
    assert "Software that is removed" not in without
