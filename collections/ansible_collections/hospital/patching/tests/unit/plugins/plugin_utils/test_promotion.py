# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.past_runs import Past
from ansible_collections.hospital.patching.plugins.plugin_utils.promotion import Trial, Trials, promoted
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS, effective
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    hosts_of,
    pending,
    planned,
    server,
    update,
)

OPENSSL, CURL = update("openssl"), update("curl")
TWO = {"count": 2}


class Then(Clock):
    def __init__(self, ago):
        self.ago = ago

    def now(self):
        return NOW - self.ago


def fleet(*updates, size=4, **settings):
    """Return a service of two canaries, one of the early ring and the rest of the broad one."""
    rings = ["canary", "canary", "early", *["broad"] * (size - 3)]
    return {
        f"a{n}": server(f"a{n}", "a", pending(*updates), ring=ring, min_healthy=1, **{"promotion": TWO, **settings})
        for n, ring in enumerate(rings, 1)
    }


@pytest.fixture
def night(tmp_path):
    """Return a function that keeps a run in which some hosts had some outcome with openssl."""

    def keep(outcomes, ago=timedelta(days=1), number=0):
        run_id = f"2026112{number}T080000Z-ab12cd34"
        plan = planned(fleet(OPENSSL, promotion=None)).plan
        run = Run(str(tmp_path), run_id)
        run.evidence.start_run(run_id, _Loaded(plan))
        run.ledger.clock = Then(ago)
        for host, outcome in outcomes.items():
            run.record(host, "record", "outcome", outcome=outcome, reason="")
        return Evidence(tmp_path)

    return keep


class _Loaded:
    def __init__(self, plan):
        self.plan, self.manifests = plan, {}


def after(store, *updates, **settings):
    return promoted(fleet(*updates, **settings), Past.read(store).trials, NOW)


def test_nothing_was_tried_so_only_canaries_are_planned(tmp_path):
    found = after(Evidence(tmp_path), OPENSSL)
    plan = planned(found).plan
    assert sorted(plan["hosts"]) == ["a1", "a2"]
    reason = plan["not_planned"]["a4"]["reason"]
    assert (
        reason == "openssl 3.0.17-1 is not promoted to ring broad: 0 of 2 hosts of earlier rings have run well with it"
    )


def test_what_ran_well_on_enough_hosts_is_promoted(night):
    plan = planned(after(night({"a1": "patched", "a2": "patched"}), OPENSSL)).plan
    assert {"a3", "a4"} <= set(plan["hosts"])


def test_each_update_is_promoted_by_itself(night):
    found = after(night({"a1": "patched", "a2": "patched"}), OPENSSL, CURL)
    assert [one["name"] for one in found["a4"].assessment["updates"]] == ["openssl"]
    assert found["a4"].waiting == 1
    assert [one["name"] for one in found["a1"].assessment["updates"]] == ["openssl", "curl"]


def test_a_newer_version_waits_and_later_rings_get_the_one_that_canaries_have_proven(night):
    """By the canary's SHA-256, so that neither a newer nor a rebuilt package slips in."""
    newer = update("openssl", after="3.0.18-1", sha256="b" * 64)
    found = after(night({"a1": "patched", "a2": "patched"}), newer)
    (kept,) = planned(found).plan["hosts"]["a4"]["updates"]
    assert (kept["from"], kept["to"], kept["sha256"]) == ("3.0.15-1", "3.0.17-1", "a" * 64)
    assert found["a4"].held_to == ("openssl 3.0.17-1 instead of 3.0.18-1",)
    assert [one["to"] for one in found["a1"].assessment["updates"]] == ["3.0.18-1"], "canaries try what is new"


def test_a_version_that_was_proven_from_another_one_on_is_not_taken_instead(night):
    newer = update("openssl", before="3.0.17-1", after="3.0.18-1")
    assert after(night({"a1": "patched", "a2": "patched"}), newer)["a4"].why_not is not None


def test_a_newer_version_that_canaries_have_proven_too_goes_on(night):
    newer = update("openssl", after="3.0.18-1")
    store = night({"a1": "patched", "a2": "patched"}, number=0)
    plan = planned(fleet(newer, promotion=None)).plan
    run = Run(str(store.root), "20261121T080000Z-ab12cd34")
    run.evidence.start_run(run.run_id, _Loaded(plan))
    run.ledger.clock = Then(timedelta(hours=5))
    for host in ("a1", "a2"):
        run.record(host, "record", "outcome", outcome="patched", reason="")
    assert [one["to"] for one in after(store, newer)["a4"].assessment["updates"]] == ["3.0.18-1"]


