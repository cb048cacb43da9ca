# SPDX-License-Identifier: GPL-3.0-or-later
"""What every monitor can do for a host that is patched: be silent about it until a time, and no longer.

A silence is of one host and one run, ends by itself, and carries both names, so
that one that a killed controller has left behind is found again. A silence of
somebody else is never changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.login import Login

#: Who a monitor is told has made a silence.
CREATED_BY = "hospital.patching"


@dataclass(frozen=True)
class Wanted:
    """Whose alerts are silenced, for which run, and from when to when."""

    run_id: str
    host: str
    starts: datetime
    ends: datetime


@dataclass(frozen=True)
class Access:
    """How a monitor is reached: the login, and the networks into which nothing is sent."""

    segments: Sequence[str] | None
    login: Login = field(default_factory=Login)
    runner: Runner = field(default_factory=Runner)
    #: The most seconds that one answer may take.
    limit_s: float = 10


class SilenceProvider(ABC):
    """One kind of monitor. Adding one is one file with such a class and one line in registry.py."""

    NAME: ClassVar[str] = ""
    #: The id by which a silence is ended that was begun and whose own is not known, where none can be listed.
    UNTOLD: ClassVar[str | None] = None

    def __init__(self, options: Mapping[str, Any], access: Access) -> None:
        self.options, self.access = options, access

    @classmethod
    @abstractmethod
    def read(cls, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the setting's value, checked and complete; ``value`` has no policy any more.

        Raises:
            ValueError: saying what was expected.
        """

    @classmethod
    def covers(cls, options: Mapping[str, Any], host: str) -> tuple[str, ...]:
        """Return by which names, at this monitor, alerts of ``host`` are silenced; no two hosts may share one."""
        del options, host
        return ()

    def problem(self) -> str | None:
        """Return why this cannot work, as far as that is known without asking the monitor, or None."""
        return None

    @abstractmethod
    def own(self, run_id: str, host: str) -> list[str]:
        """Return the ids of the silences of this run and host that have not ended.

        Raises:
            PatchingError: the monitor gives no answer that can be understood.
        """

    @abstractmethod
    def make(self, wanted: Wanted) -> str:
        """Make a silence, read back that it is what was asked for, and return its id; raises as :meth:`own`."""

    @abstractmethod
    def lift(self, silence_id: str, run_id: str, host: str) -> bool:
        """End a silence; return False when it had ended or is not known, which is fine.

        Raises:
            PatchingError: it is somebody else's and was left alone, or as :meth:`own`.
        """

    def refused(self, what: str, seen: str, expected: str, next_step: str = "") -> PatchingError:
        """Return the error of a monitor that did not do what it was asked for."""
        told = next_step or "look at the monitor and at patching_silence; its log says more"
        return PatchingError(f"{self.NAME} {what}".rstrip(), seen, expected, told)
