# SPDX-License-Identifier: GPL-3.0-or-later
"""What a zypper host would update; the documents were recorded with zypper 1.14.42 on a small repository."""

import os
import shutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import zypper_xml
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

RECORDED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recorded")
DOCUMENTS = {
    "repos": "zypper_repos.xml",
    "update": "zypper_update.xml",
    "patch": "zypper_patch_security.xml",
    "locks": "zypper_locks.xml",
    "list-updates": "zypper_list_updates_all.xml",
}
COMMANDS = set(DOCUMENTS) | {"refresh"}


class ZypperDouble:
    """A runner whose zypper answers what was recorded, and fills the cache that it is given."""

    def __init__(self, recorded):
        self.recorded = recorded
        self.special = {}
        self.commands = []
        self.release = (0, "Test OS\n")
        self.database = (0, "....", "")

    def run(self, args, env=None, **options):
        if args[0] == "rpm":
            if "--all" in args:
                return Result(args, *self.database)
            return Result(args, self.release[0], self.release[1], "")
        assert args[0] == "zypper"
        command = next(word for word in args if word in COMMANDS)
        self.commands.append(command)
        cache = args[args.index("--cache-dir") + 1]
        assert env["ZYPP_LOGFILE"].startswith(os.path.dirname(cache))
        assert ("--no-refresh" in args) == (command != "refresh")
        if command in ("update", "patch"):
            assert "--dry-run" in args
        if command in self.special:
            return Result(args, *self.special[command])
        if command == "refresh":
            target = os.path.join(cache, "raw", "baseos")
            if not os.path.exists(target):
                shutil.copytree(os.path.join(RECORDED, "rpm_repository"), target)
            return Result(args, 0, "", "")
        return Result(args, 0, self.recorded(DOCUMENTS[command]), "")


@pytest.fixture
def zypper(recorded):
    return ZypperDouble(recorded)


