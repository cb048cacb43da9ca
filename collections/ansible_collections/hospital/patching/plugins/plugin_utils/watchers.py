# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether anybody watches the runs from a second machine: the mark it leaves after each look, and which marks count.

::

    <evidence dir>/watchers/<boot id>.json

Nobody is asked over the network. The mark lies where runs keep their ledgers,
so whoever leaves one there shares the evidence directory; that it also sees a
run, the mark says itself. What cannot be read is no watcher.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers, schema
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import read_json
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

FOLDER = "watchers"
SCHEMA = 1
#: "pages when an unfinished run has recorded nothing for ten minutes" (DESIGN.md, invariant 5): so old may a mark be,
#: and so long may a watcher let a run be silent.
LIMIT_S = 600
#: By so much may the watcher's clock be ahead of this machine's; further ahead, it would count after its death.
AHEAD_S = 60
#: By how much silence and interval together may be longer than the limit: the timer looks once a minute.
SLACK_S = 60
#: So many marks are named where none counts: one is left a boot of each machine that ever watched.
TOLD = 3


@dataclass(frozen=True)
class Machine:
    """A machine as watchers are told apart.

    The boot alone, without the process namespace that tells controllers apart:
    two containers of one machine die together. The name besides, because a
    machine that was restarted has another boot and is no second one.
    """

    boot: str | None
    name: str

    @classmethod
    def here(cls) -> Machine:
        return cls(controllers.boot_id(), socket.gethostname())


@dataclass(frozen=True)
class Watch:
    """That somebody has looked at all runs, and what he saw."""

    boot: str
    machine: str
    time: datetime
    #: Kinds only: an address holds a password.
    pages_by: tuple[str, ...]
    silent_s: int
    #: None where whoever starts it did not say.
    every_s: int | None
    #: The runs that he saw begun and not closed.
    open_runs: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the mark as it is kept."""
        return {"schema": SCHEMA, **vars(self), **self.told(), "open_runs": list(self.open_runs)}

    def told(self) -> dict[str, Any]:
        """Return what a ledger says of the watcher that counted."""
        pages_by = list(self.pages_by)
        return {"machine": self.machine, "boot": self.boot, "time": stamp(self.time), "pages_by": pages_by}


def path_of(root: Path, boot: str) -> Path:
    """Return where the mark of a machine lies in the evidence directory."""
    return root / FOLDER / f"{boot}.json"


def proof(root: Path, now: datetime, here: Machine, run_id: str | None = None) -> Watch | str:
    """Return the watcher that counts at ``now``, the one that looked last, or what was seen instead.

    What was seen is the same for as long as nothing changes, so that a plan
    that carries it keeps its digest.

    Args:
        here: who asks.
        run_id: the run that it must have seen open; None before there is one.
    """
    if here.boot is None:
        return "this machine cannot tell itself from others: its boot id cannot be read"
    try:
        found = [_read(path) for path in sorted((root / FOLDER).iterdir()) if path.suffix == ".json"]
    except FileNotFoundError:
        found = []
    except OSError as error:
        return f"the marks of watchers cannot be read: {error}"
    marks = sorted((one for one in found if isinstance(one, Watch)), key=lambda one: one.time, reverse=True)
    against = []
    for mark in marks:
        why_not = _against(mark, now, here, run_id)
        if why_not is None:
            return mark
        against.append(why_not)
    return _told([*against, *(one for one in found if isinstance(one, str))])


def _told(reasons: Sequence[str]) -> str:
    if not reasons:
        return f"nobody has left a mark in {FOLDER} of the evidence directory"
    more = f"; and {len(reasons) - TOLD} more" if len(reasons) > TOLD else ""
    return "; ".join(reasons[:TOLD]) + more


def _read(path: Path) -> Watch | str:
    """Return the mark, or why it is none."""
    try:
        # A pipe would be waited for without end.
        value: Any = read_json(path) if path.is_file() else None
        schema.validate("watcher", value, path.name)
        if path.stem != value["boot"]:
            return f"{path.name} cannot be read as a mark: it is that of {value['boot']}"
        return Watch(
            boot=value["boot"],
            machine=value["machine"],
            time=read_stamp(value["time"]),
            pages_by=tuple(value["pages_by"]),
            silent_s=value["silent_s"],
            every_s=value["every_s"],
            open_runs=tuple(value["open_runs"]),
        )
    except PatchingError as error:
        return f"{path.name} cannot be read as a mark: {error.seen}"
    except RecursionError:
        return f"{path.name} cannot be read as a mark: it is nested too deep"


def _against(mark: Watch, now: datetime, here: Machine, run_id: str | None) -> str | None:
    """Return why the mark does not count."""
    name, at = mark.machine, stamp(mark.time)
    if mark.boot == here.boot:
        return f"{name} watches on this very machine, and dies with it"
    if name == here.name:
        return f"{name} has this machine's own name: it is this one before a restart, or has to be renamed"
    if mark.silent_s > LIMIT_S:
        return f"{name} lets a run be silent for {mark.silent_s} s, and {LIMIT_S} is the most (watch_silent_s)"
    if mark.every_s is None:
        return f"{name} has looked once, and does not say how often it does (watch_every_s)"
    if mark.silent_s + mark.every_s > LIMIT_S + SLACK_S:
        told = f"{name} lets a run be silent for {mark.silent_s} s and looks every {mark.every_s} s"
        return f"{told}: together {LIMIT_S + SLACK_S} is the most"
    if mark.time > now + timedelta(seconds=AHEAD_S):
        return f"{name} looked in the future ({at}): a clock is wrong"
    if mark.time < now - timedelta(seconds=LIMIT_S):
        return f"{name} looked last at {at}, more than {LIMIT_S} s ago"
    if run_id is not None and run_id not in mark.open_runs:
        return f"{name} looked at {at} and did not see this run: not since it began, or it watches a copy"
    return None
