# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run's ledger says of silences, and the marks beside it by which a watcher finds those that have ended.

Records have the step ``silence``: ``begin`` before the monitor is asked, ``done``
with ``state`` ``silenced`` or ``lifted``, ``failed``, and ``note`` when a host is
patched unsilenced. Closed runs stay for years and a watcher looks every minute,
so a file for each host whose silence stands says which ledgers have to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import outcomes
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, read_json, write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

STEP = "silence"
SILENCED, LIFTED = "silenced", "lifted"
FOLDER = "silenced"


@dataclass(frozen=True)
class Standing:
    """A silence that nobody has lifted. Without ``ids`` it is not known whether there is one: a run was killed."""

    ids: tuple[str, ...]
    until: str
    provider: str


def standing(records: Iterable[Mapping[str, Any]], host: str) -> Standing | None:
    """Return the silence of a host that may stand; None when none was begun, or the last one was lifted."""
    found: Standing | None = None
    for record in records:
        if record["host"] != host or record["step"] != STEP:
            continue
        event, detail = record["event"], record["detail"]
        if (event, detail.get("state")) == ("done", LIFTED):
            found = None
        elif event == "begin" and detail.get("until"):
            found = found or Standing((), detail["until"], detail["provider"])
        elif (event, detail.get("state")) == ("done", SILENCED):
            ids = (*(found.ids if found else ()), detail["id"])
            found = Standing(tuple(dict.fromkeys(ids)), detail["until"], detail["provider"])
    return found


# --- for the watcher ----------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """A silence that has ended while its host is out of service."""

    run_id: str
    host: str
    until: str
    path: Path

    def __str__(self) -> str:
        return str(
            PatchingError(
                f"host {self.host}",
                f"its alerts are silenced no longer (until {self.until}), and it is still out of service",
                f"a host that is back before that, as run {self.run_id} had estimated",
                f"expect its alerts; look at the host, then return.yml -e patching_run_id={self.run_id}",
            )
        )

    def result(self) -> dict[str, str]:
        """Return it as the task returns it."""
        return {"run_id": self.run_id, "host": self.host, "until": self.until}


def mark(run: Run, host: str, until: str) -> None:
    """Remember that alerts of ``host`` are silenced."""
    write_json(_path(run, host), {"host": host, "until": until, "told": None})


def unmark(run: Run, host: str) -> None:
    """Forget it again: it was lifted."""
    with suppress(OSError):
        _path(run, host).unlink()


def _path(run: Run, host: str) -> Path:
    return run.evidence.run_dir(run.run_id) / FOLDER / run.evidence.stage_path(run.run_id, host).name


def ended(evidence_dir: str, now: datetime) -> list[Ended]:
    """Return the silences that have ended while their host is out of service, and of which nobody was told.

    Ledgers that cannot be read are told as silent runs.

    Raises:
        PatchingError: the evidence directory cannot be read.
    """
    store = Evidence(Path(evidence_dir))
    found = [one for run_id in store.runs() for one in _of_run(evidence_dir, store, run_id, now)]
    return sorted(found, key=lambda one: (one.until, one.host))


def _of_run(evidence_dir: str, store: Evidence, run_id: str, now: datetime) -> list[Ended]:
    folder = store.run_dir(run_id) / FOLDER
    over = [one for path in sorted(folder.glob("*.json")) if (one := _read(run_id, path, now)) is not None]
    if not over:
        return []
    try:
        records = Run(evidence_dir, run_id).ledger.read()
    except (PatchingError, OSError):
        return []
    states = outcomes.host_states(records)
    return [
        one for one in over if standing(records, one.host) is not None and one.host in states and states[one.host].out
    ]


def _read(run_id: str, path: Path, now: datetime) -> Ended | None:
    """Return a silence that is over and was not told; a mark that cannot be read is none, the ledger knows it too."""
    try:
        known = read_json(path)
        if known["told"] is not None or read_stamp(known["until"]) > now:
            return None
        return Ended(run_id, str(known["host"]), known["until"], path)
    except (PatchingError, KeyError, TypeError):
        return None


def remember(told: Iterable[Ended], now: datetime) -> list[str]:
    """Keep that people were told; return what hindered it, because then they are told again at the next look."""
    problems = []
    for one in told:
        try:
            write_json(one.path, {"host": one.host, "until": one.until, "told": stamp(now)})
        except PatchingError as error:
            problems.append(f"cannot remember that it was paged, so every look pages again: {error.seen}")
    return sorted(set(problems))
