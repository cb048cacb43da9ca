# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan's page: what it draws, and that nothing of the inventory can act in it."""

from __future__ import annotations

import re

from ansible_collections.hospital.patching.plugins.plugin_utils.batch import Limits
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_html import plan_page
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    candidate,
    endpoint,
    pending,
    planned,
    portal_pair,
    server,
    update,
)

FREEZE = "2026-11-22 08:00 to 2026-11-22 08:20, UTC"


def bars(page, kind):
    """Return the places and widths of all bars of a kind, in percent."""
    found = re.findall(rf'<rect class="s-{kind}" x="([0-9.]+)%" y="[0-9]+" width="([0-9.]+)%"', page)
    return [(float(x), float(width)) for x, width in found]


def test_a_pair_is_drawn_to_scale():
    page = plan_page(planned(portal_pair()).plan)
    # 08:00 to 08:30 and, after the soak, 08:40 to 09:10 of the 100 minutes until the second way back would end.
    assert bars(page, "work") == [(0, 29.7), (39.6, 29.7)]
    assert bars(page, "back") == [(29.7, 29.7), (69.3, 29.7)]
    assert bars(page, "window") == [(0, 99), (0, 99)]
    assert "2 hosts in 2 waves, by estimate from 02:00 to 03:10 (America/Chicago); 1 host not planned." in page
    assert "observed: assessed, never changed" in page


def test_freezes_are_drawn_where_they_lie():
    fleet = {f"a{n}": server(f"a{n}", "a", freezes=[FREEZE]) for n in (1, 2)}
    fleet |= {f"b{n}": server(f"b{n}", "b", window="Sun 08:00, 4 h, UTC") for n in (1, 2)}
    page = plan_page(planned(fleet).plan)
    assert len(bars(page, "freeze")) == 2
    assert "freeze</li>" in page
    assert "freeze</li>" not in plan_page(planned(portal_pair()).plan)


def test_a_freeze_that_cannot_be_read_is_named():
    plan = planned(portal_pair()).plan
    plan["hosts"]["portal1"]["freezes"] = ["ics /nowhere/freezes.ics"]
    page = plan_page(plan)
    assert "A freeze is not drawn: " in page
    assert "/nowhere/freezes.ics" in page
    assert len(bars(page, "work")) == 2


def test_a_large_fleet_has_a_row_a_service():
    fleet = {f"s{s}h{n}": server(f"s{s}h{n}", f"s{s}", min_healthy=1) for s in range(21) for n in range(10)}
    page = plan_page(planned(fleet, limits=Limits(50, 50)).plan)
    assert page.count('<li class="row">') == 21
    assert len(bars(page, "work")) == 210


def test_an_empty_plan_says_so():
    page = plan_page(planned({"lb1": candidate("lb1", {})}).plan)
    assert "Nothing will be disrupted." in page
    assert "0 hosts in 0 waves; 1 host not planned." in page


def test_a_host_without_a_window_has_none_drawn():
    page = plan_page(planned({"ws1": endpoint("ws1")}).plan)
    assert bars(page, "window") == []
    assert "(UTC)" in page


def test_nothing_acts_in_the_page():
    plan = planned(portal_pair()).plan
    plan["not_planned"]["<script>alert(1)</script>"] = {"outcome": "refused", "reason": "<img src=x onerror=y>"}
    page = plan_page(plan)
    assert "<script" not in page
    assert "<img" not in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_who_approves_reads_what_is_installed_and_what_it_fixes():
    fleet = {f"s{n}": server(f"s{n}", "s", pending(update(cves=["CVE-2026-1519"]))) for n in (1, 2)}
    page = plan_page(planned(fleet).plan)
    (updates,) = re.findall(r"<details>(.*?)</details>", page, re.DOTALL)
    assert "1 change" in updates
    cells = re.findall(r"<t[hd][^>]*>([^<]*)</t", updates)
    assert cells[5:] == ["openssl (amd64)", "3.0.15-1", "3.0.17-1", "CVE-2026-1519", "all 2"]
