# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that is killed: the playbook runs as a process of its own, and is ended when its ledger says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support import lab
from tests.support.night import Night
from tests.support.playbook import LAB_INVENTORY, ROOT
from tests.support.processes import kill_tree

POLL_S = 0.02
#: Prints something while the portal's package is being configured; not the shell that asks.
IN_POSTINST = "pgrep -f [e]hr-portal.postinst || true"
#: Those that were started and not awaited; a test that fails must not leave its controller at work on the lab.
_STARTED: list[Controller] = []


def end_all() -> None:
    """End every controller that still runs."""
    while _STARTED:
        _STARTED.pop().kill()


class Controller:
    """``ansible-playbook`` with a night's settings, started at once, as the last words of the command ``through``."""

    def __init__(self, night: Night, playbook: str = "patch", through: Sequence[str] = (), **extra: Any) -> None:
        self.night = night
        self.seen_before = len(self.records())
        given = {**night.settings, "patching_plan": night.plan["digest"], **extra}
        self.log = night.evidence.parent / f"{playbook}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *through,
                    str(Path(sys.executable).with_name("ansible-playbook")),
                    *("-i", str(LAB_INVENTORY), f"playbooks/{playbook}.yml", "-e", json.dumps(given)),
                ],
                cwd=ROOT,
                env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _STARTED.append(self)

    def records(self) -> list[dict[str, Any]]:
        """Return the whole lines of the run's ledger."""
        path = self.night.run / "ledger.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]

    def new_records(self) -> list[dict[str, Any]]:
        """Return what this controller has recorded."""
        return self.records()[self.seen_before :]

    def until(self, reached: Callable[[], bool], limit_s: float = 180) -> bool:
        """Wait until something is reached; False when the controller ended without it."""
        deadline = time.monotonic() + limit_s
        while not reached():
            if self.process.poll() is not None:
                return reached()
            assert time.monotonic() < deadline, self.output()
            time.sleep(POLL_S)
        return True

    def recorded(self, host: str | None, step: str, event: str = "done") -> Callable[[], bool]:
        """Say whether this controller has recorded a step."""
        wanted = (host, step, event)
        return lambda: any((one["host"], one["step"], one["event"]) == wanted for one in self.new_records())

    def kill(self) -> None:
        """End the controller and all of its processes as a power failure would."""
        if self.process.poll() is None:
            kill_tree(self.process.pid)
            self.process.wait()

    def wait(self, limit_s: float = 300) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(limit_s)

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def in_the_middle_of_dpkg(night: Night) -> Controller:
    """Return a controller whose installation on portal1 waits in the postinst; portal2's will not wait."""
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "waiting_postinst"))
    night.ready()
    let_dpkg_finish("portal2", in_s=0)
    controller = Controller(night)
    assert controller.until(lambda: lab.exec("portal1", IN_POSTINST) != "")
    return controller


def let_dpkg_finish(host: str, in_s: int) -> None:
    """Let the postinst that waits end, in this many seconds."""
    lab.exec(host, f"systemd-run --quiet --on-active={in_s} touch /run/may-finish")
