# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore points against real servers: tests whose server is absent are skipped with what makes it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from tests.support.told import print_told

RUN, OTHER = "20261122T034500Z-ab12cd34", "20261122T034500Z-ffffffff"
EXPIRES = "2026-11-25T03:45:00Z"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of all providers, where it was measured."""
    print_told(terminalreporter)


class Killed(BaseException):
    """The process ends here, as by a signal that nobody can catch."""


class QuickClock(Clock):
    """Whoever sleeps wakes up at once, and the time has passed; ``meanwhile`` is what happens then."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.meanwhile: Any = lambda: None

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 3, 45, tzinfo=UTC) + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds
        time.sleep(0.002)
        self.meanwhile()
