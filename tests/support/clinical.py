# SPDX-License-Identifier: GPL-3.0-or-later
"""Clinical traffic beside a patch, with every failure and every lost or doubled write counted.

What counts: a request fails when one reconnect, within five seconds, does not help either. The longest wait of anybody
is kept. A write is lost when it was acknowledged and is not there afterwards.
"""

from __future__ import annotations

import abc
import http.client
import json
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self, TypeVar

T = TypeVar("T")

#: Seconds in which an attempt has to be answered.
ATTEMPT_S = 10.0
#: Seconds after a failed attempt when the only other one begins; what counts allows five.
RECONNECT_S = 3.0


class NotAnsweredError(Exception):
    """Nobody answered, or not as expected."""


@dataclass
class Tally:
    """What became of one kind of request."""

    sent: int = 0
    reconnected: int = 0
    longest_s: float = 0.0
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.sent} requests, {len(self.failed)} failed, {self.reconnected} after a reconnect, "
            f"longest wait {self.longest_s:.1f} s"
        )


class Account(NamedTuple):
    """What became of acknowledged writes."""

    lost: frozenset[str]
    doubled: frozenset[str]
    changed: frozenset[str]


def account(acknowledged: Mapping[str, str], rows: Iterable[tuple[str, str]]) -> Account:
    """Compare what was acknowledged (content by id) with what is there afterwards."""
    kept = list(rows)
    found = dict(kept)
    times = Counter(name for name, _ in kept)
    return Account(
        lost=frozenset(acknowledged.keys() - found.keys()),
        doubled=frozenset(name for name, number in times.items() if number > 1),
        changed=frozenset(name for name, what in acknowledged.items() if name in found and found[name] != what),
    )


