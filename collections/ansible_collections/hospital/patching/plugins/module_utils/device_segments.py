# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands off medical devices: may this address be connected to?"""

import ipaddress
from typing import Any, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


class DeviceSegments:
    """The declared networks of devices; None means that nobody declared any."""

    def __init__(self, segments: Optional[List[str]]) -> None:
        self.networks = None
        if segments is None:
            return
        try:
            self.networks = [_network(str(segment)) for segment in segments]
        except ValueError as error:
            raise PatchingError(
                "patching_device_segments", str(error), "a list of networks such as 10.9.0.0/16", "correct the setting"
            )

    def refusal(self, address: str) -> Optional[str]:
        """Return why ``address`` must not be connected to, or None when it may."""
        if self.networks is None:
            return "patching_device_segments is not declared, so nothing is connected to"
        try:
            # A scope such as fe80::1%eth0 names an interface, not another address.
            parsed = ipaddress.ip_address(address.split("%", 1)[0])
        except ValueError:
            return "{!r} is no address".format(address)
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        for network in self.networks:
            if parsed.version == network.version and parsed in network:
                return "{} lies in the device segment {}".format(address, network)
        return None


def _network(text: str) -> Any:
    """Without a prefix length 10.9.0.0 would be that one address, and the devices beside it would be open."""
    if "/" not in text:
        raise ValueError("{!r} has no prefix length".format(text))
    return ipaddress.ip_network(text, strict=False)
