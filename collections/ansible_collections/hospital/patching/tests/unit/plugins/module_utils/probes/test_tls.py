# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``tls`` against real certificates, by a clock that the test owns."""

import shutil
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


class LaterClock(Clock):
    """The machine's clock, some days on: only what counts days sees it."""

    def __init__(self, days):
        self.days = days

    def now(self):
        return super().now() + timedelta(days=self.days)


def defined(port, **options):
    wanted = {"name": "certificate", "type": "tls", "host": "portal.test", "port": port}
    return dict(wanted, **options)


@pytest.fixture
def server(serve_tls, make_certificate):
    certificate = make_certificate("portal.test", days=30)
    return serve_tls(certificate, lambda secured, stop: secured.recv(1)), certificate[0]


@pytest.fixture
def read(make_context, server):
    port, certificate = server

    def run(days_on=0, **options):
        context = make_context()._replace(clock=LaterClock(days_on))
        definition = defined(port, **dict({"address": "127.0.0.1", "ca_file": certificate}, **options))
        return registry.build(definition, context).read()

    return run


@needs_openssl
def test_a_trusted_certificate_with_days_left_is_ok(read):
    result = read()
    assert result["verdict"] == "ok"
    assert (result["value"]["days_left"], result["value"]["protocol"][:4]) == (29, "TLSv")


@needs_openssl
@pytest.mark.parametrize(("days_on", "days_left", "verdict"), [(22, 7, "ok"), (23, 6, "failed"), (31, -2, "failed")])
def test_the_days_left_are_compared(read, days_on, days_left, verdict):
    result = read(days_on)
    assert (result["verdict"], result["value"]["days_left"]) == (verdict, days_left)


@needs_openssl
def test_one_that_expires_tonight_is_failed_and_says_when(read):
    result = read(29.5)
    assert "in 0 days; expected are at least 7" in result["detail"]
    assert result["value"]["not_after"] in result["detail"]
    assert read(29.5, days_left_at_least=0)["verdict"] == "ok"


@needs_openssl
def test_an_untrusted_one_and_one_of_another_name_are_failed(read):
    assert read(ca_file=None)["detail"].startswith("TLS: ")
    assert read(host="other.test")["detail"].startswith("TLS: ")
    assert read(server_name="other.test")["verdict"] == "failed"
    assert read(host="127.0.0.1", server_name="portal.test")["verdict"] == "ok"


def test_what_speaks_no_tls_is_failed_and_what_hangs_is_not(listener, make_context, read_impatiently, closed_port):
    plain = listener(lambda connection, stop: connection.sendall(b"220 mail.test ESMTP\r\n"))
    at = {"address": "127.0.0.1"}
    assert registry.build(defined(plain, **at), make_context()).read()["verdict"] == "failed"
    assert registry.build(defined(closed_port, **at), make_context()).read()["verdict"] == "failed"
    hangs = listener(lambda connection, stop: stop.wait(20))
    assert read_impatiently(defined(hangs, **at))["verdict"] == "inconclusive"


@pytest.mark.parametrize("options", [{"days_left_at_least": -1}, {"port": 70000}, {"host": None}, {"verify": False}])
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError):
        registry.check(dict(defined(443), **options))
