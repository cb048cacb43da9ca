# SPDX-License-Identifier: GPL-3.0-or-later
"""Room for an update, once for each file system."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import disk_space
from ansible_collections.hospital.patching.plugins.module_utils.disk_space import MARGIN_BYTES, MIB
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


@pytest.fixture
def one_disk(monkeypatch):
    monkeypatch.setattr(disk_space, "mount_point", lambda path: "/boot" if path == "/boot" else "/")
    monkeypatch.setattr(disk_space, "free_bytes", lambda mount: 400 * MIB)


def test_needs_of_one_file_system_add_up(one_disk):
    space = disk_space.survey({"/": 100 * MIB, "/var/lib/x": 50 * MIB, "/boot": 0})
    assert space == [
        {"mount": "/", "needed_bytes": 150 * MIB + MARGIN_BYTES, "free_bytes": 400 * MIB},
        {"mount": "/boot", "needed_bytes": 0, "free_bytes": 400 * MIB},
    ]
    disk_space.check(space)


def test_too_little_room_names_the_file_system(one_disk):
    with pytest.raises(PatchingError, match="file system /boot: 400 MiB free; expected at least 448 MiB"):
        disk_space.check(disk_space.survey({"/boot": 2 * disk_space.KERNEL_BOOT_BYTES}))


def test_growth_and_the_largest_package():
    needs = disk_space.needs_of("/state", 10, installed_before=100, installed_after=130, largest=70, kernels=1)
    assert needs == {"/": 100, "/state": 10, "/boot": disk_space.KERNEL_BOOT_BYTES}


def test_shrinking_is_no_gift():
    assert disk_space.needs_of("/state", 0, installed_before=100, installed_after=10, largest=10, kernels=0)["/"] == 10


def test_a_directory_that_does_not_exist_yet_lies_on_its_parents_file_system(tmp_path):
    mount = disk_space.mount_point(str(tmp_path))
    assert disk_space.mount_point(str(tmp_path / "not" / "yet")) == mount
    assert disk_space.free_bytes(mount) > 0
