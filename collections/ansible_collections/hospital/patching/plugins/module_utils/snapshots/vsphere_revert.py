# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine put back to a snapshot, in steps that can be broken off anywhere.

What is replaced is set aside in a snapshot of its own, whose description says to what a revert is under way: vCenter
keeps descriptions beside the machine's disks, so that a revert does not undo them. A call after an interruption goes on
from there, and a failure is undone.
"""

import calendar
import os
import time
from datetime import timedelta
from typing import Any, Callable, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import vsphere_machine as machines
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import vsphere_records as records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_api import ApiError, TaskLate, Vsphere
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_machine import Machine
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_records import Found

STAMP = "%Y-%m-%dT%H:%M:%SZ"


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


class Revert:
    """A revert of the machine, begun now or found begun. ``facts`` are what the snapshot's description says."""

    def __init__(
        self,
        api: Vsphere,
        clock: Clock,
        options: Dict[str, Any],
        machine: Machine,
        snapshot_id: str,
        facts: Dict[str, str],
    ) -> None:
        self.api = api
        self.clock = clock
        self.options = options
        self.moid = machine.moid
        self.name = machine.properties["name"]
        self.instance_uuid = machine.properties["config.instanceUuid"]
        self.snapshot_id = snapshot_id
        self.facts = facts
        #: Whether this call has brought the snapshot's state back.
        self.replaced = False
        self.target = api.machine(machine.moid)
        #: Whether tools are expected to come up; a machine that is off still says what is installed.
        installed = machine.properties["guest.toolsVersionStatus2"]
        self.has_tools = installed not in (None, "guestToolsNotInstalled")

    def run(self) -> Dict[str, Any]:
        """Put the machine back and return what was done.

        Raises:
            PatchingError: another revert is under way; or it failed, and the message says what runs now.
        """
        self._settle()
        resumed = self._resumed()
        try:
            if resumed is None:
                self._stop()
                if self.options["keep_replaced"]:
                    self._set_aside()
            if resumed is None or self._state().tree.current != self.snapshot_id:
                self._stop()
                self._go_to(self.snapshot_id)
                self.replaced = True
            self._start()
        except TaskLate:
            raise  # what goes on by itself is not undone under its feet; the next call takes it up
        except PatchingError as error:
            raise self.put_back(error)
        return self._end(resumed is not None)

    def _settle(self) -> None:
        """Wait for what a killed call may have left running."""

        def look() -> Optional[bool]:
            return None if machines.running_tasks(self.api, self._state()) else True

        if self.api.until(look, self.options["revert_timeout_s"]) is None:
            tasks = machines.running_tasks(self.api, self._state())
            raise self._error(
                "{} is under way".format(", ".join(sorted(tasks.values()))),
                "a machine that nobody else is working on",
                "wait until it has ended, or cancel it in the vSphere Client; nothing was changed",
            )

    def _resumed(self) -> Optional[Found]:
        begun = self._begun()
        if begun is None:
            return None
        aim = (records.read_description(begun.description) or {}).get("of")
        if aim != self.snapshot_id:
            raise self._error(
                "a revert to {} is under way".format(aim),
                "no other revert",
                "revert to that snapshot again, which ends it",
            )
        return begun

    def _begun(self) -> Optional[Found]:
        return records.under_way(self._state().tree, self.instance_uuid)

    def _stop(self) -> None:
        """Shut the guest down, so that it writes nowhere else any more either; turn it off where it does not."""
        state = self._state().properties
        power, tools = state["runtime.powerState"], state["guest.toolsRunningStatus"]
        if power == "poweredOn" and tools == "guestToolsRunning":
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
        return True if self._state().properties["runtime.powerState"] == "poweredOff" else None

    def _set_aside(self) -> None:
        facts = dict(
            self.facts,
            kind=records.SET_ASIDE,
            created=self.clock.stamp(),
            expires=self._kept_until(),
            token=os.urandom(8).hex(),
            reason="replaced by a revert to {}".format(self.snapshot_id),
            consistency="off",
            of=self.snapshot_id,
            revert=records.BEGUN,
        )
        facts.pop("note", None)
        self._task(
            "CreateSnapshot",
            lambda: self.target.CreateSnapshot_Task(
                name="hospital.patching set aside {}".format(facts["run"])[:80],
                description=records.describe(facts),
                memory=False,
                quiesce=False,
            ),
            "create_timeout_s",
        )

    def _kept_until(self) -> str:
        """For as long as the restore point was to be kept, from now."""
        try:
            lifetime = _seconds(self.facts["expires"]) - _seconds(self.facts["created"])
        except ValueError:
            return self.facts["expires"]
        return (self.clock.now() + timedelta(seconds=max(lifetime, 0))).strftime(STAMP)

    def _go_to(self, snapshot_id: str) -> None:
        snapshot = self.api.snapshot(snapshot_id)
        # It is started by a step of its own, because a snapshot without memory leaves it off anyway.
        self._task("RevertToSnapshot", lambda: snapshot.RevertToSnapshot_Task(suppressPowerOn=True), "revert_timeout_s")

    def _start(self) -> None:
        if self._state().properties["runtime.powerState"] != "poweredOn":
            self._task("PowerOnVM", self.target.PowerOnVM_Task, "start_timeout_s")

        def started() -> Optional[bool]:
            state = self._state().properties
            if state["runtime.question"] is not None:
                raise self._error(
                    "it waits for an answer: {}".format(str(state["runtime.question"].text)[:200]),
                    "a machine that starts",
                    "answer it in the vSphere Client",
                )
            if state["runtime.powerState"] != "poweredOn":
                return None
            waits = self.options["wait_for_tools"] and self.has_tools
            return True if not waits or state["guest.toolsRunningStatus"] == "guestToolsRunning" else None

        if self.api.until(started, self.options["start_timeout_s"]) is None:
            raise self._error(
                "VMware Tools do not run {} s after its start".format(self.options["start_timeout_s"]),
                "a guest that has started",
                "look at the machine's console",
            )

    def _end(self, resumed: bool) -> Dict[str, Any]:
        begun = self._begun()
        kept = (records.read_description(begun.description) or {}) if begun else {}
        if begun is not None:
            try:
                self._rename(begun, dict(kept, revert=records.ENDED))
            except ApiError as error:
                raise self._error(
                    "it is put back to {} and runs, but that could not be recorded in snapshot {} ({})".format(
                        self.snapshot_id, begun.id, error.seen
                    ),
                    error.expected,
                    "{}; revert to it again, which only records it".format(error.next_step),
                )
        state = self._state().properties
        return {
            "machine": self.moid,
            "machine_name": self.name,
            "snapshot": self.snapshot_id,
            "kept": begun.id if begun else None,
            "kept_until": kept.get("expires"),
            "lost_s": self._lost_s(kept.get("created")),
            "power_state": state["runtime.powerState"],
            "tools": state["guest.toolsRunningStatus"],
            "resumed": resumed,
        }

    def _lost_s(self, stopped: Optional[str]) -> Optional[int]:
        """Return for how long the machine had run on since the snapshot."""
        try:
            return max(_seconds(stopped or self.clock.stamp()) - _seconds(self.facts["created"]), 0)
        except ValueError:
            return None

    def _rename(self, one: Found, facts: Dict[str, str]) -> None:
        snapshot = self.api.snapshot(one.id)
        self.api.change(
            "RenameSnapshot",
            lambda: snapshot.RenameSnapshot(name=one.name, description=records.describe(facts)),
        )

    def put_back(self, error: PatchingError) -> PatchingError:
        """Undo what was done and return the error to raise, which says what runs now."""
        try:
            begun = self._begun()
            if begun is None and self.replaced:
                return self._error(
                    "the revert to {} failed ({}: {}), and nothing was kept to go back to; {}".format(
                        self.snapshot_id, error.subject, error.seen, self._what_runs()
                    ),
                    error.expected,
                    "{}; then revert again".format(error.next_step),
                )
            if begun is not None and self._state().tree.current != begun.id:
                self._stop()
                self._go_to(begun.id)
            self._start()
            if begun is not None:
                remove(self.api, self._state(), begun.id, self.options["remove_timeout_s"])
        except PatchingError as second:
            return self._error(
                "the revert to {} failed ({}: {}), and undoing it failed as well ({}: {}); {}".format(
                    self.snapshot_id, error.subject, error.seen, second.subject, second.seen, self._what_runs()
                ),
                error.expected,
                "{}; then revert again, which goes on, or go to the snapshot {!r} in the vSphere Client by hand".format(
                    error.next_step, "hospital.patching set aside"
                ),
            )
        return self._error(
            "the revert to {} failed ({}: {}) and was undone: {}".format(
                self.snapshot_id, error.subject, error.seen, self._what_runs()
            ),
            error.expected,
            "{}; then revert again, or look after the host by hand".format(error.next_step),
        )

    def _what_runs(self) -> str:
        try:
            state = self._state()
        except PatchingError:
            return "what runs now is not known, because vCenter does not say"
        names = {one.id: one.name for one in state.tree.snapshots}
        current = state.tree.current
        below = "no snapshot" if current is None else "snapshot {} ({})".format(current, names.get(current))
        return "the machine is {}, on top of {}".format(state.properties["runtime.powerState"], below)

    def _state(self) -> Machine:
        return machines.again(self.api, self.moid)

    def _task(self, what: str, work: Callable[[], Any], limit: str) -> None:
        subject = "machine {} ({})".format(self.name, self.moid)
        self.api.wait_task(subject, what, self.api.start(what, work), self.options[limit])

    def _error(self, seen: str, expected: str, next_step: str) -> PatchingError:
        return PatchingError("machine {} ({})".format(self.name, self.moid), seen, expected, next_step)


def _seconds(stamp: str) -> int:
    return calendar.timegm(time.strptime(stamp, STAMP))
