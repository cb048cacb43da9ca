# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes ``http``, ``fhir``, ``tls`` and ``tcp`` against nginx."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.support import servers

NGINX = servers.program("nginx")
pytestmark = pytest.mark.skipif(
    NGINX is None or shutil.which("openssl") is None,
    reason="nginx or openssl is not here (Debian: nginx-light, openssl)",
)
GIGABYTE = 1024**3
UP = {"status": "UP", "components": [{"name": "db", "status": "UP"}]}
STATEMENT = {"resourceType": "CapabilityStatement", "status": "active", "fhirVersion": "4.0.1"}


class Site(NamedTuple):
    """A running web server, and what trusts it."""

    process: subprocess.Popen[bytes]
    port: int
    tls_port: int
    certificate: str

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    daemon: Callable[..., subprocess.Popen[bytes]],
    free_port: Callable[[], int],
) -> Site:
    folder = tmp_path_factory.mktemp("nginx")
    root = folder / "root"
    (root / "fhir").mkdir(parents=True)
    (root / "health").write_text(json.dumps(UP))
    (root / "broken").write_text("<html>Database connection failed for Geheim, Anna</html>")
    (root / "fhir" / "metadata").write_text(json.dumps(STATEMENT))
    with (root / "huge").open("wb") as huge:
        os.truncate(huge.fileno(), GIGABYTE)  # a hole: no space is used
    certificate, key = folder / "web.pem", folder / "web.key"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "10", "-subj", "/CN=portal.test", "-addext", "subjectAltName=DNS:portal.test"]
    subprocess.run([*make, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    port, tls_port = free_port(), free_port()
    temporary = "".join(
        f"{name}_temp_path {folder}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error;\nevents {{}}\n"
        f"http {{ access_log off; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port}; root {root}; location /away {{ return 302 http://127.0.0.2/; }}\n"
        "location /down { return 503; } }\n"
        f"server {{ listen 127.0.0.1:{tls_port} ssl; root {root};\n"
        f"ssl_certificate {certificate}; ssl_certificate_key {key}; }} }}\n"
    )
    command = [str(NGINX), "-p", str(folder), "-e", f"{folder}/error", "-c", str(folder / "nginx.conf")]
    return Site(daemon(command, port, folder / "log"), port, tls_port, str(certificate))


def test_a_healthy_page_is_ok(site, read):
    good = ["status == 'UP'", "length(components[?status != 'UP']) == `0`"]
    result = read(type="http", url=site.url("/health"), jmespath=good, latency_limit_ms=5000)
    assert result["verdict"] == "ok", result["detail"]
    assert read(type="fhir", url=site.url("/fhir"), fhir_version="4.0.1")["verdict"] == "ok"
    assert read(type="tcp", host="127.0.0.1", port=site.port)["verdict"] == "ok"


def test_an_error_page_with_status_200_is_failed_and_not_quoted(site, read):
    for judge in ({"jmespath": ["status == 'UP'"]}, {"text_regexp": "Welcome"}, {"json_equal": {"status": "UP"}}):
        result = read(type="http", url=site.url("/broken"), **judge)
        assert (result["verdict"], result["value"]["status"]) == ("failed", 200)
        assert "Geheim" not in json.dumps(result)
    assert read(type="fhir", url=site.url("/"))["verdict"] == "failed"


def test_a_broken_and_a_moved_page_are_failed(site, read):
    assert "status 503" in read(type="http", url=site.url("/down"))["detail"]
    assert "status 302" in read(type="http", url=site.url("/away"))["detail"]


def test_an_answer_of_a_gigabyte_is_cut_off(site, read):
    result = read(type="http", url=site.url("/huge"), text_regexp="Welcome")
    assert (result["verdict"], result["value"]["bytes"]) == ("inconclusive", 1024**2)
    assert "longer than 1048576 bytes" in result["detail"]
    result = read(type="http", url=site.url("/huge"))  # only the status counts
    assert (result["verdict"], result["value"]["bytes"]) == ("ok", 1024**2)


def test_a_certificate_is_judged_by_chain_name_and_days(site, read):
    wanted = {"type": "tls", "host": "portal.test", "address": "127.0.0.1", "port": site.tls_port}
    result = read(**wanted, ca_file=site.certificate)
    assert (result["verdict"], result["value"]["days_left"]) == ("ok", 9), result["detail"]
    assert (
        "in 9 days; expected are at least 14"
        in read(**wanted, ca_file=site.certificate, days_left_at_least=14)["detail"]
    )
    assert read(**wanted)["detail"].startswith("TLS: ")
    assert read(**{**wanted, "host": "other.test"}, ca_file=site.certificate)["detail"].startswith("TLS: ")
    assert read(**{**wanted, "port": site.port}, ca_file=site.certificate)["verdict"] == "failed"


def test_a_page_over_tls_is_ok(site, read):
    url = f"https://portal.test:{site.tls_port}/health"
    result = read(type="http", url=url, address="127.0.0.1", ca_file=site.certificate, json_equal={"status": "UP"})
    assert result["verdict"] == "ok", result["detail"]


def test_a_server_that_does_not_answer_is_inconclusive_and_an_absent_one_failed(site, read, stopped, free_port):
    tls = {"type": "tls", "host": "127.0.0.1", "timeout_s": 1}
    with stopped(site.process):
        assert read(type="http", url=site.url("/health"), timeout_s=1)["verdict"] == "inconclusive"
        assert read(type="fhir", url=site.url("/fhir"), timeout_s=1)["verdict"] == "inconclusive"
        assert read(**tls, port=site.tls_port)["verdict"] == "inconclusive"
    gone = free_port()
    assert read(type="http", url=f"http://127.0.0.1:{gone}/")["verdict"] == "failed"
    assert read(**tls, port=gone)["verdict"] == "failed"
