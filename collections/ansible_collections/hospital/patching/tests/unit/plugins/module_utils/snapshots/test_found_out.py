# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes restore points of a host whose site does not say it."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.found_out import FoundOut, find_out
from ansible_collections.hospital.patching.tests.unit.plugins.module_utils.snapshots.lvm_double import GIB, Host

LINE = "24 1 {} / rw,relatime - {} {} rw\n"


class Answers:
    """Makes doubles of providers: what each says of a restore point, None where it can make one."""

    def __init__(self, **reasons):
        self.reasons = reasons
        self.asked = []

    def __call__(self, name, options, _runner, _clock):
        assert options == {}
        self.asked.append(name)
        self.name = name
        return self

    def available(self, host):
        assert host == "db1"
        said = self.reasons[self.name]
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def mounts(tmp_path):
    def write(kind, source):
        path = tmp_path / "mountinfo"
        path.write_text(LINE.format("253:0 /", kind, source) + "25 24 8:1 / /boot rw - ext4 /dev/mapper/boot rw\n")
        return str(path)

    return write


def found(mounts, **reasons):
    answers = Answers(**reasons)
    return find_out("db1", Runner(), Clock(), mounts, answers), answers.asked


@pytest.mark.parametrize(
    ("reasons", "provider", "asked"),
    [
        ({"snapper": None}, "snapper", ["snapper"]),
        ({"snapper": "no configuration", "btrfs": None}, "btrfs", ["snapper", "btrfs"]),
        ({"snapper": OSError("no such command"), "btrfs": None}, "btrfs", ["snapper", "btrfs"]),
    ],
)
def test_a_root_on_btrfs_is_snappers_where_it_has_one_configured(mounts, reasons, provider, asked):
    assert found(mounts("btrfs", "/dev/sda2"), **reasons) == (FoundOut(provider, "/ is btrfs on /dev/sda2"), asked)


def test_where_none_can_packages_are_the_way_back_and_every_reason_is_told(mounts):
    full = PatchingError("file system /", "1 byte is free", "more", "make room")
    said, asked = found(mounts("btrfs", "/dev/sda2"), snapper="no configuration", btrfs=full)
    assert asked == ["snapper", "btrfs"]
    assert said == FoundOut("preserved", "/ is btrfs on /dev/sda2, but no configuration; " + str(full))


@pytest.mark.parametrize("source", ["/dev/mapper/system-root", "/dev/dm-0"])
def test_a_root_on_a_logical_volume_is_lvms(mounts, source):
    assert found(mounts("xfs", source), lvm=None) == (FoundOut("lvm", "/ is xfs on " + source), ["lvm"])


@pytest.mark.parametrize(("kind", "source"), [("ext4", "/dev/sda1"), ("overlay", "overlay"), ("zfs", "rpool/ROOT")])
def test_any_other_root_asks_nobody(mounts, kind, source):
    said, asked = found(mounts(kind, source))
    assert asked == []
    assert said.provider == "preserved"
    assert said.why.startswith("/ is {} on {}, of which".format(kind, source))


def test_a_host_that_does_not_tell_its_root_goes_back_by_packages(tmp_path):
    said = find_out("db1", Runner(), Clock(), str(tmp_path / "absent"), Answers())
    assert (said.provider, "does not tell" in said.why) == ("preserved", True)


@pytest.mark.parametrize(("free", "provider"), [(8 * GIB, "lvm"), (0, "preserved")])
def test_lvm_itself_is_asked_whether_there_is_room(tmp_path, mounts, free, provider):
    host = Host(tmp_path)
    host.group["vg_free"] = str(free)

    def create(_name, _options, _runner, _clock):
        return host.provider(volumes=["/"])

    said = find_out("db1", host, host.clock, mounts("ext4", "/dev/mapper/hospital-root"), create)
    assert said.provider == provider
    assert host.changes == []
