# SPDX-License-Identifier: GPL-3.0-or-later
"""What rpm has recorded, fed with what rpm 4.18 printed of a database of eight packages."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import evr, parse, query, source_of
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

RECORDED = os.path.join(os.path.dirname(__file__), "recorded")


def recorded(name):
    with open(os.path.join(RECORDED, name), "rb") as handle:
        return handle.read().decode("utf-8", "replace")


OUTPUT = recorded("rpm_qa_query_format.bin")


class Answers:
    """A runner whose rpm gives one answer."""

    def __init__(self, stdout="", rc=0, stderr=""):
        self.result = Result([], rc, stdout, stderr)
        self.calls = []

    def run(self, args, timeout_s, check):
        assert not check
        assert timeout_s <= 60
        self.calls.append(args)
        return self.result


def line(package):
    """Return what ``rpm -qa`` prints of a package."""
    stem = "{}-{}-{}".format(package.name, package.version, package.release)
    return "{}.{}".format(stem, package.arch) if package.arch else stem


def test_the_list_is_that_of_rpm_line_by_line():
    packages, problems = parse(OUTPUT)
    assert problems == []
    assert [line(package) for package in packages] == recorded("rpm_qa.txt").splitlines()


def test_all_fields():
    packages = {package.name: package for package in parse(OUTPUT)[0]}
    library = packages["libviewer"]
    assert (library.epoch, library.version, library.release) == (2, "0.9~rc1", "1.el9")
    assert (evr(library), evr(packages["tool"])) == ("2:0.9~rc1-1.el9", "1.0^git5-1")
    assert (library.vendor, library.installed_bytes, library.installed_s) == ("Hospital Ltd", 8, 1795641047)
    assert source_of(library) == ("libviewer", "0.9~rc1-1.el9")


def test_an_imported_key_is_a_package_without_architecture_and_source():
    key = {package.name: package for package in parse(OUTPUT)[0]}["gpg-pubkey"]
    assert (key.arch, key.source_rpm, key.vendor, key.epoch) == (None, None, None, 0)
    assert source_of(key) == ("gpg-pubkey", "8f49cbeb-6b074d44")


def test_a_broken_encoding_is_replaced():
    assert {package.name: package for package in parse(OUTPUT)[0]}["latin"].vendor == "Kl\ufffdr GmbH"


@pytest.mark.parametrize(
    ("source_rpm", "expected"),
    [
        ("a-b-1-2.src.rpm", ("a-b", "1-2")),
        ("a-1-2.nosrc.rpm", ("a", "1-2")),
        ("rubbish", ("x", "1-2")),
        ("rubbish.src.rpm", ("x", "1-2")),
    ],
)
def test_sources(source_rpm, expected):
    package = rpm_database.RpmPackage("x", 0, "1", "2", "noarch", source_rpm, None, 0, None)
    assert source_of(package) == expected


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (OUTPUT[: len(OUTPUT) // 2], "ends in the middle"),
        (OUTPUT.replace("\x1flatin-1.0-1.src.rpm", "", 1), "record 3 (latin) is not readable"),
        (OUTPUT.replace("tool\x1f", "\x1f", 1), "record 4 (no name) is not readable"),
        ("\x1e", "record 1 (no name) is not readable"),
        ("rubbish", "ends in the middle"),
    ],
)
def test_damage_costs_only_its_own_package(damage, problem):
    packages, problems = parse(damage)
    assert len(problems) == 1
    assert problem in problems[0]
    assert len(packages) == damage.count("\x1e") - (0 if "middle" in problem else 1)


@pytest.mark.parametrize("number", ["-1", "1e9", "\u0663", "9" * 400])
def test_a_number_that_is_none(number):
    packages, _problems = parse(OUTPUT.replace("\x1f1795641047\x1e", "\x1f" + number + "\x1e", 1))
    assert packages[0].installed_s is None


def test_one_call_for_the_whole_database(tmp_path):
    rpm = Answers(OUTPUT)
    assert len(query(rpm, "/")[0]) == 8
    assert rpm.calls == [["rpm", "-qa", "--queryformat", rpm_database.QUERY_FORMAT]]
    (tmp_path / "usr/lib/sysimage/rpm").mkdir(parents=True)
    (tmp_path / "usr/lib/sysimage/rpm/Packages.db").write_text("")
    query(rpm, str(tmp_path))
    assert rpm.calls[1][-2:] == ["--dbpath", str(tmp_path / "usr/lib/sysimage/rpm")]


def test_a_database_that_cannot_be_opened_is_an_error():
    text = "error: sqlite failure: file is not a database\nerror: cannot open Packages database in /var/lib/rpm\n"
    with pytest.raises(PatchingError, match=r"ended with 1: .*not a database.* --rebuilddb"):
        query(Answers("", 1, text), "/")


@pytest.mark.parametrize(("rc", "stderr"), [(0, "error: SELECT hnum: 11: database disk image is malformed\n"), (3, "")])
def test_a_damaged_database_is_partial_and_told(rc, stderr):
    packages, problems = query(Answers(OUTPUT, rc, stderr), "/")
    assert len(packages) == 8
    assert len(problems) == 1


def test_what_rpm_only_warns_of_is_no_damage():
    assert query(Answers(OUTPUT, 0, "warning: Found bdb_ro Packages database\n"), "/")[1] == []


@pytest.mark.parametrize(
    "file", ["var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages", "usr/lib/sysimage/rpm/Packages.db"]
)
def test_where_the_database_is(tmp_path, file):
    assert rpm_database.directory(str(tmp_path)) is None
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    assert rpm_database.directory(str(tmp_path)) is None, "a directory alone is made by the package rpm on Debian"
    path.write_text("")
    assert rpm_database.directory(str(tmp_path)) == str(path.parent)
