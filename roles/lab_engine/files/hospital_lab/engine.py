# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman with a store of its own, so that nothing here ever touches anyone else's containers."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from hospital_lab import machine
from hospital_lab.commands import run
from hospital_lab.places import CONTAINER_PREFIX, Places


class Engine:
    """The lab's container engine, through the wrapper script that carries its settings."""

    def __init__(self, places: Places) -> None:
        self.places = places

    def podman(self, *args: str | Path, check: bool = True, timeout_s: int = 900) -> subprocess.CompletedProcess[str]:
        """Run podman with the lab's settings."""
        return run([self.places.engine, *args], check=check, timeout_s=timeout_s)

    def read(self, *args: str) -> str:
        """Output of a command that only lists; one fails when another process removes meanwhile what it lists."""
        for pause_s in (0.2, 0.5, 1, 2):
            result = self.podman(*args, check=False)
            if result.returncode == 0:
                return result.stdout
            time.sleep(pause_s)
        return self.podman(*args).stdout

    def prepare(self, networks: dict[str, str]) -> bool:
        """Write the settings and create the networks (name: subnet); whether anything changed."""
        changed = self._forget_previous_boot()
        for folder in (self.places.storage, self.places.run, self.places.networks):
            folder.mkdir(parents=True, exist_ok=True)
        changed |= write_if_different(self.places.containers_conf, self._containers_conf())
        changed |= write_if_different(self.places.engine, self._wrapper(), mode=0o755)
        existing = {item["name"] for item in json.loads(self.read("network", "ls", "--format", "json"))}
        for name, subnet in networks.items():
            if name not in existing:
                # Names come from each host's /etc/hosts; a resolver daemon would be one more thing to clean up.
                self.podman("network", "create", "--disable-dns", "--subnet", subnet, name)
                changed = True
        # Images of earlier digests lose their name when they are replaced; what nothing runs from any more goes here.
        self.podman("image", "prune", "--force")
        return changed

    def containers(self) -> dict[str, dict[str, Any]]:
        """The lab's containers by host name."""
        if not self.places.engine.exists():
            return {}
        listed = json.loads(self.read("ps", "--all", "--format", "json"))
        names = ((item["Names"][0], item) for item in listed)
        return {name.removeprefix(CONTAINER_PREFIX): item for name, item in names if name.startswith(CONTAINER_PREFIX)}

    def remove_containers(self, hosts: list[str]) -> None:
        """Remove what there is of these hosts: their containers, those a revert has set aside, their snapshots."""
        listed = self.read("ps", "--all", "--format", "{{.Names}}").split()
        wanted = [CONTAINER_PREFIX + host for host in hosts]
        found = [name for name in listed if any(name == want or name.startswith(f"{want}-") for want in wanted)]
        if found:
            self.podman("rm", "--force", "--ignore", "--time", "0", "--volumes", *found)
        for host in hosts:
            self._remove_snapshots(f"label=hospital.patching.host={host}")

    def _remove_snapshots(self, label: str) -> None:
        snapshots = set(self.read("images", "--quiet", "--filter", label).split())
        if snapshots:
            self.podman("rmi", "--force", *snapshots, check=False)

    def remove_all_containers(self) -> bool:
        """Remove every container of the lab's store; whether there was any."""
        found = self.places.engine.exists() and bool(self.read("ps", "--all", "--quiet").strip())
        if found:
            self.podman("rm", "--all", "--force", "--time", "0", "--volumes")
            self._remove_snapshots("label=hospital.patching.run_id")
        return found

    def remove_networks(self) -> bool:
        """Remove the lab's networks; whether there were any."""
        found = [path.stem for path in self.places.networks.glob("hplab*.json")]
        for name in found:
            self.podman("network", "rm", "--force", name)
        return bool(found)

    def unmount_store(self) -> None:
        """Unmount what the store has mounted, its own folder on itself among it, so that it can be deleted."""
        points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for point in sorted((item for item in points if Path(item).is_relative_to(self.places.lab_dir)), reverse=True):
            run(["umount", "--lazy", point])

    def image_exists(self, image: str) -> bool:
        """Whether the store has this image."""
        return self.podman("image", "exists", image, check=False).returncode == 0

    def _forget_previous_boot(self) -> bool:
        """Drop run-time state that a restart of the machine has made untrue."""
        mark = self.places.lab_dir / "boot_id"
        self.places.lab_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        known = mark.read_text() if mark.exists() else None
        if known == machine.boot_id():
            return False
        if known is not None:
            shutil.rmtree(self.places.run, ignore_errors=True)
        mark.write_text(machine.boot_id())
        return True

    def _containers_conf(self) -> str:
        engine = {"events_logger": "file", "tmp_dir": str(self.places.run / "libpod")}
        containers: dict[str, str | list[str]] = {"log_driver": "k8s-file", "base_hosts_file": "none"}
        if not machine.has_unified_cgroups():
            engine |= {"runtime": "runc", "cgroup_manager": "cgroupfs"}  # crun fails on hybrid control groups
        elif not machine.has_systemd():
            engine |= {"cgroup_manager": "cgroupfs"}
        if not machine.may_raise_limits():
            containers["default_ulimits"] = ["nofile=4096:4096", "nproc=4096:4096"]
        network = {"network_backend": "netavark", "network_config_dir": str(self.places.networks)}
        return "".join(
            f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
            for section, values in (("engine", engine), ("containers", containers), ("network", network))
        )

    def _wrapper(self) -> str:
        others = self.places.other_images
        images = f" --storage-opt additionalimagestore='{others}'" if others else ""
        return (
            "#!/bin/sh\n# podman with the lab's own store and settings\n"
            f"CONTAINERS_CONF='{self.places.containers_conf}' exec podman "
            f"--root '{self.places.storage}' --runroot '{self.places.run}'{images} \"$@\"\n"
        )


def write_if_different(path: Path, content: str, mode: int = 0o644) -> bool:
    """Write a file unless it already says so; whether it was written."""
    if path.exists() and path.read_text() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return True
