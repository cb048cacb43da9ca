# SPDX-License-Identifier: GPL-3.0-or-later
"""A bad update is blocked in the middle of a wave, and taken back wherever it was installed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.support import lab
from tests.support.expect import version
from tests.support.night import PORTALS, Night, as_found
from tests.support.traffic import Traffic

LIMIT_S = 900
#: On lb1: a host's drain ends only when this is there.
MAY_GO = "/run/{}-may-go"
#: What takes a host out of, and back into, its pool on lb1.
SAY = 'python3 -c "$0" "set server portal/{{ inventory_hostname }} state $1"'


def until_it_is_gated(night: Night, host: str) -> None:
    """Wait until a host's health before was read: the gate is behind it, its drain comes next."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if (night.run / "ledger.jsonl").exists():
            steps = {(one["step"], one["event"]) for one in night.records(host)}
            if ("health_before", "done") in steps:
                return
        time.sleep(0.2)
    raise AssertionError(f"{host} did not come through its gate within {LIMIT_S} s")


def test_a_block_between_two_hosts_keeps_the_second_from_it_and_one_command_takes_it_back(two_updates):
    night = two_updates
    lab.exec("lb1", f"rm -f {MAY_GO.format('*')}; touch {MAY_GO.format('portal1')}")
    gone = MAY_GO.format("{{ inventory_hostname }}")
    night.settings["patching_drain_wait_s"] = LIMIT_S
    night.settings["patching_drain"] = {
        "hook": ["sh", "-c", f"{SAY} && until test -e {gone}; do sleep 0.2; done", lab.SAY, "drain"],
        "back": ["sh", "-c", SAY, lab.SAY, "ready"],
        "on": "lb1",
    }
    old = {package: version("portal1", package) for package in ("tzdata", "ehr-portal")}
    night.ready()
    with Traffic(lab.url("lb1")) as traffic, ThreadPoolExecutor(1) as pool:
        running = pool.submit(night.play, "patch")
        until_it_is_gated(night, "portal2")
        blocked = night.play("block", block_item="ehr-portal", block_reason="labels fail")
        lab.exec("lb1", f"touch {MAY_GO.format('portal2')}")
        patched = running.result()
    assert blocked.rc == 0, blocked.stdout
    assert "patching_run_id=all -e rollback_updates=ehr-portal" in blocked.stdout
    assert patched.rc != 0
    assert night.outcomes() == {"portal1": "patched", "portal2": "refused"}
    assert "nothing was installed: ehr-portal" in night.reason("portal2")
    assert version("portal1") != old["ehr-portal"]
    assert {package: version("portal2", package) for package in old} == old
    assert "held 0 times" in as_found("portal2")
    assert lab.in_service("portal2")

    # The same approved plan goes on without it.
    assert night.play("stage").rc == 0
    again = night.play("patch")
    assert again.rc == 0, again.stdout
    assert "left out because it is blocked: ehr-portal" in night.reason("portal2")
    assert version("portal2") == old["ehr-portal"]
    assert version("portal2", "tzdata") == version("portal1", "tzdata") != old["tzdata"]

    before = as_found("portal2")
    back = night.play("rollback", patching_run_id="all", rollback_updates="ehr-portal", rollback_reason="labels fail")
    assert back.rc == 0, back.stdout
    assert night.outcomes() == {"portal1": "rolled_back", "portal2": "patched"}
    assert version("portal1") == old["ehr-portal"]
    assert version("portal1", "tzdata") != old["tzdata"], "more was taken back than was asked for"
    assert as_found("portal2") == before
    assert all(lab.in_service(host) for host in PORTALS)
    assert [answer for answer in traffic.answers if not answer.ok] == []
