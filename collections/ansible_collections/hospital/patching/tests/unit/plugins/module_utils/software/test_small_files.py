# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that anybody may have written: only regular ones are opened."""

import os
import stat

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.software import small_files
from ansible_collections.hospital.patching.plugins.module_utils.software.archive_scan import LIMITS, Scan
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import head


@pytest.fixture
def opened(monkeypatch):
    """Return the names of all but regular files that were opened, and not just named."""
    found = []
    real = os.open

    def spy(path, flags, *others, **more):
        descriptor = real(path, flags, *others, **more)
        if not flags & os.O_PATH and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            found.append(path)
        return descriptor

    monkeypatch.setattr(os, "open", spy)
    return found


def test_a_file_and_a_link_to_one(tmp_path, opened):
    (tmp_path / "release").write_bytes(b"JAVA_VERSION=\xff17")
    os.symlink("release", str(tmp_path / "link"))
    assert head(str(tmp_path), "/release") == "JAVA_VERSION=\ufffd17"
    assert head(str(tmp_path), "/link", 4) == "JAVA"
    assert head(str(tmp_path), "/absent") is None
    assert head(str(tmp_path), "/nul\0") is None
    assert opened == []


@pytest.mark.parametrize("target", ["pipe", "/dev/zero", "directory"])
def test_what_a_link_leads_to_is_not_opened(tmp_path, opened, target):
    os.mkfifo(str(tmp_path / "pipe"))
    (tmp_path / "directory").mkdir()
    os.symlink(target, str(tmp_path / "package.json"))
    assert head(str(tmp_path), "/package.json") is None
    assert opened == []


def test_an_archive_that_became_a_pipe_is_not_opened(tmp_path, opened):
    os.mkfifo(str(tmp_path / "a.jar"))
    scan = Scan(Clock(), {}, LIMITS, Clock().monotonic() + 60, None)
    scan.look_at("/a.jar", str(tmp_path / "a.jar"))
    assert [(row["path"], "not a regular file" in row["reason"]) for row in scan.not_read] == [("/a.jar", True)]
    assert opened == []


def test_without_proc_it_is_the_same_file_or_none(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    real = os.open

    def without_proc(path, flags, *others, **more):
        if path.startswith("/proc/"):
            raise FileNotFoundError(path)
        return real(path, flags, *others, **more)

    monkeypatch.setattr(os, "open", without_proc)
    assert head(str(tmp_path), "/a") == "a"
    monkeypatch.setattr(small_files.os.path, "realpath", lambda _path: str(tmp_path / "b"))
    assert head(str(tmp_path), "/a") is None
