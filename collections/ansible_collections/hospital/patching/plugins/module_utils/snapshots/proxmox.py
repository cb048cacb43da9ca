# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``proxmox``: a snapshot of the virtual machine of Proxmox VE that is the host.

Run, host, reason and expiry are in the snapshot's description. The machine's number and the snapshot's name, which
holds a random token, are the identity, because Proxmox VE has no other (machine_records.py). Runs where the API is
reached, mostly on the controller.
"""

import re
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import machine_records as records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import proxmox_machine as machines
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import NotSecurable, Room, Snapshot
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.hypervisor import (
    OPTIONS,
    HypervisorProvider,
    sorted_choice,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_records import Found
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_revert import (
    GoesOn,
    MachineRevert,
    State,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.proxmox_api import ApiError, Proxmox, connect
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.proxmox_machine import (
    RUNNING,
    STOPPED,
    Machine,
    guest,
)

#: For how long a task may go on whose call was not answered.
LOST_S = 120


class ProxmoxProvider(HypervisorProvider):
    """Restore points of a virtual machine (QEMU) of Proxmox VE; of containers (LXC) there are none."""

    NAME = "proxmox"
    PLACE = "Proxmox VE"
    OPTIONS = dict(
        OPTIONS,
        server={"type": "str"},
        port={"type": "int", "default": 8006},
        token_id={"type": "str"},
        token_file={"type": "path"},
        ca_file={"type": "path"},
        validate_certs={"type": "bool", "default": True},
        vmid={"type": "int"},
        quiesce={"type": "str", "choices": ["required", "preferred"], "default": "preferred"},
        wait_for_agent={"type": "bool", "default": True},
        attempts={"type": "int", "default": 3},
    )

    def __init__(
        self,
        options: Dict[str, Any],
        runner: Runner,
        clock: Clock,
        connected: Callable[[Dict[str, Any], Clock], Proxmox] = connect,
    ) -> None:
        super().__init__(options, runner, clock)
        self.require_counts("timeout_s", "attempts", "poll_s", "max_depth")
        self._connected = connected

    def _api(self) -> Proxmox:
        return self._connected(self.options, self.clock)

    def available(self, host: str) -> Optional[str]:
        try:
            api = self._api()
            self._require_quiet(api, machines.securable(api, self.options, host))
        except NotSecurable as error:
            return error.reason()
        return None

    def _require_quiet(self, api: Proxmox, machine: Machine) -> bool:
        """Return whether the guest agent answers, by which Proxmox VE itself then freezes the file systems."""
        agent = machines.agent_answers(api, machine)
        if machine.power == RUNNING and not agent and self.options["quiesce"] == "required":
            raise NotSecurable(
                "machine {} ({})".format(machine.name, machine.vmid),
                "its guest agent does not answer",
                "one that does, as quiesce: required of patching_snapshot wants",
                "look at qemu-guest-agent in the guest, and at the machine's option agent in Proxmox VE",
            )
        return agent

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        """Make the snapshot; one that a killed call had begun is waited for and taken up."""
        api = self._api()
        machine = machines.find(api, self.options, host)
        settled = self._made_or_not(api, machine, self.options["create_timeout_s"])
        begun = self.latest(guest(settled), run_id, host)
        if begun is not None:
            return begun
        machine = machines.securable(api, self.options, host)
        agent = self._require_quiet(api, machine)
        with_memory = self.options["memory"] and machine.power == RUNNING
        facts = self.begin_facts(machine.uuid, run_id, host, reason, expires)
        if machine.power == RUNNING:
            facts["consistency"] = "memory" if with_memory else "quiesced" if agent else "crash"
            facts["agent"] = "yes" if agent else "no"
            if facts["consistency"] == "crash":
                facts["note"] = "not quiesced: its guest agent does not answer"
        try:
            make(api, machine, facts, self.options["create_timeout_s"], with_memory)
            after = machines.again(api, machine)
        except GoesOn:
            raise  # the next call takes it up
        except PatchingError as error:
            raise self.left_nothing(error, lambda: self._remove_left(api, machine, facts["token"]))
        return self.made(self.latest(guest(after), run_id, host), guest(after))

    @staticmethod
    def _made_or_not(api: Proxmox, machine: Machine, limit_s: int) -> Machine:
        """Return the machine when no snapshot of it is in the making, or as it is after ``limit_s``."""

        def look() -> Optional[Machine]:
            now = machines.again(api, machine)
            return None if now.config.get("lock") == "snapshot" else now

        return api.until(look, limit_s) or machines.again(api, machine)

    def _remove_left(self, api: Proxmox, machine: Machine, token: str) -> None:
        # A call that was not answered may have begun nevertheless.
        after = self._made_or_not(api, machine, LOST_S)
        for one in self.with_token(guest(after), token):
            remove(api, after, one, self.options["remove_timeout_s"])

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        """Return ours of all machines that the token may see."""
        api = self._api()
        found: List[Snapshot] = []
        for place in machines.places(api):
            found += self.snapshots_of(guest(machines.read(api, str(place["node"]), str(place["vmid"]))))
        return sorted_choice(found, run_id, host)

    def rooms(self) -> List[Room]:
        """Return the storages of all machines with a snapshot of ours."""
        api, found = self._api(), {}
        for place in machines.places(api):
            machine = machines.read(api, str(place["node"]), str(place["vmid"]))
            for room in machines.rooms(api, machine) if self.snapshots_of(guest(machine)) else []:
                found[room.name] = room
        return sorted(found.values())

    def present(self, run_id: str, host: str) -> Optional[Snapshot]:
        """Look at the host's own machine only; what a revert has set aside is no restore point.

        Raises:
            PatchingError: the machine is being put back, so that nothing may be installed on it.
        """
        return self.latest_at_rest(guest(machines.find(self._api(), self.options, host)), run_id, host)

    def delete(self, snapshot_id: str) -> bool:
        """Delete the snapshot; those that were made of the machine after it stay."""
        api = self._api()
        machine = machines.of_vmid(api, snapshot_id.partition("/")[0])
        one = self.deletable(guest(machine), snapshot_id) if machine is not None else None
        if machine is None or one is None:
            return False
        remove(api, machine, one, self.options["remove_timeout_s"])
        return True

    def revert(self, snapshot_id: str, host: str) -> Dict[str, Any]:
        """Put the host's machine back; the order of the steps is in machine_revert.py."""
        api = self._api()
        machine = machines.find(api, self.options, host)

        def begin(facts: Dict[str, str]) -> MachineRevert:
            return ProxmoxRevert(api, self.options, machine, snapshot_id, facts)

        return self.put_back(guest(machine), snapshot_id, host, begin)


