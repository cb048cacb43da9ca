# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``ports``: what this host listens on, read from the kernel's tables."""

import os
import re
from typing import List

from ansible_collections.hospital.patching.plugins.module_utils.listening_sockets import TABLES, Socket, parse_line
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)


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
                return parse_table(handle.read(), table, state)
        except FileNotFoundError:
            if table.endswith("6"):
                return []  # IPv6 is switched off
            raise Inconclusive("{} does not exist".format(path))


def parse_table(text: str, table: str, state: str) -> List[str]:
    """Return ``tcp 0.0.0.0:80`` or ``tcp [::]:80`` for each socket of a /proc/net table that awaits strangers.

    Raises:
        ValueError: a line is not one of the kernel's: what is missing from such a table is not known.
    """
    found = [parse_line(line, table, state) for line in text.splitlines()[1:]]
    return [_shown(entry) for entry in found if entry]


def _shown(entry: Socket) -> str:
    address = "[{}]".format(entry.address) if ":" in entry.address else entry.address
    return "{} {}:{}".format(entry.protocol, address, entry.port)