@pytest.fixture
def host(zypper, tmp_path):
    for name in ("var/tmp", "etc", "var/lib/zypp"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text('ID="sles"\nVERSION_ID="15.6"\n')
    return Host(zypper, Clock(), str(tmp_path), str(tmp_path / "state"))


def test_everything(host, tmp_path):
    (tmp_path / "var/lib/zypp/AutoInstalled").write_text("# comment\nlibalpha\n")
    result = pending(host, security_only=False)
    assert [
        (update["name"], update["from"], update["to"], update["kind"], update["automatic"])
        for update in result["updates"]
    ] == [
        ("alpha", "1:1.0-1", "1:1.1-1", "upgrade", False),
        ("beta", "2.0-1", "2.0^git1-1", "upgrade", False),
        ("excludedpkg", "1.0-1", "1.1-1", "upgrade", False),
        ("firefox", "115.0-1", "128.0-1", "upgrade", False),
        ("gamma", "3.0-1", "3.0-2", "upgrade", False),
        ("libalpha", "1.0-1", "1.0-3", "upgrade", True),
        ("newdep", None, "1.0-1", "new_install", True),
        ("newname", None, "2.0-1", "new_install", True),
        ("oldname", "1.0-1", None, "removal", False),
        ("viewer", "1.0-1", "1.2-1", "upgrade", False),
    ]
    assert (result["manager"], result["listed"]) == ("zypper", 9)
    assert (result["facts"]["id"], result["facts"]["version_id"]) == ("sles", "15.6")
    assert os.listdir(str(tmp_path / "var/tmp")) == []


def test_an_update_says_where_it_comes_from_and_what_it_fixes(host):
    updates = {update["name"]: update for update in pending(host, security_only=False)["updates"]}
    libalpha = updates["libalpha"]
    # 1.0-3 has no advisory of its own: the fix is 1.0-2, between the installed version and it.
    assert (libalpha["security"], libalpha["advisories"]) == (True, ["TEST-2026:0001"])
    assert libalpha["cves"] == ["CVE-2026-1111", "CVE-2026-1112"]
    assert (libalpha["origin"], libalpha["class"]) == ("baseos", "os")
    assert (libalpha["download_bytes"], libalpha["installed_bytes"], len(libalpha["sha256"])) == (6220, 4, 64)
    assert (updates["gamma"]["security"], updates["gamma"]["advisories"]) == (False, ["TEST-2026:0002"])
    assert updates["firefox"]["class"] == "third_party"
    # Its repository has no files here: what is not known is left open.
    assert (updates["viewer"]["origin"], updates["viewer"]["sha256"]) == (None, None)
    assert (updates["newdep"]["advisories"], updates["oldname"]["security"]) == ([], False)


@pytest.mark.parametrize(
    ("installed", "target", "advisories"),
    [
        ("1.0-1", "1.0-2", ["TEST-2026:0001"]),
        ("1.0-1", "1.0-1.1", []),  # the fix is newer than the target
        ("1.0-2", "1.0-3", []),  # the fix is installed
    ],
)
def test_advisories_after_the_installed_version_and_up_to_the_target_count(
    host, zypper, recorded, installed, target, advisories
):
    one = 'name="libalpha" edition="{}" arch="noarch" edition-old="{}"'
    text = recorded("zypper_update.xml")
    assert one.format("1.0-3", "1.0-1") in text
    zypper.special["update"] = (0, text.replace(one.format("1.0-3", "1.0-1"), one.format(target, installed)), "")
    updates = {update["name"]: update for update in pending(host, security_only=False)["updates"]}
    assert (updates["libalpha"]["advisories"], updates["libalpha"]["security"]) == (advisories, bool(advisories))


def test_locks_are_held_with_what_the_package_would_become(host):
    assert pending(host, security_only=False)["held"] == [
        {
            "name": "lockedpkg",
            "arch": "noarch",
            "version": "1.0-1",
            "candidate": "1.1-1",
            "reason": "zypper lock",
        }
    ]


def test_what_zypper_does_not_choose_is_held_too(host, zypper, recorded):
    text = recorded("zypper_update.xml")
    start = text.index('<solvable type="package" name="gamma"')
    without = text[:start] + text[text.index("</solvable>", start) + len("</solvable>") :]
    zypper.special["update"] = (0, without, "")
    held = pending(host, security_only=False)["held"]
    assert [(item["name"], item["version"], item["candidate"]) for item in held] == [
        ("lockedpkg", "1.0-1", "1.1-1"),
        ("gamma", "3.0-1", "3.0-2"),
    ]
    assert "does not choose" in held[1]["reason"]


def test_security_only_is_what_patch_would_do(host, zypper):
    result = pending(host, security_only=True)
    assert [update["name"] for update in result["updates"]] == ["alpha", "libalpha", "newdep"]
    assert result["listed"] == 9
    assert zypper.commands == ["repos", "refresh", "update", "patch", "locks", "list-updates"]


def test_repositories_have_the_shape_of_apt(host):
    assert pending(host, security_only=False)["repositories"] == [
        {"uri": "file:/srv/world/os", "suite": "baseos", "origin": None, "label": "Test OS 9", "signed": False},
        {
            "uri": "file:/srv/world/vendor",
            "suite": "vendor-imaging",
            "origin": None,
            "label": "Example Imaging",
            "signed": False,
        },
    ]


def test_a_repository_that_is_down_is_named(host, zypper, recorded, tmp_path):
    zypper.special["refresh"] = (4, recorded("zypper_refresh_down.xml"), "")
    with pytest.raises(PatchingError, match="repository baseos: Repository 'Down' is invalid"):
        pending(host, security_only=False)
    assert zypper.commands == ["repos", "refresh", "refresh"]
    assert os.listdir(str(tmp_path / "var/tmp")) == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((7, "", "System management is locked by pid 12 (zypper)."), "is locked by pid 12"),
        ((0, "Loading...", ""), "not XML"),
        ((0, "<?xml version='1.0'?><stream>", ""), "not XML"),
        ((4, "<?xml version='1.0'?><stream><message type='error'>No way\n out</message></stream>", ""), "No way out"),
        ((106, "<?xml version='1.0'?><stream></stream>", ""), "exit 106"),
    ],
)
def test_what_cannot_be_resolved_is_refused_with_its_reason(host, zypper, answer, message):
    zypper.special["update"] = answer
    with pytest.raises(PatchingError, match=r"^zypper update: .*" + message):
        pending(host, security_only=False)


def test_a_database_that_cannot_be_read_is_not_blamed_on_a_repository(host, zypper):
    zypper.database = (1, "", "error: sqlite failure: file is not a database\n")
    with pytest.raises(PatchingError, match=r"^rpm database: error: sqlite failure"):
        pending(host, security_only=False)
    assert zypper.commands == []


@pytest.mark.parametrize("code", [100, 101, 102, 103])
def test_exit_codes_that_only_inform_are_an_answer(host, zypper, recorded, code):
    zypper.special["patch"] = (code, recorded("zypper_patch_security.xml"), "")
    assert len(pending(host, security_only=True)["updates"]) == 3


def test_without_a_release_package_the_repository_decides(host, zypper):
    zypper.release = (1, "no package provides system-release\n")
    updates = {update["name"]: update for update in pending(host, security_only=False)["updates"]}
    assert updates["alpha"]["class"] == "os"


def test_the_preferred_repository_comes_first(recorded):
    text = recorded("zypper_repos.xml")
    document = zypper_xml.parse(
        text.replace(
            'alias="vendor-imaging" name="Example Imaging" type="rpm-md" priority="99"',
            'alias="vendor-imaging" name="Example Imaging" type="rpm-md" priority="50"',
        )
    )
    assert [repo.alias for repo in zypper_xml.repositories(document)] == ["vendor-imaging", "baseos"]


@pytest.mark.parametrize("defined", [True, False])
def test_a_host_without_repositories_is_not_up_to_date(host, zypper, recorded, defined):
    disabled = recorded("zypper_repos.xml").replace('enabled="1"', 'enabled="0"')
    zypper.special["repos"] = (0, disabled, "") if defined else (6, "", "")
    with pytest.raises(PatchingError, match=r"^repositories of this host: none is enabled"):
        pending(host, security_only=False)
