# SPDX-License-Identifier: GPL-3.0-or-later
"""Drain ``interface_engine``: its intake is closed, then it finishes what it has taken in.

Senders keep what is not acknowledged and repeat it, so a closed intake loses
nothing; what was acknowledged is in the queues, and has to leave them before
the engine stops. The engine's own commands do it: every product has its own.
"""

from typing import Optional

from ansible_collections.hospital.patching.plugins.module_utils.drains.base import LIMIT_CHOICES, DrainProvider

COMMAND_S = 60


class InterfaceEngineDrain(DrainProvider):
    """``accepts`` exits with 0 while messages are taken in, ``queue`` prints how many are not delivered."""

    NAME = "interface_engine"
    OPTIONS = {
        "interface_engine": {"type": "str", "required": True},
        "stop": {"type": "list", "elements": "str", "required": True},
        "start": {"type": "list", "elements": "str", "required": True},
        "queue": {"type": "list", "elements": "str", "required": True},
        "accepts": {"type": "list", "elements": "str", "required": True},
        "when_limit": {"type": "str", "choices": LIMIT_CHOICES, "default": "refuse"},
    }

    def validate(self) -> None:
        self.require_words("stop", "start", "queue", "accepts")

    def is_out(self) -> bool:
        return not self._accepts()

    def require_ready(self) -> None:
        self.left()

    def leave(self) -> bool:
        if self.is_out():
            return False
        self.context.runner.run(self.options["stop"], timeout_s=COMMAND_S)
        return True

    def unmoved(self) -> Optional[str]:
        return "its intake is still open" if self._accepts() else None

    def left(self) -> int:
        said = self.context.runner.run(self.options["queue"], timeout_s=COMMAND_S).stdout.strip()
        if not (said.isdigit() and len(said) < 19):
            raise self.refused(
                "its queue command printed {!r}".format(said[:80]),
                "one whole number of messages",
                "correct queue, or look at the engine",
            )
        return int(said)

    def back(self) -> bool:
        if self._accepts():
            return False
        self.context.runner.run(self.options["start"], timeout_s=COMMAND_S)
        return True

    def unreturned(self) -> Optional[str]:
        return None if self._accepts() else "its intake is still closed"

    def _accepts(self) -> bool:
        return self.context.runner.run(self.options["accepts"], timeout_s=COMMAND_S, check=False).rc == 0
