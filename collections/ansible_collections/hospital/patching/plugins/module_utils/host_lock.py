# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding a host for one run: the journal's record first, then competing updaters held off."""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils import competing_updaters, transient_scope
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.hold_check import refuse_reverted
from ansible_collections.hospital.patching.plugins.module_utils.journal import (
    LOCK_STEP,
    Journal,
    refuse_unwritable,
)
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

LockResult = NamedTuple("LockResult", [("changed", bool), ("suspended", List[str]), ("not_resumed", List[str])])


def caller() -> str:
    """Return the address from which this connection came, as far as the host can tell."""
    return (os.environ.get("SSH_CONNECTION") or "unknown").split()[0]


class HostLock:
    """Holds and releases this host; safe to be killed at any point and called again."""

    def __init__(
        self, journal: Journal, runner: Runner, clock: Clock, updaters_wait_s: int = 120, work_wait_s: int = 3600
    ) -> None:
        self.journal = journal
        self.runner = runner
        self.clock = clock
        self.updaters_wait_s = updaters_wait_s
        self.work_wait_s = work_wait_s
        #: What the last hold has left alone of those that may update the host.
        self.observed: List[str] = []

    def hold(
        self,
        run_id: str,
        detail: Dict[str, Any],
        write: bool = True,
        breaks: str = "",
        mirror: Optional[Dict[str, Any]] = None,
        decided: str = "",
        updaters: str = "suspend",
    ) -> LockResult:
        """Hold the host, once nothing of an earlier call is at work on it any more.

        A second call by the same run only stops updaters that a reboot brought back.

        What will be stopped is journalled before it is stopped, so that a run
        killed in between still knows what to start again.

        Args:
            mirror: what the run's ledger says of this host's snapshots; see hold_check.
            decided: a person's words with which the host is held whatever the ledger
                says; where it matters they are journalled, so that the journal goes on.
            updaters: what is done about competing updaters, of competing_updaters.POLICIES. ``refuse`` is asked
                before the host is held; one that shows up later on a host that is held is suspended.
        """
        refuse_unwritable(detail)
        self.journal.refuse_other_holder(run_id, breaks)
        if not decided:
            refuse_reverted(self.journal, run_id, mirror or {})
        decision = {"decided": decided} if self.journal.pending() is not None and decided else {}
        already_held = self.journal.holder() is not None
        active = self._competing(updaters, already_held or bool(breaks))
        detail = dict(detail, observed=self.observed) if self.observed else detail
        if not write:
            return LockResult(not already_held or bool(active or decision), active, [])
        # Work that outlived its controller: until it has ended, nobody can tell what this host is.
        transient_scope.wait_until_idle(self.clock, self.work_wait_s)
        if breaks:  # what the dead run had stopped is started again with this one's release
            active += [name for name in self.suspended(breaks) if name not in active]
        _record, fresh = self.journal.hold(run_id, dict(detail, suspended=active, **decision), breaks)
        if not fresh:
            back = [name for name in active if name not in self.suspended(run_id)]
            if back or decision:
                self.journal.append(run_id, LOCK_STEP, "note", suspended=back, **decision)
        try:
            competing_updaters.suspend(self.runner, active, self.clock, self.updaters_wait_s)
        except PatchingError:
            # Never leave a host held by a run that was just told that it cannot have it.
            if fresh:
                self.release(run_id, {})
            raise
        return LockResult(fresh or bool(active or decision), self.suspended(run_id), [])

    def _competing(self, policy: str, already_held: bool) -> List[str]:
        """Return those that are to be suspended; what else may update the host is under ``observed``."""
        found = competing_updaters.find(self.runner)
        if policy == "refuse" and not already_held:
            competing_updaters.refuse_active(found)
        names = [] if policy == "observe" else competing_updaters.suspendable(found)
        self.observed = [one["name"] for one in found if one["active"] and one["name"] not in names]
        return names

    def release(self, run_id: str, detail: Dict[str, Any], write: bool = True) -> LockResult:
        """Start again exactly what was stopped, then give the host up."""
        refuse_unwritable(detail)
        self.journal.refuse_other_holder(run_id)
        if self.journal.holder() is None:
            return LockResult(False, [], [])
        suspended = self.suspended(run_id)
        if not write:
            return LockResult(True, suspended, [])
        not_resumed = competing_updaters.resume(self.runner, suspended)
        resumed = [name for name in suspended if name not in not_resumed]
        self.journal.release(run_id, dict(detail, resumed=resumed, not_resumed=not_resumed))
        return LockResult(True, suspended, not_resumed)

    def suspended(self, run_id: str) -> List[str]:
        """Return the updaters that ``run_id`` stopped since it holds this host."""
        names: List[str] = []
        for record in self.journal.read():
            if record["step"] != LOCK_STEP or record["run_id"] != run_id:
                continue
            if record["event"] == "released":
                names = []
            names += [name for name in record["detail"].get("suspended", []) if name not in names]
        return names
