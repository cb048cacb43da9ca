# SPDX-License-Identifier: GPL-3.0-or-later
"""The service catalogue: the settings of services, hosts and networks in one checked file.

It holds the same keys as the inventory's variables, without their prefix, and
becomes those variables. Its contract is the schema ``service_catalogue``; what
a schema cannot say is checked here, and every refusal names the file and line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from netaddr import AddrFormatError, IPAddress, IPNetwork

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schema, yaml_lines
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import read_segment
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import PREFIX, SETTINGS, effective
from ansible_collections.hospital.patching.plugins.plugin_utils.yaml_lines import Document, Place

#: The settings of a service or host; which service a host carries is said by where it stands.
KEYS = frozenset(setting.field for setting in SETTINGS) - {"service"}
Variables = dict[str, Any]


def read(path: Path) -> Document:
    """Return the catalogue, held against its contract.

    Raises:
        PatchingError: it cannot be read, does not fit, or contradicts itself.
    """
    try:
        document = yaml_lines.read(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise PatchingError(str(path), str(error), "a service catalogue", "correct its path or its encoding") from error
    _require_keys(document)
    misfit = schema.first_error("service_catalogue", document.value)
    if misfit is not None:
        place, seen = misfit
        raise PatchingError(document.where(place), f"{schema.place(place)}: {seen}", "a service catalogue", _SEE)
    for check in (_segments_overlap, _one_service_a_host, _unknown_services, _circles, _min_healthy):
        for at, seen, expected, next_step in check(document.value):
            raise PatchingError(document.where(at), seen, expected, next_step)
    return document


def _require_keys(document: Document) -> None:
    """Refuse a misspelt key before anything else: what it was meant to say would silently be its default."""
    for place in document.lines:
        allowed = _allowed(place)
        if allowed is not None and place[-1] not in allowed:
            near = difflib.get_close_matches(str(place[-1]), allowed, n=1)
            expected = f"perhaps {near[0]}" if near else "a setting of docs/settings.md without its prefix"
            raise PatchingError(document.where(place), f"the key {place[-1]}", expected, _SEE)


def _allowed(place: Place) -> frozenset[str] | None:
    """Return the keys that may stand at a place, or None where any may."""
    if len(place) < 2:
        return frozenset({"plugin", "schema", "segments", "services", "hosts"}) if place else None
    if (place[0], len(place)) == ("services", 3):
        return KEYS | {"hosts"}
    if (place[0], len(place)) in (("segments", 3), ("hosts", 3)) or (place[0], place[2:3], len(place)) == (
        "services",
        ("hosts",),
        5,
    ):
        return KEYS
    return None


def variables(document: Document, addresses: Mapping[str, str | None]) -> dict[str, Variables]:
    """Return each host's variables.

    Args:
        addresses: of the inventory's hosts, by name; None where no address is known.

    Raises:
        PatchingError: the catalogue names a host that there is not, or a setting that is not understood.
    """
    catalogue = document.value
    found: dict[str, Variables] = {host: _of_segments(catalogue, address) for host, address in addresses.items()}
    for service, entry in (catalogue.get("services") or {}).items():
        common = {key: value for key, value in entry.items() if key != "hosts"}
        for host, own in entry["hosts"].items():
            place = ("services", service, "hosts", host)
            _require_host(document, place, host, found)
            found[host] |= _named({**common, "service": service, **(own or {})})
    for host, own in (catalogue.get("hosts") or {}).items():
        _require_host(document, ("hosts", host), host, found)
        found[host] |= _named(own)
    for host, given in found.items():
        _require_settings(document, host, given)
    return found


def device_segments(document: Document) -> list[str]:
    """Return the networks whose hosts are vendor_locked: nothing in them is ever connected to."""
    segments = document.value.get("segments") or {}
    return [cidr for cidr, given in segments.items() if given.get("policy") == "vendor_locked"]


def _named(given: Mapping[str, Any]) -> Variables:
    return {PREFIX + key: value for key, value in given.items()}


def _of_segments(catalogue: Mapping[str, Any], address: str | None) -> Variables:
    """A host that is known by name alone lies in no network here; what connects to it looks its addresses up."""
    try:
        known = IPAddress(address or "")
    except (AddrFormatError, ValueError):
        return {}
    segments = (catalogue.get("segments") or {}).items()
    return next((_named(given) for cidr, given in segments if known in read_segment(cidr)), {})


def _require_host(document: Document, place: Place, host: str, known: Mapping[str, Any]) -> None:
    if host not in known:
        raise PatchingError(
            document.where(place),
            f"host {host}, which the inventory does not know",
            "a host of an inventory that is read before the catalogue",
            "correct the name, or name the catalogue after the other inventories",
        )


def _require_settings(document: Document, host: str, given: Variables) -> None:
    try:
        effective(host, given)
    except PatchingError as error:
        key = error.subject.split()[0].removeprefix(PREFIX)
        at = _place_of(document, host, key)
        raise PatchingError(
            document.where(at), f"{key} of {host}: {error.seen}", error.expected, "correct it in the catalogue"
        ) from error


def _place_of(document: Document, host: str, key: str) -> Place:
    """Return where a host's setting is stated: its own entry goes before its service's, and that before a network's."""
    services = document.value.get("services") or {}
    mine = next((name for name, entry in services.items() if host in entry["hosts"]), "")
    places: list[Place] = [
        ("hosts", host, key),
        ("services", mine, "hosts", host, key),
        ("services", mine, key),
        *[("segments", cidr, key) for cidr in document.value.get("segments") or {}],
    ]
    return next((place for place in places if place in document.lines), ())


