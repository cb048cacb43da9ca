# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes ``memory``, ``load`` and ``disk`` on recorded tables of the kernel, and on this machine's."""

import os
from collections import namedtuple

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import disk, registry

#: The first lines of a lab host's (Linux 6.1), and its lines on swap with a used one.
MEMINFO = """\
MemTotal:        8131200 kB
MemFree:          233100 kB
MemAvailable:    4065600 kB
Buffers:          127940 kB
SwapCached:            0 kB
SwapTotal:       2097148 kB
SwapFree:        1572861 kB
HugePages_Total:       0
"""
STAT = "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n"


@pytest.fixture
def read(make_context, tmp_path):
    def run(kind, proc=None, **options):
        return registry.build(dict(options, name="n", type=kind), make_context(proc=proc or tmp_path)).read()

    return run


def test_memory_is_read_in_bytes_and_whole_percents(read, tmp_path):
    (tmp_path / "meminfo").write_text(MEMINFO)
    assert read("memory")["value"] == {
        "size_bytes": 8131200 * 1024,
        "available_bytes": 4065600 * 1024,
        "available_percent": 50,
        "swap_bytes": 2097148 * 1024,
        "swap_used_bytes": 524287 * 1024,
        "swap_used_percent": 25,
    }


def test_memory_beyond_a_declared_limit_is_failed(read, tmp_path):
    (tmp_path / "meminfo").write_text(MEMINFO)
    assert read("memory", available_percent=50, swap_used_percent=25)["verdict"] == "ok"
    result = read("memory", available_percent=51, swap_used_percent=24)
    assert (result["verdict"], result["value"]["available_percent"]) == ("failed", 50)
    assert "50 % of memory is available, expected 51 %; 25 % of swap is used" in result["detail"]


@pytest.mark.parametrize("text", ["", "MemTotal: 0 kB\n", MEMINFO.replace("MemAvailable", "MemOther")])
def test_memory_that_is_not_told_is_inconclusive(read, tmp_path, text):
    (tmp_path / "meminfo").write_text(text)
    assert read("memory")["verdict"] == "inconclusive"


def test_load_is_told_for_each_processor(read, tmp_path):
    (tmp_path / "loadavg").write_text("3.00 1.50 0.26 3/456 12345\n")
    (tmp_path / "stat").write_text(STAT)
    value = {"load_percent": 150, "load5_percent": 75, "load15_percent": 13, "processors": 2}
    assert read("load")["value"] == value
    assert read("load", limit_percent=150)["verdict"] == "ok"
    assert read("load", limit_percent=149)["verdict"] == "failed"


@pytest.mark.parametrize(("loadavg", "stat"), [("", STAT), ("0.1 0.2 0.3 1/2 3", ""), ("a b c", STAT)])
def test_a_load_that_is_not_the_kernels_is_inconclusive(read, tmp_path, loadavg, stat):
    (tmp_path / "loadavg").write_text(loadavg)
    (tmp_path / "stat").write_text(stat)
    assert read("load")["verdict"] == "inconclusive"


Statvfs = namedtuple("Statvfs", "f_frsize f_blocks f_bfree f_bavail f_files f_ffree f_favail")


def test_free_is_what_the_application_may_use():
    assert disk.free_of(Statvfs(4096, 1000, 300, 100, 500, 250, 250)) == {
        "free_bytes": 409600,
        "free_percent": 12,  # as df says of 700 used and 100 available
        "inodes_free": 250,
        "inodes_free_percent": 50,
    }


def test_a_file_system_without_inodes_has_none_to_run_out_of():
    free = disk.free_of(Statvfs(4096, 1000, 300, 300, 0, 0, 0))
    assert (free["inodes_free"], free["inodes_free_percent"]) == (None, None)


def test_the_disk_of_this_machine_is_read(read, tmp_path):
    result = read("disk", paths=[str(tmp_path)])
    real = os.statvfs(str(tmp_path))
    assert result["verdict"] == "ok"
    assert result["value"]["disks"][str(tmp_path)]["free_bytes"] <= real.f_blocks * real.f_frsize


def test_too_little_is_failed_and_says_where(read, tmp_path):
    result = read("disk", paths=["/", str(tmp_path)], free_bytes=1 << 60)
    assert result["verdict"] == "failed"
    assert "{} has ".format(tmp_path) in result["detail"]
    assert sorted(result["value"]["disks"]) == sorted(["/", str(tmp_path)])


def test_a_path_that_is_gone_is_inconclusive(read, tmp_path):
    result = read("disk", paths=["/", str(tmp_path / "gone")])
    assert result["verdict"] == "inconclusive"
    assert list(result["value"]["disks"]) == ["/"]


def test_without_paths_shares_what_is_read_only_and_what_a_kernel_fills_are_left_out(read, tmp_path):
    (tmp_path / "self").mkdir()
    lines = [
        "/dev/vda / ext4 rw 0 0",
        "/dev/vdb /boot ext4 rw 0 0",
        "/dev/vdc /boot/efi vfat rw 0 0",
        "/dev/sr0 {0}/cd ext4 ro 0 0",
        "nas:/a {0}/nas nfs4 rw 0 0",
        "x {0}/f fuse.sshfs rw 0 0",
        "tmpfs /run tmpfs rw 0 0",
    ]
    (tmp_path / "self" / "mounts").write_text("\n".join(lines).format(tmp_path) + "\n")
    assert list(read("disk")["value"]["disks"]) == ["/"]


def test_a_mount_that_is_gone_or_hidden_is_left_out_unless_it_is_named(read, tmp_path):
    (tmp_path / "self").mkdir()
    lines = ["/dev/a / ext4 rw 0 0", "overlay {}/merged overlay rw 0 0".format(tmp_path)]
    (tmp_path / "self" / "mounts").write_text("\n".join(lines) + "\n")
    assert list(read("disk")["value"]["disks"]) == ["/"]
    assert read("disk", paths=["/", "{}/merged".format(tmp_path)])["verdict"] == "inconclusive"


def test_no_disk_at_all_is_inconclusive(read, tmp_path):
    assert read("disk")["verdict"] == "inconclusive"
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mounts").write_text("proc /proc proc rw 0 0\n")
    assert read("disk")["verdict"] == "inconclusive"


@pytest.mark.parametrize("kind", ["memory", "load", "disk"])
def test_this_machine_is_read(read, kind):
    result = read(kind, proc="/proc")
    assert (result["verdict"], result["detail"] != "") == ("ok", True)


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "memory", "available_percent": 101},
        {"type": "memory", "free_percent": 1},
        {"type": "load", "limit_percent": 0},
        {"type": "load", "limit": 1},
        {"type": "disk", "paths": ["srv"]},
        {"type": "disk", "free_percent": -1},
        {"type": "disk", "path": "/srv"},
    ],
)
def test_a_bad_definition_is_refused(definition):
    with pytest.raises(PatchingError):
        registry.check(dict(definition, name="n"))
