# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``vsphere``: a snapshot of the virtual machine that is the host, made by its vCenter.

Run, host, reason and expiry are in the snapshot's description; vCenter's id of it is the identity (machine_records.py).
Runs where pyVmomi and the login are, mostly on the controller.
"""

import contextlib
from typing import Any, Callable, Dict, Iterator, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.firmware import uuid_forms
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import machine_records as records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import vsphere_machine as machines
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import (
    NO_SUCH,
    Loss,
    NotSecurable,
    Room,
    Snapshot,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.hypervisor import (
    GIB,
    OPTIONS,
    HypervisorProvider,
    sorted_choice,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_revert import MachineRevert
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_api import (
    LOGIN_FAULTS,
    WORK_FAULT,
    ApiError,
    TaskLate,
    Vsphere,
    connect,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_machine import Machine, guest
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_revert import VsphereRevert, remove

#: For how long a task that was cancelled may take to end.
CANCEL_S = 120


class VsphereProvider(HypervisorProvider):
    """Restore points of a virtual machine of VMware vSphere."""

    NAME = "vsphere"
    PLACE = "this vCenter"
    OPTIONS = dict(
        OPTIONS,
        server={"type": "str"},
        port={"type": "int", "default": 443},
        user={"type": "str"},
        password_file={"type": "path"},
        ca_file={"type": "path"},
        validate_certs={"type": "bool", "default": True},
        moid={"type": "str"},
        quiesce={"type": "str", "choices": ["required", "preferred", "none"], "default": "preferred"},
        quiesce_timeout_s={"type": "int", "default": 180},
        without_disks={"type": "list", "elements": "str", "default": []},
        change_bytes={"type": "int"},
        change_percent={"type": "int", "default": 10},
        min_free_bytes={"type": "int", "default": 10 * GIB},
        heed_backups={"type": "bool", "default": True},
        backup_names={"type": "list", "elements": "str", "default": machines.BACKUP_NAMES},
        wait_for_tools={"type": "bool", "default": True},
        attempts={"type": "int", "default": 3},
        remove_timeout_s={"type": "int", "default": 7200},
        poll_s={"type": "int", "default": 3},
    )

    def __init__(
        self,
        options: Dict[str, Any],
        runner: Runner,
        clock: Clock,
        connected: Callable[[Dict[str, Any], Clock], Vsphere] = connect,
    ) -> None:
        super().__init__(options, runner, clock)
        self.require_counts("timeout_s", "attempts", "poll_s", "max_depth", "quiesce_timeout_s")
        self._connected = connected

    @contextlib.contextmanager
    def _session(self) -> Iterator[Vsphere]:
        api = self._connected(self.options, self.clock)
        api.open()
        try:
            yield api
        finally:
            api.close()

    def available(self, host: str) -> Optional[str]:
        with self._session() as api:
            try:
                machines.securable(api, self.options, host)
            except NotSecurable as error:
                return error.reason()
        return None

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        """Make the snapshot; one that a killed call had begun is waited for and taken up."""
        with self._session() as api:
            begun = self._begun(api, run_id, host)
            if begun is not None:
                return begun
            machine = machines.securable(api, self.options, host)
            identity = machine.properties["config.instanceUuid"]
            facts = self.begin_facts(identity, run_id, host, reason, expires)
            try:
                moid = self._make(api, machine, facts)
                after = guest(machines.again(api, machine.moid))
                found = [one for one in self.snapshots_of(after) if one.id == moid]
                return self.made(found[0] if found else None, after)
            except TaskLate as error:
                raise PatchingError(
                    error.subject,
                    error.seen,
                    error.expected,
                    "{}; the next call for this run and host takes its snapshot up".format(error.next_step),
                )
            except PatchingError as error:
                raise self.left_nothing(error, lambda: self._settle_and_remove(api, machine, facts["token"]))

    def _begun(self, api: Vsphere, run_id: str, host: str) -> Optional[Snapshot]:
        """Wait until no snapshot of the machine is in the making, and return this run's, if one of them was it."""
        machine = machines.find(api, self.options, host)
        # If that lasts too long, it is the reason to refuse.
        self._none_in_the_making(api, machine, self.options["create_timeout_s"])
        return self.latest(guest(machines.again(api, machine.moid)), run_id, host)

    @staticmethod
    def _none_in_the_making(api: Vsphere, machine: Machine, limit_s: int) -> Optional[bool]:
        def look() -> Optional[bool]:
            tasks = machines.running_tasks(api, machines.again(api, machine.moid))
            return None if any(kind.endswith(".createSnapshot") for kind in tasks.values()) else True

        return api.until(look, limit_s)

    def _make(self, api: Vsphere, machine: Machine, facts: Dict[str, str]) -> str:
        """Make it as consistent as the options want and the guest allows, and return its id."""
        limit = self.options["create_timeout_s"]
        if machine.properties["runtime.powerState"] != "poweredOn":
            return self._attempt(api, machine, dict(facts, consistency="off"), limit)
        if self.options["memory"]:
            return self._attempt(api, machine, dict(facts, consistency="memory"), limit, memory=True)
        if self.options["quiesce"] == "none":
            return self._attempt(api, machine, dict(facts, consistency="crash"), limit)
        try:
            return self._quiesced(api, machine, dict(facts, consistency="quiesced"))
        except NotQuiesced as error:
            if self.options["quiesce"] == "required":
                raise
            # Whatever a failed attempt left would be taken for the restore point.
            self._remove_left(api, machine, facts["token"])
            note = "not quiesced: {}".format(error.seen)
            return self._attempt(api, machine, dict(facts, consistency="crash", note=note), limit)

    def _quiesced(self, api: Vsphere, machine: Machine, facts: Dict[str, str]) -> str:
        limit = self.options["quiesce_timeout_s"]
        tools = machine.properties["guest.toolsRunningStatus"]
        if tools != "guestToolsRunning":
            raise NotQuiesced(machine, "VMware Tools do not run in it ({})".format(tools))
        try:
            return self._attempt(api, machine, facts, limit, quiesce=True)
        except TaskLate as late:
            return self._ended_after_all(api, machine, late, limit)
        except ApiError as error:
            # Anything else than the guest would fail without quiescing as well, and say so then.
            if error.busy or error.fault in LOGIN_FAULTS or error.fault == WORK_FAULT:
                raise
            raise NotQuiesced(machine, error.seen)

    def _ended_after_all(self, api: Vsphere, machine: Machine, late: TaskLate, limit: int) -> str:
        """Cancel a task that takes too long; one that ends well nevertheless has made a good snapshot."""
        with contextlib.suppress(ApiError):  # not every task can be cancelled: it ends by itself, or it does not
            api.change("CancelTask", late.task.CancelTask)
        try:
            return self._id(api.wait_task(late.subject, "CreateSnapshot", late.task, CANCEL_S))
        except TaskLate:
            raise late
        except ApiError as error:
            if error.busy and error.fault != "RequestCanceled":
                raise
            raise NotQuiesced(machine, "not done within {} s".format(limit))

    def _attempt(
        self,
        api: Vsphere,
        machine: Machine,
        facts: Dict[str, str],
        limit_s: int,
        memory: bool = False,
        quiesce: bool = False,
    ) -> str:
        target = api.machine(machine.moid)
        name = records.name_of(facts)
        task = api.start(
            "CreateSnapshot",
            lambda: target.CreateSnapshot_Task(
                name=name, description=records.describe(facts), memory=memory, quiesce=quiesce
            ),
        )
        subject = "machine {} ({})".format(machine.properties["name"], machine.moid)
        return self._id(api.wait_task(subject, "CreateSnapshot", task, limit_s))

    @staticmethod
    def _id(made: Any) -> str:
        return str(made._moId)

    def _settle_and_remove(self, api: Vsphere, machine: Machine, token: str) -> None:
        """A call that was not answered may have begun nevertheless."""
        self._none_in_the_making(api, machine, CANCEL_S)
        self._remove_left(api, machine, token)

    def _remove_left(self, api: Vsphere, machine: Machine, token: str) -> None:
        after = machines.again(api, machine.moid)
        for one in self.with_token(guest(after), token):
            remove(api, after, one.id, self.options["remove_timeout_s"])

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        """Return ours of all machines that the login may see."""
        with self._session() as api:
            found: List[Snapshot] = []
            for moid, properties in sorted(api.read_all(api.vim.VirtualMachine, machines.FEW).items()):
                machine = Machine(moid, properties, machines.read_tree(properties["snapshot"]))
                found += self.snapshots_of(guest(machine))
        return sorted_choice(found, run_id, host)

    def rooms(self) -> List[Room]:
        """Return the datastores of all machines with a snapshot of ours, and of the host's own."""
        with self._session() as api:
            forms = uuid_forms(self.options["dmi_uuid"]) if self.options["dmi_uuid"] else []
            stores = {}
            paths = machines.FEW + ["config.uuid", "datastore"]
            for moid, properties in api.read_all(api.vim.VirtualMachine, paths).items():
                machine = Machine(moid, properties, machines.read_tree(properties["snapshot"]))
                if properties["config.uuid"] in forms or self.snapshots_of(guest(machine)):
                    stores.update({store._moId: store for store in properties["datastore"] or []})
            read = ["summary.name", "summary.capacity", "summary.freeSpace"]
            found = api.read(api.vim.Datastore, list(stores.values()), read)
            server = api.server
        return sorted(
            Room(
                "datastore",
                "{} of {}".format(facts["summary.name"], server),
                int(facts["summary.capacity"] or 0),
                int(facts["summary.freeSpace"] or 0),
            )
            for facts in found.values()
        )

    def present(self, run_id: str, host: str) -> Optional[Snapshot]:
        """Look at the host's own machine only; what a revert has set aside is no restore point.

        Raises:
            PatchingError: the machine is being put back, so that nothing may be installed on it.
        """
        with self._session() as api:
            return self.latest_at_rest(guest(machines.find(api, self.options, host)), run_id, host)

    def loss(self, snapshot_id: str, host: str) -> Loss:
        """Return the size of the delta disks that the machine has written since, as vCenter knows it."""
        with self._session() as api:
            machine = machines.find(api, self.options, host)
            if snapshot_id not in [one.id for one in self.snapshots_of(guest(machine))]:
                return NO_SUCH
            target = api.machine(machine.moid)
            with contextlib.suppress(ApiError):  # then the sizes are as old as vCenter's last look
                api.change("RefreshStorageInfo", target.RefreshStorageInfo)
            layout = api.read(api.vim.VirtualMachine, [target], ["layoutEx"])[machine.moid]["layoutEx"]
        grown = machines.grown_since(layout, snapshot_id)
        return Loss(grown, None if grown is not None else "vCenter names no delta disks with their sizes")

    def delete(self, snapshot_id: str) -> bool:
        """Delete the snapshot and merge its disks; those that were made of the machine after it stay."""
        with self._session() as api:
            machine = self._owner(api, snapshot_id)
            if machine is None or self.deletable(guest(machine), snapshot_id) is None:
                return False
            return remove(api, machine, snapshot_id, self.options["remove_timeout_s"])

    @staticmethod
    def _owner(api: Vsphere, snapshot_id: str) -> Optional[Machine]:
        try:
            found = api.read(api.vim.vm.Snapshot, [api.snapshot(snapshot_id)], ["vm"])
        except ApiError as error:
            if error.fault != "ManagedObjectNotFound":
                raise
            return None
        owner = found.get(snapshot_id, {}).get("vm")
        return machines.again(api, owner._moId) if owner is not None else None

    def revert(self, snapshot_id: str, host: str) -> Dict[str, Any]:
        """Put the host's machine back; see vsphere_revert.py."""
        with self._session() as api:
            machine = machines.find(api, self.options, host)

            def begin(facts: Dict[str, str]) -> MachineRevert:
                return VsphereRevert(api, self.clock, self.options, machine, snapshot_id, facts)

            return self.put_back(guest(machine), snapshot_id, host, begin)


class NotQuiesced(PatchingError):
    """The guest could not be brought to rest for the snapshot."""

    def __init__(self, machine: Machine, seen: str) -> None:
        super().__init__(
            "machine {} ({})".format(machine.properties["name"], machine.moid),
            seen,
            "a quiesced snapshot, as quiesce: required of patching_snapshot wants",
            "look at VMware Tools in the guest (VSS writers, freeze scripts); quiesce: preferred would take one that is"
            " as after a power failure",
        )
