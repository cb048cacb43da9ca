# SPDX-License-Identifier: GPL-3.0-or-later
"""One vCenter of VMware's simulator with a machine that is a host, as its owner sees it; needs pyVmomi."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyVmomi import vim

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import vsphere_machine
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere import VsphereProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_api import Vsphere, connect
from tests.snapshots.conftest import Killed
from tests.support.vcenter.front import Front

QUICK = {
    "timeout_s": 60,
    "attempts": 2,
    "min_free_bytes": 1,
    "start_timeout_s": 30,
    "stop_timeout_s": 30,
    "quiesce_timeout_s": 30,
}


class Watched(Vsphere):
    """Counts what changes something; call number ``at`` of it is the last before or after a kill, or fails."""

    def __init__(self, inner: Vsphere) -> None:
        self.__dict__.update(inner.__dict__)
        self.changes: list[str] = []
        self.at: int | None = None
        self.how = ""

    def change(self, what: str, work: Callable[[], Any]) -> Any:
        self.changes.append(what)
        struck = len(self.changes) - 1 == self.at
        if struck and self.how == "killed before":
            raise Killed
        answer = super().change(what, work)
        if struck:
            raise Killed
        return answer


class Site:
    """One vCenter with a machine that is the host db1, seen as its owner sees it."""

    def __init__(self, front: Front, certificates: Path, clock: Clock, login: dict[str, str] | None = None) -> None:
        """Without ``login`` it is in the environment."""
        self.front = front
        self.clock = clock
        self.common = {"port": front.port, "ca_file": str(certificates / "ca.pem"), **(login or {}), **QUICK}
        self.watched: Watched | None = None
        self.owner = connect(VsphereProvider(self.common, Runner(), clock).options, clock)
        self.owner.open()
        found = self.owner.read_all(vim.VirtualMachine, ["name", "config.uuid"])
        self.machines = {facts["name"]: (moid, facts["config.uuid"]) for moid, facts in found.items()}

    def provider(self, machine: str = "DC0_H0_VM0", **options: Any) -> VsphereProvider:
        given = {**self.common, "dmi_uuid": self.machines[machine][1], **options}
        return VsphereProvider(given, Runner(), self.clock)

    def struck(self, at: int | None = None, how: str = "", **options: Any) -> VsphereProvider:
        """Return a provider whose API is watched, and ends the process at a change."""

        def connected(given: dict[str, Any], clock: Clock) -> Vsphere:
            self.watched = Watched(connect(given, clock))
            self.watched.at, self.watched.how = at, how
            return self.watched

        given = {**self.common, "dmi_uuid": self.machines["DC0_H0_VM0"][1], **options}
        return VsphereProvider(given, Runner(), self.clock, connected)

    def machine(self, name: str = "DC0_H0_VM0") -> Any:
        return self.owner.machine(self.machines[name][0])

    def task(self, task: Any) -> Any:
        return self.owner.wait_task("the test", "a task", task, 60)

    def write(self, text: str, name: str = "DC0_H0_VM0") -> None:
        """Change what stands for the machine's disks."""
        self.task(self.machine(name).ReconfigVM_Task(vim.vm.ConfigSpec(annotation=text)))

    def behave(self, **keys: str) -> None:
        """Say what goes wrong with the machine."""
        values = [vim.option.OptionValue(key=f"double.{key}", value=value) for key, value in keys.items()]
        self.task(self.machine().ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=values)))

    def disks(self, name: str = "DC0_H0_VM0") -> str:
        return str(self.facts("config.annotation", name) or "")

    def power(self) -> str:
        return str(self.facts("runtime.powerState"))

    def facts(self, path: str, name: str = "DC0_H0_VM0") -> Any:
        moid = self.machines[name][0]
        return self.owner.read(vim.VirtualMachine, [self.owner.machine(moid)], [path])[moid][path]

    def snapshots(self, name: str = "DC0_H0_VM0") -> list[str]:
        return [one.id for one in vsphere_machine.read_tree(self.facts("snapshot", name)).snapshots]

    def foreign(self, name: str, description: str = "", machine: str = "DC0_H0_VM0") -> str:
        """Make a snapshot as somebody else would, and return its id."""
        made = self.machine(machine).CreateSnapshot_Task(
            name=name, description=description, memory=False, quiesce=False
        )
        return str(self.task(made)._moId)

    def clear(self) -> None:
        self.owner.service._stub.DropConnections()  # which have been idle while a module ran
        for name in self.machines:
            if self.snapshots(name):
                self.task(self.machine(name).RemoveAllSnapshots_Task())
        keys = ("quiesce", "revert", "power_on", "shutdown", "tools")
        self.behave(**dict.fromkeys(keys, ""))
        self.write("")
        if self.power() == "poweredOn":  # tools as they are by now
            self.task(self.machine().PowerOffVM_Task())
        self.task(self.machine().PowerOnVM_Task())
