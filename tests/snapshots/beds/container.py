# SPDX-License-Identifier: GPL-3.0-or-later
"""Bed of the provider container: real podman with a store of its own, and an image made of this machine's own files.

No registry is asked: the image has a shell and four programs with their libraries. An engine's store knows a name once;
the foreign image of the same name is that of another registry, with all of our labels copied.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.snapshots.beds.base import FilesBed, Point
from tests.support.playbook import ROOT
from tests.support.processes import wait_for_the_last_of

sys.path.insert(0, str(ROOT / "roles/lab_engine/files"))

from hospital_lab.engine import Engine
from hospital_lab.places import Places

PREFIX = "hospital-patching-snapshots-"
IMAGE = f"localhost/{PREFIX}portal:1"
#: Programs of the image, the shell first.
PROGRAMS = ("sh", "chmod", "ls", "rm", "sha256sum", "sleep")
#: It ends at once when it is stopped: a shell that is the first process heeds no signal that it does not name.
SERVE = "trap 'exit 0' TERM; while :; do sleep 0.2; done"


class ContainerBed(FilesBed):
    """One container."""

    NAME = "container"
    LAST_CALLS = ("commit",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Podman takes no path of more than fifty characters for what it keeps while it runs.
        self.store = Path(tempfile.mkdtemp(prefix="hps-"))
        self.engine = Engine(Places(self.store))
        self.container = PREFIX + self.HOST

    def lacks(self) -> str | None:
        if os.geteuid() != 0:
            return "a container engine with a store of its own needs root"
        absent = [name for name in ("podman", "ldd", "tar", *PROGRAMS) if shutil.which(name) is None]
        return f"this machine lacks {', '.join(absent)} (tools/system_packages.sh)" if absent else None

    def start(self) -> None:
        self.engine.prepare({})
        root = self.folder / "root"
        _copy_programs(root)
        (root / "srv/portal").mkdir(parents=True)
        archive = self.folder / "root.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
        self.engine.podman("import", archive, IMAGE)
        self.engine.podman(
            *("run", "--detach", "--name", self.container, "--network", "none", IMAGE, "/bin/sh", "-c", SERVE)
        )
        self.options = {
            "engine": [str(self.engine.places.engine)],
            "container": self.container,
            "min_free_bytes": 1024 * 1024,
        }

    def stop(self) -> None:
        if self.engine.places.engine.exists():
            self.engine.podman("rm", "--all", "--force", "--time", "0", check=False)
            try:
                wait_for_the_last_of(self.store)  # which would mount the store again
            finally:
                overlay = str(self.engine.places.storage / "overlay")
                subprocess.run(["umount", overlay], check=False, capture_output=True)
        shutil.rmtree(self.store)

    def words(self, script: str) -> list[str]:
        return [str(self.engine.places.engine), "exec", self.container, "/bin/sh", "-c", script]

    def everything(self) -> set[str]:
        return set(self.engine.read("images", "--all", "--quiet", "--no-trunc").split())

    def parts(self, point: Point) -> set[str]:
        return {str(point["id"])}

    def foreign(self, point: Point) -> str:
        (name,) = point["detail"]["names"]
        values = {key: str(point[key]) for key in ("run_id", "host", "reason", "created", "expires")}
        labels = [
            word for key, value in values.items() for word in ("--change", f'LABEL hospital.patching.{key}="{value}"')
        ]
        other = name.replace("localhost/", "registry.hospital.example/")
        self.engine.podman("commit", *labels, self.container, other)
        return self.engine.read("image", "inspect", "--format", "sha256:{{.Id}}", other).strip()


def _copy_programs(root: Path) -> None:
    """Copy the programs with the libraries that they name into ``root``, each where it looks for it."""
    (root / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found is not None
        shutil.copy(found, root / "bin" / name)
        listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+)", listed):
            target = root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
