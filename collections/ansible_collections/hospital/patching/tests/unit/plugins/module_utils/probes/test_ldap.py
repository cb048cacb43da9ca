# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``ldap`` against a small real directory that is healthy, slow, broken or absent."""

import json
import shutil
import ssl

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import ldap_message as messages
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
SYNCHRONIZED = {"isSynchronized": ["TRUE"], "namingContexts": ["DC=hospital,DC=test", "DC=other"]}


def result(number, tag, code):
    return tagged(0x30, tagged(2, bytes([number])) + tagged(tag, tagged(0x0A, bytes([code])) + tagged(4, b"") * 2))


def entry(number, attributes):
    listed = b"".join(
        tagged(0x30, tagged(4, name.encode()) + tagged(0x31, b"".join(tagged(4, one.encode()) for one in values)))
        for name, values in attributes.items()
    )
    return tagged(0x30, tagged(2, bytes([number])) + tagged(messages.ENTRY, tagged(4, b"") + tagged(0x30, listed)))


def tagged(tag, content):
    """As real servers write lengths: short where it fits, else two bytes of length."""
    size = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2, "big")
    return bytes([tag]) + size + content


def received(connection):
    """Return number and operation of the next message, or None at the end."""
    head = connection.recv(2)
    if len(head) < 2:
        return None
    size = head[1]
    if size & 0x80:
        size = int.from_bytes(connection.recv(size & 0x7F), "big")
    return messages.message(connection.recv(size))


class Directory:
    """Answers binds, StartTLS and searches of the root DSE."""

    def __init__(self, attributes=None, bind_code=0, search_code=0, certificate=None, show=True):
        self.attributes = SYNCHRONIZED if attributes is None else attributes
        self.bind_code, self.search_code, self.show = bind_code, search_code, show
        self.certificate = certificate
        self.binds = []

    def serve(self, connection, stop):
        while True:
            got = received(connection)
            if got is None or got[1].tag == messages.UNBIND:
                return
            number, operation = got
            if operation.tag == messages.BIND:
                version, name, password = messages.elements(operation.content)
                self.binds.append((version.content, name.content.decode(), password.content.decode()))
                connection.sendall(result(number, messages.BIND_ANSWER, self.bind_code))
            elif operation.tag == messages.SEARCH:
                if self.show:
                    connection.sendall(entry(number, self.attributes))
                connection.sendall(result(number, messages.DONE, self.search_code))
            else:
                connection.sendall(result(number, messages.EXTENDED_ANSWER, 0 if self.certificate else 2))
                if self.certificate:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(*self.certificate)
                    with context.wrap_socket(connection, server_side=True) as secured:
                        self.serve(secured, stop)
                    return


def defined(port, **options):
    return dict({"name": "dc1", "type": "ldap", "host": "dc1.test", "address": "127.0.0.1", "port": port}, **options)


@pytest.fixture
def read(make_context):
    def run(port, segments=(), **options):
        return registry.build(defined(port, **options), make_context(segments)).read()

    return run


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text("geheim\n")
    path.chmod(0o600)
    return str(path)


def test_a_healthy_directory_is_ok(listener, read):
    directory = Directory()
    equal = {"isSynchronized": "true", "namingcontexts": "DC=hospital,DC=test"}
    outcome = read(listener(directory.serve), attributes_equal=equal)
    assert (outcome["verdict"], sorted(outcome["value"])) == ("ok", ["latency_ms"])
    assert directory.binds == [(b"\x03", "", "")]


@needs_openssl
@pytest.mark.parametrize("security", ["ldaps", "starttls"])
def test_a_login_goes_over_tls(listener, serve_tls, make_certificate, read, password_file, security):
    certificate = make_certificate("dc1.test")
    directory = Directory(certificate=certificate)
    port = serve_tls(certificate, directory.serve) if security == "ldaps" else listener(directory.serve)
    login = {"bind_dn": "CN=probe,DC=hospital", "password_file": password_file, "security": security}
    outcome = read(port, ca_file=certificate[0], **login)
    assert outcome["verdict"] == "ok", outcome["detail"]
    assert directory.binds == [(b"\x03", "CN=probe,DC=hospital", "geheim")]
    assert "geheim" not in json.dumps(outcome)
    assert read(port, **login)["detail"].startswith("TLS: ")
    assert len(directory.binds) == 1  # nothing was said to one that is not trusted


