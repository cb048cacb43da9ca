# SPDX-License-Identifier: GPL-3.0-or-later
"""Private directories: closed to others, gone afterwards, and seeded within limits."""

import errno
import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import private_directory
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    room,
    seed,
)


@pytest.fixture
def base(tmp_path):
    (tmp_path / "var/tmp").mkdir(parents=True)
    return tmp_path / "var/tmp"


def test_it_is_closed_to_others_and_removed_also_after_an_error(tmp_path, base):
    private = PrivateDirectory(str(tmp_path), "p-")
    with private:
        assert os.stat(private.path).st_mode & 0o077 == 0
        assert os.path.isdir(private.folder("cache"))
    assert os.listdir(str(base)) == []
    with pytest.raises(KeyError), private:
        raise KeyError
    assert os.listdir(str(base)) == []


def test_what_a_killed_call_left_is_removed_after_a_day(tmp_path, base):
    for name in ("p-old", "p-new", "other-old"):
        (base / name).mkdir()
    for name in ("p-old", "other-old"):
        os.utime(str(base / name), (1, 1))
    with PrivateDirectory(str(tmp_path), "p-"):
        assert not (base / "p-old").exists()
    assert sorted(os.listdir(str(base))) == ["other-old", "p-new"]


def test_no_place_is_a_clear_error(tmp_path):
    with pytest.raises(PatchingError, match="var/tmp"), PrivateDirectory(str(tmp_path), "p-"):
        pass


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "over"),
        PatchingError("repository a", "E: Write error - write (28: No space left on device)", "x", "repair it"),
        PatchingError("repository a", "Curl error (23): Failed writing received data to disk/application", "x", "y"),
    ],
)
def test_a_full_disk_is_named_and_not_whoever_noticed(tmp_path, error):
    with pytest.raises(PatchingError, match="make room there") as caught, room(str(tmp_path)):
        raise error
    assert caught.value.subject == str(tmp_path / "var/tmp")


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), PatchingError("a", "b", "c", "d"), KeyError("a")])
def test_another_error_stays_what_it_is(tmp_path, error):
    with pytest.raises(type(error)) as caught, room(str(tmp_path)):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(("limit", "expected"), [(7, ["a", "b/c"]), (6, [])])
def test_a_cache_is_copied_with_its_times_unless_it_is_large(tmp_path, monkeypatch, limit, expected):
    monkeypatch.setattr(private_directory, "MAX_SEED_BYTES", limit)
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "b").mkdir(parents=True)
    target.mkdir()
    (source / "a").write_text("1234")
    (source / "b/c").write_text("567")
    (source / "other").write_text("12345678")
    os.utime(str(source / "a"), (5, 5))
    seed(str(source), ["a", "b", "missing"], str(target))
    found = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    assert found == expected
    assert not expected or os.stat(str(target / "a")).st_mtime == 5
