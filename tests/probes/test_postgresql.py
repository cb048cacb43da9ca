# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``postgresql`` against a real primary and its real streaming replica."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import servers


def binaries() -> Path | None:
    """Return the folder of the server's programs: what is unpacked, or the newest installed."""
    if (servers.UNPACKED / "initdb").exists():
        return servers.UNPACKED
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


BINARIES = binaries()
pytestmark = pytest.mark.skipif(BINARIES is None, reason="PostgreSQL's server is not here (Debian: postgresql)")


class Server:
    """One PostgreSQL server with its own data folder, on loopback."""

    def __init__(self, folder: Path, programs: Path, prefix: list[str], port: int) -> None:
        self.data, self.programs, self.prefix, self.port = folder, programs, prefix, port
        self.socket = folder.parent

    def run(self, program: str, *words: str) -> None:
        command = [*self.prefix, f"{self.programs}/{program}", *words]
        # A server that is started keeps the output open, so that it goes to a file.
        with (self.socket / f"{program}.log").open("ab") as log:
            subprocess.run(command, check=True, cwd="/", stdout=log, stderr=log)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.socket} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=1MB"
        self.run("pg_ctl", "-w", "-t", "60", "-D", str(self.data), "-l", f"{self.data}.log", "-o", options, "start")

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-w", "-m", "immediate", "-D", str(self.data), "stop")

    def sql(self, *texts: str) -> str:
        words = [word for text in texts for word in ("-c", text)]
        login = ["-h", str(self.socket), "-p", str(self.port), "-U", "postgres", "-d", "postgres"]
        command = [*self.prefix, f"{self.programs}/psql", "-XAtq", *login, *words]
        return subprocess.run(command, check=True, cwd="/", capture_output=True, text=True).stdout.strip()

    def definition(self, **options: Any) -> dict[str, Any]:
        return {"type": "postgresql", "host": "127.0.0.1", "port": self.port, "user": "probe", **options}


@pytest.fixture(scope="module")
def programs(folder: Path, unprivileged: list[str]) -> Path:
    """Return the folder of the server's programs: a copy where only root may enter the one of this checkout."""
    assert BINARIES is not None
    if subprocess.run([*unprivileged, "test", "-x", f"{BINARIES}/initdb"], check=False, cwd="/").returncode == 0:
        return BINARIES
    shutil.copytree(servers.CACHE, folder / "servers", symlinks=True)
    return folder / "servers" / BINARIES.relative_to(servers.CACHE)


@pytest.fixture(scope="module")
def pair(folder: Path, programs: Path, free_port: Callable[[], int], unprivileged: list[str]) -> Iterator[list[Server]]:
    """Start a primary and its replica."""
    if unprivileged:
        shutil.chown(folder, unprivileged[2])
    primary, replica = (Server(folder / name, programs, unprivileged, free_port()) for name in ("primary", "replica"))
    primary.run("initdb", "-D", str(primary.data), "-U", "postgres", "-A", "trust", "-N", "--no-instructions")
    (primary.data / "pg_hba.conf").write_text(
        "local all all trust\nhost all locked 127.0.0.1/32 scram-sha-256\n"
        "host all probe 127.0.0.1/32 trust\nhost replication postgres 127.0.0.1/32 trust\n"
    )
    try:
        primary.start()
        primary.sql("create role probe login", "create role locked login password 'geheim'")
        source = f"host=127.0.0.1 port={primary.port} user=postgres"
        primary.run("pg_basebackup", "-D", str(replica.data), "-d", source, "-R", "-X", "stream", "-c", "fast")
        replica.start()
        deadline = time.monotonic() + 30
        while primary.sql("select count(*) from pg_stat_replication where state = 'streaming'") != "1":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield [primary, replica]
    finally:
        replica.stop()
        primary.stop()