def test_a_version_that_was_rebuilt_under_its_number_is_not_the_one_that_was_proven(night):
    rebuilt = update("openssl", sha256="b" * 64)
    found = after(night({"a1": "patched", "a2": "patched"}), rebuilt)["a4"]
    assert (
        "the same version with the SHA-256 aaaaaaaaaaaa…, and the repository has bbbbbbbbbbbb" in found.why_not.reason
    )


def test_what_was_blocked_after_the_plan_was_made_was_not_tried(night):
    store = night({"a1": "patched", "a2": "patched"})
    run = Run(str(store.root), "20261120T080000Z-ab12cd34")
    for host in ("a1", "a2"):
        run.record(host, "install", "done", installed=[], already=[])
        run.record(host, "record", "outcome", outcome="patched", reason="")
    assert after(store, OPENSSL)["a4"].why_not is not None


@pytest.mark.parametrize("outcome", ["rolled_back", "unverified", "stuck", "unreachable"])
def test_what_failed_on_a_host_lacks_its_share(night, outcome):
    store = night({"a1": "patched", "a2": "patched", "a3": outcome})
    assert after(store, OPENSSL)["a4"].why_not.reason.endswith(
        "on 66 % of the hosts of earlier rings it went well, of 100 % asked for"
    )
    assert after(store, OPENSSL, promotion={"count": 2, "share_percent": 60})["a4"].why_not is None


def test_a_host_that_was_repaired_counts_by_its_newest_night(night):
    night({"a1": "rolled_back"}, timedelta(days=2), 0)
    store = night({"a1": "patched", "a2": "patched"}, timedelta(days=1), 1)
    assert after(store, OPENSSL)["a4"].why_not is None


def test_hosts_of_the_same_ring_prove_nothing(night):
    found = after(night({"a3": "patched", "a4": "patched"}), OPENSSL)
    assert found["a3"].why_not is not None
    assert found["a4"].why_not is not None


def test_the_soak_time_counts(night):
    store = night({"a1": "patched", "a2": "patched"}, timedelta(hours=1))
    assert after(store, OPENSSL)["a4"].why_not is None
    assert after(store, OPENSSL, soak_s=2 * 3600)["a4"].why_not is not None


def test_hosts_that_state_no_ring_or_no_promotion_wait_for_nothing(tmp_path):
    pair = {f"b{n}": server(f"b{n}", "b", promotion=TWO) for n in (1, 2)}
    found = promoted(pair, Past.read(Evidence(tmp_path)).trials, NOW)
    assert hosts_of(planned(found).plan) == [["b1"], ["b2"]]
    assert after(Evidence(tmp_path), OPENSSL, promotion=None)["a4"].why_not is None


@pytest.mark.parametrize(
    "value", [3, {}, {"share_percent": 90}, {"count": 0}, {"count": 1, "x": 1}, {"count": 1, "share_percent": 101}]
)
def test_other_values_are_refused(value):
    with pytest.raises(PatchingError, match="patching_promotion of a1"):
        effective("a1", {"patching_promotion": value})


SUMS = {"one": "a" * 64, "other": "b" * 64}
VERSIONS = st.sampled_from(["3.0.16-1", "3.0.17-1", "3.0.18-1"])
TRIALS = st.tuples(VERSIONS, st.sampled_from(["a1", "a2", "a3", "a4"]), st.booleans(), st.sampled_from([*SUMS]))


@settings(max_examples=40, deadline=None)
@given(st.lists(TRIALS, max_size=8), VERSIONS, st.sampled_from([*SUMS]), st.sampled_from(["3.0.15-1", "3.0.16-1"]))
def test_whatever_was_tried_a_later_ring_only_gets_what_earlier_rings_have_proven_to_the_byte(
    tried, to, sum_, installed
):
    trials = Trials()
    for version, host, well, one in tried:
        seen = update("openssl", "3.0.15-1", version, sha256=SUMS[one])
        trial = Trial(host, RINGS.index("canary"), well, NOW - timedelta(days=1), seen)
        trials.of.setdefault(("openssl", "amd64", version), {})[host] = trial
    wanted = update("openssl", installed, to, sha256=SUMS[sum_])
    found = promoted(fleet(wanted), trials, NOW)["a4"]
    for one in found.assessment["updates"] if found.why_not is None else ():
        of = trials.of[("openssl", "amd64", one["to"])].values()
        assert sum(trial.went_well for trial in of) >= TWO["count"]
        assert {trial.update["sha256"] for trial in of} == {one["sha256"]}
        assert one["from"] == installed
        assert one["to"] == to or installed == "3.0.15-1", "an older version might have been installed"
