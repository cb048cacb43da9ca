# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, volumes, live patches and prepared updates, from the kernel's and the system's own files."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints import (
    live_patches,
    offline_updates,
    read_only_images,
    shared_volumes,
)

MOUNTS = """/dev/sda2 / ext4 rw,relatime 0 0
/dev/sda3 /usr ext4 {} 0 0
nas:/pacs /srv/pacs\\040images nfs4 rw,vers=4.2 0 0
//user:s3cr3t@nas/share /srv/share cifs rw 0 0
/dev/mapper/cl-data /srv/data gfs2 rw 0 0
tmpfs /run tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("run/ostree-booted", "", "ostree"),
        ("usr/sbin/transactional-update", "", "transactional-update"),
        ("etc/os-release", "ID=ubuntu-core\n", "ubuntu-core"),
        ("proc/self/mounts", MOUNTS.format("ro"), "/usr"),
        ("proc/self/mounts", "overlay / overlay ro 0 0\n", "/"),
    ],
)
def test_images_refuse_patching(world, effects, path, text, name):
    world.write(path, text)
    assert effects(read_only_images.collect(world.look())) == [(name, "refuses_patching")]


@pytest.mark.parametrize("mounts", [MOUNTS.format("rw"), "/a / ext4 ro 0 0\n/b / ext4 rw 0 0\n", ""])
def test_a_writable_system_is_no_image(world, mounts):
    world.write("proc/self/mounts", mounts)
    assert read_only_images.collect(world.look()) == []


def test_shared_volumes(world):
    world.write("proc/self/mounts", MOUNTS.format("rw"))
    world.write("sys/class/iscsi_session/session1/state")
    world.write("sys/block/dm-0/dm/uuid", "mpath-3600508b400105e21\n")
    world.write("sys/block/dm-1/dm/uuid", "LVM-x\n")
    found = [(item["name"], item["detail"]) for item in shared_volumes.collect(world.look())]
    assert found == [
        ("/srv/pacs images", "nfs4 nas:/pacs: on another host"),
        ("/srv/share", "cifs nas/share: on another host"),
        ("/srv/data", "gfs2 /dev/mapper/cl-data: {}".format(shared_volumes.SHARED_TYPES["gfs2"])),
        ("iscsi", "1 sessions: disks are lost while its service restarts"),
        ("multipath", "1 disks of several paths: dm-0"),
    ]


@pytest.mark.parametrize(
    ("enabled", "transition", "state"),
    [("1\n", "0\n", "in force"), ("0\n", "0\n", "off"), ("1\n", "1\n", "in transition"), ("", "", "of unknown state")],
)
def test_live_patches(world, enabled, transition, state):
    world.write("sys/kernel/livepatch/lkp_Ubuntu_5_15/enabled", enabled)
    world.write("sys/kernel/livepatch/lkp_Ubuntu_5_15/transition", transition)
    (found,) = live_patches.collect(world.look())
    assert found["detail"] == state + " in the running kernel"


def test_kpatch_loads_modules_at_boot(world):
    world.write("var/lib/kpatch/5.14.0-1.el9.x86_64/kpatch-5_14_0-1.ko")
    world.write("var/lib/kpatch/5.14.0-2.el9.x86_64/notes")
    assert [item["name"] for item in live_patches.collect(world.look())] == ["5.14.0-1.el9.x86_64"]


@pytest.mark.parametrize("path", ["system-update", "var/lib/PackageKit/prepared-update"])
def test_updates_that_wait_for_the_next_boot(world, effects, path):
    (world.root / path).parent.mkdir(parents=True, exist_ok=True)
    (world.root / path).symlink_to("/nowhere")
    assert [effect for _name, effect in effects(offline_updates.collect(world.look()))] == ["changes_packages"]
