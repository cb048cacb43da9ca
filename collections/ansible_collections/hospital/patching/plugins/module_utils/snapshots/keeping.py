# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping restore points: one per run and host, and hands off everybody else's."""

from typing import NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Snapshot, SnapshotProvider

Kept = NamedTuple("Kept", [("changed", bool), ("snapshot", Optional[Snapshot])])


def present(provider: SnapshotProvider, run_id: str, host: str, reason: str, expires: str, write: bool = True) -> Kept:
    """Return this run's restore point of ``host``, made now if there is none.

    With ``write`` false it is only proven that one could be made.

    Raises:
        PatchingError: no restore point can be made; without one nothing is installed.
    """
    already = provider.present(run_id, host)
    if already is not None:
        return Kept(False, already)
    if not write:
        refusal = provider.available(host)
        if refusal:
            raise PatchingError(
                "host {}".format(host), refusal, "a restore point that can be made", "correct patching_snapshot"
            )
        return Kept(provider.MAKES, None)
    return Kept(provider.MAKES, provider.create(run_id, host, reason, expires))


def absent(
    provider: SnapshotProvider, run_id: str, snapshot_id: str, write: bool = True, host: Optional[str] = None
) -> Kept:
    """Delete this run's snapshot, of ``host`` where that is told.

    Raises:
        PatchingError: the snapshot belongs to another run, or to another host.
    """
    found = find(provider, snapshot_id)
    if found is None:
        return Kept(False, None)
    if found.run_id != run_id:
        raise PatchingError(
            "snapshot {}".format(snapshot_id),
            "it belongs to run {}".format(found.run_id),
            "a snapshot of run {}".format(run_id),
            "name the run that made it, or leave it",
        )
    if host is not None and found.host != host:
        raise PatchingError(
            "snapshot {}".format(snapshot_id),
            "it is of host {}".format(found.host),
            "a snapshot of host {}".format(host),
            "name the host that it is of, or leave it",
        )
    return Kept(provider.delete(snapshot_id) if write else True, None)


def find(provider: SnapshotProvider, snapshot_id: str) -> Optional[Snapshot]:
    """Return the project's snapshot of that id, or None."""
    return next((snapshot for snapshot in provider.list() if snapshot.id == snapshot_id), None)


def require(provider: SnapshotProvider, snapshot_id: str, run_id: str, host: str) -> Snapshot:
    """Return the snapshot, proven to be of this host and run.

    Raises:
        PatchingError: it does not exist, or is of another host or run.
    """
    found = find(provider, snapshot_id)
    if found is not None and (found.run_id, found.host) == (run_id, host):
        return found
    seen = "no such snapshot" if found is None else "it is of host {} and run {}".format(found.host, found.run_id)
    raise PatchingError(
        "snapshot {}".format(snapshot_id),
        seen,
        "a snapshot of host {} and run {}".format(host, run_id),
        "take the id from the run's ledger, step snapshot",
    )
