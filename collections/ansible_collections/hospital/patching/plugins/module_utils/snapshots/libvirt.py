# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``libvirt``: a snapshot of the domain that is the host, within its qcow2 images.

Run, host, reason and expiry are in the snapshot's description; domain and name are the identity, because libvirt has no
other (machine_records.py). Runs where virsh reaches libvirt: on the controller (``qemu+ssh://…``), or ``on`` the
hypervisor.
"""

import contextlib
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import libvirt_domain as domains
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import machine_records as records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import (
    NO_SUCH,
    Loss,
    NotSecurable,
    Room,
    Snapshot,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.container import free_bytes, size_bytes
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.hypervisor import (
    OPTIONS,
    HypervisorProvider,
    sorted_choice,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.libvirt_domain import Machine, guest
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.libvirt_virsh import (
    OFF,
    PAUSED,
    RUNNING,
    Virsh,
    said,
    split,
)
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_records import Found
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_revert import (
    GoesOn,
    MachineRevert,
    State,
)


class LibvirtProvider(HypervisorProvider):
    """Restore points of a domain of libvirt and QEMU."""

    NAME = "libvirt"
    PLACE = "libvirt (virsh snapshot-list)"
    OPTIONS = dict(
        OPTIONS,
        uri={"type": "str", "default": "qemu:///system"},
        virsh={"type": "list", "elements": "str", "default": ["virsh"]},
        quiesce={"type": "str", "choices": ["required", "preferred", "none"], "default": "preferred"},
        quiesce_timeout_s={"type": "int", "default": 60},
        wait_for_agent={"type": "bool", "default": True},
    )

    def __init__(
        self,
        options: Dict[str, Any],
        runner: Runner,
        clock: Clock,
        free: Callable[[str], int] = free_bytes,
        size: Callable[[str], int] = size_bytes,
    ) -> None:
        super().__init__(options, runner, clock)
        self.require_counts("timeout_s", "poll_s", "max_depth", "quiesce_timeout_s")
        self.virsh = Virsh(runner, clock, self.options)
        self.free = free
        self.size = size

    def available(self, host: str) -> Optional[str]:
        try:
            domains.securable(self.virsh, self.options, host, self.free)
        except NotSecurable as error:
            return error.reason()
        return None

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        """Make the snapshot; what a killed call had begun is waited for and taken up."""
        machine = domains.find(self.virsh, self.options, host)
        self._settle(machine)
        begun = self.latest(guest(domains.read(self.virsh, machine.domain.uuid)), run_id, host)
        if begun is not None:
            return begun
        machine = domains.securable(self.virsh, self.options, host, self.free)
        uuid = machine.domain.uuid
        facts = self.begin_facts(uuid, run_id, host, reason, expires)
        if machine.power == RUNNING and self.virsh.agent_answers(uuid):
            facts["agent"] = "yes"
        try:
            self._make(machine, facts)
        except GoesOn:
            raise
        except PatchingError as error:
            raise self.left_nothing(error, lambda: self._remove_left(uuid, facts["token"]))
        after = guest(domains.read(self.virsh, uuid))
        return self.made(self.latest(after, run_id, host), after)

    def _settle(self, machine: Machine) -> None:
        uuid = machine.domain.uuid
        self.virsh.until(lambda: None if self.virsh.job(uuid) else True, self.options["create_timeout_s"])

    def _make(self, machine: Machine, facts: Dict[str, str]) -> None:
        if machine.power != RUNNING:
            self._snapshot(machine.domain.uuid, facts)
            return
        facts["consistency"] = "memory"
        if self.options["quiesce"] == "none":
            self._snapshot(machine.domain.uuid, facts)
            return
        refusal = self._frozen(machine, facts)
        if refusal and self.options["quiesce"] == "required":
            self._thaw(machine.domain.uuid)
            raise PatchingError(
                "domain {}".format(machine.domain.name),
                refusal,
                "frozen file systems, as quiesce: required of patching_snapshot wants",
                "look at qemu-guest-agent in the guest; quiesce: preferred would take one without",
            )
        facts["note"] = "not quiesced: {}".format(refusal) if refusal else "file systems were frozen"
        try:
            self._snapshot(machine.domain.uuid, facts)
        finally:
            self._thaw(machine.domain.uuid)

    def _frozen(self, machine: Machine, facts: Dict[str, str]) -> Optional[str]:
        """Freeze the guest's file systems and return None, or why they could not be."""
        if "agent" not in facts:
            return "its guest agent does not answer"
        try:
            words = ["domfsfreeze", machine.domain.uuid]
            answer = self.virsh.run(words, self.options["quiesce_timeout_s"], check=False)
        except GoesOn:
            return "not frozen within {} s".format(self.options["quiesce_timeout_s"])
        return None if answer.rc == 0 else said(answer)

    def _thaw(self, uuid: str) -> None:
        """A guest that was not frozen says so, which is no failure."""
        with contextlib.suppress(GoesOn):
            self.virsh.run(["domfsthaw", uuid], check=False)

    def _snapshot(self, uuid: str, facts: Dict[str, str]) -> None:
        words = ["snapshot-create-as", uuid, snapshot_name(facts), records.describe(facts)]
        self.virsh.run(words, self.options["create_timeout_s"])

    def _remove_left(self, uuid: str, token: str) -> None:
        for one in self.with_token(guest(domains.read(self.virsh, uuid)), token):
            self._remove(one)

    def _remove(self, one: Found) -> None:
        uuid, name = split(one.id)
        self.virsh.run(["snapshot-delete", uuid, name], self.options["remove_timeout_s"])

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        """Return ours of all domains of this libvirt."""
        found: List[Snapshot] = []
        for uuid in self.virsh.domains(with_snapshot=True):
            found += self.snapshots_of(guest(domains.read(self.virsh, uuid)))
        return sorted_choice(found, run_id, host)

    def rooms(self) -> List[Room]:
        """Return where the images of all domains with a snapshot of ours are, as far as that is seen."""
        found = {}
        for uuid in self.virsh.domains(with_snapshot=True):
            machine = domains.read(self.virsh, uuid)
            for disk in machine.domain.disks if self.snapshots_of(guest(machine)) else []:
                room = domains.room_of(self.virsh, disk, self.free, self.size)
                if room is not None:
                    found[room.name] = room
        return sorted(found.values())

    def present(self, run_id: str, host: str) -> Optional[Snapshot]:
        """Look at the host's own domain only; what a revert has set aside is no restore point.

        Raises:
            PatchingError: the domain is being put back, so that nothing may be installed on it.
        """
        return self.latest_at_rest(guest(domains.find(self.virsh, self.options, host)), run_id, host)

    def loss(self, snapshot_id: str, host: str) -> Loss:
        """A snapshot has no overlay of its own: it shares its clusters with the image, and neither counts them."""
        machine = domains.find(self.virsh, self.options, host)
        if snapshot_id not in [one.id for one in self.snapshots_of(guest(machine))]:
            return NO_SUCH
        return Loss(None, "the snapshot lies within the qcow2 images, which do not tell what was written since")

    def delete(self, snapshot_id: str) -> bool:
        """Delete the snapshot; those that were made of the domain after it stay."""
        uuid = split(snapshot_id)[0]
        if uuid not in self.virsh.domains(with_snapshot=True):
            return False
        one = self.deletable(guest(domains.read(self.virsh, uuid)), snapshot_id)
        if one is None:
            return False
        self._remove(one)
        return True

    def revert(self, snapshot_id: str, host: str) -> Dict[str, Any]:
        """Put the host's domain back; the order of the steps is in machine_revert.py."""
        machine = domains.find(self.virsh, self.options, host)

        def begin(facts: Dict[str, str]) -> MachineRevert:
            return LibvirtRevert(self.virsh, self.options, machine, snapshot_id, facts)

        return self.put_back(guest(machine), snapshot_id, host, begin)


class LibvirtRevert(MachineRevert):
    """With virsh."""

    def __init__(
        self, virsh: Virsh, options: Dict[str, Any], machine: Machine, snapshot_id: str, facts: Dict[str, str]
    ) -> None:
        subject = "domain {} ({})".format(machine.domain.name, machine.domain.uuid)
        super().__init__(virsh.clock, options, subject, machine.domain.uuid, snapshot_id, facts)
        self.virsh = virsh
        self.uuid = machine.domain.uuid
        self.name = machine.domain.name

    def state(self) -> State:
        return State(self.virsh.power(self.uuid), self.virsh.snapshots(self.uuid).tree)

    def settle(self) -> None:
        if self.virsh.until(lambda: None if self.virsh.job(self.uuid) else True, self.options["revert_timeout_s"]):
            return
        raise self.error(
            "a job is under way ({})".format(self.virsh.job(self.uuid)),
            "a domain that nobody else is working on",
            "wait until it has ended (virsh domjobinfo), or abort it; nothing was changed",
        )

    def stop(self) -> None:
        if self.virsh.power(self.uuid) == RUNNING:
            self.virsh.run(["shutdown", self.uuid], check=False)
            self.virsh.until(self._is_off, self.options["stop_timeout_s"])
        self._turn_off()

    def _is_off(self) -> Optional[bool]:
        return True if self.virsh.power(self.uuid) == OFF else None

    def _turn_off(self) -> None:
        if self._is_off() is None:
            answer = self.virsh.run(["destroy", self.uuid], self.options["stop_timeout_s"], check=False)
            # It may have shut down at that very moment.
            if self._is_off() is None:
                raise self.error(
                    "virsh destroy: {}".format(said(answer)),
                    "a domain that is shut off",
                    "look at it on the hypervisor",
                )

    def snapshot(self, name: str, description: str) -> None:
        facts = records.read_description(description) or {}
        words = ["snapshot-create-as", self.uuid, snapshot_name(facts), description]
        self.virsh.run(words, self.options["create_timeout_s"])

    def go_to(self, snapshot_id: str) -> None:
        one = next((one for one in self.state().tree.snapshots if one.id == snapshot_id), None)
        words = ["snapshot-revert", self.uuid, split(snapshot_id)[1]]
        # What was running stands still, so that not one instruction is done from that memory; then it is turned off.
        if one is not None and one.power_state != "shutoff":
            words.append("--paused")
        self.virsh.run(words, self.options["revert_timeout_s"])
        self._turn_off()

    def start(self) -> None:
        power = self.virsh.power(self.uuid)
        if power == PAUSED:  # a call was broken off before it was turned off
            self._turn_off()
        if power != RUNNING:
            self.virsh.run(["start", self.uuid], self.options["start_timeout_s"])
        waits = self.options["wait_for_agent"] and self.facts.get("agent") == "yes"

        def started() -> Optional[bool]:
            if self.virsh.power(self.uuid) != RUNNING:
                return None
            return True if not waits or self.virsh.agent_answers(self.uuid) else None

        if self.virsh.until(started, self.options["start_timeout_s"]) is None:
            raise self.error(
                "{} {} s after its start".format(
                    "its guest agent does not answer" if waits else "it does not run", self.options["start_timeout_s"]
                ),
                "a guest that has started",
                "look at the domain's console (virsh console, virt-viewer)",
            )

    def describe(self, one: Found, description: str) -> None:
        self.virsh.describe(self.uuid, split(one.id)[1], description)

    def remove(self, snapshot_id: str) -> None:
        words = ["snapshot-delete", self.uuid, split(snapshot_id)[1]]
        self.virsh.run(words, self.options["remove_timeout_s"])

    def told(self) -> Dict[str, Any]:
        return {"machine": self.uuid, "machine_name": self.name}


def snapshot_name(facts: Dict[str, str]) -> str:
    """Return a name that no other snapshot of the domain has: libvirt allows each one once, and the id holds it."""
    kind = "aside" if facts["kind"] == records.SET_ASIDE else "restore"
    return "hospital-patching-{}-{}-{}".format(kind, facts["run"], facts["token"])