class Caller:
    """Sends requests as an application does that reconnects once, and keeps the tally of each kind."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.tallies: dict[str, Tally] = {}
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()

    def call(self, kind: str, send: Callable[[], T]) -> T | None:
        """Return the answer of the first or the second attempt, or None when both failed."""
        begun = self._clock()
        answer, first = self._attempt(send)
        second = ""
        if first:
            self._sleep(RECONNECT_S)
            answer, second = self._attempt(send)
        self.note(kind, self._clock() - begun, reconnected=bool(first) and not second)
        if second:
            self.tallies[kind].failed.append(f"{first}; after the reconnect: {second}")
        return answer

    def note(self, kind: str, waited_s: float, *, reconnected: bool = False) -> None:
        """Count one request."""
        with self._lock:
            tally = self.tallies.setdefault(kind, Tally())
            tally.sent += 1
            tally.longest_s = max(tally.longest_s, waited_s)
            tally.reconnected += reconnected

    def _attempt(self, send: Callable[[], T]) -> tuple[T | None, str]:
        try:
            return send(), ""
        except (OSError, http.client.HTTPException, NotAnsweredError) as error:
            return None, str(error) or type(error).__name__


class Traffic(abc.ABC):
    """People or systems that send something, one after the other, until it is left."""

    def __init__(self, people: int, per_second: float) -> None:
        self.caller = Caller()
        #: Every write that was acknowledged: what, by id.
        self.acknowledged: dict[str, str] = {}
        self.stopping = threading.Event()
        self._interval_s = people / per_second
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(people)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        return "; ".join(f"{kind}: {tally}" for kind, tally in sorted(self.caller.tallies.items()))

    @property
    def failed(self) -> list[str]:
        """Every request that failed, of all kinds."""
        return [f"{kind}: {why}" for kind, tally in self.caller.tallies.items() for why in tally.failed]

    def goes_on(self, writes: int = 8, within_s: float = 60) -> None:
        """Wait until so many more writes were acknowledged, or reads answered by who only reads."""
        wanted, deadline = self.progress() + writes, time.monotonic() + within_s
        while self.progress() < wanted:
            assert time.monotonic() < deadline, f"no {writes} more within {within_s} s: {self}, {self.failed[-2:]}"
            time.sleep(0.05)

    def progress(self) -> int:
        """How many writes were acknowledged."""
        return len(self.acknowledged)

    @abc.abstractmethod
    def one(self, person: int, number: int) -> None:
        """Send one thing."""

    def _work(self, person: int) -> None:
        number = 0
        while not self.stopping.is_set():
            begun = time.monotonic()
            number += 1
            self.one(person, number)
            self.stopping.wait(max(0.0, begun + self._interval_s - time.monotonic()))


class Ward(Traffic):
    """Places orders and reads them back, page by page, each on a connection of its own."""

    def __init__(self, address: str, port: int = 80, people: int = 4, per_second: float = 8.0) -> None:
        super().__init__(people, per_second)
        self.address, self.port = address, port
        #: Orders that were read back as something else, or were not there.
        self.misread: list[str] = []

    def one(self, person: int, number: int) -> None:
        """Place an order, read it, look at the first page."""
        name, what = str(uuid.uuid4()), f"person {person}, order {number}"
        # the same id on both attempts: an order whose acknowledgement got lost is not placed twice
        if self.caller.call("write", lambda: self._request("POST", f"/orders/{name}", what)) is None:
            return
        self.acknowledged[name] = what
        read = self.caller.call("read", lambda: self._request("GET", f"/orders/{name}"))
        if read is not None and read.get("what") != what:
            self.misread.append(f"{name}: {read}, expected {what}")
        self.caller.call("page", lambda: self._request("GET", "/", parse=False))

    def _request(self, method: str, path: str, body: str | None = None, *, parse: bool = True) -> dict[str, str]:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=ATTEMPT_S)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status not in (200, 201):
                raise NotAnsweredError(f"{method} {path}: {answer.status} {text.strip()[:200]}")
            return dict(json.loads(text)) if parse else {}
        except ValueError as error:
            raise NotAnsweredError(f"{method} {path}: no JSON: {error}") from error
        finally:
            connection.close()


class Senders(Traffic):
    """Systems that send HL7 messages over MLLP, each repeating one until it is acknowledged."""

    #: Whoever has not been acknowledged by then has a message that somebody has to look at.
    GIVES_UP_S = 120.0

    def __init__(self, address: str, port: int = 2575, systems: int = 2, per_second: float = 4.0) -> None:
        super().__init__(systems, per_second)
        self.address, self.port = address, port
        self.unacknowledged: list[str] = []
        self.repeated = 0

    def __str__(self) -> str:
        return f"{super().__str__()}, {self.repeated} repeated, {len(self.unacknowledged)} unacknowledged"

    def one(self, person: int, number: int) -> None:
        """Send one message until it is acknowledged."""
        name = uuid.uuid4().hex[:20]
        content = f"MSH|^~\\&|WARD{person}|LAB|ENGINE|LAB|20260101||ORM^O01|{name}|P|2.5\rORC|NW|{person}-{number}\r"
        begun, why = time.monotonic(), ""
        while time.monotonic() < begun + self.GIVES_UP_S:
            try:
                self._send(name, content)
            except (OSError, NotAnsweredError) as error:
                why = str(error) or type(error).__name__
                self.repeated += 1
                time.sleep(RECONNECT_S / 3)
            else:
                self.acknowledged[name] = content
                break
        else:
            self.unacknowledged.append(f"{name}: {why}")
        self.caller.note("message", time.monotonic() - begun)

    def _send(self, name: str, content: str) -> None:
        with socket.create_connection((self.address, self.port), timeout=ATTEMPT_S) as connection:
            connection.sendall(b"\x0b" + content.encode() + b"\x1c\r")
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                got = connection.recv(65536)
                if not got:
                    raise NotAnsweredError(f"cut off after {answer!r}")
                answer += got
        segments = [line.split("|") for line in answer.strip(b"\x0b\x1c\r").decode().split("\r")]
        said = next((fields for fields in segments if fields[0] == "MSA"), [])
        if said[1:3] != ["AA", name]:
            raise NotAnsweredError(f"answered {answer!r}, expected AA of {name}")
