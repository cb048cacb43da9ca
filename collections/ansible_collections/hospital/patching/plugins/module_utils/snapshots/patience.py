# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking an API of hypervisors that may be busy, as long as it may take."""

from typing import Callable, Optional, TypeVar

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

Seen = TypeVar("Seen")


class ApiRefusal(PatchingError):
    """An API refused or did not answer; ``busy`` says that the same call may succeed a minute later."""

    busy = False


class Patient:
    """An API that is asked again when it is busy."""

    def __init__(self, clock: Clock, attempts: int, poll_s: int) -> None:
        self.clock = clock
        self.attempts = attempts
        self.poll_s = poll_s

    def until(self, look: Callable[[], Optional[Seen]], limit_s: int) -> Optional[Seen]:
        """Ask until ``look`` returns something, and return that; None after ``limit_s``. A busy API is asked again.

        Raises:
            ApiRefusal: it was refused; or it was busy all the time.
        """
        deadline = self.clock.monotonic() + limit_s
        while True:
            busy: Optional[ApiRefusal] = None
            try:
                seen = look()
                if seen is not None:
                    return seen
            except ApiRefusal as error:
                if not error.busy:
                    raise
                busy = error
            left = deadline - self.clock.monotonic()
            if left <= 0:
                if busy is not None:
                    raise busy
                return None
            self.clock.sleep(min(self.poll_s, left))

    def patiently(self, work: Callable[[], Seen]) -> Seen:
        """Return what ``work`` does, tried ``attempts`` times while the API is busy."""
        for attempt in range(1, self.attempts + 1):
            try:
                return work()
            except ApiRefusal as error:
                if not error.busy or attempt == self.attempts:
                    raise
                self.clock.sleep(self.poll_s)
        raise AssertionError("attempts is at least 1")
