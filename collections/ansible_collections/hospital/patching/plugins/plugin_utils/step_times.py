# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each step of a host took in one run, read from its ledger as the report reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.rehearsal import REHEARSAL
from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import parts_by_host

#: What happens before the window, so that it is no part of the time in it.
AHEAD = "stage"
#: What is learned, in the journey's order. The gate waits for others, and the way back is learned as a whole.
STEPS = (AHEAD, "lock", "health_before", "drain", "snapshot", "install", "restart", "verify", "return")

Record = Mapping[str, Any]
Seconds = dict[str, int]


def step_seconds(records: Iterable[Record]) -> dict[str, Seconds]:
    """Return, by host, the whole seconds that each step took; of one that was done more than once, the longest.

    A journey counts from the gate to its outcome. Only steps that ended well
    count, and none from a failure on: what failed was cut short or waited in
    vain, and what follows it is the way back. As for the whole time, neither a
    journey with a rehearsed revert teaches anything, nor what a run that was
    started again had begun before.
    """
    found: dict[str, Seconds] = {}
    journeys: dict[str, list[Record]] = {}
    goes_forward = True
    for record in records:
        host, step, event = record["host"], record["step"], record["event"]
        if host is None:
            if (step, event) == ("gate", "begin"):
                journeys, goes_forward = {}, not record["detail"].get("rollback")
        elif step == AHEAD:
            _keep(found, host, [record])
        elif (step, event) == ("gate", "done") and record["detail"].get("before") == "host":
            journeys[host] = []
        elif event == "note" and record["detail"].get(REHEARSAL):
            journeys.pop(host, None)
        elif event == "outcome":
            _keep(found, host, journeys.pop(host, []) if goes_forward else [])
        elif host in journeys:
            journeys[host].append(record)
    return found


def _keep(found: dict[str, Seconds], host: str, records: Sequence[Record]) -> None:
    took: dict[str, int] = {}
    for step, milliseconds in _done(host, records):
        took[step] = took.get(step, 0) + milliseconds
    known = found.setdefault(host, {}) if took else {}
    for step, milliseconds in took.items():
        known[step] = max(known.get(step, 0), -(-milliseconds // 1000))


def _done(host: str, records: Sequence[Record]) -> Iterator[tuple[str, int]]:
    """Yield the steps up to the first that did not end well; one that nobody measured tells nothing."""
    for part in parts_by_host(records).get(host, []):
        if part.status != "done":
            return
        if part.step in STEPS and part.length_ms:
            yield part.step, part.length_ms
