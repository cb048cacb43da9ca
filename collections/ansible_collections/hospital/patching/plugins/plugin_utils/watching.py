# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runs have gone silent: begun, not closed, and without a sign of life.

A killed controller cannot shout. What cannot be read counts as silent too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers, outcomes
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, read_json, write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.heartbeat import last_beat
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

#: Within a run's folder: what was paged last.
PAGED = "paged.json"
#: While a silence lasts it is paged again after so many seconds.
AGAIN_S = 3600
#: A sign of life that lies further in the future comes from a wrong clock, and would hide a silence for as long.
AHEAD_S = 300


@dataclass(frozen=True)
class Silence:
    """A run that somebody has to look at; ``last_sign`` is None when it cannot be told."""

    run_id: str
    last_sign: datetime | None
    out: tuple[str, ...]
    seen: str
    expected: str
    next_step: str

    def __str__(self) -> str:
        return str(PatchingError(f"run {self.run_id}", self.seen, self.expected, self.next_step))

    def result(self) -> dict[str, Any]:
        """Return it as the task returns it."""
        return {
            "run_id": self.run_id,
            "last_sign": stamp(self.last_sign) if self.last_sign else None,
            "out_of_service": list(self.out),
            "seen": self.seen,
            "next_step": self.next_step,
        }


def silent_runs(evidence_dir: str, now: datetime, silent_s: int) -> list[Silence]:
    """Return every run of the evidence directory that has been silent for ``silent_s`` seconds, oldest first.

    Raises:
        PatchingError: the directory cannot be read: then nobody can tell.
    """
    found = [_look(evidence_dir, run_id, now, silent_s) for run_id in _runs(evidence_dir)]
    return [silence for silence in found if silence is not None]


def open_runs(evidence_dir: str) -> list[str]:
    """Return the ids of all runs that were not closed, oldest first; one that cannot be read counts as open.

    Raises:
        PatchingError: the directory cannot be read: then nobody can tell.
    """
    return [run_id for run_id in _runs(evidence_dir) if not _is_closed(evidence_dir, run_id)]


def _is_closed(evidence_dir: str, run_id: str) -> bool:
    """Not read whole: closed runs stay for years, and somebody looks every minute."""
    try:
        return is_closing(Run(evidence_dir, run_id).ledger.last())
    except (PatchingError, OSError):
        return False


def _runs(evidence_dir: str) -> list[str]:
    try:
        # Listed, not only asked for: a mount that is gone must not look like a night without runs.
        next(Path(evidence_dir).iterdir(), None)
        return Evidence(Path(evidence_dir)).runs()
    except OSError as error:
        raise PatchingError(
            f"the evidence directory {evidence_dir}",
            str(error),
            "the directory in which runs keep their ledgers",
            "mount it or correct patching_evidence_dir; until then no run is watched",
        ) from error


def _look(evidence_dir: str, run_id: str, now: datetime, silent_s: int) -> Silence | None:
    try:
        run = Run(evidence_dir, run_id)
        return _judge(run, now, silent_s)
    except PatchingError as error:
        seen = f"{error.subject}: {error.seen}"
        next_step = f"{error.next_step}; look at its hosts, nobody can tell which are out of service"
        return Silence(run_id, None, (), seen, error.expected, next_step)
    except OSError as error:
        return Silence(
            run_id, None, (), str(error), "a run's folder that can be read", "correct its permissions, or the mount"
        )


def _judge(run: Run, now: datetime, silent_s: int) -> Silence | None:
    if is_closing(run.ledger.last()):
        return None  # not read whole: closed runs stay for years, and somebody looks every minute
    records = run.ledger.read()
    if not records and last_beat(run.evidence.run_dir(run.run_id)):
        raise PatchingError(
            str(run.ledger.path), "it is missing or empty, but the run has worked", "the run's ledger", "look for it"
        )
    if controllers.driver(records) is None:
        return None
    sign = run.last_sign(records)
    states = outcomes.host_states(records)
    out = tuple(sorted((host for host, state in states.items() if state.out), key=natural_key))
    if sign > now + timedelta(seconds=AHEAD_S):
        seen = f"its last sign of life lies in the future ({stamp(sign)}): a clock is wrong"
    elif sign <= now - timedelta(seconds=silent_s):
        seen = f"begun, not closed, and no sign of life since {stamp(sign)}"
    else:
        return None
    return Silence(
        run.run_id,
        sign,
        out,
        f"{seen}; out of service now: {', '.join(out) or 'no host'}",
        f"a sign of life within {silent_s} s until the run is closed",
        f"ansible-playbook -i INVENTORY playbooks/recover.yml -e patching_run_id={run.run_id}",
    )


def is_closing(record: Mapping[str, Any] | None) -> bool:
    """Say whether this is the record with which a run is closed."""
    return record is not None and record["host"] is None and (record["step"], record["event"]) == ("record", "done")


def due(evidence_dir: str, silences: Sequence[Silence], now: datetime) -> list[Silence]:
    """Return the silences that nobody was paged for yet, or not within the last hour."""
    return [silence for silence in silences if _is_due(_paged_path(evidence_dir, silence.run_id), silence, now)]


def _is_due(path: Path, silence: Silence, now: datetime) -> bool:
    try:
        paged = read_json(path)
        ago_s = (now - read_stamp(paged["paged_at"])).total_seconds()
        same: bool = paged["last_sign"] == silence.result()["last_sign"]
    except (PatchingError, KeyError, TypeError):
        return True  # never paged; or what is remembered cannot be read, and once more is better than never
    return not same or not 0 <= ago_s < AGAIN_S


def remember(evidence_dir: str, silences: Sequence[Silence], now: datetime) -> list[str]:
    """Keep that these were paged; return what hindered it, because then they are paged again at the next look."""
    problems = []
    for silence in silences:
        try:
            paged = {"last_sign": silence.result()["last_sign"], "paged_at": stamp(now), "seen": silence.seen}
            write_json(_paged_path(evidence_dir, silence.run_id), paged)
        except PatchingError as error:
            problems.append(f"cannot remember that it was paged, so every look pages again: {error.seen}")
    return sorted(set(problems))


def _paged_path(evidence_dir: str, run_id: str) -> Path:
    return Evidence(Path(evidence_dir)).run_dir(run_id) / PAGED


def message(silences: Sequence[object], problems: Sequence[str]) -> str:
    """Return the one message with which the watch fails: what was found, and what went wrong with paging."""
    return " ".join([*map(str, silences), *(f"Paging: {problem}." for problem in problems)])


def with_problems(error: PatchingError, problems: Sequence[str]) -> PatchingError:
    """Return the error with what went wrong when a person was paged for it."""
    return PatchingError(error.subject, "; ".join([error.seen, *problems]), error.expected, error.next_step)
