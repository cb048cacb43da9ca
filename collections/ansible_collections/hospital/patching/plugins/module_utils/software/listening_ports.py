# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host listens on, and the process, unit and package behind each socket.

Source of the tables: Documentation/networking/proc_net_tcp.rst of the kernel.
"""

import os
import socket
import struct
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Set

from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import Host
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import ProcessTable
from ansible_collections.hospital.patching.plugins.module_utils.software.owners import Owners
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below

#: Table, and the state in which one of its sockets awaits strangers (include/net/tcp_states.h).
TABLES = (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07"))
#: Of one table; a host with more connections than this is told of in part.
LIMIT_BYTES = 64 * 1024 * 1024

Socket = NamedTuple("Socket", [("protocol", str), ("address", str), ("port", int), ("inode", str)])


def parse_table(text: str, protocol: str, state: str) -> List[Socket]:
    """Return the sockets of a /proc/net table that are in ``state`` and bound to no peer."""
    sockets = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != state:
            continue
        if set(fields[2].replace(":", "")) != {"0"}:
            continue  # a client's udp socket is nobody's service
        raw, _colon, port = fields[1].partition(":")
        try:
            sockets.append(Socket(protocol, _address(raw), int(port, 16), fields[9]))
        except (ValueError, struct.error):
            continue  # the kernel's line was cut by a limit
    return sockets


def _address(raw: str) -> str:
    """The kernel prints each 32-bit word in the machine's own byte order."""
    order = "<I" if sys.byteorder == "little" else ">I"
    packed = b"".join(struct.pack(order, int(raw[i : i + 8], 16)) for i in range(0, len(raw), 8))
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def collect(host: Host, owners: Optional[Owners] = None) -> List[Dict[str, Any]]:
    """Return ``[{protocol, address, port, pid, process, unit, package}]`` sorted by protocol, port and address.

    pid, process and unit are None for the kernel's own sockets; package is the
    owner of the process's program, None for a container's and for what no package owns.

    Raises:
        PatchingError: rpm does not answer.
        OSError: /proc is not there.
    """
    sockets: List[Socket] = []
    for table, state in TABLES:
        try:
            with open(below(host.root, "proc/net/" + table), "rb") as handle:
                sockets += parse_table(handle.read(LIMIT_BYTES).decode("ascii", "replace"), table[:3], state)
        except FileNotFoundError:
            if table in ("tcp", "udp"):
                raise
    processes = _Processes(below(host.root, "proc"), {entry.inode for entry in sockets})
    programs = {pid: processes.program(pid) for pid in processes.by_inode.values()}
    packages = (owners or Owners(host)).of({path for path in programs.values() if path})
    found = {}
    for entry in sockets:
        pid = processes.by_inode.get(entry.inode)
        program = programs.get(pid) if pid else None
        found[entry.protocol, entry.port, entry.address, pid or 0] = {
            "protocol": entry.protocol,
            "address": entry.address,
            "port": entry.port,
            "pid": pid,
            "process": processes.name(pid) if pid else None,
            "unit": processes.table.unit_of(pid) if pid else None,
            "package": packages.get(program) if program else None,
        }
    return [row for _key, row in sorted(found.items())]


class _Processes:
    """Which process holds each of the wanted sockets: of several, the one that started first has the lowest number."""

    def __init__(self, proc: str, inodes: Set[str]) -> None:
        self.proc = proc
        self.table = ProcessTable(proc)
        self.by_inode: Dict[str, int] = {}
        links = {"socket:[{}]".format(inode): inode for inode in inodes}
        pids = sorted(int(name) for name in os.listdir(proc) if name.isdigit())
        for pid in pids:
            for link in self._links(pid):
                if link in links:
                    self.by_inode.setdefault(links[link], pid)

    def _links(self, pid: int) -> List[str]:
        directory = os.path.join(self.proc, str(pid), "fd")
        found = []
        try:
            for name in os.listdir(directory):
                try:
                    found.append(os.readlink(os.path.join(directory, name)))
                except OSError:
                    continue
        except OSError:
            return []  # ended meanwhile, or not ours to look at
        return found

    def program(self, pid: int) -> Optional[str]:
        """Return the path of a process's program, None for one in a container: its paths are not the host's."""
        try:
            here = os.readlink(os.path.join(self.proc, "self/ns/pid"))
            if os.readlink(os.path.join(self.proc, str(pid), "ns/pid")) != here:
                return None
            path = os.readlink(os.path.join(self.proc, str(pid), "exe"))
        except OSError:
            return None
        return path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path

    def name(self, pid: int) -> Optional[str]:
        """Return the process's name as the kernel keeps it, at most 15 characters."""
        try:
            with open(os.path.join(self.proc, str(pid), "comm"), "rb") as handle:
                return handle.read(64).decode("utf-8", "replace").strip()
        except OSError:
            return None
