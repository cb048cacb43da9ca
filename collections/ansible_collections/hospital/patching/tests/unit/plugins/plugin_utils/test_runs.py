# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a run: every host gets an outcome that is true of it."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, portal_pair

RELEASED = ("return", "done", {"module": "hospital.patching.host_journal"})
REFUSED = ("record", "outcome", {"outcome": "refused", "reason": "drift"})


@pytest.fixture
def run(tmp_path):
    """Return a run of two hosts in which nothing has happened yet."""
    Run(str(tmp_path), PLAN_ID).evidence.save_plan(planned(portal_pair()))
    return Run.start(str(tmp_path), PLAN_ID)


def closed(run, *records):
    for step, event, detail in records:
        run.record("portal1", step, event, **detail)
    outcomes = run.close()
    last = run.ledger.read()[-1]
    assert (last["host"], last["step"], last["event"]) == (None, "record", "done")
    assert outcomes["portal2"] == "not_started"
    return outcomes["portal1"], run.states()["portal1"].reason


def test_a_host_whose_turn_did_not_come_was_not_started(run):
    assert closed(run) == ("not_started", "the run ended before its turn came")


def test_a_host_that_is_left_out_of_service_needs_a_person(run):
    assert closed(run, ("drain", "done", {})) == ("stuck", "the run ended while the host was held out of service")


def test_so_it_does_when_something_milder_was_said_of_it(run):
    """Else nobody would look for it: the run counts as closed in good order from here on."""
    outcome, reason = closed(run, ("drain", "done", {}), REFUSED)
    assert (outcome, reason.endswith("; drift")) == ("stuck", True)


def test_a_host_that_was_returned_and_not_spoken_of_is_what_it_became(run):
    judged = ("health_before", "done", {"verdict": "ok", "probes": []})
    install = ("install", "done", {"changed": True, "installed": [{}], "module": "hospital.patching.update_install"})
    assert closed(run, judged, install, RELEASED) == ("patched", "1 updates installed and proven")


def test_a_host_that_was_given_back_keeps_its_outcome(run):
    assert closed(run, ("lock", "done", {}), RELEASED, REFUSED) == ("refused", "drift")


def test_a_host_that_was_ill_before_is_not_called_stuck(run):
    ill = ("health_before", "failed", {"verdict": "failed"})
    assert closed(run, ("lock", "done", {}), ill, RELEASED, REFUSED) == ("refused", "drift")
