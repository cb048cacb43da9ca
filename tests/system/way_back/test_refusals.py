# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before anything is disrupted: the message names all four parts, and the hosts stay as they were.

Refusals of a plan against inventory, command line and batch are in test_waves.py.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support import lab
from tests.support.expect import four_parts
from tests.support.night import PORTALS, Night, as_found, portals_as_built

BAD_SETTINGS = {
    "host": ({"patching_hosts": "portal9"}, "portal9"),
    "window": ({"patching_window": "Sunday night"}, "patching_window of portal1: 'Sunday night'"),
    "policy": ({"patching_policy": "manged"}, "patching_policy of portal1: 'manged'"),
    "catalogue": ({"patching_drain": {"haproxy": "lb1", "bakend": "portal"}}, "patching_drain of portal1"),
    "name": ({"patching_min_helthy": 1}, "patching_min_helthy of portal1"),
}


@pytest.fixture(scope="module")
def staged(tmp_path_factory) -> Night:
    """Return a night that is staged; tests that share it leave hosts, repository and plan as they found them."""
    portals_as_built()
    night = Night(tmp_path_factory.mktemp("staged") / "evidence", patching_lock_timeout_s=2)
    night.ready()
    return night


@pytest.fixture
def untouched():
    """Hold packages, services and holders of both hosts against what they were."""
    before = {host: as_found(host) for host in PORTALS}
    yield
    assert {host: as_found(host) for host in PORTALS} == before


@pytest.mark.parametrize("bad", BAD_SETTINGS)
def test_settings_that_are_not_understood_are_refused(bad, untouched, tmp_path):
    settings, named = BAD_SETTINGS[bad]
    night = Night(tmp_path / "evidence")
    played = night.play("prepare", **settings)
    assert played.rc != 0, played.stdout
    message = " ".join(played.messages())
    assert named in message
    four_parts(message)
    assert not (night.evidence / "plans").exists(), "a plan was made all the same"


def test_a_plan_that_is_no_plan_is_refused(planned, untouched, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"schema": 1, "waves": "all of them"}), encoding="utf-8")
    played = planned.play("patch", patching_plan=str(path))
    assert played.rc != 0
    four_parts(" ".join(played.messages()))


def test_an_unknown_service_refuses_the_hosts_that_depend_on_it(untouched, tmp_path):
    plan = Night(tmp_path / "evidence").prepare(patching_never_with=["downtime_viewer"])
    assert plan["waves"] == []
    reason = plan["not_planned"]["portal1"]["reason"]
    assert "patching_never_with names downtime_viewer, which no host carries" in reason
    four_parts(reason)


@pytest.fixture
def unsigned():
    lab.publish(signed=False)
    yield
    lab.publish()


@pytest.fixture
def unreachable():
    lab.exec("mirror1", "systemctl stop nginx")
    yield
    lab.exec("mirror1", "systemctl start nginx")


@pytest.mark.parametrize("fault", ["unsigned", "unreachable"])
@pytest.mark.parametrize("playbook", ["prepare", "stage"])
def test_a_repository_that_cannot_be_trusted_or_reached_is_refused(
    fault, playbook, planned, untouched, request, tmp_path
):
    request.getfixturevalue(fault)
    night = Night(tmp_path / "evidence") if playbook == "prepare" else planned
    played = night.play(playbook)
    said = " ".join(played.messages())
    if playbook == "prepare":
        plan = played.results("Make the plan")[0]["plan"]
        assert plan["waves"] == []
        assert {plan["not_planned"][host]["outcome"] for host in PORTALS} == {"refused"}
        said = plan["not_planned"]["portal1"]["reason"]
    else:
        assert played.rc != 0
    assert "mirror1" in said
    four_parts(said)


