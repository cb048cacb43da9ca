# SPDX-License-Identifier: GPL-3.0-or-later
"""What past nights make of the next one's estimates."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.history import History, with_estimates
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_text import plan_table
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW, endpoint, planned, server


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
    assert found["a2"] == (1800, 2500, "setting", "alike")
    assert estimates(PAIR, learned(rolled_back("a1", 0, 100, 60)))["a1"] == CONFIGURED


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


def test_ledgers_are_read_and_a_damaged_one_is_named(tmp_path):
    store = Evidence(tmp_path)
    for number, took in enumerate((100, 200, 300)):
        run = Run(str(tmp_path), f"20261122T08000{number}Z-ab12cd34")
        run.ledger.clock = Later()
        run.record(None, "gate", "begin")
        run.record("a1", "gate", "done", before="host")
        run.ledger.clock.by = took
        run.record("a1", "record", "outcome", outcome="patched", reason="")
    assert History.read(store).forward == {"a1": [100, 200, 300]}
    path = store.ledger_path("20261122T080001Z-ab12cd34")
    path.write_text(path.read_text().replace("patched", "patchod"))
    history = History.read(store)
    assert history.forward == {"a1": [100, 300]}
    assert len(history.problems) == 1
    assert history.problems[0].startswith("Nothing is learned from run 20261122T080001Z-ab12cd34: ")


class Later(Clock):
    by = 0

    def now(self):
        return NOW + timedelta(seconds=self.by)
