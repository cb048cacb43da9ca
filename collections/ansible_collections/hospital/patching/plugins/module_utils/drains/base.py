# SPDX-License-Identifier: GPL-3.0-or-later
"""What every way of moving users away from a host can do, where it is done by a module and not by a load balancer's."""

from typing import Any, Dict, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.options import read_options
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Inconclusive
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

DrainContext = NamedTuple(
    "DrainContext",
    [("runner", Runner), ("clock", Clock), ("connector", Connector), ("host", str), ("wait_s", int)],
)

#: What is done when the time for users to finish is over, and some have not.
LIMIT_CHOICES = ["refuse", "go_on"]
CONNECT_S = 5


class DrainProvider:
    """One way. A subclass states NAME and OPTIONS and implements the rest; each call may be repeated.

    The option that is called like the provider is the one that the setting is known by. Adding one is one file with
    such a class and one line in registry.py.
    """

    NAME = ""
    OPTIONS: Dict[str, Dict[str, Any]] = {}
    #: Whether a drain that fails may be taken back at once. Not where that would promote something.
    BACKS_OUT = True

    #: Whether another machine may do it; not where the state that proves it is the host's own.
    ELSEWHERE = True

    def __init__(self, options: Dict[str, Any], context: DrainContext) -> None:
        self.options = read_options("patching_drain with {}".format(self.NAME), self.OPTIONS, options)
        self.context = context
        self.validate()

    def validate(self) -> None:
        """Raise PatchingError for options that do not fit together; nothing is read or run."""

    def is_out(self) -> bool:
        """Say whether users are kept away already, by whomever."""
        raise NotImplementedError

    def require_ready(self) -> None:
        """Raise PatchingError unless those who take over are proven to be healthy; changes nothing."""
        raise NotImplementedError

    def leave(self) -> bool:
        """Begin to move users away, and return whether there was anything to do."""
        raise NotImplementedError

    def unmoved(self) -> Optional[str]:
        """Return why users still come to this host, or may, or None when that is proven otherwise."""
        raise NotImplementedError

    def left(self) -> int:
        """Return how much of their work is not finished, once no more comes."""
        return 0

    def back(self) -> bool:
        """Let users come back, and return whether there was anything to do."""
        raise NotImplementedError

    def unreturned(self) -> Optional[str]:
        """Return why it is not proven that users may come, or None."""
        raise NotImplementedError

    # --- for subclasses ----------------------------------------------------------

    def refused(self, seen: str, expected: str, next_step: str) -> PatchingError:
        """Return the error of this host's drain."""
        return PatchingError("drain of {} by {}".format(self.context.host, self.NAME), seen, expected, next_step)

    def require_port(self, key: str) -> None:
        """Refuse an option that is no port."""
        if not 1 <= self.options[key] <= 65535:
            raise PatchingError(
                "patching_drain with {}".format(self.NAME),
                "{} is {}".format(key, self.options[key]),
                "1 to 65535",
                "correct it in the inventory",
            )

    def require_words(self, *keys: str) -> None:
        """Refuse options that are no command."""
        for key in keys:
            words = self.options[key]
            if not words or not all(isinstance(word, str) and word for word in words):
                raise PatchingError(
                    "patching_drain with {}".format(self.NAME),
                    "{} is {!r}".format(key, words),
                    "a command as a list of words",
                    "correct it in the inventory",
                )

    def silent(self, address: str, port: int) -> Optional[str]:
        """Return why nothing accepts connections there, or None."""
        try:
            self.context.connector.connect(address, port, CONNECT_S).close()
        except (Failed, Inconclusive) as error:
            return error.detail
        return None