#: Where it is wrong, what was seen, what was expected, what to do next.
Problem = tuple[Place, str, str, str]


def _segments_overlap(catalogue: Mapping[str, Any]) -> Iterator[Problem]:
    known: list[tuple[str, IPNetwork]] = []
    for cidr in catalogue.get("segments") or {}:
        try:
            network = read_segment(cidr)
        except PatchingError as error:
            yield ("segments", cidr), f"segment {cidr}: {error.seen}", error.expected, "correct the network"
            return
        for other, beside in known:
            if network in beside or beside in network:
                seen = f"segments {other} and {cidr}, of which one lies in the other"
                yield ("segments", cidr), seen, "networks that share no address", "split the larger one"
        known.append((cidr, network))


def _one_service_a_host(catalogue: Mapping[str, Any]) -> Iterator[Problem]:
    carried: dict[str, str] = {}
    for service, entry in (catalogue.get("services") or {}).items():
        for host in entry["hosts"]:
            if host in carried:
                seen = f"host {host} in service {service} and in service {carried[host]}"
                yield ("services", service, "hosts", host), seen, "one service a host", "decide for one of them"
            carried[host] = service
    for host in catalogue.get("hosts") or {}:
        if host in carried:
            seen = f"host {host}, which stands in service {carried[host]} already"
            yield ("hosts", host), seen, "one place a host", "write its settings into the service"


def _unknown_services(catalogue: Mapping[str, Any]) -> Iterator[Problem]:
    services = catalogue.get("services") or {}
    for service, entry in services.items():
        for key in ("depends_on", "never_with"):
            for name in entry.get(key) or ():
                if name not in services or name == service:
                    seen = f"{key} of service {service} names {name}"
                    yield ("services", service, key), seen, "another service of the catalogue", "correct the name"


def _circles(catalogue: Mapping[str, Any]) -> Iterator[Problem]:
    services = catalogue.get("services") or {}
    for key in ("depends_on", "after"):
        graph = {name: set(entry.get(key) or ()) & set(services) for name, entry in services.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = error.args[1]
            seen = f"{key} goes in a circle: {' before '.join(circle)}"
            yield ("services", circle[0], key), seen, "an order that has a beginning", "remove one of these"


def _min_healthy(catalogue: Mapping[str, Any]) -> Iterator[Problem]:
    for service, entry in (catalogue.get("services") or {}).items():
        stated, size = entry.get("min_healthy"), len(entry["hosts"])
        if stated is not None and stated >= size:
            seen = f"min_healthy of service {service} is {stated} of {size} hosts, so none may ever be out"
            yield ("services", service, "min_healthy"), seen, f"at most {size - 1}", "lower it, or add a host"


_SEE = "correct that line; docs/catalogue.md shows the keys"
