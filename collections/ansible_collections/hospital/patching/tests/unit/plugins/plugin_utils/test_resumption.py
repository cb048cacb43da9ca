# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run had come with a host when it was interrupted."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.resumption import held_only, restarted, taken, unsaid

MODULE = "hospital.patching."
PROBES = [{"name": "url-1", "verdict": "ok"}]


def record(step, event="done", host="a", **detail):
    return {"host": host, "step": step, "event": event, "detail": detail}


HELD = [record("gate"), record("lock", module=MODULE + "host_journal")]
READ = record("health_before", module=MODULE + "app_health_info", probes=PROBES)
JUDGED = record("health_before", verdict="ok", probes=PROBES)
INSTALLED = record("install", changed=True)
RELEASED = record("return", module=MODULE + "host_journal")


def test_a_host_is_taken_from_its_judged_health_on():
    assert taken([], "a") is None
    assert taken([*HELD, READ], "a") is None, "nothing is disrupted before the judgement"
    assert taken([*HELD, READ, JUDGED], "b") is None
    assert taken([*HELD, READ, JUDGED], "a").baseline == PROBES


def test_the_baseline_is_the_first_one():
    """A later reading is of a host that the patch may have harmed."""
    later = record("health_before", verdict="ok", probes=[{"name": "url-1", "verdict": "failed"}])
    assert taken([JUDGED, INSTALLED, later], "a").baseline == PROBES


@pytest.mark.parametrize("end", [RELEASED, record("record", "outcome", outcome="refused", reason="")])
def test_what_was_ended_is_forgotten(end):
    assert taken([JUDGED, INSTALLED, record("verify", "failed", msg="ill"), end], "a") is None
    assert taken([JUDGED, end, JUDGED], "a").failed is None


def test_a_host_that_is_only_back_at_its_load_balancer_is_still_taken():
    assert taken([JUDGED, record("return", module="community.general.haproxy")], "a") is not None


@pytest.mark.parametrize("step", ["drain", "snapshot", "install", "restart", "verify"])
def test_a_failure_puts_the_host_on_its_way_back(step):
    found = taken(
        [JUDGED, record(step, "failed", msg="first"), INSTALLED, record("verify", "failed", msg="second")], "a"
    )
    assert (found.failed, found.installed) == ("first", True)


def test_a_reboot_that_the_gate_forbade_is_a_failure_too():
    forbidden = record("gate", "refused", before="reboot", reason="the window ends")
    assert taken([JUDGED, INSTALLED, forbidden], "a").failed == "the window ends"
    assert taken([JUDGED, record("gate", "refused", before="host", reason="late")], "a").failed is None


@pytest.mark.parametrize(
    ("install", "counts"),
    [
        (record("install", changed=False), False),
        (record("install", changed=False, already=[{"name": "openssl"}]), True),
        (record("install", "failed", msg="postinst: exit 1"), True),
    ],
)
def test_an_installation_counts_unless_it_can_have_changed_nothing(install, counts):
    """One that failed may have been put back since by a step that outlived its controller, unrecorded."""
    assert taken([JUDGED, install], "a").installed is counts


FORWARD = record("install", changed=True, module=MODULE + "update_install", installed=[{}, {}], already=[{}])
BACK = record("install", changed=True, module=MODULE + "update_rollback")
PROVEN = record("verify", verdict="ok")
BALANCED = record("return", module="community.general.haproxy")
WHOLE = [*HELD, JUDGED, FORWARD, PROVEN, BALANCED, RELEASED]


def test_what_was_returned_and_not_said_is_said():
    assert unsaid(WHOLE, "a") == {"outcome": "patched", "reason": "3 updates installed and proven"}
    assert unsaid([*WHOLE, record("gate")], "a")["outcome"] == "patched"
    assert unsaid(WHOLE, "b") is None
    failed = [*HELD, JUDGED, FORWARD, record("verify", "failed", msg="ill"), BACK, PROVEN, BALANCED, RELEASED]
    assert unsaid(failed, "a") == {"outcome": "rolled_back", "reason": "ill"}
    killed = [*HELD, JUDGED, FORWARD, BACK, PROVEN, BALANCED, RELEASED]
    assert unsaid(killed, "a")["outcome"] == "rolled_back", "a recovery had put it back"


@pytest.mark.parametrize(
    "records",
    [
        [],
        HELD,
        [*HELD, RELEASED],
        [*HELD, JUDGED, PROVEN, RELEASED],
        WHOLE[:-1],
        [*WHOLE, record("record", "outcome", outcome="patched", reason="")],
        [*WHOLE, record("lock")],
    ],
)
def test_nothing_is_said_of_a_host_that_was_not_changed_or_not_returned_or_is_at_work_again(records):
    assert unsaid(records, "a") is None


def test_a_host_that_is_only_held_may_be_released_without_more():
    lock = record("lock")
    assert held_only([lock], "a")
    assert held_only([record("lock", "failed", lost_connection=True)], "a")
    assert held_only([lock, JUDGED], "a")
    assert not held_only([], "a")
    assert not held_only([lock], "b")
    assert not held_only([lock, RELEASED], "a")
    assert not held_only([lock, JUDGED, record("drain")], "a")
    assert held_only([lock, record("drain"), RELEASED, lock], "a")


def test_a_restart_counts_after_the_last_installation_and_a_reboot_that_is_needed_only_when_it_was_made():
    restart, reboot = record("restart", restarted=[]), record("restart", module="ansible.builtin.reboot")
    owed = record("restart", reboot_required={"required": True})
    assert restarted([INSTALLED, restart], "a")
    assert not restarted([restart, INSTALLED], "a")
    assert not restarted([INSTALLED, restart], "b")
    assert not restarted([INSTALLED, owed], "a")
    assert restarted([INSTALLED, owed, reboot], "a")
