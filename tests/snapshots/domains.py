# SPDX-License-Identifier: GPL-3.0-or-later
"""A real hypervisor with the domain of a host and another one, as its owner sees it.

The machines have no operating system: what is on their disks is written by qemu-io while they are off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.runner import Result, Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.libvirt import LibvirtProvider
from tests.snapshots.conftest import Killed, QuickClock
from tests.support.hypervisor import Hypervisor, hypervisor

HOST, UUID = "db1", "564d5c1b-9a2e-7d0c-55f3-0a1b2c3d4e5f"
TURNED = "1b5c4d56-2e9a-0c7d-55f3-0a1b2c3d4e5f"
OTHERS = "11111111-2222-3333-4444-555555555555"
#: What changes a domain; everything else virsh is asked only reads.
CHANGING = (
    "destroy",
    "shutdown",
    "snapshot-create",
    "snapshot-create-as",
    "snapshot-delete",
    "snapshot-revert",
    "start",
)

DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='{format}'/>
      <source file='{image}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  </devices>
</domain>
"""


class Watched(Runner):
    """Counts what changes something; call number ``at`` of it is the last before or after a kill."""

    def __init__(self, at: int | None = None, how: str = "") -> None:
        self.at, self.how = at, how
        self.changes: list[str] = []

    def run(self, args: list[str], *rest: Any, **named: Any) -> Result:
        what = next((word for word in args if word in CHANGING), None)
        if what is None:
            return super().run(args, *rest, **named)
        self.changes.append(what)
        struck = len(self.changes) - 1 == self.at
        if struck and self.how == "killed before":
            raise Killed
        answer = super().run(args, *rest, **named)
        if struck:
            raise Killed
        return answer


class Site:
    """A hypervisor with the host's domain and another one, seen as its owner sees it."""

    def __init__(self, machine: Hypervisor, clock: QuickClock) -> None:
        self.machine = machine
        self.clock = clock

    def define(self, name: str, uuid: str, kind: str = "qcow2") -> None:
        image = self.image(name)
        self.machine.run("qemu-img", "create", "-q", "-f", kind, image, "16M")
        path = self.machine.work / f"{name}.xml"
        self.machine.run(
            "sh",
            "-c",
            'printf %s "$1" >"$2"',
            "sh",
            DOMAIN.format(name=name, uuid=uuid, format=kind, image=image),
            str(path),
        )
        self.machine.ask("define", str(path))

    def image(self, name: str = HOST) -> str:
        return str(self.machine.work / "images" / f"{name}.img")

    def write(self, pattern: int, name: str = HOST) -> None:
        """Fill the disk of a domain that is off."""
        self.machine.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P {pattern} 0 1M", self.image(name))

    def holds(self, pattern: int, name: str = HOST) -> bool:
        """Read the disk of a domain that is off, or under a running one."""
        printed = self.machine.run(
            "qemu-io", "-U", "-r", "-f", "qcow2", "-c", f"read -P {pattern} 0 1M", self.image(name), check=False
        )
        return "read 1048576" in printed and "Pattern verification failed" not in printed

    def power(self) -> str:
        return self.machine.ask("domstate", UUID)

    def snapshots(self, uuid: str = UUID) -> list[str]:
        return self.machine.ask("snapshot-list", uuid, "--name").split()

    def off(self) -> None:
        if self.power() != "shut off":
            self.machine.ask("destroy", UUID)

    def provider(self, runner: Runner | None = None, **options: Any) -> LibvirtProvider:
        given = {
            "virsh": self.machine.virsh,
            "dmi_uuid": UUID,
            "min_free_bytes": 1,
            "change_bytes": 1,
            "stop_timeout_s": 2,
            **options,
        }
        return LibvirtProvider(given, runner or Runner(), self.clock, lambda _folder: 10**12)

    def clear(self) -> None:
        self.off()
        for uuid in (UUID, OTHERS):
            for name in self.snapshots(uuid):
                self.machine.ask("snapshot-delete", uuid, name)


@contextlib.contextmanager
def two_domains(folder: Path) -> Iterator[Hypervisor]:
    """Run a hypervisor with the domain of the host and another one."""
    with hypervisor(folder) as running:
        site = Site(running, QuickClock())
        site.define(HOST, UUID)
        site.define("db2", OTHERS)
        # Images in a pool: how much room there is has to be seen through libvirt.
        running.ask("pool-create-as", "images", "dir", "--target", str(running.work / "images"))
        yield running
