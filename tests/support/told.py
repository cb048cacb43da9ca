# SPDX-License-Identifier: GPL-3.0-or-later
"""What a suite measured, for whoever reads its output: printed at its end, whether its tests passed or not."""

from __future__ import annotations

LINES: list[str] = []


def tell(what: object) -> None:
    """Keep a line for the end of the run."""
    LINES.append(str(what))
