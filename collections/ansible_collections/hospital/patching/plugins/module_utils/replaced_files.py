# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that still run code whose file was replaced, and the systemd unit each belongs to."""

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set

from ansible_collections.hospital.patching.plugins.module_utils.hidden_processes import Hidden, words_of

Process = NamedTuple(
    "Process",
    [("pid", int), ("command", str), ("unit", Optional[str]), ("started_s", int), ("files", List[str])],
)

_DELETED = " (deleted)"
#: Mapped "files" that are deleted in normal operation: shared memory, generated code, temporary libraries.
_NOT_INSTALLED = (
    "/dev/",
    "/memfd:",
    "/SYSV",
    "/tmp/",  # noqa: S108
    "/var/tmp/",  # noqa: S108
    "/run/",
    "/proc/",
    "/sys/",
    "/anon_hugepage",
    "/drm",
)
#: Of include/linux/sched.h and include/uapi/linux/capability.h.
_PF_KTHREAD, _CAP_SYS_PTRACE = 0x00200000, 19
_UNIT = re.compile(r"[^/]+\.(?:service|scope)\Z")


def parse_maps(text: str) -> List[str]:
    """Return the deleted files that are mapped as code (proc(5), /proc/pid/maps)."""
    found = set()
    for line in text.split("\n"):
        if not line.endswith(_DELETED):
            continue
        parts = line[: -len(_DELETED)].split(None, 5)
        if len(parts) == 6 and "x" in parts[1] and parts[5].startswith("/") and not parts[5].startswith(_NOT_INSTALLED):
            found.add(parts[5])
    return sorted(found)


def parse_cgroup(text: str) -> Optional[str]:
    """Return the unit that a process belongs to, under cgroups v1, hybrid and v2, also within a container.

    systemd keeps its own hierarchy in ``name=systemd`` where v1 controllers
    are in use, else in the unified one. The outermost service or scope is the
    unit of the system manager; those below are a user's or the unit's own.
    """
    paths = {}
    for line in text.splitlines():
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        paths["unified" if number == "0" and not controllers else controllers] = path
    path = paths.get("name=systemd") or paths.get("unified") or ""
    parts = [part for part in path.split("/") if _UNIT.match(part)]
    # A container's own scope lies above the container's units.
    while len(parts) > 1 and re.match(r"(libpod|docker|cri-o|crio|lxc|machine)[-.:_]", parts[0]):
        parts.pop(0)
    return parts[0] if parts else None


