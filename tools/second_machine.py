# SPDX-License-Identifier: GPL-3.0-or-later
"""A second lab beside the first: the same addresses and names, in a network and with mounts of its own.

Tests on hosts wait more than they compute, so two labs on one machine take little more than half of the time.
The second one takes its images from the first one's store.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

FIRST = Path(os.environ.get("HOSPITAL_LAB_DIR") or "/var/lib/hospital-patching-lab")
#: What both labs may have alike: keys, because images have them inside, and packages.
SHARED = ("ca.key", "ca.pem", "package-signing.gpg", "package-signing.key", "packages", "repository", "rpm", "ssh")
#: The link between the machine and its second network. Hosts fetch Debian's packages through it.
LINK, OUTSIDE, INSIDE, SUBNET = "hplab-second", "10.77.254.1", "10.77.254.2", "10.77.254.0/30"
MASQUERADE = ["POSTROUTING", "-s", SUBNET, "!", "-o", LINK, "-j", "MASQUERADE"]
FORWARD = [["FORWARD", "-i", LINK, "-j", "ACCEPT"], ["FORWARD", "-o", LINK, "-j", "ACCEPT"]]
#: Hosts offer what their own network carries; where the machine's carries less, answers would never arrive.
CLAMP = ["-p", "tcp", "--tcp-flags", "SYN,RST", "SYN", "-j", "TCPMSS", "--clamp-mss-to-pmtu"]
SIZES = [["FORWARD", "-i", LINK, *CLAMP], ["FORWARD", "-o", LINK, *CLAMP]]
#: Each host's systemd has some; the usual limit of 128 is just enough for the hosts of one lab.
INOTIFY, INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances"), 1024
#: Podman keeps addresses, networks and locks in these; each lab needs its own.
MOUNTS = """
set -e
for folder in /run/containers /run/netns /dev/shm; do mkdir -p "$folder"; mount -t tmpfs tmpfs "$folder"; done
mount --make-rshared /
echo ready
exec sleep infinity
"""


class SecondMachine:
    """Namespaces that a process keeps open; ``start`` it, run ``command``s on it, and ``end`` it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lab_dir = FIRST.with_name(FIRST.name + "-second")
        #: Keeps the namespaces; a run that was killed has left it.
        self._keeper_file = self.lab_dir.with_name(self.lab_dir.name + ".pid")
        self._keeper = self._left_behind()
        self._inotify = ""

    def start(self) -> None:
        """Make network, mounts and lab.

        Raises:
            OSError, subprocess.SubprocessError: this machine does not allow it.
        """
        self.end()
        self._raise_limit()
        unshare = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", MOUNTS]
        keeper = subprocess.Popen(unshare, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "ready\n":
            raise OSError("namespaces of a second machine could not be made")
        self._keeper = keeper.pid
        self._keeper_file.write_text(str(keeper.pid))
        self._connect()
        self._share()
        self._playbook("lab_up")

    def command(self, words: list[str]) -> list[str]:
        """Return the command that runs ``words`` there."""
        return ["nsenter", f"--target={self._keeper}", "--mount", "--net", f"--wd={self.root}", *words]

    def environment(self) -> dict[str, str]:
        """Return what names its lab, and keeps its SSH connections from those of the first: addresses are the same."""
        return {
            "HOSPITAL_LAB_DIR": str(self.lab_dir),
            "HOSPITAL_LAB_IMAGES_OF": str(FIRST),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.lab_dir / "cp"),
        }

    def end(self) -> None:
        """Take the lab down, and everything that ``start`` has made."""
        if self._keeper is not None:
            if self.lab_dir.exists():
                self._playbook("lab_down", "-e", "lab_purge=true")
            os.kill(self._keeper, signal.SIGKILL)
            self._keeper = None
            self._keeper_file.unlink(missing_ok=True)
        subprocess.run(["ip", "link", "delete", LINK], check=False, capture_output=True)
        for table, rule in self._rules():
            subprocess.run(["iptables", "-t", table, "-D", *rule], check=False, capture_output=True)
        if self._inotify:
            INOTIFY.write_text(self._inotify)

    def _left_behind(self) -> int | None:
        """Return the process that an earlier run has left, if it is still that one."""
        try:
            pid = int(self._keeper_file.read_text())
            return pid if Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0infinity\0" else None
        except (OSError, ValueError):
            return None

    def _raise_limit(self) -> None:
        if int(INOTIFY.read_text()) < INSTANCES:
            self._inotify = INOTIFY.read_text()
            INOTIFY.write_text(str(INSTANCES))

    def _connect(self) -> None:
        inside = ["nsenter", f"--target={self._keeper}", "--net"]
        mtu = Path("/sys/class/net", self._way_out(), "mtu").read_text().strip()
        for words in (
            [
                *("ip", "link", "add", LINK, "mtu", mtu, "type", "veth"),
                *("peer", "name", "eth0", "netns", f"{self._keeper}"),
            ],
            ["ip", "address", "add", f"{OUTSIDE}/30", "dev", LINK],
            ["ip", "link", "set", LINK, "up"],
            [*inside, "ip", "address", "add", f"{INSIDE}/30", "dev", "eth0"],
            [*inside, "ip", "link", "set", "eth0", "mtu", mtu, "up"],
            [*inside, "ip", "link", "set", "lo", "up"],
            [*inside, "ip", "route", "add", "default", "via", OUTSIDE],
            [*inside, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"],
            ["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"],
            *(["iptables", "-t", table, "-I", *rule] for table, rule in self._rules()),
        ):
            subprocess.run(words, check=True)

    @staticmethod
    def _way_out() -> str:
        routes = subprocess.run(["ip", "-o", "route", "show", "default"], check=True, capture_output=True, text=True)
        words = routes.stdout.split()
        return words[words.index("dev") + 1]

    @staticmethod
    def _rules() -> list[tuple[str, list[str]]]:
        return [
            ("nat", MASQUERADE),
            *(("filter", rule) for rule in FORWARD),
            *(("mangle", rule) for rule in SIZES),
        ]

    def _share(self) -> None:
        self.lab_dir.mkdir(parents=True, exist_ok=True)
        for name in SHARED:
            there, here = FIRST / name, self.lab_dir / name
            if there.is_dir():
                shutil.copytree(there, here, symlinks=True, dirs_exist_ok=True)
            elif there.exists():
                shutil.copy2(there, here)

    def _playbook(self, name: str, *options: str) -> None:
        words = [".venv/bin/ansible-playbook", "-i", "inventories/lab/hosts.yml", f"playbooks/{name}.yml", *options]
        environment = {**os.environ, **self.environment()}
        for last in (False, True):
            done = subprocess.run(self.command(words), env=environment, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            if last:
                raise OSError(
                    f"{name} in the second lab: exit {done.returncode}: {done.stdout[-800:]}{done.stderr[-400:]}"
                )
            time.sleep(1)
