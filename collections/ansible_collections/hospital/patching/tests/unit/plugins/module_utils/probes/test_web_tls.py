# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``http`` over TLS, against real certificates."""

import shutil
import ssl
import subprocess

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


def make_certificate(folder, name):
    certificate, key = str(folder / (name + ".pem")), str(folder / (name + ".key"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate]
        + ["-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return certificate, key


@pytest.fixture
def tls_server(listener, tmp_path):
    certificate, key = make_certificate(tmp_path, "portal.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(connection, stop):
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return listener(serve), certificate


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
