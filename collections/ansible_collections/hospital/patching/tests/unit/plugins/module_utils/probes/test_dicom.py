# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``dicom`` against a real DICOM server that is healthy, slow, broken or absent."""

import json
import shutil
import ssl
import sys
import threading
import time

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.dicom import STUDY_ROOT_FIND, VERIFICATION

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


def defined(port, **options):
    wanted = {"name": "pacs", "type": "dicom", "host": "127.0.0.1", "port": port, "called_ae_title": "ARCHIVE"}
    return dict(wanted, **options)


@pytest.fixture
def read(make_context):
    def run(port, segments=(), **options):
        return registry.build(defined(port, **options), make_context(segments)).read()

    return run


@pytest.fixture
def archive():
    """Start a real server; yields a starter that takes handlers by event and returns the port."""
    pynetdicom = pytest.importorskip("pynetdicom", reason="the Python library pynetdicom is not here")
    servers = []

    def start(
        echo=lambda event: 0x0000, find=None, titles=False, contexts=(VERIFICATION, STUDY_ROOT_FIND), secured_by=None
    ):
        entity = pynetdicom.AE(ae_title="ARCHIVE")
        entity.require_called_aet = titles
        for context in contexts:
            entity.add_supported_context(context)
        handlers = [(pynetdicom.evt.EVT_C_ECHO, echo)]
        if find:
            handlers.append((pynetdicom.evt.EVT_C_FIND, find))
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=secured_by)
        servers.append(server)
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()


def studies(count, seen=None):
    def find(event):
        from pydicom import Dataset  # noqa: PLC0415 - only there where pynetdicom is

        if seen is not None:
            seen.append(event.identifier)
        for number in range(count):
            study = Dataset()
            study.StudyInstanceUID = "1.2.{}".format(number)
            study.PatientName = "secret"
            yield 0xFF00, study

    return find


def test_a_healthy_archive_is_ok(archive, read):
    result = read(archive())
    assert (result["verdict"], sorted(result["value"])) == ("ok", ["latency_ms"])


@needs_openssl
def test_a_secured_connection_is_checked(archive, make_certificate, read):
    certificate = make_certificate("pacs.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    port = archive(secured_by=context)
    wanted = {"tls": True, "host": "pacs.test", "address": "127.0.0.1"}
    result = read(port, ca_file=certificate[0], **wanted)
    assert result["verdict"] == "ok", result["detail"]
    assert read(port, **wanted)["detail"].startswith("TLS: ")
    assert read(port)["verdict"] != "ok"


def test_studies_are_counted_and_nothing_else_is_kept(archive, read):
    seen = []
    result = read(archive(find=studies(5, seen)), studies_at_least=3)
    assert (result["verdict"], result["value"]["studies"]) == ("ok", 3)
    assert sorted(element.keyword for element in seen[0]) == ["QueryRetrieveLevel", "StudyDate", "StudyInstanceUID"]
    few = read(archive(find=studies(2)), studies_at_least=3)
    assert (few["verdict"], few["value"]["studies"]) == ("failed", 2)
    assert "secret" not in json.dumps([result, few])


def test_an_archive_whose_database_is_gone_answers_echo_and_is_failed(archive, read):
    def find(event):
        yield 0xA700, None

    port = archive(find=find)
    assert read(port)["verdict"] == "ok"
    result = read(port, studies_at_least=1)
    assert (result["verdict"], result["detail"]) == ("failed", "C-FIND was answered with status 0xA700")


def test_a_broken_archive_is_failed(archive, read):
    assert "0x0122" in read(archive(echo=lambda event: 0x0122))["detail"]
    other = read(archive(titles=True), called_ae_title="ANOTHER")
    assert other["verdict"] == "failed"
    assert "rejected: Called AE title not recognised" in other["detail"]
    assert (
        "without verification"
        in read(archive(contexts=[STUDY_ROOT_FIND]))["detail"]
        + read(archive(contexts=[STUDY_ROOT_FIND]), studies_at_least=1)["detail"]
    )
    assert "does not offer to find" in read(archive(contexts=[VERIFICATION]), studies_at_least=1)["detail"]


def test_a_rejection_is_told_where_the_library_looks_after_the_connection_has_ended(archive, read, monkeypatch):
    acse = pytest.importorskip("pynetdicom.acse", reason="the Python library pynetdicom is not here")
    send = acse.ACSE.send_request

    def send_and_be_starved(self):
        send(self)
        time.sleep(0.5)

    monkeypatch.setattr(acse.ACSE, "send_request", send_and_be_starved)
    result = read(archive(titles=True), called_ae_title="ANOTHER")
    assert (result["verdict"], "rejected: Called AE title not recognised" in result["detail"]) == ("failed", True)


# The library's thread ends of what it does not know.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (b"\x01\x01\xc8", "source 1, reason 200, which the standard does not know"),
        (b"\x01\x09\x01", "source 9, reason 1, which the standard does not know"),
        (b"\x09\x01\x07", "Called AE title not recognised"),
        (b"\x01\x01\x04", "Reserved"),
    ],
)
def test_a_rejection_that_the_library_does_not_understand_is_a_rejection(listener, archive, read, numbers, said):
    def reject(connection, stop):
        if connection.recv(4096):
            connection.sendall(b"\x03\x00\x00\x00\x00\x04\x00" + numbers)

    result = read(listener(reject), timeout_s=1)
    assert (result["verdict"], result["detail"]) == ("failed", "the association was rejected: " + said)


