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

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run

#: For how long a controller on another machine, whose process cannot be seen, may be silent and count as alive.
SILENT_S = 60
#: For how long its sign is watched besides: two heartbeats and some.
LOOK_TWICE_S = 12


def this_process() -> dict[str, Any]:
    """Return who drives a run from here: actions run in children of the playbook's process."""
    pid = os.getppid()
    return {"controller": socket.gethostname(), "machine": machine(), "pid": pid, "process_started": _started(pid)}


def machine(proc: Path = Path("/proc")) -> str | None:
    """Return what tells whether another's processes can be seen from here; None where the kernel does not say.

    Cloned machines and containers share names; the boot and the process
    namespace they do not share (random(4), pid_namespaces(7)).
    """
    boot = boot_id(proc)
    try:
        return f"{boot} {(proc / 'self/ns/pid').readlink()}" if boot else None
    except OSError:
        return None


def boot_id(proc: Path = Path("/proc")) -> str | None:
    """Return what tells this start of this kernel from any other; its containers share it (random(4))."""
    try:
        return (proc / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


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
    if detail.get("machine") and detail["machine"] == machine() and detail.get("pid"):
        pid = int(detail["pid"])
        running = _started(pid) is not None and _started(pid) == detail.get("process_started")
        return f"its process {pid} runs on this machine" if running else None
    silent = int((now - last_sign).total_seconds())
    if silent < silent_s:
        return f"{detail.get('controller')} gave a sign of life {silent} s ago"
    return None


def showing_life(run: Run, detail: Mapping[str, Any], clock: Clock, silent_s: int = SILENT_S) -> str | None:
    """Return why the controller that ``detail`` names counts as alive, or None.

    The signs of life of another machine carry that one's clock, which may lag:
    before it counts as dead, its sign is also seen not to change for a while.

    Raises:
        PatchingError: the run's ledger cannot be read.
    """
    before = run.last_sign()
    why = alive(detail, before, clock.now(), silent_s)
    if why is None and detail.get("machine") != machine():
        clock.sleep(min(silent_s, LOOK_TWICE_S))
        if run.last_sign() != before:
            return f"{detail.get('controller')} gives signs of life now"
    return why


def require_alone(run: Run, records: Sequence[Mapping[str, Any]], clock: Clock) -> None:
    """Refuse to drive a run that another controller drives.

    Raises:
        PatchingError: that one is alive.
    """
    detail = driver(records)
    if detail is None:
        return
    why = showing_life(run, detail, clock)
    if why is not None:
        raise PatchingError(
            f"run {run.run_id}",
            f"it was started by {detail.get('started_by')} from {detail.get('controller')}, and {why}",
            "a run that nobody else drives",
            "wait for its end, or end it by stop.yml; if it is dead, start again in a minute",
        )


def require_no_rollback(run: Run, records: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to patch on where a person's rollback was killed: its hosts are on their way back.

    Raises:
        PatchingError: the last opening that was not closed, or one before it, was a rollback's.
    """
    open_since: list[Mapping[str, Any]] = []
    for record in records:
        if record["host"] is None and (record["step"], record["event"]) == ("record", "done"):
            open_since = []
        elif record["host"] is None and (record["step"], record["event"]) == ("gate", "begin"):
            open_since.append(record["detail"])
    if any("rollback" in detail for detail in open_since):
        raise PatchingError(
            f"run {run.run_id}",
            "a rollback of it was killed and has not been closed",
            "a run whose hosts are where a person wanted them",
            f"ansible-playbook -i INVENTORY playbooks/recover.yml -e patching_run_id={run.run_id}",
        )


@contextmanager
def opening(run: Run, lock: str = "opening.lock") -> Iterator[None]:
    """Let one process at a time look and write its record, such as that of a controller's opening."""
    path = run.evidence.run_dir(run.run_id) / lock
    try:
        handle = path.open("a")
    except OSError as error:
        raise PatchingError(
            str(path), str(error), "a directory that can be written", "make room, or correct patching_evidence_dir"
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
