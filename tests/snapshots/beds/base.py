# SPDX-License-Identifier: GPL-3.0-or-later
"""What the walk through one provider needs of its test bed: a host, its state, and everybody's snapshots."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.snapshots.beds import killed
from tests.support.modules import call_here
from tests.support.playbook import ROOT

Point = Mapping[str, Any]


class Bed(ABC):
    """A server of its own with one host on it, started by :meth:`start` and ended by :meth:`stop`.

    ``options`` and ``environment`` are what a site would give the provider. ``CANNOT_SHOW`` is printed with the table.
    """

    NAME: ClassVar[str]
    HOST: ClassVar[str] = "db1"
    SLOW: ClassVar[bool] = False
    CANNOT_SHOW: ClassVar[str] = ""
    #: The call after which a creation is killed: a word of a command, or the name of an API's operation.
    LAST_CALLS: ClassVar[tuple[str, ...]]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options: dict[str, Any] = {}
        self.environment: dict[str, str] = {}

    @abstractmethod
    def lacks(self) -> str | None:
        """Return why this machine cannot run it, or None."""

    @abstractmethod
    def start(self) -> None:
        """Start the server, with the host on it."""

    @abstractmethod
    def stop(self) -> None:
        """End all of it, also after half a start."""

    @abstractmethod
    def install(self, version: int, works: bool = True) -> None:
        """Do what an update does to the host: one that works, or one after which the application is broken."""

    @abstractmethod
    def health(self) -> str:
        """Return ``ok``, or what ails the host's application."""

    @abstractmethod
    def state(self) -> object:
        """Return what is on the host's disks, to be compared."""

    @abstractmethod
    def everything(self) -> set[str]:
        """Return the server's own ids of all snapshots, whoever made them."""

    @abstractmethod
    def parts(self, point: Point) -> set[str]:
        """Return the server's own ids of one restore point."""

    @abstractmethod
    def foreign(self, point: Point) -> str:
        """Make somebody else's snapshot of the restore point's name, and return the server's id of it."""

    def ready(self) -> None:  # noqa: B027 - most hosts are as they have to be
        """Have the host as it has to be for a restore point."""

    def call(self, module: str, **options: Any) -> dict[str, Any]:
        """Return the result of a module where the provider runs."""
        return call_here(module, self.environment, **options)

    def snapshot(self, module: str, **options: Any) -> dict[str, Any]:
        """Return the result of a module of restore points, which has to succeed."""
        result = self.call(module, provider=self.NAME, options=self.options, host=self.HOST, **options)
        assert not result.get("failed"), result
        return result

    def killed_creation(self, run_id: str, expires: str) -> None:
        """Have the process that makes a restore point killed right after it made one."""
        killed.creation(self.NAME, self.options, run_id, self.HOST, expires, self.LAST_CALLS, self.environment)

    def hosts(self) -> dict[str, dict[str, Any]]:
        """Return an inventory's variables of the host."""
        return {
            self.HOST: {
                "ansible_connection": "local",
                "ansible_become": False,
                "ansible_python_interpreter": sys.executable,
                "patching_device_segments": [],
            }
        }

    def keep_house(self, evidence: Path) -> str:
        """Run housekeeping.yml, which has to end well, and return what it said."""
        hosts = self.hosts()
        hosts[self.HOST]["patching_snapshot"] = {"provider": self.NAME, **self.options}
        inventory = self.folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory)]
        command += ["playbooks/housekeeping.yml", "-e", f"patching_evidence_dir={evidence}", "-e", "patching_hosts=all"]
        environment = {**os.environ, **self.environment, "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        said = " ".join((done.stdout + done.stderr).split()).replace("''", "'")
        assert done.returncode == 0, said
        return said


class FilesBed(Bed):
    """A bed whose host has real files: an application that is well while its files are those that belong to it.

    Its health is read by the collection's own probe.
    """

    #: The application's folder, as the host sees it.
    app = "/srv/portal"

    @abstractmethod
    def words(self, script: str) -> list[str]:
        """Return the command that runs a shell script on the host, from where the probe runs."""

    def run(self, script: str) -> str:
        """Return what a shell script prints on the host; it has to succeed."""
        done = subprocess.run(self.words(script), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    def install(self, version: int, works: bool = True) -> None:
        self.run(
            f"set -e; cd {shlex.quote(self.app)}; echo version {version} >version; echo rows of {version} >rows;"
            " sha256sum version rows >sums"
        )
        if not works:
            self.run(f"set -e; cd {shlex.quote(self.app)}; rm rows; echo half >left_by_the_update; chmod 600 version")

    def health(self) -> str:
        command = self.words(f"cd {shlex.quote(self.app)} && sha256sum --check --status sums")
        probe = {"name": "application", "type": "command", "command": command}
        read = self.call("app_health_info", run_id="20261122T034500Z-ab12cd34", probes=[probe])
        assert "verdict" in read, read
        return "ok" if read["verdict"] == "ok" else str(read["results"][0])

    def state(self) -> object:
        return self.run(f"cd {shlex.quote(self.app)} && ls -l --time-style=+ && sha256sum *")
