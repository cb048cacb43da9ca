# SPDX-License-Identifier: GPL-3.0-or-later
"""The service catalogue: the settings of services, hosts and networks in one checked file.

It holds the same keys as the inventory's variables, without their prefix, and
becomes those variables. Its contract is the schema ``service_catalogue``; what
a schema cannot say is checked here, and every refusal names the file and line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from netaddr import AddrFormatError, IPAddress, IPNetwork

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schema, start_order, yaml_lines
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import read_segment
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import PREFIX, SETTINGS, effective
from ansible_collections.hospital.patching.plugins.plugin_utils.window_clash import never_together
from ansible_collections.hospital.patching.plugins.plugin_utils.yaml_lines import Document, Place, Problem

#: The settings of a service or host; which service a host carries is said by where it stands.
KEYS = frozenset(setting.field for setting in SETTINGS) - {"service", "device_segments"}
#: What only a service has.
OF_SERVICE = frozenset({"hosts", start_order.KEY})
#: How a kind of value is written.
KINDS_OF_VALUES = {
    "object": "names with a colon, one a line",
    "array": "a list, as in [database]",
    "string": "text; put it in quotes",
    "integer": "a whole number",
    "null": "nothing",
}

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
    misfit = schema.misfit("service_catalogue", document.value)
    if misfit is not None:
        where = document.where(misfit.place)
        raise PatchingError(where, f"{schema.place(misfit.place)}: {misfit.seen}", _expected(misfit), _SEE)
    for check in CHECKS:
        for at, seen, expected, next_step in check(document.value):
            raise PatchingError(document.where(at), seen, expected, next_step)
    return document


def _expected(misfit: schema.Misfit) -> str:
    """Say what a rule of the schema asks for."""
    rule = misfit.rule
    if misfit.keyword == "type":
        kinds = rule if isinstance(rule, list) else [rule]
        return " or ".join(KINDS_OF_VALUES[kind] for kind in kinds)
    spoken = {
        "minimum": f"{rule} or more",
        "maximum": f"at most {rule}",
        "const": f"{rule}",
        "required": f"{', '.join(rule) if isinstance(rule, list) else rule}",
        "minProperties": "at least one entry",
        "anyOf": "nothing, or settings",
    }
    return spoken.get(misfit.keyword, "a service catalogue")


def _require_keys(document: Document) -> None:
    """Refuse a misspelt key before anything else: what it was meant to say would silently be its default."""
    for place in document.lines:
        allowed = _allowed(place)
        if allowed is not None and place[-1] not in allowed:
            raise PatchingError(document.where(place), f"the key {place[-1]}", _meant(str(place[-1]), allowed), _SEE)


def _meant(key: str, allowed: frozenset[str]) -> str:
    if key == "service":
        return "the host under services, SERVICE, hosts"
    if key == "device_segments":
        return "networks under segments, with the policy vendor_locked"
    near = difflib.get_close_matches(key.removeprefix(PREFIX), allowed, n=1)
    return f"perhaps {near[0]}" if near else "a setting of docs/settings.md without its prefix"


def _allowed(place: Place) -> frozenset[str] | None:
    """Return the keys that may stand at a place, or None where any may."""
    if len(place) < 2:
        return frozenset({"plugin", "schema", "segments", "services", "hosts"}) if place else None
    if (place[0], len(place)) == ("services", 3):
        return KEYS | OF_SERVICE
    if (place[0], len(place)) in (("segments", 3), ("hosts", 3)) or (place[0], place[2:3], len(place)) == (
        "services",
        ("hosts",),
        5,
    ):
        return KEYS
    return None


@dataclass(frozen=True)
class Layer:
    """Variables of some hosts; where a host is in several, those of the higher ``priority`` count."""

    place: Place
    priority: int
    hosts: tuple[str, ...]
    variables: Variables


def layers(document: Document, addresses: Mapping[str, str | None]) -> list[Layer]:
    """Return what networks, services and hosts are given, the weakest first.

    Args:
        addresses: of the inventory's hosts, by name; None where no address is known.

    Raises:
        PatchingError: the catalogue names a host that there is not, or a setting that is not understood.
    """
    weaker = [*_of_segments(document, addresses), *_of_services(document)]
    found = [*weaker, *_of_hosts(document, weaker)]
    for layer in found:
        for host in layer.hosts:
            _require_host(document, (*layer.place, "hosts", host), host, addresses)
        _require_settings(document, layer)
    _require_a_window(document, found)
    return found


def _require_a_window(document: Document, found: Sequence[Layer]) -> None:
    """Refuse a host that its network and its service give windows which are never open together.

    One that states its own is decided.
    """
    name = f"{PREFIX}window"
    own = {host for layer in found if layer.priority == 0 and name in layer.variables for host in layer.hosts}
    segments = [layer for layer in found if layer.place[0] == "segments" and name in layer.variables]
    for service in (layer for layer in found if layer.priority == -1 and name in layer.variables):
        for segment in segments:
            both = [host for host in service.hosts if host in segment.hosts and host not in own]
            mine, theirs = str(service.variables[name]), str(segment.variables[name])
            if both and never_together(mine, theirs):
                there = document.where((*segment.place, "window"))
                raise PatchingError(
                    document.where((*service.place, "window")),
                    f"{both[0]} has {mine!r} as a host of {service.place[-1]}, and {theirs!r} as one of network"
                    f" {segment.place[-1]} ({there}), which are never open together",
                    "windows that overlap, or one that the host states itself",
                    "change one of them, or give the host its own",
                )


def _of_segments(document: Document, addresses: Mapping[str, str | None]) -> Iterator[Layer]:
    """A host that is known by name alone lies in no network here; what connects to it looks its addresses up."""
    for cidr, given in (document.value.get("segments") or {}).items():
        network = read_segment(cidr)
        hosts = tuple(host for host, address in addresses.items() if _lies_in(address, network))
        yield Layer(("segments", cidr), -2, hosts, _named(given))


def _of_services(document: Document) -> Iterator[Layer]:
    for service, entry in (document.value.get("services") or {}).items():
        common = {key: value for key, value in entry.items() if key not in OF_SERVICE}
        yield Layer(("services", service), -1, tuple(entry["hosts"]), _named({**common, "service": service}))


def _of_hosts(document: Document, weaker: Sequence[Layer]) -> Iterator[Layer]:
    for service, entry in (document.value.get("services") or {}).items():
        for host, own in entry["hosts"].items():
            given = {**_named(own or {}), **_started_after(entry, host, own or {}, weaker)}
            if given:
                yield Layer(("services", service, "hosts", host), 0, (host,), given)
    for host, own in (document.value.get("hosts") or {}).items():
        yield Layer(("hosts", host), 0, (host,), _named(own or {}))


def _started_after(entry: Mapping[str, Any], host: str, own: Mapping[str, Any], weaker: Sequence[Layer]) -> Variables:
    """Return whom a host waits for by its service's start order, and beside them whom it waits for anyhow."""
    earlier, name = start_order.earlier(entry, host), f"{PREFIX}after"
    if not earlier:
        return {}
    of_host = [*(layer.variables for layer in weaker if host in layer.hosts), _named(own)]
    given: Any = next((variables[name] for variables in reversed(of_host) if name in variables), [])
    # What is no list is left as it is, to be refused on its own line.
    return {name: [*given, *(one for one in earlier if one not in given)]} if isinstance(given, list) else {}


