# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that run replaced files, fed with files of a Debian 12 host in a container."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.hidden_processes import Hidden
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import (
    ProcessTable,
    as_facts,
    parse_cgroup,
    parse_maps,
)

RECORDED = os.path.join(os.path.dirname(__file__), "recorded")


def recorded(name):
    with open(os.path.join(RECORDED, name), encoding="utf-8") as handle:
        return handle.read()


def test_deleted_libraries_are_found():
    assert parse_maps(recorded("proc_maps.txt")) == ["/usr/lib/x86_64-linux-gnu/liblzma.so.5.4.1"]


@pytest.mark.parametrize(
    "line",
    [
        "7f0 r-xs 00000000 00:05 1 /dev/zero (deleted)",
        "7f0 r-xp 00000000 00:05 1 /memfd:doublemapper (deleted)",
        "7f0 r-xp 00000000 00:05 1 /tmp/jna-1/jna2.tmp (deleted)",
        "7f0 rw-s 00000000 00:05 1 /SYSV00000000 (deleted)",
        "7f0 r--p 00000000 00:05 1 /usr/lib/locale/locale-archive (deleted)",
        "7f0 r-xp 00000000 00:05 1 /usr/lib/libx.so.1",
        "",
    ],
)
def test_what_is_deleted_in_normal_operation_is_not(line):
    assert parse_maps(line) == []


def test_names_with_blanks():
    assert parse_maps("7f0 r-xp 00000000 00:05 1 /opt/A B/lib.so (deleted)") == ["/opt/A B/lib.so"]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (recorded("cgroup_hybrid_in_podman.txt"), "dbus.service"),
        ("0::/system.slice/nginx.service\n", "nginx.service"),
        ("0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", "postgresql@15-main.service"),
        ("1:name=systemd:/system.slice/cron.service\n0::/system.slice/cron.service\n", "cron.service"),
        ("12:pids:/x\n1:name=systemd:/user.slice/user-0.slice/session-3.scope\n", "session-3.scope"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n", "user@1000.service"),
        ("0::/machine.slice/libpod-abc.scope/container/system.slice/ssh.service\n", "ssh.service"),
        ("0::/system.slice/docker-abc.scope/system.slice/ssh.service\n", "ssh.service"),
        ("0::/init.scope\n", "init.scope"),
        ("0::/\n", None),
        ("", None),
        ("rubbish\n", None),
    ],
)
def test_units_under_every_layout_of_cgroups(text, unit):
    assert parse_cgroup(text) == unit


def process(
    proc, pid, maps="", exe="/usr/bin/x", cgroup="0::/system.slice/x.service\n", namespace="pid:[1]", start=100
):
    directory = proc / str(pid)
    (directory / "ns").mkdir(parents=True)
    (directory / "maps").write_text(maps)
    (directory / "comm").write_text("x\n")
    (directory / "cgroup").write_text(cgroup)
    state(directory, start=start)
    (directory / "exe").symlink_to(exe)
    (directory / "ns/pid").symlink_to(namespace)
    return directory


def state(directory, letter="S", flags=0x400040, start=100):
    """Write stat: the state is its 3rd field, the flags are its 9th, the start its 22nd."""
    others = ["0"] * 17
    others[4] = str(flags)
    ticks = start * os.sysconf("SC_CLK_TCK")
    (directory / "stat").write_text("{} (x y) {} 1 {} {}\n".format(directory.name, letter, " ".join(others), ticks))


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "stat").write_text("cpu 1\nbtime 1700000000\n")
    process(tmp_path, 1, cgroup="0::/init.scope\n")
    (tmp_path / "self").symlink_to("1")
    return tmp_path


LIBRARY = "7f0 r-xp 00000000 00:05 1 /usr/lib/libx.so.1 (deleted)\n"


def test_stale_processes_with_unit_and_start(proc):
    process(proc, 20, maps=LIBRARY, exe="/usr/sbin/xd (deleted)")
    process(proc, 21)
    (found,) = ProcessTable(str(proc)).stale()
    assert (found.pid, found.unit, found.started_s) == (20, "x.service", 1700000100)
    assert found.files == ["/usr/lib/libx.so.1", "/usr/sbin/xd"]
    assert as_facts([found]) == [{"pid": 20, "command": "x", "unit": "x.service", "files": found.files}]


def test_processes_of_containers_are_not_ours(proc):
    process(proc, 20, maps=LIBRARY, namespace="pid:[2]")
    assert ProcessTable(str(proc)).stale() == []


def test_a_process_that_ends_meanwhile_is_no_error(proc):
    (proc / "30").mkdir()
    assert ProcessTable(str(proc)).stale() == []
    assert ProcessTable(str(proc)).started_s(30) == 0
    assert ProcessTable(str(proc)).unit_of(30) is None


def test_processes_of_a_unit(proc):
    process(proc, 20)
    process(proc, 21, cgroup="0::/system.slice/y.service\n")
    assert ProcessTable(str(proc)).of_unit("x.service") == [20]


