# SPDX-License-Identifier: GPL-3.0-or-later
"""Bed of the provider lvm: a data volume of the emulated virtual machine of tests/support/vm.py, reached over SSH."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from tests.snapshots.beds.base import FilesBed, Point
from tests.support import vm

MIB = 1024 * 1024


class LvmBed(FilesBed):
    """A host with its application on a volume of its own."""

    NAME = "lvm"
    HOST = vm.NAME
    SLOW = True
    CANNOT_SHOW = "emulated without hardware support: every step takes many times as long as on a real machine"
    app = "/srv/portal/app"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ends = contextlib.ExitStack()

    def lacks(self) -> str | None:
        absent = vm.lacking()
        return f"this machine lacks {', '.join(absent)}: make vm installs it" if absent else None

    def start(self) -> None:
        self.machine = self.ends.enter_context(vm.machine(self.folder))
        self.machine.sh(
            """
            lvcreate --quiet --yes --name portal --size 128m hospital
            mkfs.ext4 -q /dev/hospital/portal
            mkdir /srv/portal
            echo '/dev/hospital/portal /srv/portal ext4 nofail 0 2' >>/etc/fstab
            systemctl daemon-reload
            mount /srv/portal
            mkdir /srv/portal/app
            """
        )
        self.options = {"volumes": ["/srv/portal"], "change_bytes": 32 * MIB}

    def stop(self) -> None:
        self.ends.close()

    def call(self, module: str, **options: Any) -> dict[str, Any]:
        return self.machine.call(module, **options)

    def words(self, script: str) -> list[str]:
        """On the host, where the probe runs as well."""
        return ["/bin/sh", "-c", script]

    def run(self, script: str) -> str:
        return self.machine.sh(script)

    def everything(self) -> set[str]:
        return {row["lv_uuid"] for row in self._volumes()}

    def parts(self, point: Point) -> set[str]:
        return set(point["id"].split(","))

    def foreign(self, point: Point) -> str:
        """Ours is renamed, so that somebody else's takes its name, with all of our tags copied."""
        group, name = point["detail"]["volumes"][0]["snapshot"].split("/")
        ours = next(row for row in self._volumes() if row["lv_name"] == name)
        tags = " ".join(f"--addtag '{tag}'" for tag in ours["lv_tags"].split(","))
        self.machine.sh(
            f"""
            lvrename -q {group} {name} moved
            lvcreate -q --yes --snapshot --name {name} --size 32m {tags} {group}/portal
            """
        )
        return next(row["lv_uuid"] for row in self._volumes() if row["lv_name"] == name)

    def killed_creation(self, run_id: str, expires: str) -> None:
        """The module's process is killed by the command that made the snapshot, when that was made."""
        self.machine.sh(
            """
            real=$(command -v lvcreate)
            printf '#!/bin/sh\\n%s "$@"\\nkill -9 $PPID\\n' "$real" >/usr/local/sbin/lvcreate
            chmod 755 /usr/local/sbin/lvcreate
            """
        )
        try:
            asked = {"provider": self.NAME, "options": self.options, "host": self.HOST, "run_id": run_id}
            killed = self.call("host_snapshot", reason="before the monthly update", expires=expires, **asked)
        finally:
            self.machine.sh("rm /usr/local/sbin/lvcreate")
        assert "snapshot" not in killed, killed

    def hosts(self) -> dict[str, dict[str, Any]]:
        inventory = json.loads(self.machine.inventory.read_text(encoding="utf-8"))
        return dict(inventory["all"]["hosts"])

    def _volumes(self) -> list[dict[str, str]]:
        asked = "lvs --all --reportformat json -o lv_uuid,lv_name,lv_tags,lv_role hospital"
        rows = json.loads(self.machine.sh(asked))["report"][0]["lv"]
        return [row for row in rows if row["lv_role"] != "private"]
