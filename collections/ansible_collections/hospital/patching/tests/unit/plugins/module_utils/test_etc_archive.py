# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc before an installation."""

import os
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


def test_half_an_archive_is_not_left_on_a_full_disk(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        etc_archive.archive(str(tmp_path), str(tmp_path / "state/etc/x.tar"))
    assert os.listdir(str(tmp_path / "state/etc")) == []


def test_proposals(tmp_path):
    (tmp_path / "etc/a").mkdir(parents=True)
    for name in ("x.conf", "x.conf.dpkg-dist", "y.ucf-dist", "z.dpkg-new", "w.dpkg-old"):
        (tmp_path / "etc/a" / name).write_text("")
    found = [os.path.basename(path) for path in etc_archive.proposals(str(tmp_path))]
    assert found == ["x.conf.dpkg-dist", "y.ucf-dist", "z.dpkg-new"]
