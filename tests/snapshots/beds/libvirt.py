# SPDX-License-Identifier: GPL-3.0-or-later
"""Bed of the provider libvirt: a real libvirtd with emulated machines, in a view of its own.

The machines have no operating system: their disks are written from outside while they are off, and one is well when it
runs from a disk that a working version wrote. No guest agent is in them, so they are off when a restore point is made.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.snapshots.beds.base import Bed, Point
from tests.snapshots.conftest import QuickClock
from tests.snapshots.domains import OTHERS, UUID, Site, two_domains
from tests.support.hypervisor import missing

#: A disk that a broken version has written is filled with this.
BROKEN = 0xEE


class LibvirtBed(Bed):
    """The domain of the host, and another one."""

    NAME = "libvirt"
    SLOW = True
    CANNOT_SHOW = "the domains have no operating system; their disks are written while they are off"
    LAST_CALLS = ("snapshot-create-as", "snapshot-create")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ends = contextlib.ExitStack()

    def lacks(self) -> str | None:
        return missing()

    def start(self) -> None:
        machine = self.ends.enter_context(two_domains(self.folder))
        self.site = Site(machine, QuickClock())
        self.ends.callback(self.site.clear)
        self.options = {
            "virsh": machine.virsh,
            "dmi_uuid": UUID,
            "min_free_bytes": 1,
            "change_bytes": 1,
            "max_depth": 9,
            "stop_timeout_s": 2,
            "wait_for_agent": False,
            "timeout_s": 300,
        }

    def stop(self) -> None:
        self.ends.close()

    def install(self, version: int, works: bool = True) -> None:
        self.site.off()
        self.site.write(version if works else BROKEN)
        self.site.machine.ask("start", UUID)

    def health(self) -> str:
        power = self.site.power()
        return "ok" if power == "running" and not self.site.holds(BROKEN) else f"{power}, {self.state()}"

    def state(self) -> object:
        return [pattern for pattern in (*range(10), BROKEN) if self.site.holds(pattern)]

    def ready(self) -> None:
        self.site.off()

    def everything(self) -> set[str]:
        return {f"{uuid}/{name}" for uuid in (UUID, OTHERS) for name in self.site.snapshots(uuid)}

    def parts(self, point: Point) -> set[str]:
        return {str(point["id"])}

    def foreign(self, point: Point) -> str:
        """A domain knows a name once: it is a snapshot of another one."""
        self.site.machine.ask("snapshot-create-as", OTHERS, point["detail"]["name"], "somebody's")
        return f"{OTHERS}/{point['detail']['name']}"
