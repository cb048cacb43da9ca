# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a process and all that it has started, as a power failure would; and waits for those that nobody started here.

A process group is not enough: Ansible's workers and the commands of modules have sessions of their own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path


def kill_tree(pid: int) -> None:
    """SIGKILL a process and its descendants. All of them are stopped first, so that none starts another meanwhile."""
    stopped: set[int] = set()
    while fresh := {pid, *descendants(pid)} - stopped:
        _signal(fresh, signal.SIGSTOP)
        stopped |= fresh
    _signal(stopped, signal.SIGKILL)


def descendants(pid: int) -> set[int]:
    """Return the processes that a process has started, and theirs, as far as they run (proc(5))."""
    children: dict[int, set[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
                children.setdefault(parent, set()).add(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        fresh = children.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh
    return found


def wait_for_the_last_of(folder: Path, patience_s: float = 60) -> None:
    """Return once no process has ``folder`` in its command line: podman's monitors clean up after `podman rm` ended.

    Raises:
        TimeoutError: some are still there.
    """
    deadline = time.monotonic() + patience_s
    unseen = 0
    while unseen < 3:  # looks in a row: a process that becomes another program has no words for a moment
        left = _naming(os.fsencode(folder))
        unseen = 0 if left else unseen + 1
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {patience_s} s there are still processes of {folder}: {left}")
        time.sleep(0.05)


def _naming(folder: bytes) -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                if folder in words:
                    found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
    return found


def _signal(processes: set[int], what: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, what)
