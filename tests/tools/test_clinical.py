# SPDX-License-Identifier: GPL-3.0-or-later
"""The load generator counts what went wrong, and nothing else."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.clinical import RECONNECT_S, Caller, NotAnsweredError, Senders, Ward, account


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def caller() -> Caller:
    clock = Clock()
    return Caller(lambda: clock.now, clock.sleep)


def answers(*results: object):
    """A request whose attempts end like this, one after the other."""
    left = iter(results)

    def send() -> object:
        result = next(left)
        if isinstance(result, Exception):
            raise result
        return result

    return send


def test_a_reconnect_that_helps_is_no_failure_and_its_wait_is_kept(caller):
    assert caller.call("read", answers(ConnectionRefusedError("refused"), "yes")) == "yes"
    tally = caller.tallies["read"]
    assert (tally.sent, tally.reconnected, tally.failed, tally.longest_s) == (1, 1, [], RECONNECT_S)
    assert RECONNECT_S <= 5


def test_two_attempts_that_fail_are_one_failure_that_says_both(caller):
    assert caller.call("read", answers(TimeoutError("timed out"), NotAnsweredError("503"), "too late")) is None
    tally = caller.tallies["read"]
    assert (tally.sent, tally.reconnected) == (1, 0)
    assert tally.failed == ["timed out; after the reconnect: 503"]


def test_an_answer_at_once_is_neither(caller):
    assert caller.call("read", answers("yes")) == "yes"
    assert str(caller.tallies["read"]) == "1 requests, 0 failed, 0 after a reconnect, longest wait 0.0 s"


@pytest.mark.parametrize(
    ("rows", "lost", "doubled", "changed"),
    [
        ([("a", "x"), ("b", "y")], set(), set(), set()),
        ([("a", "x")], {"b"}, set(), set()),
        ([("a", "x"), ("b", "y"), ("b", "y")], set(), {"b"}, set()),
        ([("a", "x"), ("b", "z")], set(), set(), {"b"}),
        # never acknowledged, but there: nobody was promised anything
        ([("a", "x"), ("b", "y"), ("c", "z")], set(), set(), set()),
    ],
)
def test_acknowledged_writes_are_held_against_what_is_there(rows, lost, doubled, changed):
    assert account({"a": "x", "b": "y"}, rows) == (lost, doubled, changed)


class Portal(BaseHTTPRequestHandler):
    """Keeps orders, or loses them, as its server says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        what = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.orders[self.path] = self.server.writes_down(what)
        self._send(201, {"id": self.path})

    def do_GET(self) -> None:
        if self.path == "/":
            self._send(self.server.page_status, {})
        elif self.path in self.server.orders:
            self._send(200, {"what": self.server.orders[self.path]})
        else:
            self._send(404, {})

    def _send(self, status: int, answer: dict[str, str]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def portal(writes_down=lambda what: what, page_status: int = 200) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    server.orders, server.writes_down, server.page_status = {}, writes_down, page_status
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def visit(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> Ward:
    monkeypatch.setattr("tests.support.clinical.RECONNECT_S", 0.01)
    with Ward(*server.server_address, people=2, per_second=100) as ward:
        while len(ward.caller.tallies) < 3:
            time.sleep(0.01)
    return ward


def test_a_ward_that_is_served_has_nothing_to_complain_about(monkeypatch):
    with portal() as server:
        ward = visit(server, monkeypatch)
        rows = [(path.removeprefix("/orders/"), what) for path, what in server.orders.items()]
    assert (ward.failed, ward.misread) == ([], [])
    assert account(ward.acknowledged, rows) == (set(), set(), set())
    assert ward.acknowledged


def test_a_ward_sees_orders_that_are_written_down_wrongly_and_pages_that_fail(monkeypatch):
    with portal(writes_down=str.upper, page_status=500) as server:
        ward = visit(server, monkeypatch)
    assert len(ward.misread) == len(ward.acknowledged)
    assert all(why.startswith("page: GET /: 500") for why in ward.failed)
    assert ward.failed


class Engine(socketserver.StreamRequestHandler):
    """Answers messages with what its server has left, then with AA."""

    def handle(self) -> None:
        message = self.connection.recv(65536).decode()
        name = message.split("|")[9]
        self.server.got.append(name)
        said = self.server.answers.pop(0) if self.server.answers else "AA"
        if said:
            answer = f"\x0bMSH|^~\\&|E|L|||1||ACK|1|P|2.5\rMSA|{said}|{name}\r\x1c\r"
            self.connection.sendall(answer.encode())


@contextmanager
def engine(*answers: str) -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Engine) as server:
        server.answers, server.got, server.daemon_threads = list(answers), [], True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_message_is_repeated_until_it_is_acknowledged(monkeypatch):
    monkeypatch.setattr("tests.support.clinical.RECONNECT_S", 0.01)
    with engine("", "AE") as server:
        with Senders(*server.server_address, systems=1, per_second=100) as senders:
            senders.goes_on(2)
    assert senders.repeated == 2
    assert senders.unacknowledged == []
    assert server.got[:3] == [server.got[0]] * 3
    assert set(server.got) == set(senders.acknowledged)


def test_a_message_that_nobody_acknowledges_is_told(monkeypatch):
    monkeypatch.setattr("tests.support.clinical.RECONNECT_S", 0.01)
    monkeypatch.setattr(Senders, "GIVES_UP_S", 0.1)
    with engine(*["AR"] * 1000) as server:
        with Senders(*server.server_address, systems=1, per_second=100) as senders:
            while not senders.unacknowledged:
                time.sleep(0.01)
    assert "AR" in senders.unacknowledged[0]
    assert senders.acknowledged == {}