@pytest.fixture(params=["psycopg", "psql"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, programs: Path) -> str:
    """Read by the library, and by the command where that is missing."""
    if request.param == "psycopg":
        pytest.importorskip("psycopg", reason="the Python library psycopg is not here")
    else:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return str(request.param)


def test_a_healthy_primary_is_ok(pair, read, means):
    result = read(**pair[0].definition(replicas_at_least=1))
    assert result["verdict"] == "ok", result["detail"]
    value = result["value"]
    assert (value["in_recovery"], value["read_only"], value["replicas"], value["lag_ms"]) == (False, False, 1, None)
    assert value["server_version"] >= 100000


def test_a_healthy_replica_is_ok_and_no_primary(pair, read, means):
    result = read(**pair[1].definition(role="replica"))
    assert result["verdict"] == "ok", result["detail"]
    assert (result["value"]["in_recovery"], result["value"]["lag_ms"]) == (True, 0)
    assert read(**pair[1].definition())["detail"] == "the server is a replica, expected a primary"
    assert read(**pair[0].definition(role="replica"))["verdict"] == "failed"
    assert read(**pair[1].definition(role="any"))["verdict"] == "ok"


def test_a_primary_that_is_up_but_read_only_is_failed(pair, read, means):
    pair[0].sql("alter role probe set default_transaction_read_only = on")
    try:
        result = read(**pair[0].definition())
    finally:
        pair[0].sql("alter role probe reset default_transaction_read_only")
    assert (result["verdict"], result["detail"]) == ("failed", "the database answers but is read-only")


def test_a_replica_that_falls_behind_is_failed(pair, read, means):
    primary, replica = pair
    replica.sql("select pg_wal_replay_pause()")
    try:
        primary.sql("create table if not exists written (at timestamptz)", "insert into written values (now())")
        deadline = time.monotonic() + 30
        while replica.sql("select pg_last_wal_receive_lsn() <> pg_last_wal_replay_lsn()") != "t":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1.1)
        result = read(**replica.definition(role="replica", lag_limit_s=0))
        assert result["verdict"] == "failed"
        assert "behind" in result["detail"]
        assert read(**replica.definition(role="replica", lag_limit_s=600))["verdict"] == "ok"
    finally:
        replica.sql("select pg_wal_replay_resume()")


def test_a_login_that_is_refused_is_failed_without_its_password(pair, read, means, tmp_path):
    passfile = tmp_path / "pgpass"
    passfile.write_text("127.0.0.1:*:*:locked:falsch\n")
    passfile.chmod(0o600)
    result = read(**pair[0].definition(user="locked", passfile=str(passfile)))
    assert result["verdict"] == "failed"
    assert "password authentication failed" in result["detail"]
    assert "falsch" not in str(result)
    passfile.write_text("127.0.0.1:*:*:locked:geheim\n")
    assert read(**pair[0].definition(user="locked", passfile=str(passfile)))["verdict"] == "ok"
    assert read(**pair[0].definition(user="locked", passfile=os.devnull))["verdict"] == "inconclusive"
    assert "does not exist" in read(**pair[0].definition(dbname="gone"))["detail"]


def test_a_socket_of_this_machine_is_asked(pair, read, means):
    result = read(**pair[0].definition(host=str(pair[0].socket)))
    assert result["verdict"] == "ok", result["detail"]


def test_a_server_without_tls_is_failed_where_tls_is_wanted(pair, read, means):
    assert "TLS" in read(**pair[0].definition(sslmode="require"))["detail"]


def test_a_stopped_server_is_slow_and_an_absent_one_failed(pair, read, means, free_port):
    primary = pair[0]
    postmaster = (primary.data / "postmaster.pid").read_text().split()[0]
    subprocess.run(["kill", "-STOP", postmaster], check=True)
    try:
        assert read(**primary.definition(timeout_s=2))["verdict"] == "inconclusive"
    finally:
        subprocess.run(["kill", "-CONT", postmaster], check=True)
    assert read(**primary.definition(port=free_port()))["verdict"] == "failed"


def test_a_replica_whose_primary_is_gone_is_failed(pair, read, means):
    primary, replica = pair
    primary.stop()
    try:
        deadline = time.monotonic() + 30
        while replica.sql("select count(*) from pg_stat_wal_receiver") != "0":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        result = read(**replica.definition(role="replica"))
        assert (result["verdict"], result["detail"]) == ("failed", "the replica receives nothing from its primary")
        assert read(**replica.definition(role="replica", streaming=False))["verdict"] == "ok"
    finally:
        primary.start()
