# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock, injected everywhere so that tests own time."""

import calendar
import time
from datetime import datetime, timezone

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

STAMP = "%Y-%m-%dT%H:%M:%SZ"


class Clock:
    """Wall clock and monotonic clock of the machine it runs on."""

    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""
        return datetime.now(timezone.utc)

    def stamp(self) -> str:
        """Return the present as ISO 8601 with ``Z`` and whole seconds."""
        return self.now().strftime(STAMP)

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def seconds_of(stamp: str) -> int:
    """Return the seconds since 1970 (UTC) of a stamp as ``Clock.stamp`` writes it.

    Raises:
        ValueError: it is written otherwise.
    """
    return calendar.timegm(time.strptime(stamp, STAMP))


def require_agreement(clock: Clock, controller: str, controller_time: str, limit_s: int) -> None:
    """Refuse a controller whose clock is not this host's: windows and soak are judged by it.

    Raises:
        PatchingError: they differ by more than ``limit_s``.
    """
    if abs(seconds_of(controller_time) - seconds_of(clock.stamp())) > limit_s:
        raise PatchingError(
            "clock of controller {}".format(controller),
            "{}, while the host has {}".format(controller_time, clock.stamp()),
            "a difference of at most {} s".format(limit_s),
            "correct the clock that is wrong, then run again",
        )
