# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate's questions about other hosts: which are out, is the ring before proven, and the revert of a canary?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import plan
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_question import Gate, Question, wait
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp


def peers(question: Question) -> Gate | None:
    """Count the hosts of the service that are out; this one would be one more."""
    name = question.entry["service"]
    if name is None:
        return None
    service = question.plan["services"][name]
    allowance = len(service["hosts"]) - service["min_healthy"]
    out = _out(question, service)
    if len(out) < allowance:
        return None
    reason = f"{name}: {allowance} of {len(service['hosts'])} hosts may be out, and {', '.join(out) or 'none'} is"
    return _wait_for(question, out, reason, room=allowance - 1)


def partners(question: Question) -> Gate | None:
    """Services that are never disrupted together: whichever of the two says so."""
    mine = question.entry["service"]
    services = question.plan["services"]
    if mine is None:
        return None
    naming_mine = {name for name, service in services.items() if mine in service["never_with"]}
    for name in sorted(naming_mine | set(services[mine]["never_with"])):
        out = _out(question, services[name]) if name in services else []
        if name not in services:
            return Gate("stop", f"{mine} is never disrupted with {name}, which the plan does not know")
        if out:
            reason = f"{mine} is never disrupted with {name}, of which {', '.join(out)} is out"
            return _wait_for(question, out, reason, room=0)
    return None


def balancers(question: Question) -> Gate | None:
    """A host and the one that drains it are never out together."""
    hosts = question.plan["hosts"]
    related = [host for host, entry in hosts.items() if entry["drain"].get("host") == question.host]
    if question.entry["drain"].get("host"):
        related.append(question.entry["drain"]["host"])
    out = [host for host in related if _is_out(question, host)]
    if not out:
        return None
    return _wait_for(question, out, f"{', '.join(out)} is out, which drains it or is drained by it", room=0)


def _out(question: Question, service: Mapping[str, Any]) -> list[str]:
    return [
        host
        for host in service["hosts"]
        if host != question.host and (host in service["out"] or _is_out(question, host))
    ]


def _is_out(question: Question, host: str) -> bool:
    state = question.states.get(host)
    return state is not None and state.out


def _wait_for(question: Question, out: Iterable[str], reason: str, room: int) -> Gate:
    """Wait while enough of the hosts that are out are still being worked on, else stop."""
    staying = [host for host in out if not _in_progress(question, host)]
    if len(staying) > room:
        return Gate("stop", f"{reason}; it does not come back by itself")
    return wait(question, reason)


def _in_progress(question: Question, host: str) -> bool:
    state = question.states.get(host)
    return state is not None and state.out and state.outcome is None


def rehearsed(question: Question) -> Gate | None:
    """Nobody of a later wave begins before the reverts that are asked for are proven. One that is out is finished."""
    for host in [] if question.taken else question.rehearsals.missing():
        if host not in question.plan["hosts"] or not _later_wave(question, host):
            continue
        state = question.states.get(host)
        if state is None or state.outcome is None:
            return wait(question, f"the revert of {host} is being rehearsed")
        told = f"the revert of {host} was to be rehearsed and is not proven: it is {state.outcome.replace('_', ' ')}"
        why = f" ({state.reason})" if state.reason else ""
        return Gate("stop", f"{told}{why}; correct that and start again, or start again without rehearse_hosts")
    return None


def _later_wave(question: Question, host: str) -> bool:
    mine, other = (plan.wave_of(question.plan, name)["number"] for name in (question.host, host))
    return bool(mine > other)


def ring_before(question: Question) -> Gate | None:
    """The earlier rings of the service must be patched and must have run well for the soak time."""
    entry = question.entry
    if entry["service"] is None:
        return None
    for host in question.plan["services"][entry["service"]]["hosts"]:
        earlier = question.plan["hosts"].get(host)
        if earlier is None or host == question.host or earlier["kind"] != entry["kind"]:
            continue
        if RINGS.index(earlier["ring"]) < RINGS.index(entry["ring"]):
            answer = _proven(question, host, earlier["ring"])
            if answer is not None:
                return answer
    return None


def _proven(question: Question, host: str, ring: str) -> Gate | None:
    state = question.states.get(host)
    if state is None or state.outcome is None:
        return wait(question, f"{host} ({ring}) is not finished yet")
    if state.outcome == "nothing_to_do":
        return None
    if state.outcome != "patched":
        return Gate("stop", f"{host} ({ring}) is {state.outcome}, so nothing is proven; plan again without it")
    until = state.time + timedelta(seconds=question.entry["soak_s"])
    if question.now < until:
        return wait(question, f"{host} ({ring}) must have run well until {stamp(until)}", until)
    return None
