# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes restore points of a host whose site does not say it."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.found_out import FoundOut, Places, find_out
from ansible_collections.hospital.patching.tests.unit.plugins.module_utils.snapshots.lvm_double import GIB, Host

LVM_UUID = "LVM-7tzAE0kq5ScfLqNGXnMmXkpsDv4hG3Ro\n"


class Says:
    """A double of a provider: what it says of a restore point, None where it can make one."""

    def __init__(self, said):
        self.said = said

    def available(self, host):
        assert host == "db1"
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture
def places(tmp_path):
    """Return a way to write what the kernel tells of a host."""

    def write(kind, source, *others, uuid=LVM_UUID, image=True):
        mounts = ["24 1 253:0 / / rw,relatime - {} {} rw".format(kind, source)]
        mounts += ["25 24 8:1 / {} rw - ext4 /dev/sda1 rw".format(path) for path in others]
        (tmp_path / "mountinfo").write_text("\n".join(mounts) + "\n")
        device = tmp_path / "block" / "253:0" / "dm"
        device.mkdir(parents=True)
        (device / "uuid").write_text(uuid)
        if image:
            (tmp_path / "initrd.img-6.1.0-1").write_text("")
        return Places(str(tmp_path / "mountinfo"), str(tmp_path / "block"), str(tmp_path / "initrd.img-*"))

    return write


def found(places, **said):
    """Return what is found out, and which providers were asked."""
    asked = []

    def maker(name):
        def make(_runner, _clock):
            asked.append(name)
            return Says(said[name])

        return make

    return find_out("db1", Runner(), Clock(), places, {name: maker(name) for name in said}), asked


@pytest.mark.parametrize(
    ("said", "provider", "asked"),
    [
        ({"snapper": None}, "snapper", ["snapper"]),
        ({"snapper": "no configuration", "btrfs": None}, "btrfs", ["snapper", "btrfs"]),
        ({"snapper": OSError("no such command"), "btrfs": None}, "btrfs", ["snapper", "btrfs"]),
    ],
)
def test_a_root_on_btrfs_is_snappers_where_it_has_one_configured(places, said, provider, asked):
    assert found(places("btrfs", "/dev/sda2"), **said) == (FoundOut(provider, "/ is btrfs on /dev/sda2"), asked)


@pytest.mark.parametrize("trouble", [PatchingError("file system /", "1 byte is free", "more", "x"), ValueError("'x'")])
def test_where_none_can_packages_are_the_way_back_and_every_reason_is_told(places, trouble):
    told, asked = found(places("btrfs", "/dev/sda2"), snapper="no configuration", btrfs=trouble)
    assert asked == ["snapper", "btrfs"]
    assert told.provider == "preserved"
    assert told.why.startswith("/ is btrfs on /dev/sda2, no configuration; btrfs: " + type(trouble).__name__)


@pytest.mark.parametrize("source", ["/dev/mapper/system-root", "/dev/dm-0", "/dev/system/root"])
def test_a_root_on_a_logical_volume_is_lvms(places, source):
    told = found(places("xfs", source, "/boot", "/srv"), lvm=None)
    assert told == (FoundOut("lvm", "/ is xfs on " + source), ["lvm"])


@pytest.mark.parametrize(
    ("kind", "source"),
    [("ext4", "/dev/sda1"), ("overlay", "overlay"), ("zfs", "rpool/ROOT"), ("ext4", "/dev/mapper/luks-root")],
)
def test_any_other_root_asks_nobody(places, kind, source):
    told, asked = found(places(kind, source, uuid="CRYPT-LUKS2-1"))
    assert asked == []
    assert told.provider == "preserved"
    assert told.why.startswith("/ is {} on {}, of which".format(kind, source))


@pytest.mark.parametrize(
    ("kind", "apart"), [("ext4", "/var"), ("ext4", "/usr"), ("btrfs", "/var/lib"), ("btrfs", "/boot")]
)
def test_a_root_that_would_go_back_without_its_other_half_is_not_held(places, kind, apart):
    told, asked = found(places(kind, "/dev/mapper/system-root", "/srv", apart), lvm=None, snapper=None)
    assert (told.provider, asked) == ("preserved", [])
    assert told.why.endswith(", and {} would not go back with it".format(apart))


def test_lvm_is_not_found_out_where_nothing_is_known_of_the_initramfs(places):
    told, asked = found(places("xfs", "/dev/mapper/system-root", image=False), lvm=None)
    assert (told.provider, asked) == ("preserved", [])
    assert "initramfs" in told.why


def test_a_host_that_does_not_tell_its_root_goes_back_by_packages(places, tmp_path):
    told, _asked = found(places("xfs", "/dev/sda1")._replace(mounts=str(tmp_path / "absent")))
    assert (told.provider, "does not tell" in told.why) == ("preserved", True)


@pytest.mark.parametrize(("free", "provider"), [(8 * GIB, "lvm"), (0, "preserved")])
def test_lvm_itself_is_asked_whether_there_is_room(tmp_path, places, free, provider):
    (tmp_path / "host").mkdir()
    host = Host(tmp_path / "host")
    host.group["vg_free"] = str(free)
    makers = {"lvm": lambda _runner, _clock: host.provider(volumes=["/"])}
    told = find_out("db1", host, host.clock, places("ext4", "/dev/mapper/hospital-root"), makers)
    assert told.provider == provider
    assert host.changes == []
