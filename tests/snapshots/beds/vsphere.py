# SPDX-License-Identifier: GPL-3.0-or-later
"""Bed of the provider vsphere: VMware's own vCenter simulator, with the additions of tests/support/vcenter.

The simulator has no disks and no guests: a machine's annotation stands for what is on its disks, and goes back with a
snapshot as they would. What a real datastore takes for a snapshot, a revert or a merge is not shown by its seconds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from tests.snapshots.beds.base import Bed, Point
from tests.support.vcenter.front import PASSWORD, SIMULATOR, USER, vcenter

if TYPE_CHECKING:
    from tests.snapshots.vcenter_site import Site

MACHINE = "DC0_H0_VM0"


class VsphereBed(Bed):
    """One virtual machine."""

    NAME = "vsphere"
    CANNOT_SHOW = "VMware's simulator has no disks; a machine's annotation stands for them, so seconds are its own"
    LAST_CALLS = ("CreateSnapshot",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ends = contextlib.ExitStack()
        self.environment = {"VMWARE_HOST": "127.0.0.1", "VMWARE_USER": USER, "VMWARE_PASSWORD": PASSWORD}

    def lacks(self) -> str | None:
        if not SIMULATOR.exists():
            return "the vCenter simulator is not built (tools/vcenter_simulator.sh)"
        if importlib.util.find_spec("pyVmomi") is None:
            return "pyVmomi is not here (pip install pyvmomi)"
        return None

    def start(self) -> None:
        from tests.snapshots.vcenter_site import Site  # noqa: PLC0415 - needs pyVmomi, which may be lacking

        front = self.ends.enter_context(vcenter(self.folder))
        login = {"server": "127.0.0.1", "user": USER, "password_file": str(self._password_file())}
        self.site: Site = Site(front, self.folder, Clock(), login)
        self.ends.callback(self.site.owner.close)
        uuid = self.site.machines[MACHINE][1]
        # A restore point, what its revert sets aside, and three more lie upon each other at the end of the walk.
        self.options = {**self.site.common, "dmi_uuid": uuid, "max_depth": 9, "poll_s": 1}

    def _password_file(self) -> Path:
        path = self.folder / "password"
        path.touch(mode=0o600)
        path.write_text(PASSWORD + "\n", encoding="utf-8")
        return path

    def stop(self) -> None:
        self.ends.close()

    def install(self, version: int, works: bool = True) -> None:
        self._fresh()
        self.site.write(json.dumps({"version": version, "works": works}))

    def health(self) -> str:
        self._fresh()
        found = {"power": self.site.power(), "tools": self.site.facts("guest.toolsRunningStatus")}
        well = found == {"power": "poweredOn", "tools": "guestToolsRunning"} and json.loads(self.site.disks())["works"]
        return "ok" if well else f"{found}, disks {self.site.disks()}"

    def state(self) -> object:
        self._fresh()
        return self.site.disks()

    def everything(self) -> set[str]:
        self._fresh()
        return {one for name in self.site.machines for one in self.site.snapshots(name)}

    def parts(self, point: Point) -> set[str]:
        return {str(point["id"])}

    def foreign(self, point: Point) -> str:
        self._fresh()
        return self.site.foreign(point["detail"]["name"])

    def _fresh(self) -> None:
        self.site.owner.service._stub.DropConnections()  # which have been idle while a module ran
