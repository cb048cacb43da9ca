# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``process``: a named program runs, often enough, as whom it should."""

import os
import pwd
import re
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)

#: The kernel appends this to the path of a program whose file was replaced, as an update does.
REPLACED = " (deleted)"
#: A command line may be as long as the kernel allows; no more of it is looked at.
ARGUMENTS_LIMIT = 65536

#: Names of processes are cut here (TASK_COMM_LEN).
NAME_LIMIT = 15

Process = NamedTuple("Process", [("folder", str), ("owner", str)])


class ProcessProbe(Probe):
    """Counts processes of one program. Their arguments are looked at, never kept: they may hold a password."""

    NAME = "process"
    OPTIONS = {
        "program": {"type": "str", "required": True},
        "arguments_regexp": {"type": "str"},
        "owner": {"type": "str"},
        "at_least": {"type": "int", "default": 1},
        "at_most": {"type": "int"},
    }

    def validate(self) -> None:
        if not re.match(r"(/[^\x00\n]*[^/\x00\n]|[^/\x00\s]+)\Z", self.options["program"]):
            raise self.bad_option("program {!r}".format(self.options["program"]), "the name or absolute path of one")
        self.numbered("at_least", 0, 1000000)
        self.numbered("at_most", self.options["at_least"], 1000000)
        self.regexp = None
        if self.options["arguments_regexp"] is not None:
            try:
                self.regexp = re.compile(self.options["arguments_regexp"])
            except re.error as error:
                raise self.bad_option("arguments_regexp: {}".format(error), "a regular expression")

    def target(self) -> str:
        return "processes of {}".format(self.options["program"])

    def look(self) -> Reading:
        found = self._processes()
        owners: Dict[str, int] = {}
        for process in found:
            owners[process.owner] = owners.get(process.owner, 0) + 1
        value = {"count": len(found), "owners": owners}
        wrong = self._wrong(len(found), owners)
        if wrong:
            raise Failed("; ".join(wrong), value)
        return Reading("{} running".format(len(found)), value)

    def _wrong(self, count: int, owners: Dict[str, int]) -> List[str]:
        least, most, owner = self.options["at_least"], self.options["at_most"], self.options["owner"]
        wrong = []
        if count < least:
            wrong.append("{} running, expected at least {}".format(count, least))
        if most is not None and count > most:
            wrong.append("{} running, expected at most {}".format(count, most))
        others = sorted(name for name in owners if owner is not None and name != owner)
        if others:
            wrong.append("running as {}, expected {}".format(", ".join(others), owner))
        return wrong

    def _processes(self) -> List[Process]:
        try:
            names = [name for name in os.listdir(self.context.proc) if name.isdigit()]
        except OSError as error:
            raise Inconclusive("{} cannot be read: {}".format(self.context.proc, error.strerror))
        if not names:
            raise Inconclusive("{} shows no process at all".format(self.context.proc))
        found = [self._process(os.path.join(self.context.proc, name)) for name in names]
        return [process for process in found if process is not None]

    def _process(self, folder: str) -> Optional[Process]:
        """Return a process of the program; None when it is another's, or has ended meanwhile."""
        try:
            status = _fields(_start_of(os.path.join(folder, "status")))
            words = _start_of(os.path.join(folder, "cmdline")).split(b"\0")
            # A zombie runs no more.
            if status.get("State", "").startswith("Z") or not self._matches(folder, status.get("Name", ""), words):
                return None
            arguments = b" ".join(words[1:]).strip().decode("utf-8", "replace")
            if self.regexp is not None and not self.regexp.search(arguments):
                return None
            return Process(folder, _name_of(int(status["Uid"].split()[0])))
        except (FileNotFoundError, ProcessLookupError):
            return None

    def _matches(self, folder: str, name: str, words: List[bytes]) -> bool:
        """Whether it is the program, by the file that is executed or, of a script, by the name that it runs under."""
        wanted = self.options["program"]
        try:
            path = os.readlink(os.path.join(folder, "exe"))
        except OSError:
            path = ""  # a thread of the kernel, or a process that may not be looked into
        if path.endswith(REPLACED):
            path = path[: -len(REPLACED)]
        if wanted in (path, os.path.basename(path)):
            return True
        # The kernel cuts names, and gives the path of a script to its interpreter as the first argument.
        is_script = "/" not in wanted or os.fsencode(wanted) in words[:2]
        return is_script and name == os.path.basename(wanted)[:NAME_LIMIT]


def _start_of(path: str) -> bytes:
    with open(path, "rb") as handle:
        return handle.read(ARGUMENTS_LIMIT)


def _fields(status: bytes) -> Dict[str, str]:
    lines = status.decode("utf-8", "replace").splitlines()
    return {key: value.strip() for key, _colon, value in (line.partition(":") for line in lines)}


def _name_of(uid: int) -> Any:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
