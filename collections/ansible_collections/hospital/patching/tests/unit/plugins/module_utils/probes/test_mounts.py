# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``mounts`` on recorded tables."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

#: From a container of the lab, with a data disk, an automounted share and a name with a space added.
MOUNTS = """\
overlay / overlay rw,relatime,lowerdir=/a/l/OOGQ,upperdir=/a/diff,workdir=/a/work,uuid=on 0 0
sysfs /sys sysfs ro,nosuid,nodev,noexec,relatime 0 0
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
tmpfs /dev tmpfs rw,nosuid,noexec,size=65536k,mode=755 0 0
tmpfs /tmp tmpfs rw,nosuid,nodev,relatime 0 0
/dev/vda /etc/resolv.conf ext4 rw,relatime,discard 0 0
/dev/vda /run/.containerenv ext4 rw,relatime,discard 0 0
/dev/vda /etc/hospital-lab ext4 ro,relatime,discard 0 0
/dev/vdb /srv/dicom\\040images xfs rw,relatime 0 0
systemd-1 /net/share autofs rw,relatime,fd=51,pgrp=1,timeout=60 0 0
nas:/share /net/share nfs4 rw,relatime,vers=4.2 0 0
cgroup /sys/fs/cgroup/pids cgroup ro,nosuid,nodev,noexec,relatime,pids 0 0
"""


@pytest.fixture
def read(make_context, tmp_path):
    def run(text, **options):
        (tmp_path / "self").mkdir(exist_ok=True)
        (tmp_path / "self" / "mounts").write_text(text)
        return registry.build(dict(options, name="m", type="mounts"), make_context(proc=tmp_path)).read()

    return run


def test_only_lasting_file_systems_are_kept(read):
    result = read(MOUNTS)
    assert result["verdict"] == "ok"
    assert sorted(result["value"]["mounts"]) == ["/", "/etc/hospital-lab", "/etc/resolv.conf", "/srv/dicom images"]
    assert result["value"]["mounts"]["/srv/dicom images"] == {"source": "/dev/vdb", "type": "xfs", "read_only": False}
    assert result["value"]["mounts"]["/etc/hospital-lab"]["read_only"] is True


def test_the_last_mount_on_a_path_counts(read):
    remounted = MOUNTS + "/dev/vdb /srv/dicom\\040images xfs ro,relatime 0 0\n"
    assert read(remounted)["value"]["mounts"]["/srv/dicom images"]["read_only"] is True


def test_named_paths_must_be_mounted_and_writable(read):
    assert read(MOUNTS, mounted=["/srv/dicom images", "/net/share"], writable=["/"])["verdict"] == "ok"
    result = read(MOUNTS, mounted=["/srv/gone"], writable=["/etc/hospital-lab", "/srv/lost"])
    assert result["verdict"] == "failed"
    assert result["detail"] == ("/srv/gone is not mounted; /etc/hospital-lab is read-only; /srv/lost is not mounted")


def test_an_automount_point_without_its_share_is_not_mounted(read):
    without = MOUNTS.replace("nas:/share /net/share nfs4 rw,relatime,vers=4.2 0 0\n", "")
    assert read(without, mounted=["/net/share"])["verdict"] == "failed"


def test_without_the_kernels_table_it_is_inconclusive(make_context, tmp_path):
    probe = registry.build({"name": "m", "type": "mounts"}, make_context(proc=tmp_path))
    assert probe.read()["verdict"] == "inconclusive"


def test_the_real_table_is_read(make_context):
    assert registry.build({"name": "m", "type": "mounts"}, make_context(proc="/proc")).read()["verdict"] == "ok"
