# SPDX-License-Identifier: GPL-3.0-or-later
"""One controller drives a run at a time: who drives it now, and whether that one is still alive."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run

#: For how long a controller on another machine, whose process cannot be seen, may be silent and count as alive.
SILENT_S = 60


def this_process() -> dict[str, Any]:
    """Return who drives a run from here: actions run in children of the playbook's process."""
    pid = os.getppid()
    return {"controller": socket.gethostname(), "pid": pid, "process_started": _started(pid)}


def _started(pid: int, proc: Path = Path("/proc")) -> str | None:
    """Return when a process was started, in the kernel's own count, or None when there is none (proc(5))."""
    try:
        return (proc / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def driver(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return what the last opening of a run says of its controller; None when it was closed since, or never opened."""
    for record in reversed(records):
        if record["host"] is None and (record["step"], record["event"]) == ("record", "done"):
            return None
        if record["host"] is None and (record["step"], record["event"]) == ("gate", "begin"):
            return dict(record["detail"])
    return None


def alive(detail: Mapping[str, Any], last_sign: datetime, now: datetime, silent_s: int = SILENT_S) -> str | None:
    """Return why a controller counts as alive, or None.

    Of one on this machine the process is looked at, of any other the signs of life.
    """
    if detail.get("controller") == socket.gethostname() and detail.get("pid"):
        pid = int(detail["pid"])
        running = _started(pid) is not None and _started(pid) == detail.get("process_started")
        return f"its process {pid} runs on this machine" if running else None
    silent = int((now - last_sign).total_seconds())
    if silent < silent_s:
        return f"{detail.get('controller')} gave a sign of life {silent} s ago"
    return None


def require_alone(run: Run, records: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Refuse to drive a run that another controller drives.

    Raises:
        PatchingError: that one is alive.
    """
    detail = driver(records)
    if detail is None:
        return
    why = alive(detail, run.last_sign(records), now)
    if why is not None:
        raise PatchingError(
            f"run {run.run_id}",
            f"it was started by {detail.get('started_by')} from {detail.get('controller')}, and {why}",
            "a run that nobody else drives",
            "wait for its end, or end it by stop.yml; if it is dead, start again in a minute",
        )


@contextmanager
def opening(run: Run) -> Iterator[None]:
    """Let one controller at a time look and write its opening record."""
    folder = run.evidence.run_dir(run.run_id)
    with (folder / "opening.lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
