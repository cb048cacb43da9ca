# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``dns`` against a small real server over UDP and TCP that is healthy, slow, broken or absent."""

import contextlib
import socket
import struct
import threading

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import dns, registry


def reply(question, flags=0x8180, addresses=("10.0.0.9",)):
    """Return the answer to a question, with these addresses."""
    message = bytearray(question)
    struct.pack_into("!H", message, 2, flags)
    struct.pack_into("!H", message, 6, len(addresses))
    for address in addresses:
        message += b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + socket.inet_aton(address)
    return bytes(message)


@pytest.fixture
def name_server():
    """Answer datagrams, and questions over TCP on the same port, by functions of the question."""
    held, threads = [], []

    def start(by_udp, by_tcp=None):
        udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        tcp.listen(1)
        held.extend([udp, tcp])

        def datagrams():
            while True:
                question, peer = udp.recvfrom(512)
                if not question:
                    return
                for packet in by_udp(question):
                    udp.sendto(packet, peer)

        def streams():
            with contextlib.suppress(OSError):
                connection, _peer = tcp.accept()
                with connection:
                    answer = by_tcp(connection.recv(512)[2:])
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

        for run in (datagrams, streams) if by_tcp else (datagrams,):
            threads.append(threading.Thread(target=run))
            threads[-1].start()
        return tcp.getsockname()[1]

    yield start
    for one in held:
        if one.type == socket.SOCK_DGRAM:
            one.sendto(b"", one.getsockname())
        else:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(10)
    for one in held:
        one.close()


def defined(port, **options):
    wanted = {"name": "dns1", "type": "dns", "host": "127.0.0.1", "port": port, "query": "portal.hospital.test"}
    return dict(wanted, **options)


@pytest.fixture
def read(make_context):
    def run(port, segments=(), **options):
        return registry.build(defined(port, **options), make_context(segments)).read()

    return run


def test_a_server_that_answers_is_ok(name_server, read):
    port = name_server(lambda question: [reply(question, addresses=("10.0.0.9", "10.0.0.8"))])
    result = read(port, expected=["10.0.0.8"])
    assert result["verdict"] == "ok"
    assert (result["value"]["code"], result["value"]["answers"]) == ("NOERROR", 2)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ({"flags": 0x8183, "addresses": ()}, "NXDOMAIN"),
        ({"flags": 0x8182, "addresses": ()}, "SERVFAIL"),
        ({"addresses": ()}, "there is no A of"),
        ({"addresses": ("10.0.0.7",)}, "is not 10.0.0.9"),
    ],
)
def test_a_broken_server_is_failed(name_server, read, answer, detail):
    result = read(name_server(lambda question: [reply(question, **answer)]), expected=["10.0.0.9"])
    assert result["verdict"] == "failed"
    assert detail in result["detail"]


def test_a_packet_that_answers_something_else_is_passed_over(name_server, read):
    def serve(question):
        yield b"nonsense"
        yield reply(struct.pack("!H", 0xFFFF ^ struct.unpack("!H", question[:2])[0]) + question[2:], addresses=())
        yield reply(question)

    assert read(name_server(serve))["verdict"] == "ok"


def test_a_packet_that_was_lost_is_asked_for_again(name_server, read, monkeypatch):
    monkeypatch.setattr(dns, "ASK_AGAIN_S", 0.05)
    asked = []

    def serve(question):
        asked.append(question)
        return [reply(question)] if len(asked) > 1 else []

    assert read(name_server(serve))["verdict"] == "ok"
    assert len(asked) >= 2


def test_a_long_answer_is_fetched_over_tcp(name_server, read):
    many = tuple("10.0.1.{}".format(number) for number in range(100))

    def cut(question):
        return [reply(question, flags=0x8380, addresses=())]

    port = name_server(cut, lambda question: reply(question, addresses=many))
    assert read(port, expected=["10.0.1.99"])["value"]["answers"] == 100
    assert read(name_server(cut, lambda question: b"nonsense"))["verdict"] == "failed"


def test_a_silent_server_is_inconclusive_and_an_absent_one_failed(name_server, read, read_impatiently, closed_port):
    assert read_impatiently(defined(name_server(lambda question: [])))["verdict"] == "inconclusive"
    assert read(closed_port)["verdict"] == "failed"


def test_a_device_is_asked_nothing(name_server, read):
    asked = []
    assert (
        read(name_server(lambda question: asked.append(question) or []), ["127.0.0.0/8"])["verdict"] == "inconclusive"
    )
    assert asked == []


@pytest.mark.parametrize(
    "options", [{"query": "a..b"}, {"query": None}, {"record_type": "ANY"}, {"port": 0}, {"server": "dns1"}]
)
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError):
        registry.check(dict(defined(53), **options))
