# SPDX-License-Identifier: GPL-3.0-or-later
"""What every provider of restore points can do. A snapshot is known by its provider's id, never by its name alone."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.options import read_options
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

Snapshot = NamedTuple(
    "Snapshot",
    [
        ("id", str),
        ("provider", str),
        ("run_id", str),
        ("host", str),
        ("reason", str),
        ("created", str),
        ("expires", str),
        ("detail", Dict[str, Any]),
    ],
)

#: A datastore, pool or file system that restore points fill; ``kind`` is such a word, ``name`` tells it from others.
Room = NamedTuple("Room", [("kind", str), ("name", str), ("size_bytes", int), ("free_bytes", int)])

#: What putting a host back loses. ``size_bytes`` is what was written since, as far as it is known, else None;
#: ``unknown`` is what of it is not known, and why, or None.
Loss = NamedTuple("Loss", [("size_bytes", Optional[int]), ("unknown", Optional[str])])

#: What every provider says of a restore point that it does not have.
NO_SUCH = Loss(None, "there is no such restore point")


class NotSecurable(PatchingError):
    """A snapshot cannot be this host's way back here and now; everything was readable."""

    def reason(self) -> str:
        """Return it as :meth:`SnapshotProvider.available` does."""
        return "{}: {}; expected {}".format(self.subject, self.seen, self.expected)


class SnapshotProvider:
    """One way to make a restore point. A subclass states NAME and OPTIONS and implements the rest.

    Adding a provider is one file with such a class, and in registry.py a function that imports it and its line.
    """

    NAME = ""
    OPTIONS: Dict[str, Dict[str, Any]] = {}
    #: Whether create() makes something, or only records what is there already.
    MAKES = False
    #: Whether it reaches a host from outside: it runs on the controller or where it is told to, not on the host.
    FROM_OUTSIDE = False
    #: Options that stage finds out of the host, where patching_snapshot does not say them.
    FROM_STAGE: Tuple[str, ...] = ()

    def __init__(self, options: Dict[str, Any], runner: Runner, clock: Clock) -> None:
        self.options = read_options("snapshot provider {}".format(self.NAME), self.OPTIONS, options)
        self.runner = runner
        self.clock = clock

    def bad_option(self, key: str, expected: str, seen: Any = None) -> PatchingError:
        """Return the refusal of an option's value, or of the part ``seen`` of it."""
        return PatchingError(
            "snapshot provider {}".format(self.NAME),
            "{} is {!r}".format(key, self.options[key] if seen is None else seen),
            expected,
            "correct patching_snapshot",
        )

    def require_absolute(self, *keys: str) -> None:
        """Refuse options that list anything else than absolute paths, as the table of mounts has them.

        Raises:
            PatchingError: naming the first other one.
        """
        for key in keys:
            for path in self.options[key]:
                if not path.startswith("/") or path != os.path.normpath(path):
                    raise self.bad_option(key, "absolute paths, as mounted", path)

    def available(self, host: str) -> Optional[str]:
        """Return why no restore point of ``host`` can be made here and now, or None when one can."""
        raise NotImplementedError

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        """Make a restore point and return it.

        Raises:
            PatchingError: it could not be made; then nothing is left behind.
        """
        raise NotImplementedError

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        """Return the project's own snapshots, the oldest first; a foreign one is never among them."""
        raise NotImplementedError

    def rooms(self) -> List[Room]:
        """Return what fills up with restore points, for housekeeping to warn in time; empty where nothing does.

        Raises:
            PatchingError: it cannot be told.
        """
        return []

    def loss(self, snapshot_id: str, host: str) -> Loss:
        """Return how much of ``host`` a revert to the snapshot loses, as far as that can be told without reading disks.

        Raises:
            PatchingError: it cannot be asked.
        """
        return Loss(None, "provider {} puts no disk back".format(self.NAME))

    def delete(self, snapshot_id: str) -> bool:
        """Delete the snapshot and return whether it existed."""
        raise NotImplementedError

    def revert(self, snapshot_id: str, host: str) -> Dict[str, Any]:
        """Put ``host`` back to the snapshot and return what was done.

        Raises:
            PatchingError: this provider cannot, or it failed; the message says what runs now.
        """
        raise PatchingError(
            "snapshot provider {}".format(self.NAME),
            "asked to revert {}".format(host),
            "a provider that reverts whole hosts",
            "roll the packages back by update_rollback",
        )

    def present(self, run_id: str, host: str) -> Optional[Snapshot]:
        """Return the snapshot that this run already made of ``host``, or None."""
        mine = self.list(run_id, host)
        return mine[-1] if mine else None