def test_what_is_no_archive_is_failed(listener, archive, read):
    assert read(listener(lambda connection, stop: connection.recv(10)))["verdict"] == "failed"
    assert read(listener(lambda connection, stop: connection.sendall(b"SSH-2.0-OpenSSH\r\n")))["verdict"] == "failed"


def test_a_slow_archive_is_inconclusive(archive, listener, read_impatiently):
    release = threading.Event()

    def wait(_event):
        release.wait(10)
        return 0x0000

    try:
        port = archive(echo=wait)
        assert read_impatiently(defined(port))["verdict"] == "inconclusive"
    finally:
        release.set()
    assert read_impatiently(defined(listener(lambda connection, stop: stop.wait(20))))["verdict"] == "inconclusive"


def test_half_an_answer_keeps_no_thread_of_the_library_waiting(archive, listener, read_impatiently):
    given_up = []

    def serve(connection, stop):
        if connection.recv(1):  # the first connection only shows that there is one
            connection.sendall(b"\x02\x00\x00\x00\x01")
            stop.wait(20)
            given_up.append(1)

    before = threading.enumerate()
    assert read_impatiently(defined(listener(serve)))["verdict"] != "ok"
    # One that is no daemon would keep the module alive for as long as the server likes.
    left = [thread for thread in threading.enumerate() if thread not in before]
    librarys = [thread for thread in left if type(thread).__module__.startswith("pynetdicom")]
    for thread in librarys:
        thread.join(10)  # on a busy machine it takes a moment to see that it was ended
    assert not [thread for thread in librarys if thread.is_alive()]
    assert given_up == []


def test_an_absent_archive_is_failed_and_a_device_is_not_connected_to(archive, read, closed_port):
    assert read(closed_port)["verdict"] == "failed"
    assert read(archive(), segments=["127.0.0.0/8"])["verdict"] == "inconclusive"


def test_without_the_library_it_is_inconclusive_and_says_so(read, monkeypatch, closed_port):
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    result = read(closed_port)
    assert result["verdict"] == "inconclusive"
    assert "pynetdicom is missing" in result["detail"]


@pytest.mark.parametrize(
    "options",
    [
        {"called_ae_title": "SEVENTEEN-LETTERS"},
        {"called_ae_title": " "},
        {"called_ae_title": "A\\B"},
        {"called_ae_title": None},
        {"studies_at_least": -1},
        {"studies_of_days": 0},
        {"ae_title": "A"},
    ],
)
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError):
        registry.check(defined(104, **options))
