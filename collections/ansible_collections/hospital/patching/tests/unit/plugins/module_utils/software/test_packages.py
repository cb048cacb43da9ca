# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of packages: dpkg's, rpm's, both; equal to what the tools themselves print."""

import os
import shutil
import subprocess
import time

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result, Runner
from ansible_collections.hospital.patching.plugins.module_utils.software import dpkg_packages, packages
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import PartialError

RECORDED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recorded")
KEYS = [
    "manager",
    "name",
    "arch",
    "version",
    "epoch",
    "source",
    "source_version",
    "origin",
    "installed_bytes",
    "installed_at",
    "automatic",
    "held",
    "held_by",
    "status",
]


def recorded(name):
    with open(os.path.join(RECORDED, name), "rb") as handle:
        return handle.read().decode("utf-8", "replace")


class Rpm:
    """A runner whose rpm answers with a recording, or fails."""

    def __init__(self, answer):
        self.answer = answer

    def run(self, args, **_others):
        assert args[:2] == ["rpm", "-qa"]
        if isinstance(self.answer, Exception):
            raise self.answer
        return Result(args, 0 if self.answer else 1, self.answer, "")


@pytest.fixture
def host(tmp_path):
    def make(dpkg=None, rpm=None):
        if dpkg is not None:
            (tmp_path / "var/lib/dpkg/info").mkdir(parents=True)
            (tmp_path / "var/lib/dpkg/status").write_bytes(dpkg if isinstance(dpkg, bytes) else dpkg.encode("utf-8"))
        if rpm is not None:
            (tmp_path / "var/lib/rpm").mkdir(parents=True)
            (tmp_path / "var/lib/rpm/rpmdb.sqlite").write_text("")
        return Host(Rpm(rpm), Clock(), str(tmp_path), "")

    return make


RPM = recorded("rpm_qa_query_format.bin")
DPKG = recorded("dpkg_status_removed.txt")


def collected(machine):
    """Return the list, and what is missing of it in words."""
    try:
        return packages.collect(machine), ""
    except PartialError as error:
        return error.part, str(error)


def test_entries_of_dpkg(host):
    machine = host(DPKG + "Package: ghost\nStatus: purge ok not-installed\nArchitecture: amd64\n\n")
    info = os.path.join(machine.root, "var/lib/dpkg/info/kept.list")
    with open(info, "w", encoding="utf-8"):
        os.utime(info, (0, 1795641010))
    kept, removed = packages.collect(machine)
    assert list(kept) == KEYS
    assert kept == {
        "manager": "dpkg",
        "name": "kept",
        "arch": "all",
        "version": "1:2.0-1",
        "epoch": 1,
        "source": "src",
        "source_version": "1.9",
        "origin": None,
        "installed_bytes": 5120,
        "installed_at": "2026-11-25T21:10:10Z",
        "automatic": False,
        "held": True,
        "held_by": "dpkg hold",
        "status": "installed",
    }
    assert (removed["status"], removed["installed_at"], removed["installed_bytes"]) == ("config-files", None, 0)


def test_entries_of_rpm(host):
    machine = host(rpm=RPM)
    listed, problem = collected(machine)
    assert problem == ""
    assert [list(entry) for entry in listed] == [KEYS] * 8
    lines = ["{name}-{version}".format(**entry) + "." * bool(entry["arch"]) + (entry["arch"] or "") for entry in listed]
    assert sorted(lines) == sorted(
        line.replace("libviewer-0.9", "libviewer-2:0.9") for line in recorded("rpm_qa.txt").splitlines()
    )
    assert [entry["version"] for entry in listed if entry["name"] == "kernel"] == ["6.1-1.el9", "6.2-1.el9"]
    viewer = listed[-2]
    assert viewer == {
        "manager": "rpm",
        "name": "viewer",
        "arch": "noarch",
        "version": "1.3-1.el9",
        "epoch": 0,
        "source": "viewer",
        "source_version": "1.3-1.el9",
        "origin": "vendor:Hospital Ltd",
        "installed_bytes": 4,
        "installed_at": "2026-11-25T21:10:49Z",
        "automatic": None,
        "held": False,
        "held_by": None,
        "status": "installed",
    }


def write_dnf_history(machine):
    sqlite3 = pytest.importorskip("sqlite3")
    os.makedirs(os.path.join(machine.root, "var/lib/dnf"))
    path = os.path.join(machine.root, "var/lib/dnf/history.sqlite")
    connection = sqlite3.connect(path)
    connection.executescript(recorded("dnf_history.sql"))
    connection.close()
    return path


