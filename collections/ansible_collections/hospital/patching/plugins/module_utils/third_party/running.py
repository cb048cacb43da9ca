# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the processes that must not run do."""

import os
from typing import List, Optional, Sequence, Set

from ansible_collections.hospital.patching.plugins.module_utils.hidden_processes import words_of
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import ProcessTable


def running(wanted: Sequence[str], proc: str = "/proc") -> List[str]:
    """Return ``name (pid)`` of each running process that is one of ``wanted``.

    An item with a slash is the path of a program, or of a folder if it ends in
    one; any other is a process's name, or that of its program's file.
    """
    ours = ProcessTable(proc).ancestors()
    found = []
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        directory = os.path.join(proc, str(pid))
        name, programs = _text(os.path.join(directory, "comm")).strip(), _programs(directory)
        names = {name} | {os.path.basename(program) for program in programs or ()}
        if pid not in ours and any(_is(item, programs, names) for item in wanted):
            found.append("{} ({})".format(sorted(names - {""})[0], pid))
    return found


def _is(item: str, programs: Optional[Sequence[str]], names: Set[str]) -> bool:
    if item.endswith("/"):
        return any(program.startswith(item) for program in programs or ())
    if "/" in item:
        # Which file one runs that hides it and calls itself something else is not known: its name decides.
        return _named(os.path.basename(item), names) if programs is None else item in programs
    return _named(item, names)


def _named(name: str, names: Set[str]) -> bool:
    # The kernel cuts a process's name at 15 characters.
    return name in names or (len(name) > 15 and name[:15] in names)


def _programs(directory: str) -> Optional[List[str]]:
    """Return a process's program; of one that hides it, what its command line says; None where that is no path."""
    try:
        return [os.readlink(os.path.join(directory, "exe"))]
    except PermissionError:
        words = words_of(_text(os.path.join(directory, "cmdline")))
        paths = [word for word in words[:1] if word.startswith("/")]
        return paths + [os.path.realpath(path) for path in paths] or None
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""