class ProxmoxRevert(MachineRevert):
    """With the tasks of Proxmox VE."""

    def __init__(
        self, api: Proxmox, options: Dict[str, Any], machine: Machine, snapshot_id: str, facts: Dict[str, str]
    ) -> None:
        subject = "machine {} ({})".format(machine.name, machine.vmid)
        super().__init__(api.clock, options, subject, machine.uuid, snapshot_id, facts)
        self.api = api
        self.machine = machine

    def state(self) -> State:
        now = self._now()
        return State(now.power, now.tree)

    def settle(self) -> None:
        limit = self.options["revert_timeout_s"]
        if self.api.until(lambda: None if self._now().config.get("lock") else True, limit) is None:
            raise self.error(
                "it is locked ({})".format(self._now().config.get("lock")),
                "a machine that nobody else is working on",
                "wait until its task has ended; if none runs, look why, then qm unlock; nothing was changed",
            )

    def stop(self) -> None:
        limit = self.options["stop_timeout_s"]
        if self._is_off() is None:
            try:
                self._task(limit + LOST_S, "POST", "status", "shutdown", timeout=str(limit))
            except ApiError as error:  # a guest that does not shut down
                if error.busy:
                    raise
        self._turn_off()

    def _is_off(self) -> Optional[bool]:
        return True if self._now().power == STOPPED else None

    def _turn_off(self) -> None:
        if self._is_off() is None:
            try:
                self._task(self.options["stop_timeout_s"], "POST", "status", "stop")
            except ApiError:
                # It may have shut down at that very moment.
                if self._is_off() is None:
                    raise

    def snapshot(self, name: str, description: str) -> None:
        facts = records.read_description(description) or {}
        make(self.api, self._now(), facts, self.options["create_timeout_s"], False)

    def go_to(self, snapshot_id: str) -> None:
        name = snapshot_id.partition("/")[2]
        self._task(self.options["revert_timeout_s"], "POST", "snapshot", name, "rollback")
        self._turn_off()  # one with memory runs on from there, unasked

    def start(self) -> None:
        limit = self.options["start_timeout_s"]
        if self._now().power != RUNNING:
            self._task(limit, "POST", "status", "start")
        waits = self.options["wait_for_agent"] and self.facts.get("agent") == "yes"

        def started() -> Optional[bool]:
            now = self._now()
            if now.power != RUNNING:
                return None
            return True if not waits or machines.agent_answers(self.api, now) else None

        if self.api.until(started, limit) is None:
            raise self.error(
                "{} {} s after its start".format(
                    "its guest agent does not answer" if waits else "it does not run", limit
                ),
                "a guest that has started",
                "look at the machine's console in Proxmox VE",
            )

    def describe(self, one: Found, description: str) -> None:
        self.api.change("PUT", *machines.path_of(self._now()), "snapshot", one.name, "config", description=description)

    def remove(self, snapshot_id: str) -> None:
        now = self._now()
        one = _of_id(now, snapshot_id)
        if one is not None:
            remove(self.api, now, one, self.options["remove_timeout_s"])

    def told(self) -> Dict[str, Any]:
        return {"machine": self.machine.vmid, "machine_name": self.machine.name}

    def _now(self) -> Machine:
        return machines.again(self.api, self.machine)

    def _task(self, limit_s: int, method: str, *path: str, **form: str) -> None:
        self.api.task(self.subject, limit_s, method, *machines.path_of(self._now()), *path, **form)


def make(api: Proxmox, machine: Machine, facts: Dict[str, str], limit_s: int, with_memory: bool) -> None:
    """Make a snapshot of ours."""
    subject = "machine {} ({})".format(machine.name, machine.vmid)
    form = {"snapname": snapshot_name(facts), "description": records.describe(facts)}
    form["vmstate"] = "1" if with_memory else "0"
    api.task(subject, limit_s, "POST", *machines.path_of(machine), "snapshot", **form)


def remove(api: Proxmox, machine: Machine, one: Found, limit_s: int) -> None:
    """Delete a snapshot of ours."""
    subject = "machine {} ({})".format(machine.name, machine.vmid)
    api.task(subject, limit_s, "DELETE", *machines.path_of(machine), "snapshot", one.name)


def snapshot_name(facts: Dict[str, str]) -> str:
    """Return a name that no other snapshot of the machine has, of the 40 characters that Proxmox VE allows."""
    kind = "hps" if facts["kind"] == records.SET_ASIDE else "hpr"
    return "{}-{}-{}".format(kind, re.sub(r"[^A-Za-z0-9_-]", "-", facts["run"])[:19], facts["token"])


def _of_id(machine: Machine, snapshot_id: str) -> Optional[Found]:
    return next((one for one in machine.tree.snapshots if one.id == snapshot_id), None)