def test_our_own_session_is_known():
    found = ProcessTable().ancestors()
    assert os.getpid() in found
    assert os.getppid() in found or os.getppid() == 1


@pytest.fixture
def deny(proc, monkeypatch):
    """Root without CAP_SYS_PTRACE: links below these processes are there, and may not be read."""
    denied, read = set(), os.readlink

    def readlink(path, *others):
        if any(str(path).startswith("{}/{}/".format(proc, pid)) for pid in denied):
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *others)

    monkeypatch.setattr(os, "readlink", readlink)
    return denied.add


def test_a_process_that_may_not_be_looked_at_is_hidden_and_never_taken_for_a_fine_one(proc, deny):
    directory = process(proc, 20, cgroup="0::/system.slice/postgresql@15-main.service\n")
    (directory / "cmdline").write_text("/usr/lib/postgresql/15/bin/postgres\0-D\0/var/lib/postgresql\0")
    (directory / "status").write_text("Name:\tx\nNSpid:\t20\n")
    process(proc, 21)
    deny(20)
    table = ProcessTable(str(proc))
    assert table.stale() == []
    assert table.hidden() == [
        Hidden(
            20,
            "x",
            "postgresql@15-main.service",
            1700000100,
            ["/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql"],
        )
    ]


def test_a_hidden_process_of_a_container_is_not_ours(proc, deny):
    (process(proc, 20) / "status").write_text("NSpid:\t20\t1\n")
    deny(20)
    assert ProcessTable(str(proc)).hidden() == []


def test_a_thread_of_the_kernel_a_zombie_and_one_that_has_ended_hide_nothing(proc, deny, monkeypatch):
    """The kernel denies their links too."""
    state(process(proc, 2), flags=0x208040)
    state(process(proc, 30), letter="Z")
    ended = process(proc, 40)
    for pid in (2, 30, 40):
        deny(pid)
    unit_of = ProcessTable.unit_of

    def ends(table, pid):
        if pid == 40:
            (ended / "stat").unlink()
        return unit_of(table, pid)

    monkeypatch.setattr(ProcessTable, "unit_of", ends)
    (proc / "50").mkdir()
    assert ProcessTable(str(proc)).hidden() == []


@pytest.mark.parametrize(
    ("options", "capabilities", "veiled"),
    [
        ("rw,nosuid", "00000000a80425fb", False),
        ("rw,hidepid=0,gid=4711", "00000000a80425fb", False),
        ("rw,hidepid=invisible", "00000000a80425fb", False),
        ("rw,hidepid=invisible,gid=4711", "00000000a80425fb", True),
        ("rw,gid=4711,hidepid=2", "00000000a80425fb", True),
        ("rw,hidepid=2,gid=4711", "000001ffffffffff", False),
    ],
)
def test_processes_that_are_not_even_listed(proc, options, capabilities, veiled):
    """Root's own group sees them all, unless another one was named (Documentation/filesystems/proc.rst)."""
    sysfs = "sysfs /sys sysfs rw,hidepid=2,gid=4711 0 0\n"
    (proc / "1/mounts").write_text("proc /proc proc {} 0 0\n".format(options) + sysfs)
    (proc / "1/status").write_text("Name:\tx\nCapEff:\t{}\n".format(capabilities))
    assert ProcessTable(str(proc)).veiled() is veiled


LOOK = """
import json, os
from ansible_collections.hospital.patching.plugins.module_utils.replaced_files import ProcessTable
print(json.dumps([[one.pid, one.words] for one in ProcessTable().hidden()]))
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_what_this_kernel_denies_to_a_root_without_the_capability():
    other = subprocess.Popen(["setpriv", "--reuid=65534", "--clear-groups", "sleep", "60"])
    try:
        while not ProcessTable()._read("{}/comm".format(other.pid)).startswith("sleep"):
            time.sleep(0.01)
        look = ["setpriv", "--bounding-set=-sys_ptrace", sys.executable, "-c", LOOK]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
        found = dict(json.loads(subprocess.check_output(look, env=environment).decode()))
    finally:
        other.kill()
        other.wait()
    assert found[other.pid][0] == "sleep"
    stats = [ProcessTable()._read("{}/stat".format(pid)).rsplit(")", 1)[-1].split() for pid in found]
    assert not [stat for stat in stats if stat and int(stat[6]) & 0x00200000], "threads of the kernel"


def test_what_runs_from_a_folder_that_was_left_counts_as_replaced():
    """A running program below a folder that is no longer in use, though its file is still there."""
    own = os.path.realpath("/proc/self/exe")
    left = ProcessTable(left=[os.path.dirname(own)])
    found = [process for process in left.stale() if process.pid == os.getpid()]
    assert own in found[0].files
    other = ProcessTable(left=[os.path.dirname(own) + "-other"])
    assert not [process for process in other.stale() if own in process.files]
