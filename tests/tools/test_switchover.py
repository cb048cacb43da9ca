# SPDX-License-Identifier: GPL-3.0-or-later
"""The drain of a PostgreSQL primary, with two real servers and a plain switchover script, where they can be had."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.drains import moving
from ansible_collections.hospital.patching.plugins.module_utils.drains.base import DrainContext, DrainProvider
from ansible_collections.hospital.patching.plugins.module_utils.drains.registry import build
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

BIN = max((path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None, key=str)
USER = "postgres"
READY = BIN is not None and os.geteuid() == 0 and USER in {one.pw_name for one in pwd.getpwall()}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not READY, reason="needs root and PostgreSQL's server (Debian: postgresql)"),
]
#: A planned switchover by hand: the primary ends in good order, so its replica has everything; then they change places.
SCRIPT = """#!/bin/sh -e
old=$1 new=$2 old_name=$3 new_port=$4
{bin}/pg_ctl -D $old -w -m fast stop
{bin}/pg_ctl -D $new -w promote
echo "primary_conninfo = 'host=127.0.0.1 port=$new_port application_name=$old_name'" >> $old/postgresql.auto.conf
touch $old/standby.signal
{bin}/pg_ctl -D $old -w -l $old.log start
"""


class Database:
    """Two servers, ``one`` the primary and ``two`` its replica."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(("one", "two"), _free_ports(2), strict=True))

    def run(self, *words: str) -> str:
        command = ["runuser", "-u", USER, "--", *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        shutil.chown(self.folder, USER)
        (self.folder / "switchover").write_text(SCRIPT.format(bin=BIN))
        (self.folder / "switchover").chmod(0o755)
        self.run(f"{BIN}/initdb", "-D", "one", "-A", "trust", "-N")
        self._settings("one")
        self.pg_ctl("one", "start")
        connection = f"host=127.0.0.1 port={self.ports['one']} application_name=two"
        self.run(f"{BIN}/pg_basebackup", "-D", "two", "-R", "-c", "fast", "-d", connection)
        self._settings("two")
        self.pg_ctl("two", "start")

    def _settings(self, name: str) -> None:
        lines = [f"port = {self.ports[name]}", f"unix_socket_directories = '{self.folder}'", "fsync = off"]
        with (self.folder / name / "postgresql.auto.conf").open("a") as handle:
            handle.write("\n".join([*lines, "listen_addresses = '127.0.0.1'", ""]))

    def pg_ctl(self, name: str, what: str) -> None:
        words = ["-D", name, "-w", *(["-l", f"{name}.log"] if what == "start" else ["-m", "fast"])]
        self.run(f"{BIN}/pg_ctl", *words, what)

    def stop(self) -> None:
        for name in self.ports:
            words = ["runuser", "-u", USER, "--", f"{BIN}/pg_ctl", "-D", name, "-m", "immediate", "stop"]
            subprocess.run(words, cwd=self.folder, check=False, capture_output=True)

    def ask(self, name: str, query: str) -> str:
        return self.run("psql", "-XAtw", "-p", str(self.ports[name]), "-d", "postgres", "-c", query).strip()

    def switch(self, old: str, new: str) -> list[str]:
        folder = self.folder
        words = [str(folder / "switchover"), str(folder / old), str(folder / new), old, str(self.ports[new])]
        return ["runuser", "-u", USER, "--", *words]

    def drain(self, **more: Any) -> moving.Moved:
        return moving.drain(self.provider(**more), moving.Mark(str(self.folder), "one", "a run"))

    def back(self) -> moving.Moved:
        return moving.give_back(self.provider(), moving.Mark(str(self.folder), "one", "a run"))

    def provider(self, wait_s: int = 60, **more: Any) -> DrainProvider:
        options = {
            "postgresql": "two",
            "switchover": self.switch("one", "two"),
            "back": self.switch("two", "one"),
            "port": self.ports["one"],
        }
        context = DrainContext(Runner(), Clock(), Connector([]), "one", wait_s)
        return build("postgresql", {**options, **more}, context)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def database(monkeypatch):
    # Not among pytest's folders: each pytest that starts keeps those to root again.
    with tempfile.TemporaryDirectory(prefix="pair") as folder:
        made = Database(Path(folder))
        monkeypatch.setenv("PGHOST", "127.0.0.1")
        try:
            made.start()
            yield made
        finally:
            made.stop()


def test_a_primary_changes_places_with_its_replica_and_back_and_no_row_is_lost(database):
    database.ask("one", "CREATE TABLE orders AS SELECT generate_series(1, 1000) AS number")
    assert database.drain().changed
    assert (database.ask("one", "SELECT pg_is_in_recovery()"), database.ask("two", "SELECT pg_is_in_recovery()")) == (
        "t",
        "f",
    )
    database.ask("two", "INSERT INTO orders VALUES (1001)")
    assert not database.drain().changed
    assert database.back().changed
    assert database.ask("one", "SELECT pg_is_in_recovery()") == "f"
    assert database.ask("one", "SELECT count(*) FROM orders") == "1001"


def test_without_its_replica_a_primary_stays_one_and_nothing_is_run(database):
    database.pg_ctl("two", "stop")
    with pytest.raises(PatchingError, match="no replicas of the name two"):
        database.drain(wait_s=1, switchover=["touch", str(database.folder / "switched")])
    assert not (database.folder / "switched").exists()
    assert database.ask("one", "SELECT pg_is_in_recovery()") == "f"


def test_a_switchover_that_does_nothing_is_seen_and_nothing_is_promoted(database):
    with pytest.raises(PatchingError, match="this host is still the primary"):
        database.drain(wait_s=2, switchover=["true"])
    assert database.ask("two", "SELECT pg_is_in_recovery()") == "t"
