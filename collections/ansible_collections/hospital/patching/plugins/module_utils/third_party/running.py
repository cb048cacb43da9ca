# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the processes that must not run do."""

import os
from typing import List, Sequence

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
        program = _program(os.path.join(proc, str(pid)))
        names = {_text(os.path.join(proc, str(pid), "comm")), os.path.basename(program)}
        if pid not in ours and any(_is(item, program, names) for item in wanted):
            found.append("{} ({})".format(sorted(names - {""})[0], pid))
    return found


def _is(item: str, program: str, names: "set[str]") -> bool:
    if "/" in item:
        return program.startswith(item) if item.endswith("/") else program == item
    # The kernel cuts a process's name at 15 characters.
    return item in names or (len(item) > 15 and item[:15] in names)


def _program(directory: str) -> str:
    """Return a process's program; of one at which we may not look, what its command line calls it."""
    try:
        return os.readlink(os.path.join(directory, "exe"))
    except PermissionError:
        words = words_of(_text(os.path.join(directory, "cmdline")))
        return words[0] if words else ""
    except OSError:
        return ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read().strip()
    except OSError:
        return ""
