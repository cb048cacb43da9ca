# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc before an installation."""

import os
import socket
import stat
import tarfile

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import etc_archive


def test_the_archive_is_whole_and_for_root_only(tmp_path):
    (tmp_path / "etc/ssl").mkdir(parents=True)
    (tmp_path / "etc/ssl/key").write_text("secret")
    (tmp_path / "etc/link").symlink_to("ssl/key")
    path = etc_archive.archive(str(tmp_path), str(tmp_path / "state/etc/x.tar"))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with tarfile.open(path) as tar:
        assert sorted(tar.getnames()) == ["etc", "etc/link", "etc/ssl", "etc/ssl/key"]


def test_what_vanishes_or_changes_while_etc_is_read_is_passed_over(tmp_path, monkeypatch):
    for name in ("a/gone", "b/linked", "c/left", "d.conf"):
        (tmp_path / "etc" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "etc" / name).write_text(name)
    seen = tarfile.TarFile.gettarinfo

    def meanwhile(tar, name=None, *others):
        info = seen(tar, name, *others)
        if name.endswith("/gone"):
            os.unlink(name)
        if name.endswith("/linked"):
            os.unlink(name)
            os.symlink("/etc/hostname", name)
        return info

    pipe = socket.socket(socket.AF_UNIX)
    pipe.bind(str(tmp_path / "etc/socket"))
    pipe.close()
    monkeypatch.setattr(tarfile.TarFile, "gettarinfo", meanwhile)
    listed = os.listdir
    monkeypatch.setattr("os.listdir", lambda path: [*listed(path), *["never"] * path.endswith("/c")])
    path = etc_archive.archive(str(tmp_path), str(tmp_path / "state/x.tar"))
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["etc", "etc/a", "etc/b", "etc/c", "etc/c/left", "etc/d.conf"]


@pytest.mark.parametrize("most", [1, 1 << 20])
def test_a_file_that_shrinks_or_grows_is_archived_as_it_was_read(tmp_path, monkeypatch, most):
    (tmp_path / "etc").mkdir()
    for name in ("grows", "shrinks", "z"):
        (tmp_path / "etc" / name).write_text("before" * 1000)
    seen = tarfile.TarFile.gettarinfo

    def meanwhile(tar, name=None, *others):
        info = seen(tar, name, *others)
        if os.path.basename(name) in ("grows", "shrinks"):
            with open(name, "w") as handle:
                handle.write("after" * (3 if name.endswith("shrinks") else 5000))
        return info

    monkeypatch.setattr(tarfile.TarFile, "gettarinfo", meanwhile)
    monkeypatch.setattr(etc_archive, "_SPOOLED_BYTES", most)
    path = etc_archive.archive(str(tmp_path), str(tmp_path / "state/x.tar"))
    with tarfile.open(path) as tar:
        sizes = {member.name: len(tar.extractfile(member).read()) for member in tar if member.isfile()}
    assert sizes == {"etc/grows": 25000, "etc/shrinks": 15, "etc/z": 6000}
    assert os.listdir(str(tmp_path / "state")) == ["x.tar"]


