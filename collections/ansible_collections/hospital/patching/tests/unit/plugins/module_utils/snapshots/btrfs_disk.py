# SPDX-License-Identifier: GPL-3.0-or-later
"""A real btrfs for tests: an image in the test's folder on a loop device, mounted there alone."""

import contextlib
import hashlib
import os
import shutil
import subprocess

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import parse_mountinfo
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_volume, keeping
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs import BtrfsProvider

RUN, OTHER = "20261122T034500Z-ab12cd34", "20261123T034500Z-ffffffff"
EXPIRES = "2030-11-25T00:00:00Z"
MIB = 1024 * 1024


def sh(*words):
    return subprocess.check_output(words, stderr=subprocess.STDOUT).decode()


def mounted():
    with open("/proc/self/mountinfo") as handle:
        return parse_mountinfo(handle.read())


class Disk:
    """512 MB with the subvolumes @data and @app, mounted by path."""

    def __init__(self, folder):
        self.folder = str(folder)
        image = self.path("image")
        with open(image, "wb") as handle:
            handle.truncate(512 * MIB)
        sh("mkfs.btrfs", "--quiet", "--nodiscard", image)
        self.device = sh("losetup", "--find", "--show", image).strip()
        for name in ("top", "data", "app"):
            os.mkdir(self.path(name))
        sh("mount", "-o", "subvolid=5", self.device, self.path("top"))
        for name in ("data", "app"):
            sh("btrfs", "subvolume", "create", self.path("top", "@" + name))
            self.mount(name)
            os.mkdir(self.path(name, "etc"))
            with open(self.path(name, "etc", "conf"), "w") as handle:
                handle.write("before in " + name)
            with open(self.path(name, "large"), "wb") as handle:
                handle.write(os.urandom(MIB))
            os.symlink("etc/conf", self.path(name, "link"))
        sh("umount", self.path("top"))

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def mount(self, name, options=None):
        sh("mount", "-o", options or "nosuid,subvol=@" + name, self.device, self.path(name))

    def provider(self, names=("data", "app"), fstab="", **options):
        with open(self.path("fstab"), "w") as handle:
            handle.write(fstab)
        given = {"min_free_bytes": 32 * MIB, "min_metadata_bytes": 8 * MIB}
        given["subvolumes"] = [self.path(name) for name in names]
        given.update(options)
        places = btrfs_volume.Places(self.path("run"), "/proc/self/mountinfo", self.path("fstab"), "/proc/cmdline")
        return BtrfsProvider(given, Runner(), Clock(), places)

    @contextlib.contextmanager
    def top(self):
        """Give the path of the top level."""
        sh("mount", "-o", "subvolid=5", self.device, self.path("top"))
        try:
            yield self.path("top")
        finally:
            sh("umount", self.path("top"))

    def damage(self):
        """Do what a bad update does: other content, other rights, files gone and new ones."""
        for name in ("data", "app"):
            with open(self.path(name, "etc", "conf"), "w") as handle:
                handle.write("broken")
            os.chmod(self.path(name, "etc"), 0o700)
            os.unlink(self.path(name, "large"))
            with open(self.path(name, "new"), "w") as handle:
                handle.write("left by the update")

    def digest(self, name):
        found = hashlib.sha256()
        for folder, folders, files in os.walk(self.path(name)):
            folders[:] = sorted(name for name in folders if name != ".snapshots")  # snapper's
            for one in sorted(files) + folders:
                path = os.path.join(folder, one)
                found.update("{} {:o}".format(os.path.relpath(path, self.folder), os.lstat(path).st_mode).encode())
                if os.path.islink(path):
                    found.update(os.readlink(path).encode())
                elif os.path.isfile(path):
                    with open(path, "rb") as handle:
                        found.update(handle.read())
        return found.hexdigest()

    def digests(self):
        return [self.digest("data"), self.digest("app")]

    def mounts(self):
        return sorted(
            (os.path.relpath(mount.path, self.folder), mount.root)
            for mount in mounted()
            if mount.path.startswith(self.folder + "/")
        )

    def subvolumes(self):
        with self.top() as top:
            return sorted(line.split(" path ")[1] for line in sh("btrfs", "subvolume", "list", top).splitlines())

    def fill(self, name="full"):
        with open(self.path("app", name), "wb") as handle:
            size = 512 * MIB
            while size >= 4096:
                try:
                    os.posix_fallocate(handle.fileno(), os.fstat(handle.fileno()).st_size, size)
                except OSError:
                    size //= 2
            os.fsync(handle.fileno())

    def close(self):
        for mount in reversed(mounted()):
            if mount.path.startswith(self.folder + "/"):
                subprocess.call(["umount", mount.path]) and subprocess.call(["umount", "--lazy", mount.path])
        subprocess.call(["losetup", "--detach", self.device])


def lacking(folder, *others):
    """Return why there can be no such file system here, or a command of ``others`` is missing; None where all is well.

    It is tried in an empty ``folder``.
    """
    if os.geteuid() != 0:
        return "only root mounts a btrfs file system"
    packages = {"mkfs.btrfs": "btrfs-progs", "btrfs": "btrfs-progs", "losetup": "mount", **{one: one for one in others}}
    absent = [name for name in packages if not shutil.which(name)]
    if absent:
        names = ", ".join(sorted({packages[name] for name in absent}))
        return "{} is missing: Debian's packages {}".format(", ".join(absent), names)
    image, there = os.path.join(str(folder), "image"), os.path.join(str(folder), "there")
    with open(image, "wb") as handle:
        handle.truncate(128 * MIB)
    os.mkdir(there)
    sh("mkfs.btrfs", "--quiet", image)
    tried = subprocess.Popen(["mount", "-o", "loop", image, there], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = tried.communicate()[0].decode().strip()
    if tried.returncode:
        return "this machine mounts no btrfs on a loop device: " + said
    sh("umount", there)
    return None


def require_btrfs(folder, *others):
    """Skip where there can be no such file system, or a command of ``others`` is missing, with the reason."""
    reason = lacking(folder, *others)
    if reason:
        pytest.skip(reason)


@contextlib.contextmanager
def closing(found):
    """Give a disk; a mount that is left behind fails the test, and is unmounted."""
    try:
        before = found.mounts()
        yield found
        assert [mount for mount in found.mounts() if mount not in before] == [], "a mount was left behind"
    finally:
        found.close()


def make(provider, run_id=RUN, host="db1"):
    return keeping.present(provider, run_id, host, "before the night", EXPIRES).snapshot


def killed(act):
    """Run ``act`` in a process of its own that ends in the midst of it, without any cleaning up."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] >> 8 == 9, "it was not killed where it should have been"


def kill_at(monkeypatch, owner, name, nth, after=False):
    """Have the ``nth`` call of a method end the process, before or after it has done its work."""
    real, calls = getattr(owner, name), []

    def ending(*args, **kwargs):
        calls.append(name)
        if len(calls) == nth and not after:
            os._exit(9)
        result = real(*args, **kwargs)
        if len(calls) == nth:
            os._exit(9)
        return result

    monkeypatch.setattr(owner, name, ending)
