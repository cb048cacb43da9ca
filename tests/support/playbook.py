# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs this repository's playbooks with ansible-runner and reads its events."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

ROOT = Path(__file__).resolve().parents[2]
LAB_INVENTORY = ROOT / "inventories" / "lab" / "hosts.yml"
#: The lab grown into a small hospital.
HOSPITAL_INVENTORY = (LAB_INVENTORY, ROOT / "inventories" / "hospital" / "hosts.yml")


@dataclass(frozen=True)
class Played:
    """How one playbook ended."""

    rc: int
    stdout: str
    events: list[dict[str, Any]] = field(repr=False)

    def results(self, task: str, host: str | None = None) -> list[dict[str, Any]]:
        """Return the results of the tasks of that name, in order."""
        return [
            data["res"]
            for data in self.ended()
            if data["task"].split(" : ")[-1] == task and host in (None, data["host"])
        ]

    def changed(self) -> list[tuple[str, str]]:
        """Return (host, task) of every task that reported a change."""
        return [(data["host"], data["task"]) for data in self.ended() if data["res"].get("changed")]

    def messages(self) -> list[str]:
        """Return the messages of all failed tasks."""
        return [
            str(event["event_data"]["res"].get("msg"))
            for event in self.events
            if event["event"] in ("runner_on_failed", "runner_on_unreachable")
        ]

    def ended(self) -> Iterator[dict[str, Any]]:
        """Yield the event data of every task that ended on a host."""
        for event in self.events:
            if event["event"] in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable"):
                yield event["event_data"]


def play(
    playbook: str,
    *,
    inventory: Path | str | Sequence[Path] = LAB_INVENTORY,
    extra: dict[str, Any] | None = None,
    options: str = "",
    environment: dict[str, str] | None = None,
    show: bool = False,
) -> Played:
    """Run one playbook of this repository from its root, as an engineer would."""
    private = Path(tempfile.mkdtemp(prefix="hospital-patching-"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        ran = ansible_runner.run(
            private_data_dir=str(private),
            project_dir=str(ROOT),
            playbook=str(ROOT / playbook),
            inventory=str(inventory) if isinstance(inventory, (Path, str)) else [str(path) for path in inventory],
            extravars=extra or {},
            cmdline=options or None,
            envvars={**os.environ, "PATH": path, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **(environment or {})},
            quiet=not show,
        )
        with ran.stdout as output:
            return Played(ran.rc, output.read(), list(ran.events))
    finally:
        shutil.rmtree(private, ignore_errors=True)
