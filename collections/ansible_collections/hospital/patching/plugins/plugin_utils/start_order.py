# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's start order: which host has to be up before which, and so in what order they are patched.

Only the order of starting is stated. Hosts that are ordered are never out
together, so none ever has to be stopped before another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS
from ansible_collections.hospital.patching.plugins.plugin_utils.yaml_lines import Problem

KEY = "start_order"
Entry = Mapping[str, Any]


def earlier(entry: Entry, host: str) -> list[str]:
    """Return the hosts of a service that start before ``host``.

    All of them, not only the one just before: where that one is not planned
    tonight nobody waits for it, and the order of the others has to hold.
    """
    ordered = entry.get(KEY) or []
    return list(ordered[: ordered.index(host)]) if host in ordered else []


def problems(catalogue: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the start orders of a catalogue; each is to be refused before the next is asked for."""
    services = catalogue.get("services") or {}
    ordered = {service: entry for service, entry in services.items() if KEY in entry}
    for check in (_of_names, _of_parts):
        for service, entry in ordered.items():
            yield from check(service, entry)
    waits = _waits(catalogue)
    for service, entry in ordered.items():
        yield from _circles(service, entry, waits)


def _of_names(service: str, entry: Entry) -> Iterator[Problem]:
    named, said = entry[KEY], f"{KEY} of service {service}"
    for number, host in enumerate(named):
        at = ("services", service, KEY, number)
        if host not in entry["hosts"]:
            seen = f"{said} names {host}, which is none of its hosts"
            yield at, seen, f"hosts of {', '.join(entry['hosts'])}", "correct it; services are ordered by after"
        if host in named[:number]:
            yield at, f"{said} names {host} twice", "each host once", "remove one of the two"
    if len(named) < 2:
        seen = f"{said} names {f'{named[0]} alone' if named else 'no host'}"
        yield (
            ("services", service, KEY),
            seen,
            "at least two hosts, the first one first",
            "add the others, or remove it",
        )


def _of_parts(service: str, entry: Entry) -> Iterator[Problem]:
    """Replicas go before their primary and earlier rings before later ones, whoever starts first."""
    for number, host in enumerate(entry[KEY]):
        at = ("services", service, KEY, number)
        for before in entry[KEY][:number]:
            said = f"{KEY} of service {service} has {before} before {host}"
            if (_stated(entry, before, "role"), _stated(entry, host, "role")) == ("primary", "replica"):
                expected = "replicas before the primary, which is patched last"
                yield at, f"{said}, the primary before its replica", expected, "exchange them, or leave one out"
            rings = [_stated(entry, one, "ring") for one in (before, host)]
            if set(rings) <= set(RINGS) and RINGS.index(rings[0]) > RINGS.index(rings[1]):
                expected = "the earlier ring first"
                yield at, f"{said}, ring {rings[0]} before ring {rings[1]}", expected, "exchange them, or their rings"


def _stated(entry: Entry, host: str, key: str) -> Any:
    return (entry["hosts"][host] or {}).get(key, entry.get(key))


def _circles(service: str, entry: Entry, waits: Mapping[str, list[str]]) -> Iterator[Problem]:
    for number, (first, second) in enumerate(pairwise(entry[KEY]), 1):
        way = _way(first, second, waits)
        if way:
            told = " before ".join([*reversed(way), second])
            seen = f"{KEY} of service {service} goes in a circle with after: {told}"
            yield ("services", service, KEY, number), seen, "an order that has a beginning", "remove one of these"


def _waits(catalogue: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the hosts that each host of the catalogue waits for, as far as the catalogue says so."""
    services = catalogue.get("services") or {}
    found: dict[str, list[str]] = {}
    for entry in services.values():
        for host in entry["hosts"]:
            found[host] = [*_hosts(_stated(entry, host, "after"), services), *earlier(entry, host)]
    for host, own in (catalogue.get("hosts") or {}).items():
        found[host] = _hosts((own or {}).get("after"), services)
    return found


def _hosts(after: object, services: Mapping[str, Entry]) -> list[str]:
    """Return the hosts that names stand for; what is no list is refused where settings are read."""
    names = [name for name in after if isinstance(name, str)] if isinstance(after, list) else []
    return [host for name in names for host in (services[name]["hosts"] if name in services else [name])]


def _way(start: str, goal: str, waits: Mapping[str, list[str]]) -> list[str]:
    """Return hosts of which each waits for the next, from ``start`` to ``goal``; empty when there is no such way."""
    ways = deque([[start]])
    seen = {start}
    while ways:
        way = ways.popleft()
        for host in waits.get(way[-1], ()):
            if host == goal:
                return [*way, goal]
            if host not in seen:
                seen.add(host)
                ways.append([*way, host])
    return []