def test_half_an_archive_is_not_left_on_a_full_disk(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        etc_archive.archive(str(tmp_path), str(tmp_path / "state/etc/x.tar"))
    assert os.listdir(str(tmp_path / "state/etc")) == []


@pytest.fixture
def replaced(tmp_path):
    """A host on which a directory took the place of a configuration file, after dpkg's way back."""
    folder = tmp_path / "etc/app"
    folder.mkdir(parents=True)
    for each in (folder.parent, folder):
        each.chmod(0o755)
    (folder / "app.ini").write_text("the host's own")
    (folder / "app.ini").chmod(0o640)
    path = etc_archive.archive(str(tmp_path), str(tmp_path / "state/x.tar"))
    (folder / "app.ini").unlink()
    (folder / "app.ini.dpkg-new").write_text("the vendor's")
    return tmp_path, folder, path


def test_a_configuration_file_that_dpkg_could_not_place_comes_back(replaced):
    root, folder, path = replaced
    (folder / "new.ini.dpkg-new").write_text("of nothing that was there before")
    assert etc_archive.bring_back(str(root), path, []) == [str(folder / "app.ini")]
    assert (folder / "app.ini").read_text() == "the host's own"
    assert stat.S_IMODE(os.stat(str(folder / "app.ini")).st_mode) == 0o640
    assert sorted(os.listdir(str(folder))) == ["app.ini", "new.ini.dpkg-new"]
    assert etc_archive.bring_back(str(root), path, []) == []


def test_the_directory_that_dpkg_leaves_in_its_place_stays_beside_it(replaced):
    root, folder, path = replaced
    (folder / "app.ini").mkdir()
    (folder / "app.ini" / "part.ini").write_text("the new version's")
    assert etc_archive.bring_back(str(root), path, []) == [str(folder / "app.ini")]
    assert (folder / "app.ini").read_text() == "the host's own"
    assert (folder / "app.ini.replaced" / "part.ini").read_text() == "the new version's"


def test_what_is_there_is_never_replaced_by_the_archive(replaced):
    root, folder, path = replaced
    (folder / "app.ini").write_text("changed since")
    assert etc_archive.bring_back(str(root), path, []) == []
    assert (folder / "app.ini").read_text() == "changed since"


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_without_a_readable_archive_the_vendors_text_stays_beside_it(replaced, harm):
    root, folder, path = replaced
    os.unlink(path)
    if harm == "damaged":
        (root / "state/x.tar").write_text("no archive")
    assert etc_archive.bring_back(str(root), path, []) == []
    assert os.listdir(str(folder)) == ["app.ini.dpkg-new"]


def test_a_proposal_that_lay_there_before_is_left_alone(replaced):
    root, folder, path = replaced
    assert etc_archive.bring_back(str(root), path, [str(folder / "app.ini.dpkg-new")]) == []
    assert os.listdir(str(folder)) == ["app.ini.dpkg-new"]


@pytest.mark.parametrize("mode", [0o775, 0o757])
@pytest.mark.parametrize("whose", ["etc", "etc/app"])
def test_nothing_is_written_where_others_may_write(replaced, mode, whose):
    root, folder, path = replaced
    (root / whose).chmod(mode)
    assert etc_archive.bring_back(str(root), path, []) == []
    assert os.listdir(str(folder)) == ["app.ini.dpkg-new"]


def test_nothing_is_written_into_the_folder_of_a_service_user(replaced, monkeypatch):
    root, folder, path = replaced
    seen = os.lstat

    def another(each):
        found = list(seen(each))
        found[stat.ST_UID] = 4711 if each == str(folder) else 0
        return os.stat_result(found)

    monkeypatch.setattr(etc_archive.os, "lstat", another)
    assert etc_archive.bring_back(str(root), path, []) == []
    assert os.listdir(str(folder)) == ["app.ini.dpkg-new"]


def test_a_link_in_the_place_of_the_unfinished_file_is_not_followed(replaced):
    root, folder, path = replaced
    (root / "shadow").write_text("secret")
    (folder / "app.ini.part").symlink_to(root / "shadow")
    assert etc_archive.bring_back(str(root), path, []) == [str(folder / "app.ini")]
    assert (root / "shadow").read_text() == "secret"
    assert sorted(os.listdir(str(folder))) == ["app.ini", "app.ini.part"]


def test_proposals(tmp_path):
    (tmp_path / "etc/a").mkdir(parents=True)
    for name in ("x.conf", "x.conf.dpkg-dist", "y.ucf-dist", "z.dpkg-new", "w.dpkg-old"):
        (tmp_path / "etc/a" / name).write_text("")
    found = [os.path.basename(path) for path in etc_archive.proposals(str(tmp_path))]
    assert found == ["x.conf.dpkg-dist", "y.ucf-dist", "z.dpkg-new"]
