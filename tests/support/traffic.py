# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests at a steady rate, each on a connection of its own, with every failure counted."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple


class Answer(NamedTuple):
    """One request: when it was sent, whether it succeeded, how long it took, and why it failed."""

    time: datetime
    ok: bool
    took_ms: int
    detail: str


class Traffic:
    """A context manager that sends ``per_second`` GET requests to ``url`` until it is left."""

    def __init__(self, url: str, per_second: int = 10, limit_s: float = 5.0) -> None:
        self.url, self.per_second, self.limit_s = url, per_second, limit_s
        self.answers: list[Answer] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def between(self, start: datetime, end: datetime) -> list[Answer]:
        """Return the requests sent from ``start`` to ``end``."""
        return [answer for answer in self.answers if start <= answer.time <= end]

    def _send(self) -> None:
        with ThreadPoolExecutor(max_workers=self.per_second * 5) as pool:
            begun = time.monotonic()
            sent = 0
            while not self._stop.is_set():
                pool.submit(self._request)
                sent += 1
                self._stop.wait(max(0.0, begun + sent / self.per_second - time.monotonic()))

    def _request(self) -> None:
        sent, begun, detail = datetime.now(UTC), time.monotonic(), ""
        try:
            with urllib.request.urlopen(self.url, timeout=self.limit_s) as response:
                response.read()
        except (OSError, urllib.error.URLError) as error:
            detail = str(error)
        self.answers.append(Answer(sent, not detail, int((time.monotonic() - begun) * 1000), detail))


def downtime_ms(answers: list[Answer], per_second: int) -> int:
    """Return how long, at least, no request succeeded: the failed ones times the interval."""
    return sum(not answer.ok for answer in answers) * 1000 // per_second
