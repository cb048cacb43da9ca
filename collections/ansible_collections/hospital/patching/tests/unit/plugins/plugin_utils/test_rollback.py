# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person may have taken back, and when."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transaction as shape
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import rollback
from ansible_collections.hospital.patching.plugins.plugin_utils.gate import decide_way_back
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import Contact
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALLOWED,
    NOW,
    planned,
    portal_pair,
    server,
    state,
)

ORDER = ["web1", "web2", "web3"]


def record(host, step, event, seq=1, **detail):
    return {"host": host, "step": step, "event": event, "seq": seq, "time": "2026-11-22T08:00:00Z", "detail": detail}


def transaction(host, *names):
    entries = [{"name": name, "arch": "all", "from": "1", "to": "2"} for name in names]
    return shape.build(host, "apt", None, entries)


TRANSACTIONS = {host: transaction(host, "openssl", "viewer") for host in ORDER}
NIGHT = [
    record("web1", "install", "done", 4),
    record("web1", "record", "outcome", 5, outcome="patched", reason=""),
    record("web2", "install", "failed", 8),
    record("web3", "gate", "refused", 9),
]


def choose(hosts, updates=(), records=None):
    return rollback.choose(ORDER, NIGHT if records is None else records, TRANSACTIONS, hosts, updates)


def test_the_whole_run_is_taken_back_the_last_patched_first():
    assert choose(["all"]) == ["web2", "web1"]


def test_one_host_or_one_update():
    assert choose(["web1"]) == ["web1"]
    assert choose(["all"], ["viewer"]) == ["web2", "web1"]
    only = {**TRANSACTIONS, "web2": transaction("web2", "openssl")}
    assert rollback.choose(ORDER, NIGHT, only, ["all"], ["viewer"]) == ["web1"]


@pytest.mark.parametrize(
    ("hosts", "updates", "message"),
    [
        (["web9"], [], "host web9: the run's plan does not name it; expected one of web1, web2, web3"),
        (["web3"], [], "host web3: this run has installed nothing on it; expected one of web1, web2"),
        (["web1", "all"], [], "host all: the run's plan does not name it"),
        (["web1"], ["openssh"], "update openssh: the run did not install it on web1"),
        ([], [], "rollback of no hosts: nothing that this run has installed; expected hosts .*: web1, web2"),
    ],
)
def test_what_the_run_does_not_know_is_refused(hosts, updates, message):
    with pytest.raises(PatchingError, match=message):
        choose(hosts, updates)


def test_a_run_that_has_installed_nothing():
    with pytest.raises(PatchingError, match="rollback of all: nothing that this run has installed"):
        choose(["all"], records=NIGHT[3:])


def asked(*hosts):
    return record(None, "gate", "begin", rollback={"hosts": list(hosts), "updates": [], "reason": "labels", "by": "x"})


def outcome(host, outcome, reason=""):
    return record(host, "record", "outcome", outcome=outcome, reason=reason)


def test_only_what_happened_since_it_was_asked_for_counts():
    early = [outcome("web1", "rolled_back"), asked("web2", "web1")]
    assert rollback.not_taken_back(early) == {"web2": "its turn did not come", "web1": "its turn did not come"}
    later = [*early, outcome("web2", "rolled_back"), outcome("web1", "stuck", "it stayed ill")]
    assert rollback.not_taken_back(later) == {"web1": "it stayed ill"}
    assert rollback.not_taken_back([*later, outcome("web1", "rolled_back")]) == {}


def test_a_host_that_was_left_as_it_was_is_not_taken_back_whatever_it_was_before():
    refused = record("web1", "gate", "refused", reason="its window is shut")
    before = [outcome("web1", "rolled_back"), asked("web1")]
    assert rollback.not_taken_back([*before, refused]) == {"web1": "its window is shut"}


def test_the_first_that_cannot_be_proven_ends_it():
    records = [asked("web2", "web1"), outcome("web2", "stuck", "it stayed ill")]
    assert rollback.stopped_by(records, "web2") is None
    assert rollback.stopped_by(records, "web1") == (
        "web2 was not taken back (it stayed ill); the rollback goes no further"
    )
    assert rollback.stopped_by([asked("web2", "web1"), outcome("web2", "rolled_back")], "web1") is None


def test_nobody_has_asked():
    with pytest.raises(PatchingError, match=r"nobody has asked for one in this run; expected rollback\.yml"):
        rollback.last_asked(NIGHT)


# --- the gate ----------------------------------------------------------------------

PLAN = planned(portal_pair()).plan


def gate(states=None, now=NOW, contact=ALLOWED, outside_window=False, plan=None, host="portal1", frozen=None):
    return decide_way_back(plan or PLAN, host, now, states or {}, contact, frozen, outside_window)


def test_earlier_failures_and_soak_do_not_hinder_a_way_back():
    assert gate({"portal2": state("rolled_back", out=False)}).decision == "go"
    assert gate({"portal1": state("patched", out=False)}, host="portal2").decision == "go"


def test_any_window_of_the_hosts_rule_will_do():
    assert gate(now=NOW + timedelta(days=7)).decision == "go"


def test_outside_its_windows_a_person_has_to_say_so():
    answer = gate(now=NOW + timedelta(days=2))
    assert answer.decision == "stop"
    assert "rollback_outside_window=true" in answer.reason
    assert gate(now=NOW + timedelta(days=2), outside_window=True).decision == "go"


def test_the_way_back_must_end_with_the_window():
    late = NOW.replace(hour=9, minute=45)  # it ends at 10:00 UTC
    assert gate(now=late).decision == "stop"


@pytest.mark.parametrize("outside_window", [False, True])
def test_neither_hands_off_nor_the_last_serving_host_is_given_up(outside_window):
    blocked = Contact(False, ("10.9.0.1",), "inside the device segment 10.9.0.0/16")
    assert gate(contact=blocked, outside_window=outside_window).reason == blocked.reason
    answer = gate({"portal2": state("stuck", out=True)}, outside_window=outside_window)
    assert answer.decision == "stop"
    assert "portal2 is" in answer.reason


@pytest.mark.parametrize("outside_window", [False, True])
def test_a_freeze_holds_a_way_back_too(outside_window):
    answer = gate(frozen="/srv/freeze says: on diversion", outside_window=outside_window)
    assert answer.decision == "stop"
    assert "on diversion" in answer.reason


def test_partners_stay_apart():
    fleet = {f"{s}1": server(f"{s}1", s, downtime_s=600) for s in ("ehr", "viewer")}
    fleet["ehr1"] = server("ehr1", "ehr", downtime_s=600, never_with=["viewer"])
    plan = planned(fleet).plan
    answer = gate({"viewer1": state("stuck", out=True)}, plan=plan, host="ehr1")
    assert "never disrupted with viewer" in answer.reason


def test_only_a_stop_file_of_this_rollback_counts(tmp_path):
    stop, records = tmp_path / "stop", [asked("web1")]
    assert not rollback.asked_since(records, stop)
    stop.write_text("ann: enough")
    assert rollback.asked_since(records, stop)
    os.utime(stop, (0, 0))
    assert not rollback.asked_since(records, stop), "it was meant for the run"
    assert not rollback.asked_since([], stop)


def test_each_host_is_asked_for_its_own_packages_only():
    assert rollback.own(transaction("web2", "openssl"), ["viewer", "openssl"]) == ["openssl"]
    assert rollback.own(transaction("web2", "openssl"), []) == []
