# SPDX-License-Identifier: GPL-3.0-or-later
"""Which transactions take an update back: on one run's hosts, or wherever any run has installed it.

Each host goes back by its own newest transaction that has the update. What a
later run has built upon is refused: which version comes back would not be what
anybody asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import installs
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.installs import Installs

#: Instead of a run: all of them.
ALL = "all"


@dataclass(frozen=True)
class Way:
    """One host's way back: the run whose transaction it is, and the packages."""

    run_id: str
    host: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """The ways in their order, the newest run first; hosts that are left as they are; and what else is to be said."""

    ways: list[Way]
    left: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def runs(self) -> list[str]:
        """Return the runs in the order in which they are taken back."""
        return list(dict.fromkeys(way.run_id for way in self.ways))


def read(store: Evidence, since: str = "") -> list[Installs]:
    """Return what runs have installed, the newest run first.

    Args:
        since: this run and those after it; empty for all.

    Raises:
        PatchingError: a run cannot be read: it might have built upon what is taken back.
    """
    return [_read(store, run_id) for run_id in reversed(store.runs()) if run_id >= since]


def newer(store: Evidence, run_id: str) -> list[Installs]:
    """Return what runs after ``run_id`` have installed, as far as they can be read, the newest first.

    A host whose packages have changed again refuses by itself; this only says which run it was.
    """
    found = []
    for name in reversed(store.runs()):
        if name > run_id:
            with contextlib.suppress(PatchingError, KeyError, TypeError, ValueError):
                found.append(installs.read(store, name))
    return found


def _read(store: Evidence, run_id: str) -> Installs:
    try:
        return installs.read(store, run_id)
    except (PatchingError, KeyError, TypeError, ValueError) as error:
        raise PatchingError(
            f"run {run_id}",
            f"what it has installed cannot be read: {error}",
            "evidence that can be read, of every run that may have built upon what is taken back",
            "bring the run's folder back from where it is kept too; or take the package back on the host by hand",
        ) from error


def find(runs: Sequence[Installs], hosts: Collection[str], items: Sequence[str], run_id: str = ALL) -> Found:
    """Return each host's way back.

    Args:
        runs: the newest first.
        hosts: names, or ``all`` alone.
        items: as :meth:`Installs.about` takes them.
        run_id: the run whose transactions are taken back, or ``all``.

    Raises:
        PatchingError: nothing is asked for, a run has not installed it, or a host has not got it.
    """
    if run_id == ALL and not items:
        raise PatchingError(
            "rollback of all runs",
            "no update and no advisory is named",
            "rollback_updates or rollback_advisory: nobody takes back everything of every run",
            "name what is bad, or the run by patching_run_id",
        )
    everyone = list(hosts) in ([], [ALL])
    found = Found([])
    later: dict[str, dict[str, tuple[str, Mapping[str, Any]]]] = {}
    done: dict[str, set[str]] = {}
    staying: dict[str, dict[tuple[str, ...], str]] = {}
    for run in runs:
        mine = run_id in (ALL, run.run_id)
        for host in reversed(list(run.hosts)):
            entries = run.about(host, items) if mine and (everyone or host in hosts) else []
            names = tuple(dict.fromkeys(str(entry["name"]) for entry in entries))
            known = done.setdefault(host, set())
            if known.intersection(names):
                found.notes.append(f"{host} has an older version of it from run {run.run_id}, which is not taken back")
            more = tuple(name for name in names if name not in known)
            if more:
                known.update(more)
                why = _take(found, run, host, more, later.get(host, {}))
                if why is not None:
                    staying.setdefault(host, {})[more] = why
        for host, standing in run.hosts.items():
            for entry in standing:
                later.setdefault(host, {}).setdefault(entry["name"], (run.run_id, entry))
    found.left.update(_left(staying, {way.host for way in found.ways}))
    anywhere = sorted({host for run in runs for host in run.hosts if run.about(host, items)})
    _require_each(found, [] if everyone else hosts, items, anywhere)
    return found


