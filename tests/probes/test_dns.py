# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``dns`` against dnsmasq."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.support import servers

DNSMASQ = servers.program("dnsmasq")
pytestmark = pytest.mark.skipif(DNSMASQ is None, reason="dnsmasq is not here (Debian: dnsmasq-base)")


class NameServer(NamedTuple):
    """A running name server."""

    process: subprocess.Popen[bytes]
    port: int

    def definition(self, query: str, **options: Any) -> dict[str, Any]:
        return {"type": "dns", "host": "127.0.0.1", "port": self.port, "query": query, **options}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    daemon: Callable[..., subprocess.Popen[bytes]],
    free_port: Callable[[], int],
) -> NameServer:
    port = free_port()
    many = [f"--host-record=many.hospital.test,10.0.1.{number}" for number in range(200)]
    command = [
        *(str(DNSMASQ), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"),
        *(f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/hospital.test/"),
        *("--host-record=portal.hospital.test,10.0.0.9,2001:db8::9", "--pid-file="),
        *("--cname=www.hospital.test,portal.hospital.test", "--txt-record=hospital.test,v=1 all"),
        *("--srv-host=_ldap._tcp.hospital.test,dc1.hospital.test,389", "--mx-host=hospital.test,mail.hospital.test"),
        *("--ptr-record=9.0.0.10.in-addr.arpa,portal.hospital.test", *many),
    ]
    return NameServer(daemon(command, port, tmp_path_factory.mktemp("dnsmasq") / "log"), port)


@pytest.mark.parametrize(
    ("query", "record_type", "expected"),
    [
        ("portal.hospital.test", "A", "10.0.0.9"),
        ("PORTAL.hospital.test.", "AAAA", "2001:db8::9"),
        ("www.hospital.test", "A", "10.0.0.9"),
        ("www.hospital.test", "CNAME", "portal.hospital.test"),
        ("_ldap._tcp.hospital.test", "SRV", "dc1.hospital.test:389"),
        ("hospital.test", "MX", "mail.hospital.test"),
        ("hospital.test", "TXT", "v=1 all"),
        ("9.0.0.10.in-addr.arpa", "PTR", "portal.hospital.test"),
        ("many.hospital.test", "A", "10.0.1.199"),  # too long for one datagram
    ],
)
def test_a_healthy_server_is_ok(server, read, query, record_type, expected):
    result = read(**server.definition(query, record_type=record_type, expected=[expected]))
    assert result["verdict"] == "ok", result["detail"]


def test_a_name_that_is_gone_and_another_value_are_failed(server, read):
    assert "NXDOMAIN" in read(**server.definition("gone.hospital.test"))["detail"]
    assert "REFUSED" in read(**server.definition("example.org"))["detail"]
    result = read(**server.definition("portal.hospital.test", expected=["10.0.0.8"]))
    assert (result["verdict"], result["detail"]) == ("failed", "portal.hospital.test A is not 10.0.0.8")


def test_a_server_that_does_not_answer_is_inconclusive_and_an_absent_one_failed(server, read, stopped, free_port):
    with stopped(server.process):
        assert read(**server.definition("portal.hospital.test", timeout_s=1))["verdict"] == "inconclusive"
    assert read(**server.definition("portal.hospital.test", port=free_port()))["verdict"] == "failed"
