# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operating system this is."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import (
    collect,
    parse_os_release,
    read_os_release,
    support_end,
    usr_read_only,
)

DEBIAN = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
# a comment
BUG_REPORT_URL="https://bugs.debian.org/"
"""


def test_debian(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(DEBIAN)
    assert read_os_release(str(tmp_path)) == {
        "id": "debian",
        "version_id": "12",
        "codename": "bookworm",
        "pretty_name": "Debian GNU/Linux 12 (bookworm)",
    }


def test_the_vendors_copy_serves_too(tmp_path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text("ID='rhel'\n")
    assert read_os_release(str(tmp_path))["id"] == "rhel"


def test_nothing_is_no_error(tmp_path):
    assert read_os_release(str(tmp_path))["id"] == ""


@pytest.mark.parametrize("text", ['ID="unclosed\n', "rubbish\n", "#ID=x\n", "\xff\n"])
def test_damage_is_passed_over(text):
    assert parse_os_release(text + "VERSION_ID=1\n") == {"VERSION_ID": "1"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2027-05-31", "2027-05-31"),
        ("2027-02-29", None),
        ("2027-5-31", None),
        ("31.05.2027", None),
        ("2027-05-31T00:00", None),
        ("", None),
    ],
)
def test_the_end_of_support(value, expected):
    assert support_end({"SUPPORT_END": value}) == expected


MOUNTS = "sysfs /sys sysfs rw 0 0\n/dev/vda1 / ext4 {} 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "read_only"),
    [
        (MOUNTS.format("rw,relatime"), False),
        (MOUNTS.format("ro,relatime"), True),
        (MOUNTS.format("rw,errors=remount-ro"), False),
        (MOUNTS.format("rw") + "/dev/vda2 /usr erofs ro,nodev 0 0\n", True),
        (MOUNTS.format("ro") + "/dev/vda2 /usr ext4 rw 0 0\n", False),
        (MOUNTS.format("rw") + "x /usr erofs ro 0 0\noverlay /usr overlay rw 0 0\n", False),
        (MOUNTS.format("rw") + "x /usr/share ext4 ro 0 0\n", False),
        ("rubbish\n\n/ / ro\n", False),
    ],
)
def test_a_read_only_usr(mounts, read_only):
    assert usr_read_only(mounts) is read_only


def identity(root):
    return collect(Host(None, Clock(), str(root), ""))


def test_a_host_of_rpm(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID="fedora"\nSUPPORT_END=2026-05-13\nIMAGE_ID=workstation\n')
    assert identity(tmp_path) == {
        "id": "fedora",
        "version_id": "",
        "codename": "",
        "pretty_name": "",
        "architecture": os.uname().machine,
        "support_end": "2026-05-13",
        "image": None,
    }


@pytest.mark.parametrize(("marker", "image"), [("run/ostree-booted", "ostree"), ("run/other", "read_only")])
def test_images(tmp_path, marker, image):
    (tmp_path / "run").mkdir()
    (tmp_path / "proc").mkdir()
    (tmp_path / marker).write_text("")
    (tmp_path / "proc/mounts").write_text(MOUNTS.format("ro"))
    assert identity(tmp_path)["image"] == image
