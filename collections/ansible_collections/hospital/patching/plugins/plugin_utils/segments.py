# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands off: whether a host may be contacted, decided before any connection."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netaddr import AddrFormatError, IPAddress, IPNetwork

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Returns the addresses of a name; raises OSError when it has none.
Resolve = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Contact:
    """Whether a host may be contacted; a connection goes to ``addresses`` and nowhere else."""

    allowed: bool
    addresses: tuple[str, ...]
    reason: str


def system_resolve(name: str) -> list[str]:
    """Return all addresses that this controller would connect to for ``name``."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return sorted({str(entry[4][0]) for entry in found})


def outside(addresses: Sequence[str], segments: Sequence[str]) -> list[str]:
    """Return the addresses that lie in none of the segments; one that is unreadable lies in none.

    Raises:
        PatchingError: a segment is unreadable.
    """
    networks = [read_segment(segment, "patching_segment") for segment in segments]
    return [address for address in addresses if not any(_lies_in(address, network) for network in networks)]


def missing(wanted: Sequence[str], declared: object) -> list[str]:
    """Return the networks that lie in none of the declared ones; all of them where these are unreadable."""
    try:
        known = [read_segment(str(segment)) for segment in declared] if isinstance(declared, (list, tuple)) else []
        return [one for one in wanted if not any(read_segment(one) in network for network in known)]
    except PatchingError:
        return list(wanted)


def _lies_in(address: str, network: IPNetwork) -> bool:
    try:
        return _plain(address) in network
    except (AddrFormatError, ValueError):
        return False


def read_segment(text: str, setting: str = "patching_device_segments") -> IPNetwork:
    """Return the network of one CIDR.

    Args:
        setting: which setting holds it, for the message.

    Raises:
        PatchingError: the text is no network, has no prefix length, or its host bits are set.
    """
    try:
        network = IPNetwork(text)
    except (AddrFormatError, ValueError, TypeError) as error:
        raise _bad_segment(setting, text, "a network like 10.9.0.0/16") from error
    if "/" not in text:
        # netaddr would read 10.9.0.0 as that one host, and the devices beside it would be open.
        raise _bad_segment(setting, text, f"a prefix length: {network.ip}/16 for a network, {network} for the one host")
    if network.ip != network.network:
        # 10.9.1.7/16 may mean one host or the whole network: never guess about devices.
        raise _bad_segment(
            setting, text, f"{network.cidr} for the network, or {IPNetwork(network.ip)} for the one host"
        )
    return network


def _bad_segment(setting: str, text: object, expected: str) -> PatchingError:
    until = "; until then no host is contacted" if setting == "patching_device_segments" else ""
    return PatchingError(setting, repr(text), expected, f"correct it{until}")


def contact(
    host: str,
    address: str | None,
    policy: str,
    segments: Sequence[str] | None,
    resolve: Resolve = system_resolve,
) -> Contact:
    """Decide whether ``host`` may be contacted at ``address``.

    Args:
        address: a name or an address; None means the host's name.
        segments: the CIDRs in which medical devices live; None means that the
            site has not declared them, an empty sequence that it has none.

    Raises:
        PatchingError: a segment is unreadable.
    """
    if policy == "vendor_locked":
        return Contact(False, (), f"{host} is vendor_locked: a medical device is never contacted")
    if segments is None:
        return Contact(False, (), "patching_device_segments is not set; declare the device networks, or [] for none")
    networks = [read_segment(segment) for segment in segments]
    target = address or host
    try:
        resolved = [_plain(text) for text in resolve(target)]
    except (OSError, UnicodeError, AddrFormatError, ValueError) as error:
        return Contact(False, (), f"{target} does not resolve ({error}), so its segment is unknown")
    if not resolved:
        return Contact(False, (), f"{target} resolves to no address, so its segment is unknown")
    addresses = tuple(str(ip) for ip in resolved)
    for ip in resolved:
        for network in networks:
            if ip in network or (ip.version == 4 and ip.ipv6() in network):
                return Contact(False, addresses, f"{target} is {ip}, inside the device segment {network}")
    return Contact(True, addresses, f"{target} is outside the device segments")


def _plain(text: str) -> IPAddress:
    """Return the address without a zone, and an IPv4-mapped IPv6 address as the IPv4 it reaches."""
    ip = IPAddress(text.partition("%")[0])
    return ip.ipv4() if ip.version == 6 and ip.is_ipv4_mapped() else ip
