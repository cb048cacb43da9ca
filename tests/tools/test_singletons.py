# SPDX-License-Identifier: GPL-3.0-or-later
"""Downtime is measured as it was, in a night and in a bare restart."""

from __future__ import annotations

import http.client
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from tests.support import singletons, told
from tests.support.singletons import Watch, bare_restart_s


def watch_of(*answers: bool) -> Watch:
    """A watch whose questions, one a second, were answered like this."""
    now = iter(range(1000))
    left = iter(answers)

    def ask() -> None:
        if not next(left):
            raise ConnectionRefusedError

    watch = Watch(ask, lambda: float(next(now)))
    for _ in answers:
        watch.question()
    return watch


@pytest.mark.parametrize(
    ("answers", "away"),
    [
        ((True, True), []),
        ((True, False, True), [(1, 2)]),
        ((True, False, False, False, True, True, False, True), [(1, 4), (6, 7)]),
        ((False, True), [(0, 1)]),
    ],
)
def test_it_was_away_from_the_first_question_without_an_answer_to_the_next_with_one(answers, away):
    watch = watch_of(*answers)
    assert watch.away == away
    assert watch.downtime_s == sum(end - begin for begin, end in away)
    assert watch.serves


def test_one_that_is_still_away_grows():
    watch = watch_of(True, False, False)
    assert watch.away == [(1, None)]
    assert not watch.serves
    assert (watch.downtime_s, watch.downtime_s) == (2, 3)


def test_nothing_is_known_before_the_first_question():
    assert not watch_of().serves


def test_a_server_that_breaks_off_in_the_middle_is_away():
    def ask() -> None:
        raise http.client.IncompleteRead(b"")

    watch = Watch(ask)
    watch.question()
    assert not watch.serves


def reported(**downtime: int | None) -> dict[str, Any]:
    services = [
        {"service": one.service, "downtime": downtime or None, "accepted_s": 60} for one in singletons.SINGLETONS
    ]
    return {"services": services}


@pytest.mark.parametrize("told", [{}, {"at_least_s": 0, "at_most_s": None}, {"at_least_s": 0, "at_most_s": 2}])
def test_a_report_that_bounds_the_downtime_or_does_not_know_it_agrees(told):
    watches = {one.host: watch_of(True, False, False, True) for one in singletons.SINGLETONS}
    singletons.see_that_the_report_agrees(reported(**told), watches)


def test_a_report_that_tells_less_than_was_measured_does_not_agree():
    watches = {one.host: watch_of(True, False, False, True) for one in singletons.SINGLETONS}
    with pytest.raises(AssertionError):
        singletons.see_that_the_report_agrees(reported(at_least_s=0, at_most_s=0), watches)


@pytest.mark.parametrize(("bare_s", "late"), [(0.5, True), (1.5, False)])
def test_a_night_may_take_a_service_away_for_two_seconds_longer_than_a_restart(bare_s, late, monkeypatch):
    monkeypatch.setattr(told, "LINES", [])
    monkeypatch.setattr(singletons, "bare_restart_s", lambda _ask, _restart: bare_s)
    monkeypatch.setattr(singletons.lab, "address", lambda host: host)
    watches = {one.host: watch_of(True, False, False, False, True) for one in singletons.SINGLETONS}
    with pytest.raises(AssertionError, match="away for longer than a bare restart") if late else nullcontext():
        singletons.see_that_downtime_was_a_restart(watches)
    assert f"away 3.0 s in all, 1 times, by 5 questions; {bare_s} s in a bare restart" in told.LINES[0]


class Greeting(socketserver.StreamRequestHandler):
    """Says what its server says."""

    def handle(self) -> None:
        self.wfile.write(self.server.line)


class Server(socketserver.ThreadingTCPServer):
    """Listens again at once where another one has just ended."""

    allow_reuse_address = True
    daemon_threads = True
    line = b"SSH-2.0-Test\r\n"


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    with Server(("127.0.0.1", port), Greeting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_bare_restart_is_as_long_as_nobody_listens(monkeypatch):
    monkeypatch.setattr(singletons, "EVERY_S", 0.02)
    served = threading.Event()
    port: list[int] = []

    def serve(after_s: float, served_port: int) -> None:
        time.sleep(after_s)
        with listening(served_port) as found:
            port.append(found)
            served.set()
            ending.wait()
        ended.set()

    def restart() -> None:
        nonlocal ending, ended
        ending.set()
        assert ended.wait(10)
        served.clear()
        ending, ended = threading.Event(), threading.Event()
        threading.Thread(target=serve, args=(0.5, port[0]), daemon=True).start()
        assert served.wait(10)

    ending, ended = threading.Event(), threading.Event()
    threading.Thread(target=serve, args=(0.0, 0), daemon=True).start()
    assert served.wait(10)

    def ask() -> None:
        with singletons.socket.create_connection(("127.0.0.1", port[0]), timeout=1) as connection:
            assert connection.recv(4) == b"SSH-"

    measured = bare_restart_s(ask, restart, times=1)
    ending.set()
    assert 0.4 <= measured < 5, measured


def test_ssh_is_asked_for_its_first_line(monkeypatch):
    real = singletons.socket.create_connection
    with listening() as port:
        monkeypatch.setattr(
            singletons.socket, "create_connection", lambda _address, timeout: real(("127.0.0.1", port), timeout)
        )
        singletons.ssh("rpm1")
        monkeypatch.setattr(Server, "line", b"HTTP/1.1 400\r\n")
        with pytest.raises(ConnectionError, match="no SSH server answers"):
            singletons.ssh("rpm1")
    with pytest.raises(ConnectionRefusedError):
        singletons.ssh("rpm1")
