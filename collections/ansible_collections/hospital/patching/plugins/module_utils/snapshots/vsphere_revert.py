# SPDX-License-Identifier: GPL-3.0-or-later
"""How a machine of vSphere is put back; the order of the steps, and what is undone, is in machine_revert.py."""

from typing import Any, Callable, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import vsphere_machine as machines
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_records import Found
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_revert import MachineRevert, State
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_api import ApiError, Vsphere
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_machine import Machine


def remove(api: Vsphere, machine: Machine, snapshot_id: str, limit_s: int) -> bool:
    """Delete a snapshot, merge its disks, and return whether it existed.

    Raises:
        PatchingError: it is refused, or its disks are not merged.
    """
    subject = "snapshot {} of machine {}".format(snapshot_id, machine.properties["name"])
    try:
        task = api.start(
            "RemoveSnapshot",
            lambda: api.snapshot(snapshot_id).RemoveSnapshot_Task(removeChildren=False, consolidate=True),
        )
        api.wait_task(subject, "RemoveSnapshot", task, limit_s)
    except ApiError as error:
        if error.fault != "ManagedObjectNotFound":
            raise
        return False
    after = machines.again(api, machine.moid)
    if after.properties["runtime.consolidationNeeded"]:
        target = api.machine(machine.moid)
        try:
            task = api.start("ConsolidateVMDisks", target.ConsolidateVMDisks_Task)
            api.wait_task(subject, "ConsolidateVMDisks", task, limit_s)
        except ApiError as error:
            raise PatchingError(
                subject,
                "it is deleted, and its disks could not be merged: {}".format(error.seen),
                "merged disks, because what is left grows and can fill the datastore",
                "consolidate them in the vSphere Client (Snapshots, Consolidate); a backup may hold them",
            )
    return True


class VsphereRevert(MachineRevert):
    """With vCenter's tasks."""

    def __init__(
        self,
        api: Vsphere,
        clock: Clock,
        options: Dict[str, Any],
        machine: Machine,
        snapshot_id: str,
        facts: Dict[str, str],
    ) -> None:
        name = machine.properties["name"]
        identity = machine.properties["config.instanceUuid"]
        subject = "machine {} ({})".format(name, machine.moid)
        super().__init__(clock, options, subject, identity, snapshot_id, facts)
        self.api = api
        self.moid = machine.moid
        self.name = name
        self.target = api.machine(machine.moid)
        #: Whether tools are expected to come up; a machine that is off still says what is installed.
        installed = machine.properties["guest.toolsVersionStatus2"]
        self.has_tools = installed not in (None, "guestToolsNotInstalled")

    def state(self) -> State:
        now = self._now()
        return State(str(now.properties["runtime.powerState"]), now.tree)

    def settle(self) -> None:
        def look() -> Optional[bool]:
            return None if machines.running_tasks(self.api, self._now()) else True

        if self.api.until(look, self.options["revert_timeout_s"]) is None:
            tasks = machines.running_tasks(self.api, self._now())
            raise self.error(
                "{} is under way".format(", ".join(sorted(tasks.values()))),
                "a machine that nobody else is working on",
                "wait until it has ended, or cancel it in the vSphere Client; nothing was changed",
            )

    def stop(self) -> None:
        now = self._now().properties
        if now["runtime.powerState"] == "poweredOn" and now["guest.toolsRunningStatus"] == "guestToolsRunning":
            try:
                self.api.change("ShutdownGuest", self.target.ShutdownGuest)
                self.api.until(self._is_off, self.options["stop_timeout_s"])
            except ApiError as error:
                if error.busy:
                    raise
        if self._is_off() is None:
            try:
                self._task("PowerOffVM", self.target.PowerOffVM_Task, "stop_timeout_s")
            except ApiError:
                # It may have shut down at that very moment.
                if self._is_off() is None:
                    raise

    def _is_off(self) -> Optional[bool]:
        return True if self._now().properties["runtime.powerState"] == "poweredOff" else None

    def snapshot(self, name: str, description: str) -> None:
        self._task(
            "CreateSnapshot",
            lambda: self.target.CreateSnapshot_Task(name=name, description=description, memory=False, quiesce=False),
            "create_timeout_s",
        )

    def go_to(self, snapshot_id: str) -> None:
        snapshot = self.api.snapshot(snapshot_id)
        # It is started by a step of its own; one with memory would start by itself.
        self._task("RevertToSnapshot", lambda: snapshot.RevertToSnapshot_Task(suppressPowerOn=True), "revert_timeout_s")

    def start(self) -> None:
        if self._now().properties["runtime.powerState"] != "poweredOn":
            self._task("PowerOnVM", self.target.PowerOnVM_Task, "start_timeout_s")

        def started() -> Optional[bool]:
            now = self._now().properties
            if now["runtime.question"] is not None:
                raise self.error(
                    "it waits for an answer: {}".format(str(now["runtime.question"].text)[:200]),
                    "a machine that starts",
                    "answer it in the vSphere Client",
                )
            if now["runtime.powerState"] != "poweredOn":
                return None
            waits = self.options["wait_for_tools"] and self.has_tools
            return True if not waits or now["guest.toolsRunningStatus"] == "guestToolsRunning" else None

        if self.api.until(started, self.options["start_timeout_s"]) is None:
            raise self.error(
                "VMware Tools do not run {} s after its start".format(self.options["start_timeout_s"]),
                "a guest that has started",
                "look at the machine's console",
            )

    def describe(self, one: Found, description: str) -> None:
        snapshot = self.api.snapshot(one.id)
        self.api.change("RenameSnapshot", lambda: snapshot.RenameSnapshot(name=one.name, description=description))

    def remove(self, snapshot_id: str) -> None:
        remove(self.api, self._now(), snapshot_id, self.options["remove_timeout_s"])

    def told(self) -> Dict[str, Any]:
        tools = self._now().properties["guest.toolsRunningStatus"]
        return {"machine": self.moid, "machine_name": self.name, "tools": tools}

    def _now(self) -> Machine:
        return machines.again(self.api, self.moid)

    def _task(self, what: str, work: Callable[[], Any], limit: str) -> None:
        self.api.wait_task(self.subject, what, self.api.start(what, work), self.options[limit])
