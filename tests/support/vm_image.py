# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of a virtual machine that boots by itself: boot loader, /boot, and a root on LVM with room beside it.

A container shares this machine's kernel, so that real kernel updates, reboots and LVM need a machine of their own. Its
disk is built without starting one: LVM's metadata is written by the LVM of the new system itself, which needs no
device mapper for that, and the root file system is put where that metadata says.

Built of Debian's main archive alone, with the security archive added afterwards: a kernel update is pending.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "roles/lab_engine/files"))

from hospital_lab import machine  # noqa: E402

RELEASE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "psmisc", "iproute2", "ca-certificates"),
    *("openssh-server", "python3", "python3-apt", "e2fsprogs", "debian-archive-keyring"),
    *("lvm2", "thin-provisioning-tools", "linux-image-cloud-amd64", "initramfs-tools", "zstd"),
    *("grub-pc-bin", "grub2-common"),
)
#: What a machine that lives for minutes needs no part of its start for.
UNNEEDED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("e2scrub_reap.service", "systemd-timesyncd.service", "getty@tty1.service", "systemd-pstore.service"),
    *("serial-getty@ttyS0.service", "systemd-update-utmp.service", "keyboard-setup.service", "console-setup.service"),
)
GROUP, ROOT_VOLUME = "hospital", "root"
MIB = 1024 * 1024
SECTOR = 512
BOOT_START, BOOT_BYTES = MIB, 512 * MIB
GROUP_START = BOOT_START + BOOT_BYTES
DISK_BYTES = 8 * 1024 * MIB
ROOT_BYTES = 2304 * MIB
#: Modules of GRUB in front of the first partition; all others are read from /boot.
GRUB_CORE = ("biosdisk", "part_msdos", "ext2", "normal", "linux", "configfile", "search", "search_fs_uuid", "echo")
#: Emulated on a busy machine, LVM may take minutes to activate the root. The kernel's option rootdelay is no limit: the
#: initramfs sleeps for so long at every start, and then waits once more. So its limit is set after that sleep.
COMMAND_LINE = "console=ttyS0 net.ifnames=0 udev.event_timeout=900"
PATIENCE = """#!/bin/sh
[ "$1" = prereqs ] || echo ROOTDELAY=900 >>/conf/param.conf
"""
#: Emulated processors read the initramfs, and build it at a kernel update: it holds what a start needs, alone.
#: LVM's own hook adds the device mapper's modules.
MODULES = "virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n"


class Image(NamedTuple):
    """What a machine is started from."""

    disk: Path
    private_key: Path
    host_key: str


def build(cache: Path) -> Image:
    """Return the image, built now unless it is in ``cache`` already (root; a few minutes).

    Raises:
        OSError, subprocess.CalledProcessError: this machine cannot build it.
    """
    mirror = machine.choose_mirror(machine.apt_sources(), machine.codename())
    recipe = json.dumps([mirror, machine.apt_options(), Path(__file__).read_text(encoding="utf-8")])
    folder = cache / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    if not (folder / "host_key").is_file():
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            made = Path(work, "image")
            made.mkdir()
            _build(Path(work, "tree"), made, mirror)
            made.rename(folder)
    return Image(folder / "disk", folder / "id_ed25519", (folder / "host_key").read_text(encoding="utf-8").strip())