@needs_openssl
def test_a_login_that_is_refused_is_failed_and_not_tried_again(
    serve_tls, make_certificate, make_context, password_file
):
    certificate = make_certificate("dc1.test")
    directory = Directory(bind_code=49)
    port = serve_tls(certificate, directory.serve)
    login = {"bind_dn": "CN=probe", "password_file": password_file, "security": "ldaps", "ca_file": certificate[0]}
    probe = registry.build(defined(port, **login), make_context())
    for _time in range(3):
        outcome = probe.read()
        assert outcome["verdict"] == "failed"
        assert "49 (invalid credentials)" in outcome["detail"]
    assert len(directory.binds) == 1


@pytest.mark.parametrize(
    ("directory", "detail"),
    [
        (Directory(bind_code=52), "52 (unavailable)"),
        (Directory(search_code=51), "51 (busy)"),
        (Directory(attributes={"isSynchronized": ["FALSE secret"]}), "isSynchronized is not 'TRUE'"),
        (Directory(attributes={}), "isSynchronized is not 'TRUE'"),
        (Directory(show=False), "does not show its root DSE"),
    ],
)
def test_a_broken_directory_is_failed(listener, read, directory, detail):
    outcome = read(listener(directory.serve), attributes_equal={"isSynchronized": "TRUE"})
    assert outcome["verdict"] == "failed"
    assert detail in outcome["detail"]
    assert "secret" not in json.dumps(outcome)


def test_no_starttls_is_failed(listener, read):
    assert "StartTLS was answered with 2" in read(listener(Directory().serve), security="starttls")["detail"]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"", "failed"),
        (b"SSH-2.0-secret\r\n", "failed"),
        (b"0\x05\x02\x01\x02", "failed"),
        (b"0\x03\x02\x01\x02", "failed"),
        (b"0\x0c\x02\x01\x02a\x07secret!", "failed"),
        (b"0\x85\x01\x01\x01\x01\x01", "failed"),
        (result(0, messages.EXTENDED_ANSWER, 52), "failed"),
        (result(2, messages.DONE, 0), "failed"),
        (b"0\x84\x40\x00\x00\x00" + b"secret" * 100, "inconclusive"),  # says to be 1 GB
    ],
)
def test_a_wrong_answer_is_told_by_its_kind_only(listener, read, answer, verdict):
    def serve(connection, stop):
        connection.recv(4096)
        connection.sendall(answer)

    outcome = read(listener(serve))
    assert outcome["verdict"] == verdict
    assert "secret" not in json.dumps(outcome)


def test_a_silent_directory_is_inconclusive_and_an_absent_one_failed(listener, read, read_impatiently, closed_port):
    port = listener(lambda connection, stop: stop.wait(20))
    assert read_impatiently(defined(port))["verdict"] == "inconclusive"
    assert read(closed_port)["verdict"] == "failed"
    assert read(port, ["127.0.0.0/8"])["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("content", "mode", "detail"), [("x", 0o640, "open to others"), ("", 0o600, "empty"), (None, 0, "cannot be read")]
)
def test_a_password_file_that_is_not_fit_is_inconclusive(read, closed_port, tmp_path, content, mode, detail):
    path = tmp_path / "unfit"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    outcome = read(closed_port, bind_dn="CN=probe", password_file=str(path), security="ldaps")
    assert outcome["verdict"] == "inconclusive"
    assert detail in outcome["detail"]


def test_the_port_follows_from_the_security():
    for security, port in (("none", 389), ("starttls", 389), ("ldaps", 636)):
        assert registry.targets(defined(None, security=security)) == [("127.0.0.1", port)]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"bind_dn": "CN=a"}, "both"),
        ({"password_file": "/a"}, "both"),
        ({"bind_dn": "CN=a", "password_file": "/a"}, "without TLS"),
        ({"ca_file": "/a"}, "without TLS"),
        ({"password": "geheim"}, "unknown option password; expected only .*password_file"),
        ({"security": "ssl"}, "security"),
    ],
)
def test_a_bad_definition_is_refused(options, named):
    with pytest.raises(PatchingError, match=named) as caught:
        registry.check(defined(389, **options))
    assert "geheim" not in str(caught.value)
