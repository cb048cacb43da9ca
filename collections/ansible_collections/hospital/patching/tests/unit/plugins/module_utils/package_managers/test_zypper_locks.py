# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings and locks for one question to zypper."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import zypper_locks

LOCKED = "\ntype: package\nmatch_type: exact\ncase_sensitive: on\nsolvable_name: gamma\n"


@pytest.fixture
def private(tmp_path):
    path = tmp_path / "var/tmp/private"
    path.mkdir(parents=True)
    return path


def write(root, name, text):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (None, "", "[main]\nlocksfile.path = {}\n"),
        (
            "etc/zypp/zypp.conf",
            "# a\n[main]\nmultiversion = x\n",
            "# a\n[main]\nlocksfile.path = {}\nmultiversion = x\n",
        ),
        ("usr/etc/zypp/zypp.conf", "[main]\n", "[main]\nlocksfile.path = {}\n"),
        ("etc/zypp/zypp.conf", "solver.dupAllowVendorChange = no\n", "[main]\nlocksfile.path = {}\nsolver.dupAllow"),
    ],
)
def test_the_hosts_settings_stay_and_name_other_locks(tmp_path, private, name, text, expected):
    if name is not None:
        write(tmp_path, name, text)
    settings = zypper_locks.with_locks(str(tmp_path), str(private), ["gamma"])
    with open(settings, encoding="utf-8") as handle:
        assert handle.read().startswith(expected.format(private / "locks"))
    assert (private / "locks").read_text() == LOCKED


def test_the_hosts_locks_stay_wherever_they_are(tmp_path, private):
    write(tmp_path, "etc/zypp/zypp.conf", "[main]\n  locksfile.path = /etc/other/locks\n")
    write(tmp_path, "etc/zypp/locks", "solvable_name: not-read\n")
    write(tmp_path, "etc/other/locks", "solvable_name: own\n")
    settings = zypper_locks.with_locks(str(tmp_path), str(private), ["gamma"])
    with open(settings, encoding="utf-8") as handle:
        assert handle.read().count("locksfile.path") == 1
    assert (private / "locks").read_text() == "solvable_name: own\n" + LOCKED


def test_what_is_not_text_is_kept_byte_by_byte(tmp_path, private):
    write(tmp_path, "etc/zypp/locks", "")
    (tmp_path / "etc/zypp/locks").write_bytes(b"# \xff\n")
    zypper_locks.with_locks(str(tmp_path), str(private), ["gamma"])
    assert (private / "locks").read_bytes() == b"# \xff\n" + LOCKED.encode()


@pytest.mark.parametrize("case", ["drop-in", "directory", "huge"])
def test_what_may_not_be_the_whole_is_refused(tmp_path, private, monkeypatch, case):
    if case == "drop-in":
        write(tmp_path, "etc/zypp/zypp.conf.d/10.conf", "[main]\n")
    elif case == "directory":
        (tmp_path / "etc/zypp/locks").mkdir(parents=True)
    else:
        monkeypatch.setattr(zypper_locks, "MAX_BYTES", 10)
        write(tmp_path, "etc/zypp/locks", "x" * 11)
    with pytest.raises(PatchingError, match=r"zypp\.conf\.d|/etc/zypp/locks"):
        zypper_locks.with_locks(str(tmp_path), str(private), ["gamma"])
    assert os.listdir(str(private)) == []
