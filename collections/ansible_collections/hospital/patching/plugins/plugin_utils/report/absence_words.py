# SPDX-License-Identifier: GPL-3.0-or-later
"""How page and text tell that hosts and services were away, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.report import words


def measured(service: Mapping[str, Any]) -> str:
    """Return what the requests sent through a service saw; empty when nothing was sent."""
    numbers = service["measured"]
    if numbers is None:
        return ""
    parts = []
    if numbers["requests"] is not None:
        parts.append(f"{numbers['failed'] or 0:,} of {words.count(numbers['requests'], 'request')} failed")
    if numbers["downtime_ms"]:
        parts.append(f"down {words.duration(numbers['downtime_ms'])}")
    if numbers["longest_ms"]:
        parts.append(f"longest pause {words.duration(numbers['longest_ms'])}")
    return ", ".join(parts)


def bounds(span: Mapping[str, Any] | None) -> str:
    """Return ``0 s``, ``at most 36 s``, ``4 s to 36 s`` or that it is not over: probes look only now and then."""
    if span is None:
        return words.UNMEASURED
    least, most = span["at_least_s"], span["at_most_s"]
    if most is None:
        return f"at least {seconds(least)}, and not over" if least else "not over when the run ended"
    if least == most:
        return seconds(most)
    return f"{seconds(least)} to {seconds(most)}" if least else f"at most {seconds(most)}"


def seconds(number: int) -> str:
    """Return whole seconds as people read them."""
    return f"{number}{words.NBSP}s" if number < 100 else words.duration(number * 1000)


def downtime(service: Mapping[str, Any]) -> str:
    """Return for how long no host of a service served, as the run's own probes bound it, and why."""
    if not service["out"]:
        return str(service["downtime_basis"])
    accepted = "" if service["accepted_s"] is None else f", {seconds(service['accepted_s'])} accepted"
    return f"downtime {bounds(service['downtime'])}{accepted}: {service['downtime_basis']}"


def absences(service: Mapping[str, Any]) -> list[str]:
    """Return how each host of a service was out of service: ``portal1 drained 89 s``."""
    return [
        f"{one['host']} {one['how']} {words.UNMEASURED if one['out_s'] is None else seconds(one['out_s'])}"
        + (" after the night" if one["afterwards"] else "")
        + ("" if one["end"] else ", NOT RETURNED")
        for one in service["out"]
    ]


def at_once(service: Mapping[str, Any]) -> str:
    """Return how many hosts were out together, and how many might have been."""
    if service["out_at_once"] is None:
        return "none"
    size = len(service["hosts"])
    told = f"{service['out_at_once']} of {size}"
    return told if service["min_healthy"] is None else f"{told}, {size - service['min_healthy']}{words.NBSP}allowed"


def unavailable(host: Mapping[str, Any]) -> str:
    """Return for how long the host's own application was away."""
    probes = (host["unavailable"] or {}).get("probes") or ()
    return bounds(host["unavailable"]) + (f" (by {words.some(probes)})" if probes else "")
