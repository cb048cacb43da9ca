# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening ports, fed with the kernel's tables of a Debian 12 host and with sockets of this very process."""

import os
import socket

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.listening_sockets import Socket
from ansible_collections.hospital.patching.plugins.module_utils.software.listening_ports import (
    collect,
    parse_table,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import PartialError

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
TCP = HEAD + (
    "   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 640 1 0 100 0 0 10 0\n"
    "   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 641 1 0 100 0 0 10 0\n"
    "   2: 010A4D0A:EAD4 0A0A4D0A:0016 01 00000000:00000000 02:000AB005 00000000     0        0 3754024 2 0 21 4 27\n"
)
TCP6 = HEAD + (
    "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 "
    "00:00000000 00000000     0        0 642 1 0 100 0 0 10 0\n"
    "   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 "
    "00:00000000 00000000     0        0 643 1 0 100 0 0 10 0\n"
)
UDP = HEAD + (
    "  181: 00000000:00A1 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 650 2 0 0\n"
    "  182: 0100007F:D431 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 651 2 0 0\n"
    "  183: 0100007F:D432 0200007F:0035 07 00000000:00000000 00:00000000 00000000     0        0 652 2 0 0\n"
)


def test_tables():
    assert parse_table(TCP, "tcp", "0A") == [
        Socket("tcp", "0.0.0.0", 2024, "640"),
        Socket("tcp", "127.0.0.1", 5432, "641"),
    ]
    assert [(entry.address, entry.port) for entry in parse_table(TCP6, "tcp", "0A")] == [("::", 22), ("::1", 8080)]
    assert parse_table(UDP, "udp", "07") == [Socket("udp", "0.0.0.0", 161, "650")]


@pytest.mark.parametrize(
    "text", ["", "x\n", HEAD + "0: 00 00 0A\n", HEAD + "0: zz:zz 00:0 0A 0 0 0 0 0 0 0\n", TCP[:-70]]
)
def test_cut_tables_are_no_traceback(text):
    assert len(parse_table(text, "tcp", "0A")) <= 2


def process(host, pid, inodes, exe="/usr/sbin/x", unit="x.service", namespace="pid:[1]"):
    directory = os.path.join(host.root, "proc", str(pid))
    os.makedirs(os.path.join(directory, "fd"))
    os.makedirs(os.path.join(directory, "ns"))
    for number, inode in enumerate(inodes, 3):
        os.symlink("socket:[{}]".format(inode), os.path.join(directory, "fd", str(number)))
    os.symlink("/dev/null", os.path.join(directory, "fd/0"))
    os.symlink(exe, os.path.join(directory, "exe"))
    os.symlink(namespace, os.path.join(directory, "ns/pid"))
    with open(os.path.join(directory, "stat"), "w") as handle:
        handle.write("{} (x) S 1 {}\n".format(pid, " ".join(["0"] * 18)))
    for name, text in (("comm", exe.split("/")[-1].split(" ")[0]), ("cgroup", "0::/system.slice/" + unit)):
        with open(os.path.join(directory, name), "w") as handle:
            handle.write(text + "\n")


@pytest.fixture
def host(tmp_path):
    (tmp_path / "proc/net").mkdir(parents=True)
    for name, text in (("tcp", TCP), ("tcp6", TCP6), ("udp", UDP)):
        (tmp_path / "proc/net" / name).write_text(text)
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "openssh-server.list").write_text("/usr/sbin/sshd\n")
    (info / "postgresql-15.list").write_text("/usr/lib/postgresql/15/bin/postgres\n")
    host = Host(None, Clock(), str(tmp_path), "")
    process(host, 1, [], exe="/usr/lib/systemd/systemd", unit="init.scope")
    os.symlink("1", os.path.join(host.root, "proc/self"))
    return host


def test_process_unit_and_package(host):
    process(host, 700, [642], exe="/usr/sbin/sshd", unit="ssh.service")
    process(host, 800, [641], exe="/usr/lib/postgresql/15/bin/postgres (deleted)", unit="postgresql@15-main.service")
    process(host, 90, [650], exe="/usr/sbin/nginx", unit="docker-abc.scope", namespace="pid:[2]")
    rows = {(row["protocol"], row["port"]): row for row in collect(host)}
    assert sorted(rows) == [("tcp", 22), ("tcp", 2024), ("tcp", 5432), ("tcp", 8080), ("udp", 161)]
    assert rows["tcp", 22] == {
        "protocol": "tcp",
        "address": "::",
        "port": 22,
        "pid": 700,
        "process": "sshd",
        "unit": "ssh.service",
        "package": "openssh-server",
    }
    assert (rows["tcp", 5432]["package"], rows["tcp", 5432]["unit"]) == ("postgresql-15", "postgresql@15-main.service")
    # A program in a container is not the host's file of that name.
    assert (rows["udp", 161]["process"], rows["udp", 161]["package"]) == ("nginx", None)
    assert (rows["tcp", 2024]["pid"], rows["tcp", 2024]["unit"]) == (None, None)


def test_of_a_server_and_its_workers_the_server_is_named(host):
    process(host, 1200, [642], exe="/usr/sbin/sshd")
    process(host, 300, [642, 642], exe="/usr/sbin/sshd")
    process(host, 99, [], exe="/usr/sbin/other")
    assert [row["pid"] for row in collect(host) if row["port"] == 22] == [300]


def test_without_ipv6_and_without_proc(host):
    os.unlink(os.path.join(host.root, "proc/net/tcp6"))
    assert [row["port"] for row in collect(host)] == [2024, 5432, 161]
    os.unlink(os.path.join(host.root, "proc/net/tcp"))
    with pytest.raises(FileNotFoundError):
        collect(host)


def test_a_process_that_ends_meanwhile(host):
    os.makedirs(os.path.join(host.root, "proc/31"))
    process(host, 32, [642])
    os.unlink(os.path.join(host.root, "proc/32/comm"))
    os.unlink(os.path.join(host.root, "proc/32/exe"))
    (row,) = [row for row in collect(host) if row["port"] == 22]
    assert (row["pid"], row["process"], row["package"]) == (32, None, None)


class NoOwners:
    def of(self, paths):
        return dict.fromkeys(paths)


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="needs Linux's /proc")
def test_this_very_process_is_found():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        try:
            rows = collect(Host(None, Clock(), "/", ""), NoOwners())
        except PartialError as partial:  # where the tests' own root may not look at all processes
            rows = partial.part
    (row,) = [row for row in rows if row["port"] == port]
    assert (row["protocol"], row["address"], row["pid"]) == ("tcp", "127.0.0.1", os.getpid())


def test_a_socket_of_a_process_that_may_not_be_looked_at_is_told(host, monkeypatch):
    process(host, 700, [642], exe="/usr/sbin/sshd", unit="ssh.service")
    process(host, 800, [641], exe="/usr/lib/postgresql/15/bin/postgres", unit="postgresql@15-main.service")
    link, directories = os.readlink, os.listdir

    def denied(function):
        def call(path):
            if "/800/" in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path)

        return call

    monkeypatch.setattr(os, "readlink", denied(link))
    monkeypatch.setattr(os, "listdir", denied(directories))
    with pytest.raises(PartialError) as told:
        collect(host)
    rows = {row["port"]: row["process"] for row in told.value.part}
    assert (rows[22], rows[5432]) == ("sshd", None)
    assert "who listens on tcp 0.0.0.0 port 2024, tcp 127.0.0.1 port 5432" in str(told.value)
    assert "postgres (800) runs since" in str(told.value)
