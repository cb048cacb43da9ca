# SPDX-License-Identifier: GPL-3.0-or-later
"""What the night meant for each clinical service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.report import availability, looks, timeline
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp

MEASURED = ("requests", "failed", "downtime_ms", "longest_ms", "per_second")
Document = dict[str, Any]
Parts = Mapping[str, Sequence[timeline.Part]]


def services_section(
    plan: Mapping[str, Any],
    parts: Parts,
    outcomes: Mapping[str, str],
    traffic: Mapping[str, Any],
    ended: datetime | None,
    seen: Parts | None = None,
) -> list[Document]:
    """Return the services, life-critical first.

    ``out`` says how each host that was touched was out of service, drained or
    only held, and for how long, ``afterwards`` whether that was after the night;
    ``out_at_once`` how many were together, null when none was. ``downtime`` is
    for how long no host served, null where the run's own probes cannot tell;
    ``measured`` is what requests sent through the service saw, null when
    nothing was sent.

    Args:
        ended: when the run's last record was written.
        seen: what looks from other hosts read of each host.
    """
    measured = traffic.get("services") or {}
    sections = []
    for name, service in (plan.get("services") or {}).items():
        hosts = list(service.get("hosts") or [])
        out = [(host, *one) for host in hosts for one in availability.out_of_service(parts.get(host, ()))]
        numbers = measured.get(name)
        downtime, basis = _downtime(plan, hosts, parts, seen or {}, outcomes, ended)
        sections.append(
            {
                "service": name,
                "tier": service.get("tier"),
                "owner": service.get("owner"),
                "hosts": hosts,
                "min_healthy": service.get("min_healthy"),
                "out": [_out(host, how, span, ended, parts[host]) for host, how, span in out],
                "out_at_once": timeline.most_at_once(span for _host, _how, span in out) if out else None,
                "downtime": downtime,
                "downtime_basis": basis,
                "accepted_s": _accepted(plan, hosts),
                "outcomes": {host: outcomes.get(host) for host in hosts},
                "measured": {key: _whole(numbers.get(key)) for key in MEASURED} if numbers else None,
            }
        )
    return sorted(sections, key=lambda one: (9 if one["tier"] is None else one["tier"], natural_key(one["service"])))


def _out(
    host: str, how: str, span: timeline.Absence, ended: datetime | None, parts: Sequence[timeline.Part]
) -> Document:
    length = timeline.milliseconds(span, ended)
    return {
        "host": host,
        "how": how,
        "start": stamp(span.start),
        "end": span.end and stamp(span.end),
        "out_s": None if length is None else round(length / 1000),
        "afterwards": any(part.work > 0 and part.start == span.start for part in parts),
    }


def _downtime(
    plan: Mapping[str, Any],
    hosts: Sequence[str],
    parts: Parts,
    seen: Parts,
    outcomes: Mapping[str, str],
    ended: datetime | None,
) -> tuple[Document | None, str]:
    """Return the service's downtime as the run's probes bound it, and on what that rests."""
    if ended is None or not any(availability.out_of_service(parts.get(host, ())) for host in hosts):
        return None, "no host of it was touched"
    names = {host: looks.probes_that_count(plan["hosts"].get(host) or {}) for host in hosts}
    # Of two that began in the same second, the look was first: it decides whether the other may begin.
    whole = {
        host: sorted([*seen.get(host, ()), *parts.get(host, ())], key=lambda part: (part.work, part.start))
        for host in hosts
    }
    found = {host: availability.presence(whole[host], names[host], outcomes.get(host)) for host in hosts}
    downtime = availability.together(list(found.values()), ended)
    unseen = [host for host, one in found.items() if one is None]
    if downtime["at_most_s"] == 0 and len(unseen) < len(hosts):
        read = {host: [one for part in whole[host] if (one := looks.look(part, names[host]))] for host in hosts}
        alone = [host for host in hosts if not _witnessed(host, found[host], read)]
        if not alone:
            return downtime, "at every moment another host served"
        were = f"{', '.join(alone)} {'was' if len(alone) == 1 else 'were'}"
        return None, f"this run did not see another host serve before and after {were} out"
    if unseen:
        return None, f"this run did not see {', '.join(unseen)} serve"
    if downtime["at_most_s"] is None:
        return downtime, "no host was seen to serve again"
    if any(one is not None and not timeline.absences(parts.get(host, ())) for host, one in found.items()):
        return downtime, "from the last good probe before to the first good one after"
    return downtime, "no host of it was with its users"


def _witnessed(host: str, found: availability.Presence | None, read: Mapping[str, Sequence[looks.Look]]) -> bool:
    """Whether another host was seen to serve each time that this one was away."""
    peers = [ones for peer, ones in read.items() if peer != host]
    return found is None or all(any(availability.witnessed(span, ones) for ones in peers) for span in found.maybe)


def _accepted(plan: Mapping[str, Any], hosts: Sequence[str]) -> int | None:
    """Return the downtime that a service of a single host accepts."""
    accepted = [(plan["hosts"].get(host) or {}).get("downtime_s") for host in hosts]
    return accepted[0] if len(accepted) == 1 else None


def _whole(number: Any) -> int | None:
    """Return a number as the whole one that contracts carry, None when nothing was measured."""
    return int(number) if isinstance(number, int | float) else None


def devices_section(traffic: Mapping[str, Any]) -> list[Document]:
    """Return how many connections each device that may not be contacted has counted itself."""
    devices = traffic.get("devices") or {}
    return [
        {"host": name, "connections": _whole(devices[name].get("connections"))}
        for name in sorted(devices, key=natural_key)
    ]
