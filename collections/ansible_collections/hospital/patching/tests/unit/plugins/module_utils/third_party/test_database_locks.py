# SPDX-License-Identifier: GPL-3.0-or-later
"""Package files of third-party software wait for whoever holds the database that they change."""

import os
import subprocess
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

#: As apt, dpkg and rpm lock: by fcntl, for as long as the process lives.
HOLD = """
import fcntl, sys
handle = open(sys.argv[1], "w")
fcntl.lockf(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
#: As rpm says it, to standard output.
ABSENT = "package viewer is not installed\n"
DPKG_STATUS = "Package: viewer\nStatus: install ok installed\nArchitecture: all\nVersion: 1-1\n\n"


class Tools:
    """rpm and dpkg with one package, which goes when they are told to remove it."""

    def __init__(self, root):
        self.status = root / "var/lib/dpkg/status"
        self.status.parent.mkdir(parents=True)
        self.status.write_text(DPKG_STATUS)
        self.there = True

    def run(self, args, **_options):
        if args[:2] == ["rpm", "-q"]:
            return Result(args, 0 if self.there else 1, "0:1-1\n" if self.there else ABSENT, "")
        if args[:2] in (["rpm", "-e"], ["dpkg", "--remove"]) and "--test" not in args:
            self.there = False
            self.status.write_text("")
        return Result(args, 0, "", "")


@pytest.fixture
def tools(host, tmp_path):
    (tmp_path / "root/usr/sbin").mkdir(parents=True)
    return Tools(tmp_path / "root")


@pytest.fixture
def remove(night, host, tools):
    """Install a transaction that removes one package of a type."""
    night.packages.host = host._replace(runner=tools)

    def install(kind, check=False, prepare=lambda todo: todo):
        software = {"name": "viewer", "type": kind, "absent": True}
        entry = {"name": "viewer", "arch": "any", "from": "1-1", "to": None, "sha256": None, "size_bytes": 0}
        entry.update(origin=None, automatic=False, installer=kind, software=software, order=1)
        todo = prepare(transaction.build("h1", "apt", None, [entry]))
        return night.joined().install(InstallRequest("R1", todo, 0, 60, check))

    return install


@pytest.fixture
def hold(host):
    """Lock a file below the root from another process, whose id is returned."""
    others = []

    def locked(name):
        path = os.path.join(host.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        words = [sys.executable, "-c", HOLD, path]
        other = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        others.append(other)
        assert other.stdout.readline() == "held\n"
        return other.pid

    yield locked
    for other in others:
        other.communicate()


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("kind", "lock"),
    [
        ("rpm", "var/lib/rpm/.rpm.lock"),
        ("rpm", "usr/lib/sysimage/rpm/.rpm.lock"),
        ("deb", "var/lib/dpkg/lock-frontend"),
    ],
)
def test_a_held_database_is_refused_and_its_holder_named(remove, tools, hold, kind, lock, check):
    pid = hold(lock)
    with pytest.raises(PatchingError) as refused:
        remove(kind, check)
    assert str(refused.value).startswith("/{}: held by process {} (".format(lock, pid))
    assert "for longer than 0 s; expected a free package database" in str(refused.value)
    assert tools.there


@pytest.mark.parametrize(("kind", "lock"), [("rpm", "var/lib/rpm/.rpm.lock"), ("deb", "var/lib/dpkg/lock-frontend")])
def test_one_that_is_taken_while_the_packages_change_is_waited_for_too(
    night, remove, tools, hold, kind, lock, monkeypatch
):
    install = night.packages.install
    monkeypatch.setattr(night.packages, "install", lambda request: hold(lock) and install(request))
    with pytest.raises(PatchingError, match="/{}: held by process".format(lock)):
        remove(kind, prepare=night.with_a_package)
    assert tools.there
    assert [asked for asked, _what in night.packages.asked] == ["install"]


def test_a_dnf_that_is_at_work_is_refused_and_named(remove, tools, host):
    os.makedirs(os.path.join(host.root, "var/lib/dnf"))
    with open(os.path.join(host.root, "var/lib/dnf/rpmdb_lock.pid"), "w", encoding="ascii") as handle:
        handle.write(str(os.getppid()))
    with pytest.raises(PatchingError, match="/var/lib/dnf/rpmdb_lock.pid: held by process {} ".format(os.getppid())):
        remove("rpm")
    assert tools.there


def test_a_zypper_that_is_at_work_is_refused_and_named(remove, tools, host):
    # A program that calls itself zypper, and says when it has been started as a whole.
    other = subprocess.Popen(
        ["zypper", "-c", "print('here', flush=True); input()"],
        executable=sys.executable,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )
    try:
        assert other.stdout.readline() == "here\n"
        os.makedirs(os.path.join(host.root, "run"))
        with open(os.path.join(host.root, "run/zypp.pid"), "w", encoding="ascii") as handle:
            handle.write("{}\n".format(other.pid))
        with pytest.raises(PatchingError, match=r"^/run/zypp.pid: held by process {} \(zypper -c".format(other.pid)):
            remove("rpm")
    finally:
        other.communicate("\n")
    assert tools.there
    assert remove("rpm")["changed"] is True


@pytest.mark.parametrize(("kind", "lock"), [("deb", "var/lib/rpm/.rpm.lock"), ("rpm", "var/lib/dpkg/lock-frontend")])
def test_the_other_tools_database_is_not_waited_for(remove, tools, hold, kind, lock):
    hold(lock)
    assert remove(kind)["installed"][0]["name"] == "viewer"
    assert not tools.there