def _build(tree: Path, made: Path, mirror: machine.Mirror) -> None:
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", made / "id_ed25519")
    settings = (
        ("etc/initramfs-tools/scripts/local-top/patience", "755", PATIENCE),
        ("etc/initramfs-tools/conf.d/listed", "644", "MODULES=list\n"),
        ("usr/share/initramfs-tools/modules.d/needed", "644", MODULES),
    )
    hooks = []
    for place, mode, text in settings:
        source = tree.with_name(Path(place).name)
        source.write_text(text, encoding="utf-8")
        hooks.append(f'--essential-hook=install -D -m {mode} {source} "$1/{place}"')
    _run(
        *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
        *("--skip=cleanup/apt", '--aptopt=Acquire::Languages "none"'),
        # Before the first initramfs is made.
        *hooks,
        *(RELEASE, tree),
        f"deb {mirror.main} {RELEASE} main",
        env={"DPKG_FORCE": "unsafe-io"},
    )
    kernel = next((tree / "boot").glob("vmlinuz-*")).name.removeprefix("vmlinuz-")
    _write_settings(tree, mirror, (made / "id_ed25519.pub").read_text(encoding="utf-8"), kernel)
    core = _grub_core(tree)
    disk = made / "disk"
    with disk.open("wb") as handle:
        handle.truncate(DISK_BYTES)
    start = _make_group(tree, disk)
    boot = tree.with_name("boot")
    (tree / "boot").rename(boot)
    (tree / "boot").mkdir()
    _make_file_system("ext2", "boot", boot, disk, BOOT_START, BOOT_BYTES)
    _make_file_system("ext4", "root", tree, disk, GROUP_START + start, ROOT_BYTES)
    _write_loader(disk, (tree / "usr/lib/grub/i386-pc/boot.img").read_bytes(), core)
    host_key = (tree / "etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="utf-8").split()
    (made / "host_key").write_text(" ".join(host_key[:2]) + "\n", encoding="utf-8")


def _write_settings(tree: Path, mirror: machine.Mirror, public_key: str, kernel: str) -> None:
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    stanza = "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: " + keyring + "\n"
    root = f"/dev/mapper/{GROUP}-{ROOT_VOLUME}"
    grub = (
        f"linux /vmlinuz-{kernel} root={root} ro {COMMAND_LINE}\ninitrd /initrd.img-{kernel}\n"
        if (tree / f"boot/initrd.img-{kernel}").is_file()
        else "echo no initrd\n"
    )
    files = {
        "etc/apt/sources.list": "",
        "etc/apt/sources.list.d/debian.sources": stanza.format(mirror.main, RELEASE),
        "etc/apt/sources.list.d/debian-security.sources": stanza.format(mirror.security, f"{RELEASE}-security"),
        "etc/apt/apt.conf.d/00mirror": machine.apt_options(),
        "etc/apt/apt.conf.d/01small": 'Acquire::Languages "none";\n',
        "etc/fstab": f"{root} / ext4 errors=remount-ro 0 1\nLABEL=boot /boot ext2 defaults 0 2\n",
        "etc/hostname": "vm1\n",
        "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 vm1\n",
        "etc/machine-id": "",
        "etc/resolv.conf": "nameserver 10.0.2.3\n",
        "etc/systemd/network/10-eth.network": "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n",
        "etc/default/grub": f'GRUB_TIMEOUT=0\nGRUB_TERMINAL=console\nGRUB_CMDLINE_LINUX="{COMMAND_LINE}"\n',
        "etc/ssh/sshd_config.d/test.conf": "PermitRootLogin prohibit-password\nUseDNS no\n",
        "root/.ssh/authorized_keys": public_key,
        # What the first update of GRUB's menu replaces.
        "boot/grub/grub.cfg": f"set timeout=0\nmenuentry first {{\n{grub}}}\n",
    }
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        path.write_text(text, encoding="utf-8")
    (tree / "root/.ssh").chmod(0o700)
    (tree / "root/.ssh/authorized_keys").chmod(0o600)
    shutil.copytree(tree / "usr/lib/grub/i386-pc", tree / "boot/grub/i386-pc")
    _chroot(tree, "systemctl", "enable", "systemd-networkd.service", "ssh.service")
    _chroot(tree, "systemctl", "mask", *UNNEEDED)


def _grub_core(tree: Path) -> bytes:
    words = ["grub-mkimage", "--format=i386-pc", "--prefix=(hd0,msdos1)/grub", "--output=/core.img", *GRUB_CORE]
    _chroot(tree, *words)
    core = (tree / "core.img").read_bytes()
    (tree / "core.img").unlink()
    assert SECTOR + len(core) <= BOOT_START, "GRUB's core fits in front of the first partition"
    return core


def _make_group(tree: Path, disk: Path) -> int:
    """Write LVM's metadata, and return where in its partition the root volume begins."""
    settings = (
        "activation { udev_sync=0 udev_rules=0 monitoring=0 } backup { backup=0 archive=0 } "
        'global { use_lvmpolld=0 locking_dir="/run/lock" } devices { use_devicesfile=0 filter=[ "a|^%s$|", "r|.*|" ] }'
    )
    with _loop(disk, GROUP_START) as device, _devices(tree):

        def lvm(*words: str) -> str:
            # No device mapper is asked: this machine's kernel may have none.
            return _chroot(tree, "lvm", *words, "--driverloaded", "n", "--config", settings % device)

        lvm("pvcreate", "--yes", "--quiet", device)
        lvm("vgcreate", GROUP, device)
        lvm("lvcreate", "-an", "-Zn", "-Wn", "--name", ROOT_VOLUME, "--size", f"{ROOT_BYTES}b", GROUP)
        told = lvm("pvs", "--noheadings", "--nosuffix", "--units", "b", "-o", "pe_start,vg_extent_size", device)
        segments = lvm("lvs", "--noheadings", "-o", "seg_pe_ranges", f"{GROUP}/{ROOT_VOLUME}")
    start, extent = (int(word) for word in told.split())
    first = re.fullmatch(r"\S+:(\d+)-(\d+)", segments.strip())
    assert first, f"the root volume is in one piece: {segments}"
    return start + int(first.group(1)) * extent


def _make_file_system(kind: str, label: str, tree: Path, disk: Path, start: int, size: int) -> None:
    # Without discard: what it would throw away of the disk's file is more than this file system.
    extended = f"offset={start},nodiscard,lazy_itable_init=0,lazy_journal_init=0"
    features = ["-O", "^orphan_file,^metadata_csum_seed"] if kind == "ext4" else []
    words = ["mke2fs", "-q", "-F", "-t", kind, "-L", label, "-b", "4096", "-E", extended, *features]
    _run(*words, "-d", tree, disk, f"{size // 1024}k")


def _write_loader(disk: Path, boot_sector: bytes, core: bytes) -> None:
    """Put GRUB in front of the partitions. By default its first sector loads the next, and that what follows it."""
    table = b"".join(
        struct.pack("<B3sB3sII", active, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", start // SECTOR, size // SECTOR)
        for active, kind, start, size in (
            (0x80, 0x83, BOOT_START, BOOT_BYTES),
            (0, 0x8E, GROUP_START, DISK_BYTES - GROUP_START),
        )
    )
    with disk.open("r+b") as handle:
        handle.write(boot_sector[:440] + b"VM01\0\0" + table.ljust(64, b"\0") + b"\x55\xaa")
        handle.write(core)


@contextmanager
def _loop(disk: Path, start: int) -> Iterator[str]:
    device = _run("losetup", "--find", "--show", "--offset", start, disk).strip()
    try:
        yield device
    finally:
        _run("losetup", "--detach", device)


@contextmanager
def _devices(tree: Path) -> Iterator[None]:
    bound: list[Path] = []
    try:
        for name in ("dev", "proc", "sys"):
            _run("mount", "--bind", f"/{name}", tree / name)
            bound.append(tree / name)
        yield
    finally:
        for place in reversed(bound):
            _run("umount", place)


def _chroot(tree: Path, *words: str) -> str:
    return _run("chroot", tree, *words)


def _run(*words: object, env: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed; its messages go where this program's do."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", **(env or {})}
    done = subprocess.run([str(word) for word in words], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout
