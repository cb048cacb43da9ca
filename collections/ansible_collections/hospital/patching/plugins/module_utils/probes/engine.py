# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs many probes at once, each with its own time limit; one that hangs is inconclusive."""

import threading
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.probes import libraries
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Probe

#: A probe ends by its own time limits; the engine steps in only when it did not.
GRACE_S = 0.5
#: Pause between two readings while something is awaited.
INTERVAL_S = 2


class _Reading(threading.Thread):
    """One probe in its own thread, a daemon so that a hanging one does not keep the module alive."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(name="probe " + probe.name, daemon=True)
        self.probe = probe
        self.answer: Any = None

    def run(self) -> None:
        self.answer = self.probe.read()


def run_probes(probes: List[Probe], clock: Clock, wait_s: int = 0) -> List[Dict[str, Any]]:
    """Return one result per probe, in their order.

    With ``wait_s``, those that are not ok are read again until they are or
    that many seconds have passed: a service that was just restarted may need
    a moment before it answers.
    """
    if not probes:
        return []
    for name in sorted({name for probe in probes for name in probe.libraries()}):
        libraries.optional(name)
    deadline = clock.monotonic() + wait_s
    results = _read_once(probes, clock)
    while verdict(results) != "ok" and clock.monotonic() + INTERVAL_S <= deadline:
        clock.sleep(INTERVAL_S)
        again = [number for number, result in enumerate(results) if result["verdict"] != "ok"]
        for number, result in zip(again, _read_once([probes[number] for number in again], clock)):
            results[number] = _continued(results[number], result)
    return results


def _continued(earlier: Dict[str, Any], result: Dict[str, Any]) -> Dict[str, Any]:
    """Return a newer result, with the span of all readings of this call that were not ok."""
    last = earlier["not_ok"]["to"] if result["verdict"] == "ok" else result["at"]
    return dict(result, not_ok={"from": earlier["not_ok"]["from"], "to": last})


def _read_once(probes: List[Probe], clock: Clock) -> List[Dict[str, Any]]:
    started = clock.monotonic()
    readings = [_Reading(probe) for probe in probes]
    for reading in readings:
        reading.start()
    results = []
    for reading in readings:
        probe = reading.probe
        reading.join(max(0.0, started + probe.timeout_s + GRACE_S - clock.monotonic()))
        # Taken once: a late answer must not change a result that was already given out.
        answer = reading.answer
        if answer is None:
            elapsed_ms = int((clock.monotonic() - started) * 1000)
            answer = probe.result("inconclusive", "no end within {} s".format(probe.timeout_s), None, elapsed_ms)
        results.append(answer)
    return results


def verdict(results: List[Dict[str, Any]]) -> str:
    """Return the worst verdict: failed, then inconclusive, then ok; nothing read is inconclusive."""
    verdicts = {result["verdict"] for result in results}
    if "failed" in verdicts:
        return "failed"
    return "ok" if verdicts == {"ok"} else "inconclusive"
