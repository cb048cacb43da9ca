# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab is what the other tests take it for."""

from __future__ import annotations

import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.support import lab
from tests.support.lab import PortalVersion

CONNECT = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('{}', {}))"
PING = b"\x08\x00\xf7\xff\x00\x00\x00\x00"  # an echo request with its checksum


@pytest.fixture
def pump() -> Iterator[str]:
    """The device's address; it has recorded nothing, neither before the test nor for those that follow."""
    lab.clear_pump_connections()
    yield lab.address("pump1")
    lab.clear_pump_connections()


@pytest.fixture
def portal() -> Iterator[str]:
    """A portal host for the test to harm."""
    yield "portal2"
    lab.publish()
    lab.reset(["portal2"])


def eventually(condition: Callable[[], bool], within_s: float = 90) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def get(host: str, path: str) -> tuple[int, str]:
    """Status and body of a page."""
    try:
        with urllib.request.urlopen(lab.url(host, path), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def version_served(host: str) -> str | None:
    """The portal's version by its own word; None while it restarts, when nginx answers for it."""
    status, body = get(host, "/health")
    return json.loads(body)["version"] if status == 200 else None


def upgrade(host: str) -> str:
    """What apt says when it is asked for the portal's newest version; its exit status is the last word."""
    return lab.exec(host, "DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet ehr-portal 2>&1; echo $?")


@pytest.mark.parametrize("port", [22, 443, 47808])
def test_the_pump_records_a_connection_to_any_port(pump, port):
    lab.exec("mirror1", f'python3 -c "{CONNECT.format(pump, port)}"')

    assert eventually(lambda: bool(lab.pump_connections()))
    first = lab.pump_connections()[0]
    assert (first["target"], first["protocol"], first["port"], first["syn"]) == (pump, "tcp", port, True)


def test_the_pump_records_a_ping(pump):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as connection:
        connection.sendto(PING, (pump, 0))

    assert eventually(lambda: bool(lab.pump_connections()))
    assert [item["protocol"] for item in lab.pump_connections()] == ["icmp"]


def test_a_host_that_reboots_comes_back_with_another_init():
    def init_started() -> str:
        return lab.exec("mirror1", "awk '{print $22}' /proc/1/stat", check=False)

    before = init_started()
    lab.exec("mirror1", "systemctl reboot", check=False)

    assert eventually(lambda: init_started() not in ("", before))
    assert eventually(lambda: lab.exec("mirror1", "systemctl is-active nginx", check=False).strip() == "active")


def test_users_keep_the_portal_while_its_database_is_away():
    try:
        lab.exec("db1", "systemctl stop postgresql@15-main")
        assert eventually(lambda: get("portal1", "/health")[0] == 503)
        assert json.loads(get("portal1", "/health")[1])["database"].startswith("unreachable")
        time.sleep(2)  # four of the load balancer's own checks
        assert [get("lb1", path)[0] for path in ("/", "/metadata")] == [200, 200]
    finally:
        lab.exec("db1", "systemctl start postgresql@15-main")
    assert eventually(lambda: get("portal1", "/health")[0] == 200)


def test_every_portal_serves_tls_that_the_labs_ca_has_signed():
    context = ssl.create_default_context(cafile=str(lab.ca_certificate()))
    for host in ("portal1", "portal2"):
        plain = socket.create_connection((lab.address(host), 443), timeout=5)
        with context.wrap_socket(plain, server_hostname=lab.address(host)) as connection:
            names = connection.getpeercert()["subjectAltName"]
        assert ("DNS", host) in names


def test_a_published_version_is_pending_and_upgrades(portal):
    lab.publish(PortalVersion("1.0.0"), PortalVersion("1.2.0"), refresh=[portal])

    assert upgrade(portal).endswith("\n0\n")
    assert eventually(lambda: version_served(portal) == "1.2.0")


def test_an_unhealthy_version_leaves_its_unit_active(portal):
    lab.publish(PortalVersion("1.2.0", "unhealthy"), refresh=[portal])

    assert upgrade(portal).endswith("\n0\n")
    assert eventually(lambda: get(portal, "/health")[0] == 503)
    assert lab.exec(portal, "systemctl is-active ehr-portal") == "active\n"
    assert [get(portal, "/")[0], get(portal, "/live")[0]] == [500, 200]


def test_a_version_that_fails_in_postinst_leaves_the_package_half_configured(portal):
    lab.publish(PortalVersion("1.2.0", "failing_postinst"), refresh=[portal])

    assert upgrade(portal).endswith("\n100\n")
    assert "half-configured" in lab.exec(portal, "dpkg-query -W -f '${Status}' ehr-portal")


def test_a_version_can_ask_for_a_reboot(portal):
    lab.publish(PortalVersion("1.2.0", "reboot"), refresh=[portal])

    assert upgrade(portal).endswith("\n0\n")
    assert lab.exec(portal, "cat /run/reboot-required.pkgs") == "ehr-portal\n"


def test_a_version_can_want_another_package_away(portal):
    lab.publish(PortalVersion("1.2.0", "removes_another"), refresh=[portal])

    assert "Remv nginx-light" in lab.exec(portal, "apt-get --simulate install ehr-portal")


@pytest.mark.parametrize(("variant", "file"), [("conffile", "portal.ini"), ("debconf", "templates")])
def test_versions_can_ask_questions(portal, variant, file):
    lab.publish(PortalVersion("1.2.0", variant), refresh=[portal])

    listing = lab.exec(portal, "cd /tmp && apt-get download -qq ehr-portal && dpkg-deb -R ehr-portal_*.deb x && find x")
    assert file in listing
    if variant == "conffile":
        assert "shipped by the vendor" in lab.exec(portal, "cat /tmp/x/etc/ehr-portal/portal.ini")


def test_a_wrong_checksum_is_refused_by_apt(portal):
    lab.publish(PortalVersion("1.2.0"), wrong_checksums=["1.2.0"], refresh=[portal])

    said = upgrade(portal)
    assert said.endswith("\n100\n")
    assert "Hash Sum mismatch" in said


def test_an_unsigned_repository_is_refused_by_apt(portal):
    lab.publish(PortalVersion("1.2.0"), signed=False)

    said = lab.exec(portal, "apt-get update 2>&1; echo $?")
    assert "is not signed" in said or "no longer signed" in said
