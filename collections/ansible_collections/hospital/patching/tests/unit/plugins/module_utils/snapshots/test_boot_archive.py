# SPDX-License-Identifier: GPL-3.0-or-later
"""``/boot`` archived and put back: content, modes, links, what is left alone, and what cannot be."""

import os
import stat
import tarfile

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.boot_archive import BootArchive

NAME = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def boot(tmp_path):
    folder = tmp_path / "boot"
    for name in ("grub/i386-pc", "loader/entries", "lost+found"):
        (folder / name).mkdir(parents=True)
    for name, text in (
        ("vmlinuz-1", "kernel 1"),
        ("initrd.img-1", "initrd 1"),
        ("grub/grub.cfg", "boots 1"),
        ("grub/i386-pc/normal.mod", "of the installed core"),
        ("loader/entries/1.conf", "entry 1"),
    ):
        (folder / name).write_text(text)
    (folder / "initrd.img-1").chmod(0o600)
    os.symlink("vmlinuz-1", str(folder / "vmlinuz"))
    return folder


@pytest.fixture
def archive(tmp_path, boot):
    return BootArchive(str(tmp_path / "kept"), str(boot))


def seen(boot):
    found = {}
    for folder, folders, files in os.walk(str(boot)):
        for name in folders + files:
            path = os.path.join(folder, name)
            state = os.lstat(path)
            content = os.readlink(path) if os.path.islink(path) else ""
            if stat.S_ISREG(state.st_mode):
                with open(path) as handle:
                    content = handle.read()
            found[os.path.relpath(path, str(boot))] = (stat.filemode(state.st_mode), content)
    return found


def update(boot):
    """Do what a kernel update does, and a bad one."""
    (boot / "vmlinuz-2").write_text("kernel 2")
    (boot / "loader/entries/2.conf").write_text("entry 2")
    (boot / "new").mkdir()
    (boot / "new/file").write_text("x")
    (boot / "grub/grub.cfg").write_text("boots 2")
    (boot / "initrd.img-1").chmod(0o644)
    (boot / "loader/entries/1.conf").unlink()
    (boot / "vmlinuz").unlink()
    os.symlink("vmlinuz-2", str(boot / "vmlinuz"))
    (boot / "grub/i386-pc/normal.mod").write_text("of a newer core")


def test_what_goes_back_is_all_but_the_boot_loaders_own_modules(archive, boot):
    before = seen(boot)
    digest = archive.make(NAME)
    update(boot)
    archive.require(NAME, digest)
    restored = archive.put_back(NAME)
    assert sorted(restored) == ["grub/grub.cfg", "initrd.img-1", "loader/entries/1.conf", "vmlinuz"]
    assert (boot / "vmlinuz-2").exists(), "until the root's merge is asked for"
    assert archive.prune(NAME) == ["loader/entries/2.conf", "new", "new/file", "vmlinuz-2"]
    after = seen(boot)
    assert after.pop("grub/i386-pc/normal.mod")[1] == "of a newer core"
    before.pop("grub/i386-pc/normal.mod")
    assert after == before


def test_a_second_time_changes_nothing(archive, boot):
    archive.make(NAME)
    update(boot)
    archive.put_back(NAME)
    archive.prune(NAME)
    assert archive.put_back(NAME) == [] == archive.prune(NAME)


def test_a_file_that_became_a_folder_is_said(archive, boot):
    archive.make(NAME)
    (boot / "vmlinuz-1").unlink()
    (boot / "vmlinuz-1").mkdir()
    with pytest.raises(PatchingError, match="is a folder now"):
        archive.put_back(NAME)


def test_another_file_system_below_is_left_alone(archive, boot, monkeypatch):
    real = os.lstat
    (boot / "efi").mkdir()
    (boot / "efi" / "shim").write_text("signed")

    class Elsewhere:
        def __init__(self, state):
            self.st_mode, self.st_size, self.st_dev = state.st_mode, state.st_size, state.st_dev + 1

    def lstat(path, **_others):
        state = real(path)
        return Elsewhere(state) if "/efi" in str(path) else state

    digest = archive.make(NAME)
    archive.require(NAME, digest)
    monkeypatch.setattr(os, "lstat", lstat)
    archive.make(NAME)
    assert archive.prune(NAME) == [] == archive.put_back(NAME)
    assert (boot / "efi" / "shim").exists()
    with tarfile.open(archive.path(NAME)) as opened:
        assert not [name for name in opened.getnames() if name.startswith("efi")]


def test_a_special_file_is_refused_and_nothing_is_left(archive, boot):
    os.mkfifo(str(boot / "pipe"))
    with pytest.raises(PatchingError, match="neither file nor folder nor link"):
        archive.make(NAME)
    assert os.listdir(archive.folder) == []


def test_an_archive_that_cannot_be_written_is_said(archive, boot):
    with open(archive.folder, "w") as handle:
        handle.write("no folder")
    with pytest.raises(PatchingError, match="kept"):
        archive.make(NAME)


def test_one_that_was_changed_or_has_no_room_to_go_back_to_is_refused(archive, boot, monkeypatch):
    digest = archive.make(NAME)
    with pytest.raises(PatchingError, match="expected SHA-256"):
        archive.require(NAME, "0" * 64)
    update(boot)
    full = os.statvfs(str(boot))

    class Full:
        f_bavail, f_frsize = 0, full.f_frsize

    monkeypatch.setattr(os, "statvfs", lambda _path: Full)
    with pytest.raises(PatchingError, match=r"0 bytes free; expected .* for what goes back there"):
        archive.require(NAME, digest)


def test_the_sweep_takes_what_no_restore_point_has_and_nothing_of_anybody_elses(archive):
    other = "f" * 32
    for name in (NAME, other):
        archive.make(name)
    for name in (NAME + ".tar.new", "notes.txt", "etc.tar"):
        with open(os.path.join(archive.folder, name), "w") as handle:
            handle.write("x")
    archive.sweep([NAME])
    assert sorted(os.listdir(archive.folder)) == [NAME + ".tar", "etc.tar", "notes.txt"]
    archive.forget(NAME)
    archive.forget(NAME)
    assert not os.path.exists(archive.path(NAME))