def test_no_space_is_refused(planned, untouched):
    lab.in_mount_namespace("portal1", "mkdir -p /var/lib/hospital-patching")
    lab.in_mount_namespace("portal1", "mount -t tmpfs -o size=64k tmpfs /var/lib/hospital-patching")
    try:
        played = planned.play("stage")
    finally:
        lab.in_mount_namespace("portal1", "umount /var/lib/hospital-patching; rmdir /var/lib/hospital-patching")
        lab.exec("portal2", "rm -rf /var/lib/hospital-patching")
    assert played.rc != 0
    # Told where it was found, and once more after what hooks did was undone.
    (message,) = set(played.messages())
    assert "/var/lib/hospital-patching" in message
    assert "65536" in message or "free" in message
    four_parts(message)


def refused(night: Night, *named: str) -> None:
    """Play the night, and require that portal1 is refused for what is named and portal2 not started."""
    played = night.play("patch")
    assert played.rc != 0
    assert night.outcomes() == {"portal1": "refused", "portal2": "not_started"}
    for part in named:
        assert part in night.reason("portal1")
    four_parts(night.reason("portal1"))


LOCKED = (
    "import fcntl, time; handle = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(handle, fcntl.LOCK_EX);"
    " time.sleep(600)"
)


def test_a_package_database_that_somebody_holds_is_refused(staged, untouched):
    lab.exec("portal1", f'systemd-run --unit locked --collect python3 -c "{LOCKED}"')
    try:
        refused(staged, "/var/lib/dpkg/lock", "python3")
    finally:
        lab.exec("portal1", "systemctl stop locked")


def test_a_host_that_is_ill_already_is_refused(staged):
    lab.exec("portal1", "systemctl stop nginx")
    before = {host: as_found(host) for host in PORTALS}
    try:
        refused(staged, "host portal1", "url-1")
        assert {host: as_found(host) for host in PORTALS} == before
    finally:
        lab.exec("portal1", "systemctl start nginx")


def test_drift_since_staging_is_refused(staged):
    versions = [lab.PortalVersion(version) for version in ("1.0.0", "1.0.5", "1.1.0")]
    lab.publish(*versions, refresh=["portal1"])
    lab.exec("portal1", "DEBIAN_FRONTEND=noninteractive apt-get install -qq ehr-portal=1.0.5")
    before = {host: as_found(host) for host in PORTALS}
    refused(staged, "ehr-portal", "1.0.5", "1.0.0")
    assert {host: as_found(host) for host in PORTALS} == before


def freeze(path: Path, begins: datetime) -> None:
    """Write a calendar with one freeze of six hours."""
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//test//EN",
        "BEGIN:VEVENT",
        "UID:freeze",
        f"DTSTAMP:{begins:%Y%m%dT%H%M%SZ}",
        f"DTSTART:{begins:%Y%m%dT%H%M%SZ}",
        "DURATION:PT6H",
        "SUMMARY:go-live of the EHR",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    path.write_text("".join(f"{line}\r\n" for line in lines), encoding="utf-8")


@pytest.mark.slow
def test_a_freeze_that_the_calendar_names_since_the_plan_stops_the_run_and_its_end_lets_it_go_on(tmp_path):
    portals_as_built()
    freezes = tmp_path / "freezes.ics"
    night = Night(tmp_path / "evidence", patching_freezes=[f"ics {freezes}"])
    freeze(freezes, datetime(2020, 1, 1, tzinfo=UTC))
    night.ready()
    before = {host: as_found(host) for host in PORTALS}
    freeze(freezes, datetime.now(UTC) - timedelta(hours=1))
    assert night.play("patch").rc != 0
    assert night.outcomes() == dict.fromkeys(PORTALS, "not_started")
    assert "nothing may be disrupted: a freeze lasts from" in night.reason("portal1")
    assert {host: as_found(host) for host in PORTALS} == before

    freezes.write_text("BEGIN:VCALENDAR", encoding="utf-8")
    assert night.play("patch").rc != 0
    assert f"calendar {freezes}" in night.reason("portal1")
    assert {host: as_found(host) for host in PORTALS} == before

    freeze(freezes, datetime(2020, 1, 1, tzinfo=UTC))
    assert night.play("patch").rc == 0
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
