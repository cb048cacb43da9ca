# SPDX-License-Identifier: GPL-3.0-or-later
"""Nights on a pair of portal hosts with one small update pending on each."""

from __future__ import annotations

import json

import pytest

from tests.support import lab
from tests.support.expect import version
from tests.support.night import Night, as_found
from tests.support.playbook import Played
from tests.support.traffic import Traffic

PORTALS = ("portal1", "portal2")
#: Modules that the patch role runs on the host itself; each call is one round trip.
ON_THE_HOST = (
    "app_health_info",
    "host_journal",
    "host_snapshot",
    "update_install",
    "update_restart",
    "update_verify",
)


def state(host: str) -> str:
    """Return all that assess or check mode could change on a host."""
    places = "/var/lib /etc /var/lib/apt/lists /var/cache/apt"
    return lab.exec(host, f"dpkg-query -W; apt-mark showmanual; ls -A {places}; stat -c %y /var/lib/dpkg/status")


def booted(host: str) -> str:
    return lab.exec(host, "stat -c %Y /proc/1")


def round_trips(played: Played, host: str) -> int:
    return sum(
        data["host"] == host
        and data["task_action"].split(".")[-1] in ON_THE_HOST
        and "_ansible_delegated_vars" not in data["res"]
        for data in played.ended()
    )


def test_a_quiet_night(night):
    before = {host: state(host) for host in PORTALS}
    checked = night.play("prepare", "--check")
    assert checked.rc == 0, checked.stdout
    assert not checked.changed()
    assert not night.evidence.exists(), "check mode wrote evidence"
    shown = "\n".join(checked.results("Make the plan")[0]["text"])
    assert "portal1" in shown
    assert "ehr-portal" in shown
    assert {host: state(host) for host in PORTALS} == before, "check mode changed a host"

    plan = night.prepare()
    assert [wave["hosts"] for wave in plan["waves"]] == [["portal1"], ["portal2"]]
    assert {host: state(host) for host in PORTALS} == before, "assess changed a host"

    assert night.play("stage").rc == 0
    assert {version(host) for host in PORTALS} == {"1.0.0"}, "stage installed something"

    rehearsed = night.play("patch", "--check")
    assert rehearsed.rc == 0, rehearsed.stdout
    assert rehearsed.messages() == [], "check mode does not predict the run"
    assert {version(host) for host in PORTALS} == {"1.0.0"}, "check mode installed something"
    assert {record["step"] for record in night.records()} == {"stage"}, "check mode wrote to the ledger"

    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch")
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
    assert {version(host) for host in PORTALS} == {"1.1.0"}
    assert len(traffic.answers) > 50
    assert [answer for answer in traffic.answers if not answer.ok] == []
    assert max(round_trips(patched, host) for host in PORTALS) <= 8

    report = json.loads((night.run / "report.json").read_text(encoding="utf-8"))
    assert {host["host"]: host["outcome"] for host in report["hosts"]}.items() >= night.outcomes().items()

    again = night.play("patch")
    assert again.rc == 0, again.stdout
    assert again.changed() == []
    plan = night.prepare()
    assert plan["waves"] == []
    assert {plan["not_planned"][host]["outcome"] for host in PORTALS} == {"nothing_to_do"}


@pytest.mark.slow  # `killed` has one that is interrupted in the middle
def test_a_reboot_that_is_needed_is_made_and_proven(night):
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "reboot"))
    started = {host: booted(host) for host in PORTALS}
    night.ready()
    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch")
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
    assert [booted(host) != started[host] for host in PORTALS] == [True, True]
    assert [answer for answer in traffic.answers if not answer.ok] == []


@pytest.mark.slow  # `way_back` has the same where no repository has the old version any more
def test_a_patch_that_breaks_the_application_is_taken_back_on_that_host_alone(night):
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "unhealthy"))
    night.settings["patching_settle_s"] = 6
    other = lab.exec("portal2", "dpkg-query -W"), booted("portal2")
    night.ready()
    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes() == {"portal1": "rolled_back", "portal2": "not_started"}
    assert "url-1" in night.reason("portal1")
    assert version("portal1") == "1.0.0"
    assert (lab.exec("portal2", "dpkg-query -W"), booted("portal2")) == other
    assert [answer for answer in traffic.answers if not answer.ok] == []

    again = night.play("patch")
    assert again.rc != 0
    assert night.outcomes() == {"portal1": "rolled_back", "portal2": "not_started"}, "a failure was forgotten"
    assert version("portal1") == "1.0.0"


@pytest.mark.slow
def test_an_installation_that_fails_is_taken_back(night):
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "failing_postinst"))
    night.ready()
    patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes() == {"portal1": "rolled_back", "portal2": "not_started"}
    assert "schema migration failed" in night.reason("portal1")
    assert version("portal1") == "1.0.0"
    assert lab.exec("portal1", "dpkg --audit") == ""


@pytest.mark.slow  # the hosts are started anew
def test_a_host_that_is_unreachable_is_tried_again_by_the_same_plan(staged):
    lab.stop("portal1")
    patched = staged.play("patch")
    assert patched.rc != 0
    assert staged.outcomes() == {"portal1": "unreachable", "portal2": "not_started"}
    assert "portal1" in staged.reason("portal1")
    assert version("portal2") == "1.0.0"

    lab.start("portal1")
    again = staged.play("patch")
    assert again.rc == 0, again.stdout
    assert staged.outcomes() == dict.fromkeys(PORTALS, "patched")


@pytest.mark.slow  # minutes of waiting for a host that is away
def test_nobody_is_taken_out_beside_a_host_that_does_not_answer(staged):
    """Whether it serves is not known, so it counts as out, and the service allows one."""
    lab.stop("portal2")
    patched = staged.play("patch")
    assert patched.rc != 0
    assert staged.outcomes() == dict.fromkeys(PORTALS, "not_started")
    assert "portal2 (cannot be read" in staged.reason("portal1")
    assert version("portal1") == "1.0.0"
    assert "held 0 times" in as_found("portal1")


def test_a_locked_device_is_assessed_without_a_packet(tmp_path):
    night = Night(tmp_path / "evidence", hosts="pump1")
    plan = night.prepare()
    assert plan["not_planned"]["pump1"]["outcome"] == "excluded"
    assert lab.pump_connections() == []


def test_nobody_is_drained_through_a_device_segment(night):
    """Delegation is a connection too, and the gate asks before anybody is drained."""
    night.settings["patching_device_segments"] = ["10.77.66.0/24", "10.77.10.10/32"]
    night.ready()
    patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes()["portal1"] == "not_started"
    assert "lb1" in night.reason("portal1")
    assert version("portal1") == "1.0.0"
