# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error type that host-side and controller-side code raise on purpose."""

from typing import Dict


class PatchingError(Exception):
    """A refusal or failure that an operator can act on.

    Every message names the object, what was seen, what was expected, and what
    to do next. Modules and action plugins catch it once, at their border.
    """

    def __init__(self, subject: str, seen: str, expected: str, next_step: str) -> None:
        self.subject = subject
        self.seen = seen
        self.expected = expected
        self.next_step = next_step
        super().__init__("{}: {}; expected {}. Next: {}.".format(subject, seen, expected, next_step))

    def parts(self) -> Dict[str, str]:
        """Return the four parts of the message by name, for results that programs read."""
        return {"subject": self.subject, "seen": self.seen, "expected": self.expected, "next_step": self.next_step}
