# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that must outlive its controller: this process moves into a systemd scope of its own.

A session that ends (connection lost, controller killed) then takes nothing of
it along, and a later call sees that the work is still going on and waits.
"""

import os
import signal
from typing import Any, List

from ansible_collections.hospital.patching.plugins.module_utils import systemd_units
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import ProcessTable
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

NAME = "hospital-patching-work.scope"
_MANAGER = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]

#: Filled once this process has entered. systemd moves it a moment later, so /proc cannot tell,
#: and clearing away what looks like an empty scope would then kill this very process.
_ENTERED: List[str] = []


def _stay(_number: int, _frame: Any) -> None:
    """Hang-ups are no reason to stop; a handler, unlike SIG_IGN, is not inherited by commands."""


def workers(proc: str = "/proc") -> List[int]:
    """Return the processes of an earlier call that is still at work.

    systemd's own word does not count: with cgroups v1 in a container it is not
    told when a scope has become empty. Nor do the processes of containers on
    this host, whose own scopes have the same name.
    """
    table = ProcessTable(proc)
    return [pid for pid in table.of_unit(NAME) if pid != os.getpid() and _is_ours(pid, proc)]


def _is_ours(pid: int, proc: str) -> bool:
    """Return whether a process is in our own pid namespace; one that cannot be told counts (pid_namespaces(7))."""
    try:
        theirs, ours = (os.readlink(os.path.join(proc, one, "ns/pid")) for one in (str(pid), "self"))
    except OSError:
        return True
    return theirs == ours


def wait_until_idle(clock: Clock, timeout_s: int, proc: str = "/proc") -> None:
    """Wait for the end of an earlier call that is still at work.

    Raises:
        PatchingError: it is still at work after ``timeout_s``.
    """
    deadline = clock.monotonic() + timeout_s
    while True:
        busy = workers(proc)
        if not busy:
            return
        _refuse_after(deadline, busy, clock, timeout_s)
        clock.sleep(1.0)


def _refuse_after(deadline: float, busy: List[int], clock: Clock, timeout_s: int) -> None:
    if clock.monotonic() >= deadline:
        raise PatchingError(
            NAME,
            "an earlier call (process {}) is still at work after {} s".format(busy[0], timeout_s),
            "its end",
            "look at `systemctl status {}` on the host, then run again".format(NAME),
        )


def enter(runner: Runner, clock: Clock, timeout_s: int, root: str = "/", proc: str = "/proc") -> bool:
    """Move this process into the scope; return False where systemd does not run.

    Waits for an earlier call that is still at work.

    Raises:
        PatchingError: it is still at work after ``timeout_s``.
    """
    signal.signal(signal.SIGHUP, _stay)
    if not systemd_units.booted(root):
        return False
    if _ENTERED:
        return True
    deadline = clock.monotonic() + timeout_s
    cleared = False
    while True:
        result = runner.run(
            ["busctl", "call"]
            + _MANAGER
            + ["StartTransientUnit", "ssa(sv)a(sa(sv))", NAME, "fail"]
            + ["2", "PIDs", "au", "1", str(os.getpid()), "Description", "s", "hospital.patching at work", "0"],
            timeout_s=30,
            check=False,
        )
        if result.rc == 0:
            _ENTERED.append(NAME)
            return True
        busy = workers(proc)
        if not busy:
            if cleared:
                return False  # no D-Bus here: the work is done all the same, in the caller's session
            # An empty scope of an earlier call may be left; nothing is in it that could be killed.
            runner.run(["systemctl", "stop", "--", NAME], timeout_s=60, check=False)
            cleared = True
            continue
        _refuse_after(deadline, busy, clock, timeout_s)
        clock.sleep(1.0)
