# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import opening

PLAN = {"plan_id": "20261122T010000Z-ab12cd34", "digest": "sha256:" + "0" * 64}


def test_a_whole_run_is_let_through():
    opening.require_whole_run(PLAN, None)


def test_limit_is_refused_and_says_what_to_do_instead():
    with pytest.raises(PatchingError, match=f"plan_from={PLAN['digest']} -e plan_drop=HOST"):
        opening.require_whole_run(PLAN, "portal1")


def test_who_started_it_is_kept_as_a_claim(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "mallory")
    kept = opening.circumstances(PLAN, PLAN["digest"])
    assert kept["started_by"] == "mallory"
    assert kept["plan_digest"] == PLAN["digest"]


def test_a_run_is_begun_by_its_digest_and_may_be_continued_by_its_id():
    def begun(reference):
        detail = opening.circumstances(PLAN, reference)
        return {"host": None, "step": "gate", "event": "begin", "detail": detail}

    opening.require_digest(PLAN, PLAN["digest"], [])
    opening.require_digest(PLAN, PLAN["plan_id"], [begun(PLAN["digest"])])
    for records in ([], [begun(PLAN["plan_id"])]):
        with pytest.raises(PatchingError, match=f"expected its digest.* -e patching_plan={PLAN['digest']}"):
            opening.require_digest(PLAN, PLAN["plan_id"], records)


def test_only_a_start_with_the_digest_counts_as_approval():
    assert opening.circumstances(PLAN, PLAN["digest"])["approval"] == "started with the plan's digest"
    assert "not with a digest" in opening.circumstances(PLAN, PLAN["plan_id"])["approval"]


def test_a_typed_name_is_a_claim_beside_the_approval():
    found = opening.circumstances(PLAN, PLAN["digest"], " Dr. Jane\n Roe ")
    assert found["claimed"] == "Dr. Jane Roe"
    assert found["approval"] == "started with the plan's digest"
    assert opening.circumstances(PLAN, PLAN["digest"])["claimed"] is None
    assert len(opening.circumstances(PLAN, PLAN["digest"], "x" * 999)["claimed"]) == 200