def locked(found: Sequence[Layer]) -> list[str]:
    """Return the hosts of which any layer says that they are vendor_locked."""
    return sorted(
        {host for layer in found for host in layer.hosts if layer.variables.get("patching_policy") == "vendor_locked"}
    )


def device_segments(document: Document) -> list[str]:
    """Return the networks whose hosts are vendor_locked: nothing in them is ever connected to."""
    segments = document.value.get("segments") or {}
    return [cidr for cidr, given in segments.items() if given.get("policy") == "vendor_locked"]


def _named(given: Mapping[str, Any]) -> Variables:
    return {PREFIX + key: value for key, value in given.items()}


def _lies_in(address: str | None, network: IPNetwork) -> bool:
    try:
        return IPAddress(address or "") in network
    except (AddrFormatError, ValueError):
        return False


def _require_host(document: Document, place: Place, host: str, known: Mapping[str, Any]) -> None:
    if host not in known:
        raise PatchingError(
            document.where(place),
            f"host {host}, which the inventory does not know",
            "a host of an inventory that is read before the catalogue",
            "correct the name, or name the catalogue after the other inventories",
        )


def _require_settings(document: Document, layer: Layer) -> None:
    """Check each layer by itself, so that one that holds for no host tonight is checked too."""
    try:
        effective(str(layer.place[-1]), layer.variables)
    except PatchingError as error:
        key = error.subject.split()[0].removeprefix(PREFIX)
        raise PatchingError(
            document.where((*layer.place, key)),
            f"{key} of {layer.place[-1]}: {error.seen}",
            error.expected,
            "correct it in the catalogue",
        ) from error


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


def _misspelt_services(catalogue: Mapping[str, Any]) -> Iterator[Problem]:
    """A service may stand in group_vars: only a name that is nearly another one, or the service's own, is refused."""
    services = catalogue.get("services") or {}
    for service, entry in services.items():
        for key in ("depends_on", "never_with", "after"):
            for name in entry.get(key) or ():
                near = difflib.get_close_matches(name, services, n=1, cutoff=0.8)
                if name == service or (name not in services and near):
                    expected = f"perhaps {near[0]}" if near and name != service else "another service"
                    yield ("services", service, key), f"{key} of service {service} names {name}", expected, "correct it"


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


CHECKS = (
    _segments_overlap,
    _one_service_a_host,
    _misspelt_services,
    _circles,
    _min_healthy,
    start_order.problems,
)
_SEE = "correct that line; docs/catalogue.md shows the keys"
