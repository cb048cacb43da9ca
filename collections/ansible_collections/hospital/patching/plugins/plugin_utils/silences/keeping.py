# SPDX-License-Identifier: GPL-3.0-or-later
"""Silences a host for a run, and lifts that again, whichever monitor it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import SilenceProvider, Wanted


@dataclass(frozen=True)
class Lifted:
    """Which silences were ended, which had ended by themselves or are not known, and what could not be done."""

    lifted: tuple[str, ...]
    over: tuple[str, ...]
    problems: tuple[str, ...]


def silence(provider: SilenceProvider, wanted: Wanted) -> tuple[str, Lifted]:
    """Return the id of a new silence, and what became of those that an interrupted run had left.

    Raises:
        PatchingError: the monitor cannot be asked, or has not done what it was asked for.
    """
    problem = provider.problem()
    if problem:
        raise provider.refused("silence", problem, "a monitor that can be asked", "correct patching_silence")
    before = provider.own(wanted.run_id, wanted.host)
    made = provider.make(wanted)
    return made, _each(provider, wanted.run_id, wanted.host, [one for one in before if one != made])


def lift(provider: SilenceProvider, run_id: str, host: str, known: Iterable[str]) -> Lifted:
    """End what this run has silenced of a host: what the ledger knows, and what the monitor has besides."""
    problem = provider.problem()
    if problem:
        return Lifted((), (), (problem,))
    ids, problems = list(known), []
    if not ids and provider.UNTOLD is not None:
        # It failed, or the controller was killed while it was made: nobody else would end it.
        ids.append(provider.UNTOLD)
    try:
        ids += provider.own(run_id, host)
    except PatchingError as error:
        problems.append(str(error))
    if problems and not ids:
        return Lifted((), (), tuple(problems))
    found = _each(provider, run_id, host, list(dict.fromkeys(ids)))
    return Lifted(found.lifted, found.over, (*problems, *found.problems))


def _each(provider: SilenceProvider, run_id: str, host: str, ids: Iterable[str]) -> Lifted:
    lifted: list[str] = []
    over: list[str] = []
    problems: list[str] = []
    for one in ids:
        try:
            (lifted if provider.lift(one, run_id, host) else over).append(one)
        except PatchingError as error:
            problems.append(str(error))
    return Lifted(tuple(lifted), tuple(over), tuple(problems))
