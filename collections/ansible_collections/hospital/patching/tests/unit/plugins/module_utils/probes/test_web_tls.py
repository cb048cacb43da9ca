# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``http`` over TLS, against real certificates."""

import shutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture
def tls_server(serve_tls, make_certificate):
    certificate = make_certificate("portal.test")

    def serve(secured, stop):
        secured.recv(65536)
        secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return serve_tls(certificate, serve), certificate[0]


def read(make_context, port, host="portal.test", **options):
    url = "https://{}:{}/".format(host, port)
    definition = dict(options, name="portal", type="http", url=url, address="127.0.0.1")
    return registry.build(definition, make_context()).read()


@needs_openssl
def test_a_trusted_certificate_is_ok(make_context, tls_server):
    port, certificate = tls_server
    assert read(make_context, port, ca_file=certificate)["verdict"] == "ok"


@needs_openssl
def test_an_untrusted_certificate_is_failed(make_context, tls_server):
    port, _certificate = tls_server
    result = read(make_context, port)
    assert result["verdict"] == "failed"
    assert result["detail"].startswith("TLS: ")


@needs_openssl
def test_a_certificate_of_another_name_is_failed(make_context, tls_server):
    port, certificate = tls_server
    assert read(make_context, port, host="other.test", ca_file=certificate)["verdict"] == "failed"
