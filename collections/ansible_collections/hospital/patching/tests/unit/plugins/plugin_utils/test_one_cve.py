# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.one_cve import only, read
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_drops import difference
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    candidate,
    hosts_of,
    loaded,
    lost,
    pending,
    planned,
    server,
    update,
)

CVE = "CVE-2026-1519"
BIND = update("bind9-libs", cves=[CVE, "CVE-2026-1"])
OTHER = update("curl", cves=["CVE-2026-2"])
UNKNOWN = update("clinical-portal")


def pair(*updates):
    return {f"a{n}": server(f"a{n}", "a", pending(*updates)) for n in (1, 2)}


def test_only_what_fixes_it_is_planned():
    plan = planned(only(pair(BIND, OTHER, UNKNOWN), CVE)).plan
    assert hosts_of(plan) == [["a1"], ["a2"]]
    assert [one["name"] for one in plan["hosts"]["a1"]["updates"]] == ["bind9-libs"]


def test_who_has_nothing_that_fixes_it_is_left_out_and_who_may_have_is_refused():
    fleet = {"a1": server("a1", "a", pending(BIND)), "a2": server("a2", "a", pending(OTHER))}
    fleet["a3"] = server("a3", "a", pending(OTHER, UNKNOWN))
    plan = planned(only(fleet, CVE)).plan
    assert hosts_of(plan) == [["a1"]]
    assert plan["not_planned"]["a2"] == {"outcome": "excluded", "reason": f"no update that is pending fixes {CVE}"}
    assert plan["not_planned"]["a3"]["outcome"] == "refused"
    assert "it is not known which CVEs its updates of" in plan["not_planned"]["a3"]["reason"]


def test_every_other_reason_stays():
    fleet = {**pair(BIND), "old": candidate("old", {}), "a3": lost(server("a3", "a", min_healthy=1))}
    plan = planned(only(fleet, CVE)).plan
    assert "observed" in plan["not_planned"]["old"]["reason"]
    assert plan["not_planned"]["a3"]["outcome"] == "unreachable"


def test_it_needs_no_new_approval():
    whole, part = planned(pair(BIND, OTHER)), planned(only(pair(BIND, OTHER), CVE))
    assert difference(loaded(whole), loaded(part)) == ""
    assert "gets curl" in difference(loaded(part), loaded(whole))


def test_no_cve_is_everything():
    assert only(pair(BIND), None) == pair(BIND)
    assert read("") is None
    assert read(CVE) == CVE


@pytest.mark.parametrize("text", ["CVE-2026", "cve-2026-1519", "CVE-2026-1519 ", "DSA-5000"])
def test_what_is_no_cve_is_refused(text):
    with pytest.raises(PatchingError, match=r"plan_cve: .* expected a name like CVE-2026-12345"):
        read(text)
