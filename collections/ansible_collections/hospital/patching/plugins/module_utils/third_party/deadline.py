# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit for the whole of what waits for others: a socket's own limit begins anew with every byte."""

import contextlib
import signal
from typing import Any, Iterator

#: When the limit is told once more, should Python have swallowed it (in a destructor, for one).
AGAIN_S = 60.0


class Late(Exception):
    """The limit has passed. No OSError, so that no library takes it for one of its own."""


@contextlib.contextmanager
def deadline(limit_s: float) -> Iterator[None]:
    """Raise Late in the block when ``limit_s`` have passed, whatever it waits for; in the main thread only."""

    def late(_number: int, _frame: Any) -> None:
        raise Late()

    before = signal.signal(signal.SIGALRM, late)
    timer = signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
