# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``hl7_mllp`` against a real listener that is healthy, slow, broken or absent."""

import json
import shutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
MESSAGE = "MSH|^~\\&|PATCHING|IT|ENGINE|LAB|||NMD^N02||T|2.5.1\nNCK|20261122070000"


def defined(port, **options):
    return dict(
        {"message": MESSAGE, "name": "engine", "type": "hl7_mllp", "host": "127.0.0.1", "port": port}, **options
    )


@pytest.fixture
def read(make_context):
    def run(port, segments=(), **options):
        return registry.build(defined(port, **options), make_context(segments)).read()

    return run


def receive(connection):
    """Return one whole message, as a receiver reads it."""
    data = b""
    while not data.endswith(b"\x1c\r"):
        data += connection.recv(4096)
    return data[1:-2].decode().rstrip("\r").split("\r")


def acknowledge(code="AA", control_id=None, pieces=1, seen=None):
    def serve(connection, stop):
        message = receive(connection)
        if seen is not None:
            seen.append(message)
        told = control_id or message[0].split("|")[9]
        text = "MSH|^~\\&|ENGINE|LAB|PATCHING|IT|20261122||ACK^N02|9|T|2.5.1\rMSA|{}|{}\r".format(code, told)
        frame = b"\x0b" + text.encode() + b"\x1c\r"
        size = len(frame) // pieces + 1
        for start in range(0, len(frame), size):
            connection.sendall(frame[start : start + size])

    return serve


def test_a_message_that_is_acknowledged_is_ok(listener, read):
    seen = []
    result = read(listener(acknowledge(pieces=5, seen=seen)))
    assert result["verdict"] == "ok"
    assert result["value"]["ack_code"] == "AA"
    assert len(seen[0]) == 2
    assert seen[0][1] == "NCK|20261122070000"


@needs_openssl
def test_a_secured_connection_is_checked(serve_tls, make_certificate, read):
    certificate = make_certificate("engine.test")
    seen = []
    port = serve_tls(certificate, acknowledge(seen=seen))
    wanted = {"tls": True, "host": "engine.test", "address": "127.0.0.1"}
    assert read(port, ca_file=certificate[0], **wanted)["verdict"] == "ok"
    assert read(port, **wanted)["detail"].startswith("TLS: ")
    assert len(seen) == 1  # nothing was sent to one that is not trusted


def test_each_message_has_a_control_id_of_its_own(listener, read):
    seen = []
    port = listener(acknowledge(seen=seen))
    assert [read(port)["verdict"], read(port)["verdict"]] == ["ok", "ok"]
    first, second = (message[0].split("|")[9] for message in seen)
    assert first != second
    assert len(first) == 20  # the longest that versions before 2.7 allow


def test_another_code_is_failed_unless_agreed(listener, read):
    result = read(listener(acknowledge("AE")))
    assert (result["verdict"], result["value"]["ack_code"]) == ("failed", "AE")
    assert "AE, expected AA" in result["detail"]
    assert read(listener(acknowledge("CA")), ack_codes=["AA", "CA"])["verdict"] == "ok"


def test_the_acknowledgement_of_another_message_is_failed(listener, read):
    result = read(listener(acknowledge(control_id="HP0")))
    assert result["verdict"] == "failed"
    assert "another message" in result["detail"]


def test_a_slow_acknowledgement_is_failed_by_its_limit(listener, read):
    result = read(listener(acknowledge()), latency_limit_ms=-1)
    assert result["verdict"] == "failed"
    assert "limit" in result["detail"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\nsecret",
        b"\x0bMSH|^~\\&|A\rPID|1||secret\x1c\r",
        b"\x0bMSH|^~\\&|A\rMSA|AA|",
        b"\x0bsecret\x1c\r",
        b"\x0b" + b"secret" * 20000,
    ],
)
def test_a_wrong_answer_is_failed_without_telling_it(listener, read, answer):
    def serve(connection, stop):
        receive(connection)
        connection.sendall(answer)

    result = read(listener(serve))
    assert result["verdict"] == "failed"
    assert "secret" not in json.dumps(result)


def test_a_message_that_nobody_acknowledges_is_inconclusive(listener, read_impatiently):
    port = listener(lambda connection, stop: stop.wait(20))
    assert read_impatiently(defined(port))["verdict"] == "inconclusive"


def test_an_answer_that_drips_is_ended_by_the_time_limit(listener, read_impatiently):
    def serve(connection, stop):
        connection.sendall(b"\x0b")
        while not stop.wait(0.05):
            connection.sendall(b"x")

    result = read_impatiently(defined(listener(serve)))
    assert (result["verdict"], result["detail"]) == ("inconclusive", "no whole answer in time")


def test_an_absent_engine_is_failed(read, closed_port):
    assert read(closed_port)["verdict"] == "failed"


def test_a_device_is_sent_nothing(listener, read):
    seen = []
    port = listener(acknowledge(seen=seen))
    assert read(port, segments=["127.0.0.0/8"])["verdict"] == "inconclusive"
    assert seen == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"message": MESSAGE + "\nPID|1||4711^^^HOSP||Doe^Jane"}, "PID"),
        ({"message": MESSAGE.replace("|T|", "|P|")}, "MSH-11 'P'"),
        ({"message": "hello"}, "MSH"),
        ({"message": MESSAGE, "ack_codes": ["OK"]}, "OK"),
        ({"message": MESSAGE, "port": 0}, "port 0"),
        ({"message": MESSAGE, "ca_file": "/a.pem"}, "ca_file without tls"),
        ({"message": MESSAGE, "mesage": ""}, "only .*message"),
        ({}, "message"),
    ],
)
def test_a_bad_definition_is_refused(options, named):
    with pytest.raises(PatchingError, match=named) as caught:
        registry.check(dict({"name": "engine", "type": "hl7_mllp", "host": "engine1", "port": 6661}, **options))
    assert "Jane" not in str(caught.value)
