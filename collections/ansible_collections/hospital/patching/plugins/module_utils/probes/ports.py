# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``ports``: what this host listens on, read from the kernel's tables."""

import ipaddress
import os
import re
import struct
import sys
from typing import Any, List

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)

#: Table, and the state in which one of its sockets awaits strangers (include/net/tcp_states.h).
TABLES = (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07"))


class PortsProbe(Probe):
    """Reads the listening set; ``listening`` names what must be in it, as ``tcp/443``."""

    NAME = "ports"
    OPTIONS = {"listening": {"type": "list", "elements": "str", "default": []}}

    def validate(self) -> None:
        for named in self.options["listening"]:
            if not re.match(r"(tcp|udp)/[0-9]{1,5}\Z", named):
                raise self.bad_option("listening {!r}".format(named), "tcp/443 or udp/161")

    def target(self) -> str:
        return ", ".join(self.options["listening"]) or "listening ports"

    def look(self) -> Reading:
        listening: List[str] = []
        for table, state in TABLES:
            listening += self._read(table, state)
        listening = sorted(set(listening))
        value = {"listening": listening, "named": list(self.options["listening"])}
        present = {"{}/{}".format(entry.split(" ")[0], entry.rsplit(":", 1)[1]) for entry in listening}
        missing = [named for named in self.options["listening"] if named not in present]
        if missing:
            raise Failed("not listening: {}".format(", ".join(missing)), value)
        return Reading("{} listening".format(len(listening)), value)

    def _read(self, table: str, state: str) -> List[str]:
        path = os.path.join(self.context.proc, "net", table)
        try:
            with open(path) as handle:
                return parse_table(handle.read(), table[:3], state)
        except FileNotFoundError:
            if table.endswith("6"):
                return []  # IPv6 is switched off
            raise Inconclusive("{} does not exist".format(path))


def parse_table(text: str, protocol: str, state: str) -> List[str]:
    """Return ``tcp 0.0.0.0:80`` or ``tcp [::]:80`` for each socket of a /proc/net table that is in ``state``.

    Source of the format: Documentation/networking/proc_net_tcp.rst of the kernel.
    """
    entries = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 4 or fields[3] != state:
            continue
        # Bound to a peer (a connected client socket of udp) is nobody's service.
        if set(fields[2].replace(":", "")) != {"0"}:
            continue
        raw, port = fields[1].split(":")
        address = _address(raw)
        shown = "[{}]".format(address) if address.version == 6 else str(address)
        entries.append("{} {}:{}".format(protocol, shown, int(port, 16)))
    return entries


def _address(raw: str) -> Any:
    """The kernel prints each 32-bit word in the machine's own byte order."""
    order = "<I" if sys.byteorder == "little" else ">I"
    packed = b"".join(struct.pack(order, int(raw[i : i + 8], 16)) for i in range(0, len(raw), 8))
    return ipaddress.ip_address(packed)