def within(found: Found, known: Collection[str]) -> Found:
    """Return what can be done in this inventory; a host that it does not know is left, and does not keep the others.

    Raises:
        PatchingError: it knows none of the hosts.
    """
    ways = [way for way in found.ways if way.host in known]
    gone = {way.host: "the inventory does not know it" for way in found.ways if way.host not in known}
    if not ways:
        seen = f"the inventory knows none of {', '.join(gone)}"
        raise PatchingError("rollback of all runs", seen, "hosts of the inventory", "give the inventory that has them")
    return Found(ways, {**found.left, **gone}, found.notes)


def _take(
    found: Found,
    run: Installs,
    host: str,
    names: tuple[str, ...],
    later: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> str | None:
    """Add a host's way back, or return why these packages stay: built upon, or the host has another way already."""
    built = built_upon(host, run.run_id, names, later)
    if built is not None:
        return str(built)
    other = next((way for way in found.ways if way.host == host), None)
    if other is None:
        found.ways.append(Way(run.run_id, host, names))
        return None
    error = PatchingError(
        f"host {host}",
        f"run {run.run_id} has installed {', '.join(names)}, and run {other.run_id} {', '.join(other.names)}",
        "packages of one run: a host goes back by one transaction at a time",
        f"take the older one back after this: rollback.yml -e patching_run_id={run.run_id} -e rollback_hosts={host} "
        f"-e rollback_updates={','.join(names)}",
    )
    return str(error)


def _left(staying: Mapping[str, Mapping[tuple[str, ...], str]], going: Collection[str]) -> dict[str, str]:
    """Return what is left as it is: by host, or by host and packages where the host's others go back.

    A host that was taken back must not hide what of it was not.
    """
    left = {}
    for host, reasons in staying.items():
        if host in going:
            left.update({f"{host} ({', '.join(names)})": why for names, why in reasons.items()})
        else:
            left[host] = "; ".join(reasons.values())
    return left


def built_upon(
    host: str, run_id: str, names: Iterable[str], later: Mapping[str, tuple[str, Mapping[str, Any]]]
) -> PatchingError | None:
    """Return why a host's transaction is not taken back, where a later run has changed the same package again."""
    for name in names:
        if name in later:
            newer, entry = later[name]
            return PatchingError(
                f"host {host}",
                f"since run {run_id}, run {newer} has brought {name} from {entry['from'] or 'nothing'} to "
                f"{entry['to'] or 'its removal'}",
                "the version that the run to take back has installed",
                f"take that back first: rollback.yml -e patching_run_id={newer} -e rollback_hosts={host} "
                f"-e rollback_updates={name}; then this again",
            )
    return None


def later_than(runs: Iterable[Installs], run_id: str, host: str) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return name → run and entry of what newer runs have changed on a host, as :func:`built_upon` takes it."""
    later: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for run in runs:
        for entry in run.hosts.get(host, ()) if run.run_id > run_id else ():
            later.setdefault(entry["name"], (run.run_id, entry))
    return later


def _require_each(found: Found, hosts: Collection[str], items: Sequence[str], anywhere: Sequence[str]) -> None:
    """Refuse a request of which nothing, or not every named host, can be taken back."""
    known = {way.host for way in found.ways} | set(found.left)
    missing = [host for host in hosts if host not in known]
    what = f"rollback of {', '.join(items) or 'the run'}"
    if not known or missing:
        raise PatchingError(
            f"{what} on {', '.join(missing) or 'all hosts'}",
            "no run that counts has installed it there, or it was taken back already",
            "what reports list as installed" + (f", on {', '.join(anywhere)}" if anywhere else ""),
            "correct rollback_updates, rollback_advisory, rollback_hosts or patching_run_id",
        )
    if not found.ways:
        seen = "; ".join(found.left.values())
        raise PatchingError(what, seen, "a host on which nothing was built upon it", "take back first what is named")
