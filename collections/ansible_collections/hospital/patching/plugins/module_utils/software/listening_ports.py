# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host listens on, and the process, unit and package behind each socket."""

import os
from typing import Any, Dict, List, Optional, Set, cast

from ansible_collections.hospital.patching.plugins.module_utils.hidden_processes import VEILED, told
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.listening_sockets import TABLES, Socket, parse_line
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import ProcessTable
from ansible_collections.hospital.patching.plugins.module_utils.software.owners import Owners
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import NAMED, whole
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below

#: Of one table; a host with more connections than this is told of in part.
LIMIT_BYTES = 64 * 1024 * 1024


def parse_table(text: str, table: str, state: str) -> List[Socket]:
    """Return the sockets of a /proc/net table that await strangers; a line that a limit has cut is left out."""
    sockets = []
    for line in text.splitlines()[1:]:
        try:
            found = parse_line(line, table, state)
        except ValueError:
            continue
        if found:
            sockets.append(found)
    return sockets


def collect(host: Host, owners: Optional[Owners] = None) -> List[Dict[str, Any]]:
    """Return ``[{protocol, address, port, pid, process, unit, package}]`` sorted by protocol, port and address.

    pid, process and unit are None for the kernel's own sockets; package is the
    owner of the process's program, None for a container's and for what no package owns.

    Raises:
        PatchingError: rpm does not answer.
        OSError: /proc is not there.
        PartialError: sockets may be held by processes at which this one may not look.
    """
    sockets: List[Socket] = []
    for table, state in TABLES:
        try:
            with open(below(host.root, "proc/net/" + table), "rb") as handle:
                sockets += parse_table(handle.read(LIMIT_BYTES).decode("ascii", "replace"), table, state)
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
    rows = [row for _key, row in sorted(found.items())]
    lost = ["{protocol} {address} port {port}".format(**row) for row in rows if row["pid"] is None]
    unseen = [why for _unit, _first, why in told(processes.table.hidden())] if lost else []
    unseen += [VEILED] if lost and processes.table.veiled() else []
    who = "who listens on {}{}".format(", ".join(lost[:NAMED]), ", ..." if len(lost) > NAMED else "")
    return cast(List[Dict[str, Any]], whole(who, rows, unseen))


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
