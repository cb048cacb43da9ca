# SPDX-License-Identifier: GPL-3.0-or-later
"""A reboot: kernel, libc, init, or the vendor's flag."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import reboot_required


@pytest.fixture
def root(tmp_path):
    for name in ("run", "boot", "proc/1", "proc/sys/kernel"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "proc/1/environ").write_bytes(b"TERM=linux\0")
    (tmp_path / "proc/sys/kernel/osrelease").write_text("6.1.0-39-amd64\n")
    (tmp_path / "boot/vmlinuz-6.1.0-39-amd64").write_text("")
    return tmp_path


def entry(name, to="2"):
    return {"name": name, "arch": "amd64", "from": "1", "to": to}


def test_nothing(root):
    assert reboot_required.flag_reasons(str(root)) == []
    assert reboot_required.kernel_reasons(str(root)) == []
    assert reboot_required.of_transaction([entry("nginx"), entry("libsystemd0"), entry("libc6", None)], str(root)) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("libc6", "libc changed"), ("systemd", "init changed"), ("linux-image-amd64", "kernel changed")],
)
def test_the_transaction_gives_a_reason(root, name, reason):
    assert reboot_required.of_transaction([entry(name)], str(root)) == ["{} ({} 2)".format(reason, name)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("glibc", "libc changed"),
        ("kernel-rt-core", "kernel changed"),
        ("kernel-default", "kernel changed"),
        ("dbus-broker", "its vendor reboots for it"),
        ("linux-firmware", "its vendor reboots for it"),
    ],
)
def test_an_rpm_host_reboots_for_what_its_vendor_reboots_for(root, name, reason):
    assert reboot_required.of_transaction([entry(name)], str(root), "dnf") == ["{} ({} 2)".format(reason, name)]
    assert reboot_required.of_transaction([entry("kernel-headers")], str(root), "dnf") == []
    assert reboot_required.of_transaction([entry("dbus-daemon")], str(root), "apt") == []


def test_the_vendors_flag(root):
    (root / "run/reboot-required").write_text("*** System restart required ***\n")
    assert reboot_required.flag_reasons(str(root)) == ["/run/reboot-required is set"]
    (root / "run/reboot-required.pkgs").write_text("linux-base\ndbus\nlinux-base\n")
    assert reboot_required.flag_reasons(str(root)) == ["/run/reboot-required is set by dbus, linux-base"]


def test_a_newer_kernel_waits(root):
    (root / "boot/vmlinuz-6.1.0-40-amd64").write_text("")
    (root / "boot/vmlinuz-6.1.0-9-amd64").write_text("")
    assert reboot_required.installed_kernels(str(root))[-1] == "6.1.0-40-amd64"
    assert reboot_required.kernel_reasons(str(root)) == ["kernel 6.1.0-40-amd64 is installed, 6.1.0-39-amd64 runs"]


def test_an_older_kernel_does_not(root):
    (root / "proc/sys/kernel/osrelease").write_text("6.1.0-41-amd64\n")
    assert reboot_required.kernel_reasons(str(root)) == []


@pytest.mark.parametrize("marker", ["run/.containerenv", ".dockerenv", "run/systemd/container"])
def test_a_container_has_no_kernel_of_its_own(root, marker):
    (root / "boot/vmlinuz-6.1.0-40-amd64").write_text("")
    (root / marker).parent.mkdir(parents=True, exist_ok=True)
    (root / marker).write_text("")
    assert reboot_required.in_container(str(root))
    assert reboot_required.kernel_reasons(str(root)) == []
    assert reboot_required.of_transaction([entry("linux-image-amd64")], str(root)) == []


def test_init_may_say_that_it_is_a_container(root):
    (root / "proc/1/environ").write_bytes(b"TERM=linux\0container=podman\0")
    assert reboot_required.in_container(str(root))
