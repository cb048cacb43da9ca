# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all providers: seconds of each step, or why there are none."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

STEPS = ("create", "revert", "verify", "retention", "orphan sweep")
NOT_REACHED = "not reached, because {} failed"
NOT_ASKED = "it was not among the tests that ran"


class Table:
    """One row a provider. ``notes`` says of each what it cannot show, or is empty."""

    def __init__(self, notes: Mapping[str, str]) -> None:
        self.notes = dict(notes)
        self.cells: dict[str, dict[str, float | str]] = {name: dict.fromkeys(STEPS, NOT_ASKED) for name in notes}

    def cannot(self, provider: str, reason: str) -> None:
        """Say why none of a provider's steps can run."""
        self.cells[provider] = dict.fromkeys(STEPS, reason)

    @contextlib.contextmanager
    def measured(self, provider: str, step: str) -> Iterator[None]:
        """Take the seconds of a step; one that fails has its error for a reason, and those after it have that."""
        row, began = self.cells[provider], time.monotonic()
        row.update(dict.fromkeys(STEPS[STEPS.index(step) :], NOT_REACHED.format(step)))
        try:
            yield
        except BaseException as error:
            row[step] = f"failed: {error.__class__.__name__}: {' '.join(str(error).split())[:200]}"
            raise
        row[step] = time.monotonic() - began
        row.update(dict.fromkeys(STEPS[STEPS.index(step) + 1 :], f"not reached: something failed after {step}"))

    def lines(self) -> list[str]:
        """Return the table, every reason under it by its number, and what a provider's bed cannot show."""
        reasons: list[str] = []
        lines = ["restore points: seconds of each step, with the start of Ansible in them"]
        lines.append("".join([f"{'provider':<11}", *(f"{step:>14}" for step in STEPS)]))
        for provider, row in self.cells.items():
            words = [f"{provider:<11}"]
            for step in STEPS:
                seen = row[step]
                if isinstance(seen, str):
                    if seen not in reasons:
                        reasons.append(seen)
                    words.append(f"{f'- [{reasons.index(seen) + 1}]':>14}")
                else:
                    words.append(f"{seen:>14.1f}")
            lines.append("".join(words))
        lines += [f"[{number}] {reason}" for number, reason in enumerate(reasons, 1)]
        return lines + [f"{provider}: {note}" for provider, note in self.notes.items() if note]