class ProcessTable:
    """The processes under ``proc``."""

    def __init__(self, proc: str = "/proc", left: Sequence[str] = (), links: Sequence[str] = ()) -> None:
        self.proc = proc
        #: Links that lead to another version now: what was started through one before runs the other.
        self.links = tuple(links)
        #: Folders of versions that are no longer in use: what runs from there counts as replaced.
        self.left = tuple(folder.rstrip("/") + "/" for folder in left)

    def started_s(self, pid: int) -> int:
        """Return when a process started, in whole seconds since the epoch; 0 when it is gone."""
        stat = self._read("{}/stat".format(pid))
        boot = [line for line in self._read("stat").splitlines() if line.startswith("btime ")]
        fields = stat.rsplit(")", 1)[-1].split()
        if len(fields) < 20 or not boot:
            return 0
        # Field 22 of stat counts from the command's name, which is field 2.
        return int(boot[0].split()[1]) + int(fields[19]) // int(os.sysconf("SC_CLK_TCK"))

    def stale(self) -> List[Process]:
        """Return the processes of this host that run replaced files; containers' own are theirs to look after.

        Those at which this process may not look are ``hidden``.
        """
        mine = self._namespace("self")
        found = []
        for name in os.listdir(self.proc):
            if not name.isdigit() or self._namespace(name) != mine:
                continue
            files = self._replaced(name)
            if files:
                pid = int(name)
                found.append(
                    Process(
                        pid,
                        self._read(name + "/comm").strip(),
                        self.unit_of(pid),
                        self.started_s(pid),
                        files,
                    )
                )
        return sorted(found)

    def hidden(self) -> List[Hidden]:
        """Return the processes of this host at which this process may not look."""
        found = []
        for pid in sorted(int(name) for name in os.listdir(self.proc) if name.isdigit()):
            if self._denied(pid) and self._is_program(pid) and not self._nested(pid):
                command, unit = self._read("{}/comm".format(pid)).strip(), self.unit_of(pid)
                words = words_of(self._read("{}/cmdline".format(pid)))
                one = Hidden(pid, command, unit, self.started_s(pid), words)
                if self._is_program(pid):  # else it ended while it was read
                    found.append(one)
        return found

    def veiled(self) -> bool:
        """Return whether other users' processes are not even listed: proc(5), hidepid."""
        option = re.search(r"(?:^|,)hidepid=(?!0\b|off)", self._options())
        if option is None or self._may_trace():
            return False
        # Members of this group see all of them; root's own group is the default.
        group = re.search(r"(?:^|,)gid=(\d+)", self._options())
        return int(group.group(1)) not in [os.getegid(), *os.getgroups()] if group else False

    def unit_of(self, pid: int) -> Optional[str]:
        """Return the unit that a process belongs to."""
        return parse_cgroup(self._read("{}/cgroup".format(pid)))

    def of_unit(self, unit: str) -> List[int]:
        """Return the processes that belong to ``unit``."""
        names = [name for name in os.listdir(self.proc) if name.isdigit()]
        return sorted(int(name) for name in names if self.unit_of(int(name)) == unit)

    def ancestors(self) -> Set[int]:
        """Return this process and those it descends from: our own session, which ends by itself."""
        pid, found = os.getpid(), set()
        while pid > 1 and pid not in found:
            found.add(pid)
            fields = self._read("{}/stat".format(pid)).rsplit(")", 1)[-1].split()
            pid = int(fields[1]) if len(fields) > 1 else 0
        return found

    def own_logins(self) -> Set[str]:
        """Return the user managers that our own login may have started; they end with it."""
        found = set()
        for pid in self.ancestors():
            try:
                found.add("user@{}.service".format(os.stat(os.path.join(self.proc, str(pid))).st_uid))
            except OSError:
                continue
        return found

    def _replaced(self, name: str) -> List[str]:
        files = set(parse_maps(self._read(name + "/maps")))
        try:
            program = os.readlink(os.path.join(self.proc, name, "exe"))
        except OSError:
            program = ""
        if self.left:
            lines = [line.split(None, 5) for line in self._read(name + "/maps").split("\n")]
            paths = [line[5] for line in lines if len(line) == 6] + [program]
            files.update(path for path in paths if path.startswith(self.left))
        if program.endswith(_DELETED) and not program.startswith(_NOT_INSTALLED):
            files.add(program[: -len(_DELETED)])
        return sorted(files)

    def _namespace(self, name: str) -> str:
        try:
            return os.readlink(os.path.join(self.proc, name, "ns/pid"))
        except OSError:
            return ""

    def _denied(self, pid: int) -> bool:
        try:
            os.readlink(os.path.join(self.proc, str(pid), "exe"))
        except PermissionError:
            return True
        except OSError:
            return False  # it has ended, or there is nothing to hide
        return False

    def _is_program(self, pid: int) -> bool:
        """Whether it is there and runs a file: no thread of the kernel, whose files are denied too, and no zombie."""
        fields = self._read("{}/stat".format(pid)).rsplit(")", 1)[-1].split()
        return len(fields) > 19 and fields[0] not in "ZXx" and not int(fields[6]) & _PF_KTHREAD

    def _options(self) -> str:
        """Return the mount options of /proc."""
        lines = [line.split() for line in self._read("self/mounts").splitlines()]
        return next((line[3] for line in lines if len(line) > 3 and line[1] == "/proc"), "")

    def _may_trace(self) -> bool:
        found = re.search(r"^CapEff:\s*([0-9a-f]+)", self._read("self/status"), re.MULTILINE)
        return bool(found and int(found.group(1), 16) >> _CAP_SYS_PTRACE & 1)

    def _nested(self, pid: int) -> bool:
        """Return whether a process is in a PID namespace below this one's: proc(5), NSpid, which all may read."""
        lines = [line for line in self._read("{}/status".format(pid)).splitlines() if line.startswith("NSpid:")]
        return bool(lines) and len(lines[0].split()) > 2

    def _read(self, name: str) -> str:
        try:
            with open(os.path.join(self.proc, name), "rb") as handle:
                return handle.read().decode("utf-8", "replace")
        except OSError:
            return ""  # the process has ended meanwhile


def as_facts(processes: List[Process]) -> List[Dict[str, Any]]:
    """Return processes as ``software_facts`` shows them."""
    return [
        {"pid": process.pid, "command": process.command, "unit": process.unit, "files": process.files}
        for process in processes
    ]
