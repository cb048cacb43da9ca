# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock, injected everywhere so that tests own time."""

import time
from datetime import datetime, timezone


class Clock:
    """Wall clock and monotonic clock of the machine it runs on."""

    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""
        return datetime.now(timezone.utc)

    def stamp(self) -> str:
        """Return the present as ISO 8601 with ``Z`` and whole seconds."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
