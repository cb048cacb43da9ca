# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's archive of images as its roles configure it, in small: two real Orthancs with one index in a real pair of
PostgreSQL and one folder of images, behind a real HAProxy, on loopback.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import imaging, servers
from tests.support.clinical import RECONNECT_S, account
from tests.support.imaging import Modalities, instances

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "roles/lab_pacs/files/image"
BALANCER = ROOT / "roles/lab_load_balancer_pair/files/image/haproxy.cfg"
#: What HAProxy's configuration says of the archive; the rest is other services'.
OURS = re.compile(r"defaults|frontend numbers|frontend dicom|frontend archive|backend pacs\w*")
BIN = max((path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None, key=str)
USER = "postgres"
PLUGINS = servers.tree("Orthanc") / "usr/share/orthanc/plugins"
PROGRAMS = {name: servers.program(name) for name in ("Orthanc", "haproxy")}
READY = (
    BIN is not None
    and os.geteuid() == 0
    and USER in {one.pw_name for one in pwd.getpwall()}
    and all(PROGRAMS.values())
    and (PLUGINS / "libOrthancPostgreSQLIndex.so").exists()
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not READY, reason="needs root and servers (Debian: postgresql, orthanc, orthanc-postgresql, haproxy)"
    ),
    # The library leaves a connection that the other side has closed first to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NODES = ("pacs1", "pacs2")
LOST_NOTHING = (set(), set(), set())


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def eventually(condition: Callable[[], bool], otherwise: Callable[[], str], within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)


class Pair:
    """Two databases: one that writes, and one that follows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(("db1", "db2"), free_ports(2), strict=True))
        self.writes = "db1"

    def run(self, *words: str) -> str:
        done = subprocess.run(
            ["runuser", "-u", USER, "--", *words], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        self.run(f"{BIN}/initdb", "-D", "db1", "-A", "trust", "-N", "-E", "UTF8", "--locale", "C.UTF-8")
        self.settings("db1")
        self.pg_ctl("db1", "start")
        for line in (NODE.parents[2] / "lab_database_pair/files/image/pacs.sql").read_text().splitlines():
            if not line.startswith("--"):
                self.ask("db1", line)
        source = f"host=127.0.0.1 port={self.ports['db1']} application_name=db2"
        self.run(f"{BIN}/pg_basebackup", "-D", "db2", "-R", "-c", "fast", "-d", source)
        self.settings("db2")
        self.pg_ctl("db2", "start")

    def settings(self, name: str) -> None:
        lines = [f"port = {self.ports[name]}", f"unix_socket_directories = '{self.folder}'", "fsync = off"]
        with (self.folder / name / "postgresql.auto.conf").open("a") as handle:
            handle.write("\n".join([*lines, "listen_addresses = '127.0.0.1'", ""]))

    def pg_ctl(self, name: str, what: str) -> None:
        words = {"start": ("-l", f"{name}.log"), "stop": ("-m", "fast")}.get(what, ())
        self.run(f"{BIN}/pg_ctl", "-D", name, "-w", *words, what)

    def ask(self, name: str, query: str) -> str:
        return self.run(
            "psql", "-XAtw", "-h", "127.0.0.1", "-p", str(self.ports[name]), "-d", "postgres", "-c", query
        ).strip()

    def change_places(self, away_s: float) -> None:
        """Stop db1 in good order, which gives db2 everything; that writes a while later."""
        self.pg_ctl(self.writes, "stop")
        time.sleep(away_s)
        self.pg_ctl("db2", "promote")
        self.writes = "db2"

    def end(self) -> None:
        for name in self.ports:
            words = ["runuser", "-u", USER, "--", f"{BIN}/pg_ctl", "-D", name, "-m", "immediate", "stop"]
            subprocess.run(words, cwd=self.folder, check=False, capture_output=True)


class Archive:
    """Two nodes, and the load balancer before them."""

    def __init__(self, folder: Path, pair: Pair) -> None:
        self.folder, self.pair = folder, pair
        self.dicom = dict(zip(NODES, free_ports(2), strict=True))
        self.http = dict(zip(NODES, free_ports(2), strict=True))
        self.door, self.pages, self.numbers = free_ports(3)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start a node with the configuration of its role, but for what differs on loopback."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        lines = (NODE / "orthanc.json").read_text().splitlines()
        settings = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.pair.ports.values())
        uri = settings["PostgreSQL"]["ConnectionUri"]
        assert "@10.77.10.30:5432/" in uri
        settings["PostgreSQL"]["ConnectionUri"] = uri.replace("10.77.10.30:5432", hosts)
        settings["Plugins"] = [str(PLUGINS / Path(path).name) for path in settings["Plugins"]]
        images = str(self.folder / "images")
        settings |= {"StorageDirectory": images, "IndexDirectory": images}
        settings |= {"DicomPort": self.dicom[name], "HttpPort": self.http[name]}
        settings["LuaScripts"] = [str(place / "users.lua")]
        (place / "users.lua").write_text(
            (NODE / "users.lua").read_text().replace("/var/lib/pacs-leaves", self.mark(name))
        )
        (place / "orthanc.json").write_text(json.dumps(settings))
        self.daemon(name, [str(PROGRAMS["Orthanc"]), str(place / "orthanc.json")], PACS_NODE=name)

    def mark(self, name: str) -> str:
        return str(self.folder / name / "leaves")

    def start_balancer(self) -> None:
        parts = re.split(r"\n(?=[a-z])", BALANCER.read_text())
        text = "\n".join(part for part in parts if OURS.fullmatch(part.partition("\n")[0]))
        text = re.sub(r"^ +log .*|^ +option (http|tcp)log", "", text, flags=re.MULTILINE)
        for port, mine in (("4242", self.door), ("8042", self.pages), ("8404", self.numbers)):
            assert f"bind :{port}" in text
            text = text.replace(f"bind :{port}", f"bind 127.0.0.1:{mine}")
        for name in NODES:
            text = text.replace(
                f"{name}:4242 check port 8042", f"127.0.0.1:{self.dicom[name]} check port {self.http[name]}"
            )
            text = text.replace(f"{name}:8042", f"127.0.0.1:{self.http[name]}")
        (self.folder / "haproxy.cfg").write_text("global\n    maxconn 200\n" + text + "\n")
        self.daemon("haproxy", [str(PROGRAMS["haproxy"]), "-f", str(self.folder / "haproxy.cfg")])

    def daemon(self, name: str, command: list[str], **environment: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        process.wait(60)

    def settle(self) -> None:
        """Wait until both nodes reach the index; one that gave up while both prepared it is started again."""

        def settled() -> bool:
            for name in NODES:
                if self.running[name].poll() is not None:
                    self.start(name)
            return all(self.serves(name) for name in NODES)

        eventually(settled, self.logs, within_s=180)

    def serves(self, name: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http[name]}/system", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def logs(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in sorted(self.folder.glob("*.log"))
        )

    def devices(self, port: int, devices: int = 2) -> Modalities:
        return Modalities("127.0.0.1", port, devices=devices, per_second=2.0 * devices)

    def has_all_of(self, *senders: Modalities) -> None:
        """See that no image failed, and that both nodes have each one once, as it was sent."""
        for one in senders:
            print(one)
            assert one.failed == []
        self.has_what_it_promised(*senders)

    def has_what_it_promised(self, *senders: Modalities) -> None:
        """See that both nodes have each image that was acknowledged, and none twice."""
        acknowledged = {uid: what for one in senders for uid, what in one.acknowledged.items()}
        assert acknowledged
        for name in NODES:
            rows = instances(f"http://127.0.0.1:{self.http[name]}")
            assert account(acknowledged, rows) == LOST_NOTHING, name

    def users(self, name: str, limit_s: float) -> ModuleType:
        """The command ``pacs-users`` of a node, which asks this load balancer."""
        loader = importlib.machinery.SourceFileLoader(f"users_of_{name}", str(NODE / "pacs-users"))
        spec = importlib.util.spec_from_loader(loader.name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        module.BALANCERS, module.NUMBERS = ("lb1",), f"http://127.0.0.1:{self.numbers}/;csv"
        module.MARK, module.LIMIT_S = Path(self.mark(name)), limit_s
        return module


@pytest.fixture(scope="module")
def built() -> Iterator[Archive]:
    # Not among pytest's folders: each pytest that starts keeps those to root again.
    with tempfile.TemporaryDirectory(prefix="pacs") as name:
        folder = Path(name)
        shutil.chown(folder, USER)
        pair = Pair(folder)
        archive = Archive(folder, pair)
        try:
            pair.start()
            for node in NODES:
                archive.start(node)
            archive.start_balancer()
            archive.settle()
            yield archive
        finally:
            for running in list(archive.running):
                archive.stop(running)
            pair.end()


@pytest.fixture
def archive(built) -> Archive:
    built.settle()
    users = built.users("pacs1", 30)
    eventually(lambda: all(users.serves(users.seen_by("lb1"), name) for name in NODES), built.logs)
    return built


@pytest.fixture
def say(archive, monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Say ``leave`` or ``return`` on a node; its exit status and what it complains about."""

    def run(name: str, what: str, limit_s: float = 30) -> tuple[int, str]:
        users = archive.users(name, limit_s)
        monkeypatch.setattr(socket, "gethostname", lambda: name)
        monkeypatch.setattr("sys.argv", ["pacs-users", what])
        capsys.readouterr()
        status = users.main()
        return status, capsys.readouterr().err

    return run


def test_both_nodes_have_what_either_was_given(archive):
    senders = [archive.devices(archive.dicom[name]) for name in NODES]
    with senders[0], senders[1]:
        for one in senders:
            one.goes_on(8)
    archive.has_all_of(*senders)


def test_a_node_is_stopped_and_started_while_devices_store_and_no_image_fails(archive, say):
    with archive.devices(archive.door) as devices:
        devices.goes_on(4)
        for name in NODES:
            assert say(name, "leave") == (0, "")
            archive.stop(name)
            devices.goes_on(8)
            archive.start(name)
            assert say(name, "return", 60) == (0, "")
            assert say(name, "return") == (0, ""), "it may be said again"
        devices.goes_on(4)
    archive.has_all_of(devices)
    assert {kind: tally.reconnected for kind, tally in devices.caller.tallies.items()} == {"echo": 0, "store": 0}


def test_the_databases_change_places_and_no_image_fails(archive):
    with archive.devices(archive.door, devices=3) as devices:
        devices.goes_on(8)
        archive.pair.change_places(away_s=6)
        devices.goes_on(8)
    archive.has_all_of(devices)
    assert archive.pair.ask("db2", "SELECT pg_is_in_recovery()") == "f"


def test_images_sent_again_while_no_database_writes_are_there_once(archive, monkeypatch):
    """Devices that do not wait as long as they should: both of their attempts wait in nodes when a database is back."""
    monkeypatch.setattr(imaging, "ANSWER_S", 3.0)
    with archive.devices(archive.door, devices=4) as devices:
        devices.goes_on(8)
        archive.pair.pg_ctl(archive.pair.writes, "stop")
        time.sleep(imaging.ANSWER_S + RECONNECT_S + 1.5)
        archive.pair.pg_ctl(archive.pair.writes, "start")
        devices.goes_on(8)
    print(devices)
    assert devices.caller.tallies["store"].reconnected or devices.failed
    archive.has_what_it_promised(devices)


def test_the_last_node_does_not_leave(archive, say):
    assert say("pacs1", "leave") == (0, "")
    status, complaint = say("pacs2", "leave", limit_s=1)
    assert (status, complaint.partition(":")[0]) == (1, "no other node serves everywhere, nobody was moved")
    assert "pacs of pacs1 DOWN" in complaint
    assert not Path(archive.mark("pacs2")).exists()
    assert say("pacs1", "return") == (0, "")


def test_a_node_whose_device_stays_serves_as_before(archive, say):
    users = archive.users("pacs1", 30)
    with ExitStack() as held:
        # Round they go: one of them is at pacs1.
        for _ in NODES:
            held.enter_context(archive.devices(archive.door).association())
        assert all(users.seen_by("lb1")["pacs", name][1] == 1 for name in NODES)
        status, complaint = say("pacs1", "leave", limit_s=2)
        assert status == 1
        assert complaint.startswith(
            "users are still sent here after 2 s, it serves as before: lb1 says pacs of pacs1 DOWN, 1"
        )
        assert not Path(archive.mark("pacs1")).exists()
    eventually(lambda: users.back(users.seen_by("lb1")), archive.logs)


def test_a_node_that_leaves_answers_its_own_probes(archive, say):
    assert say("pacs1", "leave") == (0, "")
    assert archive.serves("pacs1")
    assert say("pacs1", "return") == (0, "")


def test_nobody_is_sent_to_a_node_that_does_not_reach_its_index(archive, say):
    """Not by itself: but nobody says that it is back, and nobody leaves for it."""
    writes = archive.pair.writes
    archive.pair.pg_ctl(writes, "stop")
    try:
        users = archive.users("pacs1", 30)
        eventually(lambda: users.seen_by("lb1")[users.INDEX, "pacs2"][0] == "DOWN", archive.logs)
        status, complaint = say("pacs1", "return", limit_s=1)
        assert (status, "pacs_index of pacs1 DOWN" in complaint) == (1, True), complaint
        status, complaint = say("pacs1", "leave", limit_s=1)
        assert (status, complaint.partition(":")[0]) == (1, "no other node serves everywhere, nobody was moved")
        # The nodes themselves still take associations: what comes waits for the database.
        assert all(users.seen_by("lb1")[users.DICOM, name][0] == "UP" for name in NODES)
    finally:
        archive.pair.pg_ctl(writes, "start")
    assert say("pacs1", "return", 60) == (0, "")


def test_pacs_users_says_how_it_is_used(say, capsys):
    assert say("pacs1", "go")[0] == 2
