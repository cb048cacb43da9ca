# SPDX-License-Identifier: GPL-3.0-or-later
"""Owners of files by dpkg's lists, and by what rpm 4.18 printed for two packages with a common file."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.software.owners import Owners, spellings

RPM_QF = """\
=viewer-1.0-3.noarch
file /usr/bin/ls is not owned by any package
=viewer-data-1.0-3.noarch
=viewer-1.0-3.noarch
=viewer-1.0-3.noarch
"""
RPM_Q = "=viewer\t/usr/bin/viewer\n=viewer\t/usr/share/viewer/shared\n=viewer-data\t/usr/share/viewer/shared\n"


class Rpm:
    def __init__(self):
        self.calls = []

    def run(self, args, timeout_s=0, check=True):
        assert args[0] == "rpm"
        assert timeout_s
        self.calls.append(args)
        return Result(args, 1 if args[1] == "-qf" else 0, RPM_QF if args[1] == "-qf" else RPM_Q, "")


@pytest.fixture
def host(tmp_path):
    return Host(Rpm(), Clock(), str(tmp_path), "")


def put(host, path, text="", mode=0o644):
    full = os.path.join(host.root, path.lstrip("/"))
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as handle:
        handle.write(text.encode("utf-8", "surrogateescape"))
    os.chmod(full, mode)


@pytest.fixture
def debian(host):
    put(host, "/var/lib/dpkg/info/coreutils.list", "/.\n/bin\n/bin/ls\n/usr/bin/env\n")
    put(host, "/var/lib/dpkg/info/libssl3:amd64.list", "/usr/lib/x86_64-linux-gnu/libssl.so.3\n")
    put(host, "/var/lib/dpkg/info/coreutils.md5sums", "x  /usr/bin/none\n")
    put(host, "/var/lib/dpkg/info/odd.list", "/opt/na\udcefve\n/usr/bin/no-newline")
    return host


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("/bin/ls", "coreutils"),
        ("/usr/bin/ls", "coreutils"),
        ("/usr/bin/env", "coreutils"),
        ("/bin/env", "coreutils"),
        ("/usr/lib/x86_64-linux-gnu/libssl.so.3", "libssl3"),
        ("/usr/bin/no-newline", "odd"),
        ("/opt/na\udcefve", "odd"),
        ("/usr/bin/none", None),
        ("/usr/bin/l", None),
        ("relative", None),
        ("/bin/ls\n/usr/bin/env", None),
        ("", None),
    ],
)
def test_owners_by_dpkg(debian, path, package):
    assert Owners(debian).of([path]) == {path: package}


def test_a_path_is_looked_up_once(debian):
    owners = Owners(debian)
    assert owners.of(["/bin/ls", "/nothing"]) == {"/bin/ls": "coreutils", "/nothing": None}
    os.unlink(os.path.join(debian.root, "var/lib/dpkg/info/coreutils.list"))
    assert owners.of(["/bin/ls", "/usr/bin/env"]) == {"/bin/ls": "coreutils", "/usr/bin/env": None}


def test_a_diverted_file_belongs_to_who_diverts_it(debian):
    put(debian, "/var/lib/dpkg/info/dash.list", "/bin/sh\n")
    put(debian, "/var/lib/dpkg/info/bash.list", "/bin/sh\n")
    put(debian, "/var/lib/dpkg/diversions", "/bin/sh\n/bin/sh.distrib\ndash\n/bin/ls\n/bin/ls.x\n:\n/cut\n")
    assert Owners(debian).of(["/bin/sh", "/bin/ls"]) == {"/bin/sh": "dash", "/bin/ls": "coreutils"}


@pytest.fixture
def el(host):
    put(host, "/usr/bin/rpm", mode=0o755)
    put(host, "/var/lib/rpm/rpmdb.sqlite")
    for path in ("/usr/bin/viewer", "/usr/bin/ls", "/usr/share/viewer/shared"):
        put(host, path)
    return host


def test_owners_by_rpm_in_two_calls(el):
    paths = ["/usr/bin/viewer", "/bin/viewer", "/usr/bin/ls", "/usr/share/viewer/shared", "/usr/bin/absent"]
    assert Owners(el).of(paths) == {
        "/usr/bin/viewer": "viewer",
        "/bin/viewer": "viewer",
        "/usr/bin/ls": None,
        "/usr/share/viewer/shared": "viewer-data",
        "/usr/bin/absent": None,
    }
    first, second = el.runner.calls
    assert first[-3:] == ["/usr/bin/ls", "/usr/bin/viewer", "/usr/share/viewer/shared"]
    assert second[-2:] == ["viewer-1.0-3.noarch", "viewer-data-1.0-3.noarch"]


def test_rpm_is_not_asked_where_it_has_no_database(el):
    os.unlink(os.path.join(el.root, "var/lib/rpm/rpmdb.sqlite"))
    assert Owners(el).of(["/usr/bin/viewer"]) == {"/usr/bin/viewer": None}
    assert el.runner.calls == []


def test_names_of_a_merged_usr():
    assert spellings("/lib/systemd/x") == ["/lib/systemd/x", "/usr/lib/systemd/x"]
    assert spellings("/usr/sbin/x") == ["/usr/sbin/x", "/sbin/x"]
    assert spellings("/usr/share/x") == ["/usr/share/x"]
    assert spellings("/opt/bin/x") == ["/opt/bin/x"]