def test_what_dnf_remembers(host):
    machine = host(rpm=RPM)
    path = write_dnf_history(machine)
    found = {entry["name"]: (entry["origin"], entry["automatic"]) for entry in packages.collect(machine)}
    assert found["libviewer"] == ("hospital-base", True)
    assert found["viewer"] == ("hospital-base", False)
    assert found["tool"] == ("vendor:Other GmbH", False)
    assert found["gpg-pubkey"] == (None, False)
    with open(path, "wb") as handle:
        handle.write(b"rubbish")
    listed, problem = collected(machine)
    assert len(listed) == 8
    assert {entry["automatic"] for entry in listed} == {None}
    assert "history.sqlite" in problem


def test_what_dnf_5_remembers(host):
    machine = host(rpm=RPM)
    write_dnf_history(machine)  # of the years before: it says that libviewer is automatic
    state = os.path.join(machine.root, "usr/lib/sysimage/libdnf5")
    os.makedirs(state)
    os.makedirs(os.path.join(machine.root, "etc/dnf"))
    for path, text in (
        (state + "/packages.toml", '[packages]\n"viewer.noarch" = {reason = "Dependency"}\n'),
        (state + "/nevras.toml", '[nevras]\n"viewer-1.3-1.el9.noarch" = {from_repo = "fedora"}\n'),
        (machine.root + "/etc/dnf/versionlock.toml", '[[packages]]\nname = "libview*"\n'),
    ):
        with open(path, "w", encoding="utf-8") as handle:
            handle.write('version = "1.0"\n\n' + text)
    found = {entry["name"]: entry for entry in packages.collect(machine)}
    assert (found["viewer"]["origin"], found["viewer"]["automatic"]) == ("fedora", True)
    assert (found["libviewer"]["origin"], found["libviewer"]["automatic"]) == ("hospital-base", False)
    assert {name: entry["held_by"] for name, entry in found.items() if entry["held"]} == {
        "libviewer": "dnf versionlock"
    }
    with open(state + "/packages.toml", "w", encoding="utf-8") as handle:
        handle.write("rubbish")
    listed, problem = collected(machine)
    assert {entry["automatic"] for entry in listed} == {None}
    assert "packages.toml" in problem


def write_zypp_files(machine):
    for name, path in (
        ("zypp_history.txt", "var/log/zypp/history"),
        ("zypp_auto_installed.txt", "var/lib/zypp/AutoInstalled"),
        ("zypp_locks.txt", "etc/zypp/locks"),
    ):
        os.makedirs(os.path.dirname(os.path.join(machine.root, path)))
        shutil.copy(os.path.join(RECORDED, name), os.path.join(machine.root, path))


def test_what_zypper_remembers(host):
    machine = host(rpm=RPM)
    write_zypp_files(machine)
    found = {entry["name"]: entry for entry in packages.collect(machine)}
    library = found["libviewer"]
    assert (library["origin"], library["automatic"], library["held_by"]) == ("hospital-z", True, "zypper lock")
    assert (found["viewer"]["origin"], found["viewer"]["automatic"]) == ("vendor:Hospital Ltd", False)


def test_a_lock_that_cannot_be_read_is_a_problem(host):
    machine = host(rpm=RPM)
    write_zypp_files(machine)
    with open(os.path.join(machine.root, "etc/zypp/locks"), "a", encoding="utf-8") as handle:
        handle.write("\ntype: package\nmatch_type: regex\nsolvable_name: (\n")
    with pytest.raises(PartialError, match="/etc/zypp/locks") as caught:
        packages.collect(machine)
    assert {entry["name"]: entry["held_by"] for entry in caught.value.part}["libviewer"] == "zypper lock"


def test_where_dnf_and_zypper_work_dnf_is_asked_first(host):
    machine = host(rpm=RPM)
    write_dnf_history(machine)
    write_zypp_files(machine)
    with open(os.path.join(machine.root, "var/lib/zypp/AutoInstalled"), "a", encoding="utf-8") as handle:
        handle.write("viewer\ntool\n")
    found = {entry["name"]: (entry["origin"], entry["automatic"]) for entry in packages.collect(machine)}
    assert found["viewer"] == ("hospital-base", False), "dnf installed this version"
    assert found["weak"] == ("hospital-z", False), "dnf removed it, and zypper brought it"
    assert found["tool"] == ("vendor:Other GmbH", True), "dnf never saw it"


def test_both_managers(host):
    listed, problem = collected(host(DPKG, RPM))
    assert problem == ""
    assert [entry["manager"] for entry in listed] == ["dpkg"] * 2 + ["rpm"] * 8


