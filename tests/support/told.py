# SPDX-License-Identifier: GPL-3.0-or-later
"""What a suite measured, for whoever reads its output: printed at its end, whether its tests passed or not."""

from __future__ import annotations

from typing import Protocol

LINES: list[str] = []


class Output(Protocol):
    """Where it is printed: pytest's own terminal."""

    def write_line(self, line: str) -> None:
        """Print one line."""


def tell(what: object) -> None:
    """Keep a line for the end of the run."""
    LINES.append(str(what))


def print_told(output: Output) -> None:
    """Print every line once; for a suite's ``pytest_terminal_summary``."""
    while LINES:
        output.write_line(LINES.pop(0))
