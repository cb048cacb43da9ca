# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual machine with a kernel, a boot loader and volumes of its own, reached over SSH on loopback alone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.vm_image import Image, build

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/vm"
NAME = "vm1"
QEMU = "qemu-system-x86_64"
#: Emulated, a start takes less than a minute where nothing else runs.
START_LIMIT_S, REBOOT_LIMIT_S = 1800, 1800
SHORTEST_BOOT_S = 5
#: How long one that is starved of processors may need for a handshake.
ANSWER_LIMIT_S = 300
#: And for how long it may be silent in between.
KEEP_ALIVE = "-o ServerAliveInterval=30 -o ServerAliveCountMax=40"


class Ran(NamedTuple):
    """How a command ended."""

    rc: int
    out: str
    err: str


class Machine:
    """One machine; what it writes is gone when it ends."""

    def __init__(self, image: Image, folder: Path) -> None:
        self.image = image
        self.folder = folder
        self.console = folder / "console"
        self.port = _free_port()
        self._words: list[str] = []
        self._qemu: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._power_up, name="power", daemon=True)
        self._ended = threading.Event()
        self.known_hosts = folder / "known_hosts"
        self.inventory = folder / "hosts.yml"

    def start(self) -> None:
        """Start it and wait for its SSH."""
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.image.host_key}\n", encoding="utf-8")
        variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.image.private_key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.known_hosts} {KEEP_ALIVE}",
            "ansible_python_interpreter": "/usr/bin/python3",
            "patching_device_segments": [],
            "patching_policy": "managed",
        }
        self.inventory.write_text(json.dumps({"all": {"hosts": {NAME: variables}}}), encoding="utf-8")
        words = [QEMU, "-machine", "pc", "-accel", _accelerator(), "-cpu", "max", "-smp", "2", "-m", "1024"]
        words += ["-display", "none", "-monitor", "none", "-chardev", f"file,id=console,path={self.console},append=on"]
        words += ["-serial", "chardev:console"]
        disk = self.folder / "disk"
        subprocess.run(["cp", "--sparse=always", str(self.image.disk), str(disk)], check=True)
        words += ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
        words += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:22"]
        words += ["-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"]
        # Where an emulator is only reset, GRUB writes the kernel over code that was translated, which takes minutes:
        # so it ends at a reboot, and another one starts from the same disk.
        self._words = [*words, "-no-reboot"]
        self._power_on()
        self._keeper.start()
        self.wait(START_LIMIT_S)

    def _power_on(self) -> None:
        with (self.folder / "qemu").open("ab") as log:
            self._qemu = subprocess.Popen(self._words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _power_up(self) -> None:
        """Start it again whenever it has ended well; one that ends at once again is left as it is."""
        assert self._qemu is not None
        started = time.monotonic()
        while self._qemu.wait() == 0 and not self._ended.is_set() and time.monotonic() - started > SHORTEST_BOOT_S:
            started = time.monotonic()
            self._power_on()

    def end(self) -> None:
        """End it at once."""
        self._ended.set()
        while self._keeper.is_alive() and self._qemu is not None:
            self._qemu.kill()
            self._keeper.join(1)
        (self.folder / "disk").unlink(missing_ok=True)

    def wait(self, limit_s: int, other_than: str = "") -> str:
        """Wait until it answers, in another boot than ``other_than``, and return the boot's id."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            assert self._keeper.is_alive(), (self.folder / "qemu").read_text(encoding="utf-8")
            with contextlib.suppress(subprocess.TimeoutExpired):
                told = self.run("cat /proc/sys/kernel/random/boot_id", timeout_s=60)
                if told.rc == 0 and told.out.strip() != other_than:
                    return told.out.strip()
            time.sleep(2)
        raise AssertionError(f"no answer within {limit_s} s; its console ends with {self.says()}")

    def says(self) -> str:
        """Return the last lines of its console."""
        text = self.console.read_text(encoding="utf-8", errors="replace") if self.console.exists() else ""
        return "\n".join(text.splitlines()[-30:])

    def run(self, command: str, timeout_s: int = 600) -> Ran:
        """Run a shell command in it as root."""
        words = ["ssh", "-q", "-p", str(self.port), "-i", str(self.image.private_key), "-o", "BatchMode=yes"]
        words += ["-o", f"UserKnownHostsFile={self.known_hosts}", "-o", f"ConnectTimeout={ANSWER_LIMIT_S}"]
        words += [*KEEP_ALIVE.split(), "root@127.0.0.1", command]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout_s)
        return Ran(done.returncode, done.stdout, done.stderr)

    def sh(self, command: str, timeout_s: int = 600) -> str:
        """Run a shell command that has to succeed, and return what it printed."""
        ran = self.run("set -e\n" + command, timeout_s)
        assert ran.rc == 0, f"{command}: exit {ran.rc}: {ran.out}{ran.err}"
        return ran.out

    def boot_id(self) -> str:
        """Return the id of the present boot."""
        return self.sh("cat /proc/sys/kernel/random/boot_id").strip()

    def kernel(self) -> str:
        """Return the release and the build of the kernel that runs."""
        return self.sh("uname -rv").strip()

    def reboot(self) -> None:
        """Reboot it from inside, through its own boot loader, and wait until it is back."""
        before = self.boot_id()
        self.run("systemctl reboot", timeout_s=60)
        self.wait(REBOOT_LIMIT_S, other_than=before)

    def call(self, _module: str, _check: bool = False, **options: Any) -> dict[str, Any]:
        """Return the result of one of the collection's modules; a failed one has ``failed``."""
        name = _module if "." in _module else f"hospital.patching.{_module}"
        command = [str(Path(sys.executable).with_name("ansible")), "-i", str(self.inventory), NAME]
        command += ["-m", name, "-a", json.dumps(options)] + ["--check"] * _check
        settings = {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_TIMEOUT": str(ANSWER_LIMIT_S),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
        }
        printed = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False
        )
        start = printed.stdout.find("=> {")
        assert start >= 0, printed.stdout + printed.stderr
        result = dict(json.loads(printed.stdout[start + 3 :]))
        # The callback leaves out what it says in front.
        return {"failed": "FAILED!" in printed.stdout[:start], **result}

    def do(self, _module: str, **options: Any) -> dict[str, Any]:
        """Return the result of a module that has to succeed."""
        result = self.call(_module, **options)
        assert not result.get("unreachable"), result
        assert not result.get("failed"), result
        return result


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Start a machine from the cached image, and end it."""
    one = Machine(build(CACHE), folder)
    try:
        one.start()
        yield one
    finally:
        one.end()


def lacking() -> list[str]:
    """Return the commands that this machine lacks for one."""
    return [name for name in (QEMU, "mmdebstrap", "mke2fs", "losetup", "ssh-keygen") if shutil.which(name) is None]


def _accelerator() -> str:
    # KVM is there on many machines where its guests do not start, so it is used only where it is asked for.
    return os.environ.get("HOSPITAL_VM_ACCEL", "tcg,thread=multi")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