@pytest.mark.parametrize("answer", ["", PatchingError("rpm -qa", "no end after 60 s", "an end", "look")])
def test_one_manager_that_fails_leaves_the_other(host, answer):
    listed, problem = collected(host(DPKG, answer))
    assert [entry["manager"] for entry in listed] == ["dpkg"] * 2
    assert "rpm" in problem


def test_when_all_managers_fail_there_is_no_list(host):
    with pytest.raises(PatchingError, match="rpm"):
        packages.collect(host(None, ""))


def test_a_list_of_apt_that_cannot_be_read_is_told(host):
    machine = host(DPKG)
    os.makedirs(os.path.join(machine.root, "var/lib/apt/lists"))
    with open(os.path.join(machine.root, "var/lib/apt/lists/x_Packages.gz"), "wb") as handle:
        handle.write(b"rubbish")
    listed, problem = collected(machine)
    assert len(listed) == 2
    assert "x_Packages.gz" in problem


def test_a_name_in_a_broken_encoding(host):
    status = b"Package: \xff\xfe\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
    listed, problem = collected(host(DPKG.encode("utf-8") + status))
    assert [entry["name"] for entry in listed] == ["kept", "removed", "\ufffd\ufffd"]
    assert problem == ""


def test_ten_thousand_packages(host):
    one = (
        "Package: p{0}\nStatus: install ok installed\nVersion: {0}\nArchitecture: all\nDescription: x\n"
        + " text\n" * 30
    )
    records = "\x1e".join(RPM.split("\x1e")[1].replace("kernel", "k{}".format(number)) for number in range(10000))
    machine = host("\n".join(one.format(number) for number in range(10000)), records + "\x1e")
    os.makedirs(os.path.join(machine.root, "etc/dnf/plugins"))
    with open(os.path.join(machine.root, "etc/dnf/plugins/versionlock.list"), "w", encoding="utf-8") as handle:
        handle.write("".join("other{}-0:1-1.*\n".format(number) for number in range(100)))
    started = time.process_time()
    listed, problem = collected(machine)
    assert time.process_time() - started < 3
    assert (len(listed), problem) == (20000, "")


@pytest.mark.parametrize(
    ("version", "epoch"), [("1:2", 1), ("2", 0), ("a:2", 0), (":2", 0), ("\u0661:2", 0), ("9" * 5000 + ":1", 0)]
)
def test_epochs(version, epoch):
    assert dpkg_packages.epoch(version) == epoch


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="this machine has no dpkg")
def test_the_list_is_that_of_dpkg_query_line_by_line():
    def ask():
        form = "${Package}\t${Architecture}\t${Version}\t${db:Status-Status}\t${source:Package}\t${source:Version}\n"
        text = subprocess.check_output(["dpkg-query", "-W", "-f", form], env=dict(os.environ, LC_ALL="C"))
        return text.decode("utf-8", "replace").splitlines()

    for _attempt in range(3):  # another program may install something meanwhile
        before = ask()
        listed = packages.collect(Host(Runner(), Clock(), "/", ""))
        if before == ask():
            break
    form = "{name}\t{arch}\t{version}\t{status}\t{source}\t{source_version}"
    assert [form.format(**entry) for entry in listed if entry["manager"] == "dpkg"] == before
    assert before


@pytest.mark.skipif(not shutil.which("rpm"), reason="this machine has no rpm")
def test_the_list_is_that_of_rpm_line_by_line(host):
    machine = host()
    directory = os.path.join(machine.root, "var/lib/rpm")
    os.makedirs(directory)
    rpm = ["rpm", "--dbpath", directory]
    subprocess.check_call(rpm + ["--initdb"])
    subprocess.check_call(rpm + ["--import", os.path.join(RECORDED, "rpm_public_key.txt")])
    form = "%{NAME} %{VERSION}-%{RELEASE}\n"
    lines = subprocess.check_output(rpm + ["-qa", "--queryformat", form]).decode("utf-8").splitlines()
    assert len(lines) == 1
    machine = machine._replace(runner=Runner())
    listed, problem = collected(machine)
    assert problem == ""
    assert ["{name} {version}".format(**entry) for entry in listed] == lines
    (name,) = [name for name in ("rpmdb.sqlite", "Packages.db", "Packages") if os.path.exists(directory + "/" + name)]
    for file in os.listdir(directory):
        with open(os.path.join(directory, file), "wb") as handle:
            handle.write(b"rubbish" * 1000 if file == name else b"")
    with pytest.raises(PatchingError, match="rpm -qa ended with 1"):
        packages.collect(machine)
