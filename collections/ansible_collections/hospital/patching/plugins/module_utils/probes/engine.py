# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs many probes at once, each with its own time limit; one that hangs is inconclusive."""

import threading
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.probes import libraries
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Probe

#: A probe ends by its own time limits; the engine steps in only when it did not.
GRACE_S = 0.5
#: Pause between two readings while something is awaited.
INTERVAL_S = 2
#: Pause between two readings of a soak, and how many a long one has at most.
SOAK_INTERVAL_S, SOAK_READINGS = 5, 60


class _Reading(threading.Thread):
    """One probe in its own thread, a daemon so that a hanging one does not keep the module alive."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(name="probe " + probe.name, daemon=True)
        self.probe = probe
        self.answer: Any = None

    def run(self) -> None:
        self.answer = self.probe.read()


def run_probes(probes: List[Probe], clock: Clock, wait_s: int = 0, soak_s: int = 0) -> List[Dict[str, Any]]:
    """Return one result per probe, in their order.

    With ``wait_s``, those that are not ok are read again until they are or
    that many seconds have passed: a service that was just restarted may need
    a moment before it answers, and another before its numbers are as before.
    With ``soak_s``, those that are ok then are read again and again for that long:
    one that is not ok in each reading is not ok.
    """
    if not probes:
        return []
    for name in sorted({name for probe in probes for name in probe.libraries()}):
        libraries.optional(name)
    deadline = clock.monotonic() + wait_s
    results = _read_once(probes, clock)
    while clock.monotonic() + INTERVAL_S <= deadline:
        again = [
            n for n, result in enumerate(results) if result["verdict"] != "ok" or probes[n].is_settling(result["value"])
        ]
        if not again:
            break
        clock.sleep(INTERVAL_S)
        for number, result in zip(again, _read_once([probes[number] for number in again], clock)):
            results[number] = _continued(results[number], result)
    return _soak(probes, results, clock, soak_s) if soak_s > 0 else results


def _soak(probes: List[Probe], results: List[Dict[str, Any]], clock: Clock, soak_s: int) -> List[Dict[str, Any]]:
    """Watch what is ok. It ends early, two readings after one failed: that decides, and the way back must not wait."""
    watched = [number for number, result in enumerate(results) if result["verdict"] == "ok"]
    series = {number: [results[number]] for number in watched}
    end = clock.monotonic() + soak_s
    left: Optional[int] = None
    while watched and clock.monotonic() < end and left != 0:
        clock.sleep(max(0.0, min(max(SOAK_INTERVAL_S, soak_s / SOAK_READINGS), end - clock.monotonic())))
        for number, result in zip(watched, _read_once([probes[number] for number in watched], clock)):
            series[number].append(result)
        if left is not None:
            left -= 1
        elif any(series[number][-1]["verdict"] == "failed" for number in watched):
            left = 2
    return [_settled(probes[n], series[n]) if n in series else result for n, result in enumerate(results)]


def _settled(probe: Probe, series: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Return what several readings of one probe, of which the first was ok, say together."""
    told = {"readings": len(series), "not_ok": len([one for one in series if one["verdict"] != "ok"])}
    bad = [one for one in series if one["verdict"] == "failed"] or [one for one in series if one["verdict"] != "ok"]
    if bad:
        how = "flapping" if series[-1]["verdict"] == "ok" else "it did not last"
        detail = "{}: not ok in {} of {} readings: {}".format(how, told["not_ok"], told["readings"], bad[0]["detail"])
        absent = [one["at"] for one in series if one["verdict"] != "ok"]
        return dict(bad[0], detail=detail, not_ok={"from": absent[0], "to": absent[-1]}, soak=told)
    try:
        return dict(series[0], value=probe.settled([one["value"] for one in series]), soak=told)
    except Failed as failure:
        span = {"from": series[0]["at"], "to": series[-1]["at"]}
        return dict(series[0], verdict="failed", detail=failure.detail, value=failure.value, not_ok=span, soak=told)


def _continued(earlier: Dict[str, Any], result: Dict[str, Any]) -> Dict[str, Any]:
    """Return a newer result, with the span of all readings of this call that were not ok."""
    span = earlier["not_ok"] or result["not_ok"]
    if result["verdict"] != "ok":
        return dict(result, not_ok={"from": span["from"], "to": result["at"]})
    # One that was only slow was ok since then.
    return dict(result, not_ok=span, at=earlier["at"] if earlier["verdict"] == "ok" else result["at"])


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
