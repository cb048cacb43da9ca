# SPDX-License-Identifier: GPL-3.0-or-later
"""A real libvirt with emulated domains, in a view of its own, that ends with the test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / ".cache/hypervisor/root"
VIEW = Path(__file__).with_name("hypervisor_view.sh")
VIEWS = ("--mount", "--pid", "--net")


def missing() -> str | None:
    """Return why no hypervisor can be had here, or None."""
    # What this machine has installed was not unpacked.
    if not ROOT.exists() or not any((base / "usr/sbin/libvirtd").exists() for base in (ROOT, Path("/"))):
        return "libvirt and QEMU are not unpacked (tools/hypervisor_packages.sh)"
    if os.geteuid() != 0:
        return "a hypervisor in a view of its own needs root"
    return None


class Hypervisor:
    """``inside`` is what has a command run where the hypervisor is."""

    def __init__(self, pid: int, work: Path) -> None:
        self.inside = ["nsenter", "--target", str(pid), *VIEWS, "--"]
        self.virsh = [*self.inside, "virsh"]
        self.work = work

    def run(self, *words: str, check: bool = True) -> str:
        """Return what a command in there prints."""
        done = subprocess.run([*self.inside, *words], capture_output=True, text=True, timeout=300, check=False)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def ask(self, *words: str, check: bool = True) -> str:
        """Return what virsh prints."""
        return self.run("virsh", "--quiet", *words, check=check)


@contextlib.contextmanager
def hypervisor(folder: Path) -> Iterator[Hypervisor]:
    """Run libvirtd; what it writes is in memory and gone afterwards, with its domains."""
    work = folder / "view"
    work.mkdir()
    command = ["unshare", *VIEWS, "--fork", "--kill-child", "--mount-proc", str(VIEW), str(ROOT), str(work)]
    with (folder / "libvirtd.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield _started(process, work, folder / "libvirtd.log")
    finally:
        process.kill()  # unshare takes no notice of less; its child, the first process in there, goes with it
        process.wait(30)


def _started(process: subprocess.Popen[bytes], work: Path, log: Path) -> Hypervisor:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        if children:
            made = Hypervisor(int(children[0]), work)
            with contextlib.suppress(AssertionError):
                made.ask("list")
                return made
        time.sleep(0.2)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-3000:])
