# SPDX-License-Identifier: GPL-3.0-or-later
"""Private metadata: refreshed without touching the host's own, and gone afterwards."""

import errno
import os
import time

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_metadata
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import (
    AptMetadata,
    refresh_problems,
    repository_in,
)


def test_the_directory_is_private_seeded_and_removed(debian, host, tmp_path):
    lists = tmp_path / "var/lib/apt/lists"
    for name in ("x_InRelease", "x_Packages", "x_Translation-en", "lock"):
        (lists / name).write_text(name)
    os.utime(str(lists / "x_InRelease"), (1000, 1000))
    with AptMetadata(host) as metadata:
        assert sorted(os.listdir(metadata.path("lists"))) == ["partial", "x_InRelease", "x_Packages"]
        assert os.stat(metadata.path("lists/x_InRelease")).st_mtime == 1000
        metadata.refresh()
        (args,) = debian.ran("apt-get", "update")
        assert "Dir::State::lists=" + metadata.path("lists") in args
        assert "APT::Update::Error-Mode=any" in args
        assert "APT::Get::AllowUnauthenticated=false" in args
    assert os.listdir(str(tmp_path / "var/tmp")) == []
    assert sorted(os.listdir(str(lists))) == ["lock", "x_InRelease", "x_Packages", "x_Translation-en"]


def test_it_is_removed_after_a_failure(host, tmp_path):
    with pytest.raises(ValueError, match="x"), AptMetadata(host):
        raise ValueError("x")
    assert os.listdir(str(tmp_path / "var/tmp")) == []


def test_no_room_for_it_is_a_clear_error_that_leaves_nothing(debian, host, tmp_path, monkeypatch):
    def full(*_args, **_others):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(apt_metadata.os, "makedirs", full)
    with pytest.raises(PatchingError, match=r"var/tmp: .*make room there"), AptMetadata(host):
        pass
    assert os.listdir(str(tmp_path / "var/tmp")) == []
    monkeypatch.setattr(apt_metadata.tempfile, "mkdtemp", full)
    with pytest.raises(PatchingError, match=r"var/tmp: .*make room there"), AptMetadata(host):
        pass


def test_what_a_killed_call_left_is_removed_after_a_day(host, tmp_path):
    old, young, other = (
        tmp_path / "var/tmp" / name for name in (apt_metadata.PREFIX + "a", apt_metadata.PREFIX + "b", "c")
    )
    for path in (old, young, other):
        path.mkdir()
    then = time.time() - apt_metadata.ABANDONED_S - 10
    for path in (old, other):
        os.utime(str(path), (then, then))
    with AptMetadata(host):
        pass
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


@pytest.mark.parametrize(
    ("name", "status", "repository"),
    [
        ("apt_update_not_a_repository.txt", 100, "http://deb.debian.org/debian-nosuch/dists/bookworm/InRelease"),
        ("apt_update_unreachable.txt", 100, "http://127.0.0.1:1/debian/dists/bookworm/InRelease"),
        ("apt_update_unreachable_exit_0.txt", 0, "http://127.0.0.1:1/debian/dists/bookworm/InRelease"),
        ("apt_update_unsigned.txt", 100, "file:/root/repo"),
    ],
)
def test_a_bad_repository_is_named(debian, host, recorded, name, status, repository):
    debian.apt_update = (status, recorded(name))
    with AptMetadata(host) as metadata, pytest.raises(PatchingError) as caught:
        metadata.refresh()
    assert caught.value.subject == "repository " + repository


def test_warnings_that_change_nothing_are_no_problem():
    assert refresh_problems(0, "W: Download is performed unsandboxed as root\nN: something\n") == []
    assert refresh_problems(0, "") == []


def test_a_failure_without_words_is_still_one():
    assert refresh_problems(100, "") == ["apt-get update ended with 100"]
    assert repository_in(["no address"]) == "of this host"


def test_passwords_in_addresses_are_not_shown():
    (line,) = refresh_problems(100, "E: Failed to fetch https://user:secr/et@secret@mirror/dists/x?secret  401\n")
    assert "secret" not in line


def test_repositories_with_origin_and_signature(debian, host):
    with AptMetadata(host) as metadata:
        found = metadata.repositories()
    assert [(item["uri"], item["suite"], item["origin"], item["label"], item["signed"]) for item in found] == [
        ("http://deb.debian.org/debian-security/", "oldstable-security", "Debian", "Debian-Security", True),
        ("http://deb.debian.org/debian/", "oldstable", "Debian", "Debian", True),
    ]
    assert found[0]["index_files"][0].endswith("bookworm-security_main_binary-amd64_Packages")


@pytest.mark.parametrize(
    ("name", "text", "signed"),
    [
        ("a.list", "deb [trusted=yes] http://x y z\n", False),
        ("a.list", "deb [arch=amd64 trusted=yes] http://x y z\n", False),
        ("a.list", "deb [signed-by=/k] http://x y z\n", True),
        ("a.sources", "Types: deb\nTrusted: yes\n", False),
        ("a.sources", "Types: deb\nSigned-By: /k\n", True),
    ],
)
def test_a_source_taken_on_trust_is_not_signed(host, tmp_path, name, text, signed):
    (tmp_path / name).write_text(text)
    target = {"Sourcesentry": "{}:1".format(tmp_path / name)}
    assert AptMetadata(host)._taken_on_trust(target) is not signed
