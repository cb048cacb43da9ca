# SPDX-License-Identifier: GPL-3.0-or-later
"""What the night meant for each clinical service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.report import timeline

MEASURED = ("requests", "failed", "downtime_ms", "longest_ms", "per_second")


def services_section(
    plan: Mapping[str, Any],
    parts: Mapping[str, Sequence[timeline.Part]],
    outcomes: Mapping[str, str],
    traffic: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return the services, life-critical first.

    ``out_at_once`` is how many hosts were drained together, null when none was;
    ``measured`` is what requests sent through the service saw, null when
    nothing was sent.
    """
    measured = traffic.get("services") or {}
    sections = []
    for name, service in (plan.get("services") or {}).items():
        hosts = list(service.get("hosts") or [])
        absences = [one for host in hosts if (one := timeline.absence(parts.get(host, ()))) is not None]
        numbers = measured.get(name)
        sections.append(
            {
                "service": name,
                "tier": service.get("tier"),
                "owner": service.get("owner"),
                "hosts": hosts,
                "min_healthy": service.get("min_healthy"),
                "out_at_once": timeline.most_at_once(absences) if absences else None,
                "outcomes": {host: outcomes.get(host) for host in hosts},
                "measured": {key: _whole(numbers.get(key)) for key in MEASURED} if numbers else None,
            }
        )
    return sorted(sections, key=lambda one: (9 if one["tier"] is None else one["tier"], natural_key(one["service"])))


def _whole(number: Any) -> int | None:
    """Return a number as the whole one that contracts carry, None when nothing was measured."""
    return int(number) if isinstance(number, int | float) else None


def devices_section(traffic: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how many connections each device that may not be contacted has counted itself."""
    devices = traffic.get("devices") or {}
    return [
        {"host": name, "connections": _whole(devices[name].get("connections"))}
        for name in sorted(devices, key=natural_key)
    ]
