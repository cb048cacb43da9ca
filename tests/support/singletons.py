# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that one host carries alone: for how long they were away in a night, and in a bare restart.

Both are measured by the same questions at the same interval, so that what is compared is alike.
"""

from __future__ import annotations

import functools
import http.client
import socket
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from tests.support import lab

#: Seconds from one question to the next; no downtime is known better than this.
EVERY_S = 0.2
#: Seconds in which a question has to be answered.
ANSWER_S = 2.0
#: Seconds by which a service may be away longer in a night than in a restart of nothing but its processes.
TOLERANCE_S = 2.0


class Singleton(NamedTuple):
    """A service of one host: the unit whose processes it is, and a question that raises OSError when it is away."""

    service: str
    host: str
    unit: str
    ask: Callable[[str], None]

    def question(self) -> Callable[[], None]:
        """The question, put to this host of the lab."""
        return functools.partial(self.ask, lab.address(self.host))


def alertmanager(address: str) -> None:
    """Ask a monitor whether it is ready."""
    with urllib.request.urlopen(f"http://{address}:9093/-/ready", timeout=ANSWER_S) as answer:
        answer.read()


def ssh(address: str) -> None:
    """Ask a host for the first line of its SSH server."""
    with socket.create_connection((address, 22), timeout=ANSWER_S) as connection:
        if not connection.recv(4).startswith(b"SSH-"):
            raise ConnectionError("no SSH server answers")


#: Those of the grown lab; the workstation has no users but its own, and nobody ever connects to the pump.
SINGLETONS = (
    Singleton("monitor", "monitor1", "prometheus-alertmanager", alertmanager),
    Singleton("images", "rpm1", "ssh", ssh),
    Singleton("forms", "zypp1", "ssh", ssh),
)


class Watch:
    """Asks one service again and again, until it is left."""

    def __init__(self, ask: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.asked = 0
        #: From the first question that was not answered to the first one that was again; the last may not have ended.
        self.away: list[tuple[float, float | None]] = []
        self._ask, self._clock = ask, clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def serves(self) -> bool:
        """Whether the last question was answered."""
        return bool(self.asked) and not (self.away and self.away[-1][1] is None)

    @property
    def downtime_s(self) -> float:
        """For how long nobody was served, all times together."""
        now = self._clock()
        return sum((now if end is None else end) - begin for begin, end in self.away)

    def question(self) -> None:
        """Ask once, and note what is new."""
        begun = self._clock()
        try:
            self._ask()
        except (OSError, http.client.HTTPException):
            if not self.away or self.away[-1][1] is not None:
                self.away.append((begun, None))
        else:
            if self.away and self.away[-1][1] is None:
                self.away[-1] = (self.away[-1][0], begun)
        self.asked += 1

    def _work(self) -> None:
        while not self._stopping.is_set():
            begun = self._clock()
            self.question()
            self._stopping.wait(max(0.0, begun + EVERY_S - self._clock()))


def watch(one: Singleton) -> Watch:
    """Watch one of them in the lab."""
    return Watch(one.question())


def see_that_the_report_agrees(report: Mapping[str, Any], watches: Mapping[str, Watch]) -> None:
    """Hold what a night's report says of each, by its own probes, against what was measured here."""
    told = {service["service"]: service for service in report["services"]}
    for one in SINGLETONS:
        away, service = watches[one.host].downtime_s, told[one.service]
        accepted = service["accepted_s"]
        print(f"{one.service}: away {away:.1f} s, the report says {service['downtime']}, {accepted} s accepted")
        assert away <= accepted
        # The report tells whole seconds; what its probes cannot tell it says by null.
        if service["downtime"] and service["downtime"]["at_most_s"] is not None:
            assert away <= service["downtime"]["at_most_s"] + 1


def see_that_downtime_was_a_restart(watches: Mapping[str, Watch]) -> None:
    """Restart the processes of each now, and hold that against how long it was away while it was watched."""
    measured = {}
    for one in SINGLETONS:
        away = watches[one.host]
        assert away.serves, f"{one.host} did not serve in the end: {away.away}"
        bare = bare_restart_s(one.question(), functools.partial(lab.exec, one.host, f"systemctl restart {one.unit}"))
        measured[one.host] = (away.downtime_s, bare)
        print(
            f"{one.unit} on {one.host}: away {away.downtime_s:.1f} s in all, {len(away.away)} times, by {away.asked} "
            f"questions; {bare:.1f} s in a bare restart"
        )
    late = {host: both for host, both in measured.items() if both[0] > both[1] + TOLERANCE_S}
    assert late == {}, f"away for longer than a bare restart and {TOLERANCE_S} s"


def bare_restart_s(ask: Callable[[], None], restart: Callable[[], object], times: int = 3) -> float:
    """For how long a restart of nothing but the processes takes a service away: the middle one of some.

    Raises:
        AssertionError: it did not serve again within a minute.
    """
    return statistics.median(_one_restart_s(ask, restart) for _ in range(times))


def _one_restart_s(ask: Callable[[], None], restart: Callable[[], object]) -> float:
    with Watch(ask) as watch:
        _until(lambda: watch.serves)
        restart()
        asked = watch.asked
        # A question that was under way may still have been answered by the old process.
        _until(lambda: watch.asked >= asked + 3 and watch.serves)
    return watch.downtime_s


def _until(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not served within {within_s} s"
        time.sleep(EVERY_S / 4)
