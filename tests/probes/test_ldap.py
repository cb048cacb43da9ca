# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``ldap`` against OpenLDAP's slapd."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.support import servers

SLAPD, TREE = servers.program("slapd"), servers.tree("slapd")
pytestmark = pytest.mark.skipif(
    SLAPD is None or shutil.which("openssl") is None,
    reason="slapd or openssl is not here (Debian: slapd, openssl)",
)
BASE = "dc=hospital,dc=test"


class Directory(NamedTuple):
    """A running directory, and what trusts it."""

    process: subprocess.Popen[bytes]
    ports: dict[str, int]
    certificate: str

    def definition(self, security: str = "none", **options: Any) -> dict[str, Any]:
        at = {"host": "localhost", "address": "127.0.0.1", "port": self.ports[security], "security": security}
        return {"type": "ldap", **at, **({} if security == "none" else {"ca_file": self.certificate}), **options}


@pytest.fixture(scope="module")
def directory(
    tmp_path_factory: pytest.TempPathFactory,
    daemon: Callable[..., subprocess.Popen[bytes]],
    free_port: Callable[[], int],
) -> Directory:
    folder = tmp_path_factory.mktemp("slapd")
    plain, secured = free_port(), free_port()
    certificate, key = folder / "ldap.pem", folder / "ldap.key"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*make, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    config = folder / "slapd.conf"
    # The null backend takes every login of its root and shows no entry; the root DSE is the server's own.
    config.write_text(
        f"include {TREE}/etc/ldap/schema/core.schema\nmodulepath {TREE}/usr/lib/ldap\n"
        f"moduleload back_null\npidfile {folder}/pid\n"
        f"TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n"
        f'database null\nsuffix "{BASE}"\nrootdn "cn=probe,{BASE}"\nrootpw geheim\n'
    )
    addresses = f"ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{secured}/"
    process = daemon([str(SLAPD), "-d", "0", "-f", str(config), "-h", addresses], plain, folder / "log")
    return Directory(process, {"none": plain, "starttls": plain, "ldaps": secured}, str(certificate))


@pytest.fixture
def login(tmp_path) -> Callable[[str], dict[str, str]]:
    def make(password: str) -> dict[str, str]:
        path = tmp_path / password
        path.write_text(password + "\n")
        path.chmod(0o600)
        return {"bind_dn": f"cn=probe,{BASE}", "password_file": str(path)}

    return make


def test_a_healthy_directory_is_ok(directory, read):
    result = read(**directory.definition(attributes_equal={"namingContexts": BASE, "supportedLDAPVersion": "3"}))
    assert result["verdict"] == "ok", result["detail"]


@pytest.mark.parametrize("security", ["starttls", "ldaps"])
def test_a_login_over_tls_is_ok_and_a_wrong_one_failed(directory, read, login, security):
    result = read(**directory.definition(security, **login("geheim")))
    assert result["verdict"] == "ok", result["detail"]
    wrong = read(**directory.definition(security, **login("falsch")))
    assert (wrong["verdict"], "49 (invalid credentials)" in wrong["detail"]) == ("failed", True), wrong["detail"]
    stranger = read(**directory.definition(security, **{**login("geheim"), "host": "other.test"}))
    assert (stranger["verdict"], stranger["detail"][:4]) == ("failed", "TLS:")


def test_a_directory_that_says_something_else_is_failed(directory, read):
    result = read(**directory.definition(attributes_equal={"namingContexts": "dc=other"}))
    assert (result["verdict"], result["detail"]) == ("failed", "namingContexts is not 'dc=other'")
    assert "32 (no such object)" in read(**directory.definition(entry="dc=elsewhere"))["detail"]


def test_a_directory_that_does_not_answer_is_inconclusive_and_an_absent_one_failed(directory, read, stopped, free_port):
    with stopped(directory.process):
        assert read(**directory.definition(timeout_s=1))["verdict"] == "inconclusive"
    assert read(**directory.definition(port=free_port()))["verdict"] == "failed"
