# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks, as dnf's versionlock plugin 4.3 and zypper 1.14 wrote them."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import rpm_locks
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage

RECORDED = os.path.join(os.path.dirname(__file__), "recorded")
VIEWER = RpmPackage("viewer", 0, "1.3", "1.el9", "noarch", None, None, 0, None)
LIBRARY = RpmPackage("libviewer", 2, "0.9~rc1", "1.el9", "noarch", None, None, 0, None)
KERNEL = RpmPackage("kernel-core", 0, "6.1", "1.el9", "x86_64", None, None, 0, None)


def recorded(name):
    with open(os.path.join(RECORDED, name), encoding="utf-8") as handle:
        return handle.read()


@pytest.fixture
def write(tmp_path):
    def files(versionlock=None, zypper=None):
        for text, name in ((versionlock, "etc/dnf/plugins/versionlock.list"), (zypper, "etc/zypp/locks")):
            if text is not None:
                path = tmp_path / name
                path.parent.mkdir(parents=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        locks, _problems = rpm_locks.read(str(tmp_path))
        return lambda package: rpm_locks.holder(locks, package)

    return files


def test_recorded_versionlocks(write):
    held = write(recorded("dnf_versionlock.txt"))
    weak = VIEWER._replace(name="weak", version="1.0", release="1")
    assert [held(package) for package in (VIEWER, KERNEL, LIBRARY, weak)] == [
        "dnf versionlock",
        "dnf versionlock",
        None,
        None,
    ]


def test_recorded_zypper_locks(write):
    held = write(None, recorded("zypp_locks.txt"))
    assert [held(package) for package in (VIEWER, KERNEL, LIBRARY)] == [None, "zypper lock", "zypper lock"]


@pytest.mark.parametrize(
    ("pattern", "held"),
    [
        ("viewer", True),
        ("viewer.noarch", True),
        ("viewer-1.3", True),
        ("viewer-0:1.3-1.*", True),
        ("viewer-0:9.9-1.el9.*", True),  # a name that is locked to another version may not change either
        ("view", False),
        ("viewer-1.2", False),
        ("python3-viewer-tools", False),
        ("!viewer", False),
        ("# viewer", False),
        ("[", False),
        ("viewer-1.3-1.el9.x86_64", False),
    ],
)
def test_forms_of_a_versionlock(write, pattern, held):
    assert (write("\n" + pattern + "\n")(VIEWER) is not None) is held


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ("match_type: exact\nsolvable_name: viewer", True),
        ("match_type: exact\nsolvable_name: view", False),
        ("match_type: substring\nsolvable_name: iew", True),
        ("match_type: regex\nsolvable_name: ^v.*r$", True),
        ("match_type: regex\nsolvable_name: ^[[:alpha:]]+$", True),
        ("match_type: regex\nsolvable_name: ^[^[:upper:][:digit:]]+$\ncase_sensitive: on", True),
        ("match_type: regex\nsolvable_name: [[:digit:][:space:][:punct:]]", False),
        ("match_type: glob\nsolvable_name: VIEW*", True),
        ("match_type: glob\ncase_sensitive: on\nsolvable_name: VIEW*", False),
        ("match_type: exact\nsolvable_name: viewer\nrepo: other", False),
        ("match_type: exact\nsolvable_name: viewer\nversion: > 2", False),
        ("type: patch\nmatch_type: exact\nsolvable_name: viewer", False),
        ("match_type: regex\nsolvable_name: (", False),
        ("rubbish", False),
    ],
)
def test_kinds_of_a_zypper_lock(write, fields, held):
    text = fields if "type: patch" in fields else "type: package\n" + fields
    assert (write(None, "\n" + text + "\n\n")(VIEWER) is not None) is held


@pytest.mark.parametrize("pattern", ["(", "a)|(b", "*x", "[[:nothing:]]", "a{99999999999999}"])
def test_a_lock_that_cannot_be_read_is_named_and_the_others_hold(tmp_path, pattern):
    (tmp_path / "etc/zypp").mkdir(parents=True)
    stanza = "\ntype: package\nmatch_type: regex\nsolvable_name: {}\n"
    (tmp_path / "etc/zypp/locks").write_text(stanza.format(pattern) + stanza.format("^view"))
    locks, problems = rpm_locks.read(str(tmp_path))
    assert rpm_locks.holder(locks, VIEWER) == "zypper lock"
    assert rpm_locks.holder(locks, KERNEL) is None
    assert [problem.split(" cannot be read")[0] for problem in problems] == [
        "/etc/zypp/locks: the regular expression " + pattern
    ]


def test_broken_encodings_and_missing_files(write):
    assert write(b"\xff\xfe\nviewer\n", b"\xff")(VIEWER) == "dnf versionlock"


def test_nothing_is_locked_without_files(tmp_path):
    assert rpm_locks.read(str(tmp_path)) == ([], [])
