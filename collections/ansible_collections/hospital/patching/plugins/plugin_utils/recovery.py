# SPDX-License-Identifier: GPL-3.0-or-later
"""Securing the hosts that a killed run left out of service: which they are, and what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import outcomes
from ansible_collections.hospital.patching.plugins.plugin_utils.schedule import Schedule, frozen

#: The gate has let a host go.
GO = ("gate", "done")

Records = Sequence[Mapping[str, Any]]


def left_out(records: Records) -> list[str]:
    """Return the hosts that the run has, or may have, taken out of service and has not finished with.

    One that the gate let go may be held although the ledger was not told any more.
    """
    states = outcomes.host_states(records)
    last = {record["host"]: (record["step"], record["event"]) for record in records}
    return [
        host
        for host, end in last.items()
        if host is not None and ((host in states and states[host].out and states[host].outcome is None) or end == GO)
    ]


@dataclass(frozen=True)
class Way:
    """What is done with a host, and what it then is.

    ``restart`` says whether processes that use replaced files are restarted, ``back`` whether the preserved packages
    are put back first.
    """

    back: bool
    restart: bool
    expect: str
    outcome: str
    reason: str

    def result(self) -> dict[str, Any]:
        """Return it as the task returns it."""
        return {**vars(self), "release": release(self.outcome)}


def release(outcome: str) -> dict[str, str]:
    """Return what the host's journal is told with the release: other runs must know that it is not proven."""
    return {"out": outcome} if outcome in outcomes.STAYS_OUT else {}


def way(at_to: bool, at_from: bool, installed: bool, failed: str | None, restarted: bool, may_restart: bool) -> Way:
    """Return how a host is secured.

    Args:
        at_to: every version is at the transaction's target.
        at_from: every version is the one from before.
        installed: the run has begun to change packages there, ever.
        failed: why the host was on its way back; None when it was not.
        restarted: the run had restarted what needed it.
        may_restart: the host's window is open for as long as the way back takes, or nobody is on the host.
    """
    if at_from and not installed:
        reason = "the run was killed before anything was installed; the host was returned as it was"
        return Way(back=False, restart=False, expect="from", outcome="not_started", reason=reason)
    if at_from:
        # What was restarted may have been so before the packages were put back; once more is harmless.
        reason = f"{failed or ''} It was killed on the way back; the host is as before, and was returned".lstrip()
        return Way(False, may_restart, expect="from", outcome="rolled_back", reason=reason)
    if failed:
        reason = f"{failed} It was killed before it put the host back, which was done now"
        return Way(back=True, restart=may_restart, expect="from", outcome="rolled_back", reason=reason)
    if at_to and (restarted or may_restart):
        reason = "the run was killed; what it had installed is proven, and the host was returned"
        return Way(back=False, restart=not restarted, expect="to", outcome="patched", reason=reason)
    if at_to:
        reason = (
            "the run was killed after the installation; the host serves, but what needs a restart was not restarted"
        )
        return Way(back=False, restart=False, expect="to", outcome="unverified", reason=reason)
    reason = "the run was killed in the middle of the installation; the host was put back and returned"
    return Way(back=True, restart=may_restart, expect="from", outcome="rolled_back", reason=reason)


def may_restart(
    entry: Mapping[str, Any], now: datetime, segments: Sequence[str] | None, freezes: Sequence[str] = ()
) -> bool:
    """Say whether a serving process may be restarted: nobody is on the host, or its window is open long enough."""
    if entry["drain"]["type"] != "none":
        return True
    closed = [*entry["freezes"], *freezes]
    ready = now + timedelta(seconds=entry["way_back_s"])
    try:
        if entry["window"] is None:
            return frozen(closed, now, ready, segments) is None
        live = Schedule.of(entry["window"]["text"], closed, segments).open_at(now)
    except PatchingError:
        return False  # what cannot be read counts as closed
    return live is not None and ready <= live.end


def returned(at_to: bool, at_from: bool, proven: bool, installed: bool) -> str:
    """Return the outcome of a host that a person has put back into service."""
    if not proven:
        return "unverified"
    if at_to:
        return "patched"
    if at_from:
        return "rolled_back" if installed else "not_started"
    return "unverified"


def installed(records: Records, host: str) -> bool:
    """Say whether the run began to install anything on ``host``."""
    return any(record["host"] == host and record["step"] == "install" for record in records)
