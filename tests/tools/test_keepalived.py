# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual address that moves between two real keepalived, each in a network namespace, where that can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import servers

ROOT = Path(__file__).resolve().parents[2]
KEEPALIVED = servers.program("keepalived")
READY = os.geteuid() == 0 and KEEPALIVED is not None and shutil.which("ip") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not READY, reason="needs root, keepalived and ip (Debian: keepalived, iproute2)"),
]
VIP, PORT = "10.99.0.80", 8080
CONFIG = """
global_defs {{
 script_user root
 enable_script_security
}}
vrrp_script patching {{
 script "/usr/bin/test ! -e {file}"
 interval 1
 fall 1
 rise 1
 weight -60
}}
vrrp_instance V {{
 state BACKUP
 interface {interface}
 virtual_router_id 51
 priority {priority}
 unicast_src_ip {address}
 unicast_peer {{
  {peer}
 }}
 virtual_ipaddress {{
  10.99.0.80/24
 }}
 track_script {{
  patching
 }}
}}
"""
#: The module's own code, in the namespace of the host that is drained; no systemd runs there.
DRIVE = """
import sys
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.drains import moving
from ansible_collections.hospital.patching.plugins.module_utils.drains.base import DrainContext
from ansible_collections.hospital.patching.plugins.module_utils.drains.registry import build
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
folder, act = sys.argv[1:]
options = {"keepalived": "10.99.0.80", "port": 8080, "peers": ["10.99.0.2"], "file": folder + "/drain", "home": True}
context = DrainContext(Runner(), Clock(), Connector([]), "one", 20)
mark = moving.Mark(folder, "one", "a run")
print(getattr(moving, act)(build("keepalived", options, context), mark))
"""


class Pair:
    """Two hosts, of which the first has the higher priority."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.names = folder, [f"hp{os.getpid()}{letter}" for letter in "ab"]
        self.keepalived: list[subprocess.Popen[bytes]] = []
        self.servers: list[subprocess.Popen[bytes]] = []
        (folder / "systemctl").write_text("#!/bin/sh\necho active\n")
        (folder / "systemctl").chmod(0o755)

    def start(self) -> None:
        one, two = self.names
        for name in self.names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", one, "netns", one, "type", "veth", "peer", "name", two, "netns", two)
        for number, name in enumerate(self.names, 1):
            _ip("-n", name, "addr", "add", f"10.99.0.{number}/24", "dev", name)
            _ip("-n", name, "link", "set", name, "up")
            config = CONFIG.format(
                file=self.folder / "drain" if number == 1 else self.folder / "another",
                interface=name,
                priority=200 - 50 * number,
                address=f"10.99.0.{number}",
                peer=f"10.99.0.{3 - number}",
            )
            path = self.folder / f"{name}.conf"
            path.write_text(config)
            files = [f"--pid={path}.pid", f"--vrrp_pid={path}.vrrp"]
            self.keepalived.append(self._in(name, str(KEEPALIVED), "-n", "-l", "-f", str(path), *files))
            self.servers.append(self._in(name, sys.executable, "-m", "http.server", str(PORT)))

    def _in(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        command = ["ip", "netns", "exec", name, *words]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        for process in self.keepalived + self.servers:
            process.terminate()
            process.wait(30)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def holds(self, number: int) -> bool:
        return f" {VIP}/" in _ip("-n", self.names[number], "-o", "addr", "show")

    def until_held(self, number: int) -> None:
        end = time.monotonic() + 60
        while not self.holds(number):
            assert time.monotonic() < end, "nobody took the address"
            time.sleep(0.2)

    def act(self, what: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["ip", "netns", "exec", self.names[0], sys.executable, "-c", DRIVE, str(self.folder), what],
            env={**os.environ, "PYTHONPATH": str(ROOT / "collections"), "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def pair(tmp_path):
    made = Pair(tmp_path)
    try:
        made.start()
        made.until_held(0)
        yield made
    finally:
        made.stop()


def test_the_address_moves_to_the_partner_and_comes_home(pair):
    drained = pair.act("drain")
    assert drained.returncode == 0, drained.stderr
    assert (pair.holds(0), pair.holds(1)) == (False, True)
    returned = pair.act("give_back")
    assert returned.returncode == 0, returned.stderr
    assert (pair.holds(0), pair.holds(1)) == (True, False)


def test_without_a_partner_the_address_stays_and_the_drain_is_refused(pair):
    pair.keepalived[1].terminate()
    pair.keepalived[1].wait(30)
    refused = pair.act("drain")
    assert "is still on this host" in refused.stderr
    assert not (pair.folder / "drain").exists()
    assert pair.holds(0)
