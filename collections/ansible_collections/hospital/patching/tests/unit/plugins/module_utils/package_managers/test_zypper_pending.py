# SPDX-License-Identifier: GPL-3.0-or-later
"""What a zypper host would update; the documents were recorded with zypper 1.14.42 on a small repository."""

import json
import os
import shutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import zypper_xml
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

RECORDED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recorded")
SCHEMA = os.path.join(os.path.dirname(__file__), *[os.pardir] * 5, "plugins", "plugin_utils", "schemas", "update.json")
DOCUMENTS = {
    "repos": "zypper_repos.xml",
    "update": "zypper_update.xml",
    "locks": "zypper_locks.xml",
    "list-updates": "zypper_list_updates_all.xml",
}
COMMANDS = set(DOCUMENTS) | {"refresh"}
SECURITY = EVERYTHING._replace(security_only=True)
#: What was recorded of ``zypper update`` with names, and with one more lock.
NAMED = {
    ("alpha", "libalpha"): "zypper_update_security.xml",
    ("beta", "excludedpkg", "firefox", "gamma", "kernel-demo", "libalpha", "viewer"): "zypper_update_names.xml",
}
WITHOUT_NEWDEP = "zypper_update_without_newdep.xml"

FULL = "write failed: No space left on device"


class ZypperDouble:
    """A runner whose zypper answers what was recorded, and fills the cache that it is given."""

    def __init__(self, recorded):
        self.recorded = recorded
        self.special = {}
        self.commands = []
        self.release = (0, "Test OS\n")
        self.database = (0, recorded("rpm_qa_of_zypper.txt"), "")
        self.names = []
        self.locks = []

    def run(self, args, env=None, **options):
        if args[0] == "rpm":
            if "-qa" in args:
                return Result(args, *self.database)
            return Result(args, self.release[0], self.release[1], "")
        assert args[0] == "zypper"
        command = next(word for word in args if word in COMMANDS)
        self.commands.append(command)
        cache = args[args.index("--cache-dir") + 1]
        assert env["ZYPP_LOGFILE"].startswith(os.path.dirname(cache))
        definitions = args[args.index("--reposd-dir") + 1]
        assert os.path.dirname(definitions) == os.path.dirname(cache)
        assert args.index("--reposd-dir") < args.index(command), "a global option"
        self.definitions = sorted(os.listdir(definitions))
        with open(os.path.join(definitions, "susemanager.repo"), "w", encoding="utf-8"):
            pass  # as a plugin service has zypper do
        assert ("--no-refresh" in args) == (command != "refresh")
        if command in self.special:
            return Result(args, *self.special[command])
        if command == "update":
            return self.update(args, env)
        if command == "refresh":
            target = os.path.join(cache, "raw", "baseos")
            if not os.path.exists(target):
                shutil.copytree(os.path.join(RECORDED, "rpm_repository"), target)
            return Result(args, 0, "", "")
        return Result(args, 0, self.recorded(DOCUMENTS[command]), "")

    def update(self, args, env):
        assert "--dry-run" in args
        names = tuple(args[args.index("--auto-agree-with-licenses") + 1 :])
        self.names.append(names)
        if "ZYPP_CONF" in env:
            assert not names
            with open(env["ZYPP_CONF"], encoding="utf-8") as handle:
                path = handle.read().partition("locksfile.path = ")[2].strip()
            with open(path, encoding="utf-8") as handle:
                self.locks.append(handle.read())
            return Result(args, 0, self.recorded(WITHOUT_NEWDEP), "")
        if names not in NAMED and names:
            return Result(args, 4, self.recorded("zypper_update_locked.xml"), "")
        return Result(args, 0, self.recorded(NAMED[names] if names else DOCUMENTS["update"]), "")


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
    result = pending(host, EVERYTHING)
    assert [
        (update["name"], update["from"], update["to"], update["kind"], update["automatic"])
        for update in result["updates"]
    ] == [
        ("alpha", "1:1.0-1", "1:1.1-1", "upgrade", False),
        ("beta", "2.0-1", "2.0^git1-1", "upgrade", False),
        ("excludedpkg", "1.0-1", "1.1-1", "upgrade", False),
        ("firefox", "115.0-1", "128.0-1", "upgrade", False),
        ("gamma", "3.0-1", "3.0-2", "upgrade", False),
        # It is installed beside the older ones (multiversion in zypp.conf).
        ("kernel-demo", "6.1-1", "6.1-2", "upgrade", False),
        ("libalpha", "1.0-1", "1.0-3", "upgrade", True),
        ("newdep", None, "1.0-1", "new_install", True),
        ("newname", None, "2.0-1", "new_install", True),
        ("oldname", "1.0-1", None, "removal", False),
        ("viewer", "1.0-1", "1.2-1", "upgrade", False),
    ]
    assert (result["manager"], result["listed"]) == ("zypper", 10)
    assert (result["facts"]["id"], result["facts"]["version_id"]) == ("sles", "15.6")
    assert os.listdir(str(tmp_path / "var/tmp")) == []


def test_the_hosts_definitions_are_used_and_stay_as_they_are(host, zypper, tmp_path):
    (tmp_path / "etc/zypp/repos.d").mkdir(parents=True)
    (tmp_path / "etc/zypp/repos.d/baseos.repo").write_text("[baseos]\n")
    pending(host, EVERYTHING)
    assert zypper.definitions == ["baseos.repo", "susemanager.repo"]
    assert os.listdir(str(tmp_path / "etc/zypp/repos.d")) == ["baseos.repo"]


def test_an_update_says_where_it_comes_from_and_what_it_fixes(host):
    updates = {update["name"]: update for update in pending(host, EVERYTHING)["updates"]}
    libalpha = updates["libalpha"]
    # 1.0-3 has no advisory of its own: the fix is 1.0-2, between the installed version and it.
    assert (libalpha["security"], libalpha["advisories"]) == (True, ["TEST-2026:0001"])
    assert libalpha["cves"] == ["CVE-2026-1111", "CVE-2026-1112"]
    assert (libalpha["origin"], libalpha["class"]) == ("baseos", "os")
    assert (libalpha["download_bytes"], libalpha["installed_bytes"], len(libalpha["sha256"])) == (6219, 4, 64)
    assert (updates["gamma"]["security"], updates["gamma"]["advisories"]) == (False, ["TEST-2026:0002"])
    assert updates["firefox"]["class"] == "third_party"
    # Its repository has no files here: what is not known is left open.
    assert (updates["viewer"]["origin"], updates["viewer"]["sha256"]) == (None, None)
    assert (updates["newdep"]["advisories"], updates["oldname"]["security"]) == ([], False)
    assert (libalpha["source"], libalpha["source_from"], libalpha["source_to"]) == ("libalpha", "1.0-1", "1.0-3")
    assert (updates["oldname"]["source"], updates["oldname"]["source_to"]) == ("oldname", None)
    assert (updates["viewer"]["source"], updates["viewer"]["source_to"]) == ("viewer", None)
    with open(SCHEMA, encoding="utf-8") as handle:
        known = sorted(set(json.load(handle)["properties"]) - {"installer", "software", "order"})
    assert [sorted(update) for update in updates.values()] == [known] * 11


def test_a_full_disk_is_not_blamed_on_a_repository(host, zypper):
    zypper.special["refresh"] = (4, "", FULL)
    with pytest.raises(PatchingError, match=r"var/tmp: .*make room there"):
        pending(host, EVERYTHING)


def test_an_update_says_since_when_it_exists(host):
    updates = {update["name"]: update for update in pending(host, EVERYTHING)["updates"]}
    known = {name: (update["published"], update["published_by"]) for name, update in updates.items()}
    assert known["alpha"] == ("2026-10-03T00:00:00Z", "advisory")
    # Its advisory is of an earlier version.
    assert known["libalpha"] == ("2026-09-21T14:13:20Z", "build")
    assert (known["viewer"], known["oldname"]) == ((None, None), (None, None))


def test_a_version_that_nothing_is_known_of_counts_from_the_day_it_was_seen(host):
    wanted = EVERYTHING._replace(first_seen={"viewer:noarch=1.2-1": "2026-01-02T03:04:05Z"})
    updates = {update["name"]: update for update in pending(host, wanted)["updates"]}
    viewer, alpha = updates["viewer"], updates["alpha"]
    assert (viewer["published"], viewer["published_by"]) == ("2026-01-02T03:04:05Z", "seen")
    assert alpha["published_by"] == "advisory"


def test_a_repository_without_metadata_is_named(host):
    assert pending(host, EVERYTHING)["problems"] == [
        "repository vendor-imaging has no metadata that tells of origin, size and advisories"
    ]


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
    updates = {update["name"]: update for update in pending(host, EVERYTHING)["updates"]}
    assert (updates["libalpha"]["advisories"], updates["libalpha"]["security"]) == (advisories, bool(advisories))


def test_locks_and_what_zypper_does_not_choose_are_held(host):
    held = pending(host, EVERYTHING)["held"]
    assert [(item["name"], item["version"], item["candidate"], item["kind"]) for item in held] == [
        ("lockedpkg", "1.0-1", "1.1-1", "hold"),
        ("epsilon", "1.0-1", "2.0-1", "kept_back"),
    ]
    assert (held[0]["reason"], held[0]["published"]) == ("zypper lock", None)
    assert "does not choose" in held[1]["reason"]


def test_security_only_is_an_update_of_names_that_no_lock_stops(host, zypper):
    # TEST-2026:0004 wants the locked package: `zypper patch --category security` exits with 4 here.
    result = pending(host, SECURITY)
    assert [update["name"] for update in result["updates"]] == ["alpha", "libalpha", "newdep"]
    assert zypper.names == [(), ("alpha", "libalpha")]
    assert result["listed"] == 10
    held = {item["name"]: item["kind"] for item in result["held"]}
    assert held.pop("lockedpkg") == "hold"
    assert held.pop("epsilon") == "kept_back"
    names = ["beta", "excludedpkg", "firefox", "gamma", "kernel-demo", "newname", "viewer"]
    assert held == dict.fromkeys(names, "not_security")


def test_a_limit_is_resolved_again_with_a_lock_beside_the_hosts(host, zypper, tmp_path):
    (tmp_path / "etc/zypp").mkdir()
    (tmp_path / "etc/zypp/locks").write_text("type: package\nsolvable_name: lockedpkg\n")
    result = pending(host, EVERYTHING._replace(deny=[{"item": "newdep", "reason": ""}]))
    names = ("beta", "excludedpkg", "firefox", "gamma", "kernel-demo", "libalpha", "viewer")
    assert tuple(update["name"] for update in result["updates"]) == names
    assert zypper.names == [(), (), names]
    assert zypper.locks == [
        "type: package\nsolvable_name: lockedpkg\n"
        "\ntype: package\nmatch_type: exact\ncase_sensitive: on\nsolvable_name: newdep\n"
    ]
    assert [(item["name"], item["version"], item["kind"]) for item in result["held"][2:]] == [
        ("newdep", None, "denied"),
        ("alpha", "1:1.0-1", "needs_held"),
        ("newname", None, "needs_held"),
    ]
    assert "in a whole update only" in result["held"][-1]["reason"]
    assert os.listdir(str(tmp_path / "var/tmp")) == []


def test_what_a_lock_does_not_hold_is_no_answer(host, zypper):
    # The recorded answer changes gamma although it was to be locked: each update is asked for by itself then.
    result = pending(host, EVERYTHING._replace(exclude=["gamma"]))
    assert len(zypper.locks) == 1
    held = {item["name"]: item for item in result["held"]}
    assert held["gamma"]["kind"] == "excluded"
    assert held["beta"]["reason"] == "cannot be resolved without what is held: Problem: conflicting requests"


@pytest.mark.parametrize("left", ["libalpha", "alpha"])
def test_an_update_that_is_not_reached_is_never_dropped(host, zypper, recorded, left, monkeypatch):
    text = recorded("zypper_update_security.xml")
    start = text.index('<solvable type="package" name="{}"'.format(left))
    without = text[:start] + text[text.index("</solvable>", start) + len("</solvable>") :]
    monkeypatch.setattr(zypper, "recorded", lambda name: without if "security" in name else recorded(name))
    result = pending(host, SECURITY)
    held = {item["name"]: item["kind"] for item in result["held"]}
    assert held[left] == "needs_held"
    assert left not in [update["name"] for update in result["updates"]]


def test_what_replaces_another_package_cannot_be_asked_for_alone(host, zypper):
    result = pending(host, EVERYTHING._replace(include=["newname"]))
    assert result["updates"] == []
    assert zypper.names == [()]
    held = {item["name"]: item for item in result["held"]}
    assert held["newname"]["kind"] == "needs_held"
    assert "replaces another package" in held["newname"]["reason"]


def test_repositories_have_the_shape_of_apt(host):
    assert pending(host, EVERYTHING)["repositories"] == [
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
        pending(host, EVERYTHING)
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
        pending(host, EVERYTHING)


def test_a_database_that_cannot_be_read_is_not_blamed_on_a_repository(host, zypper):
    zypper.database = (1, "", "error: sqlite failure: file is not a database\n")
    with pytest.raises(PatchingError, match=r"^the rpm database: .*error: sqlite failure"):
        pending(host, EVERYTHING)
    assert zypper.commands == []


@pytest.mark.parametrize("code", [100, 101, 102, 103])
def test_exit_codes_that_only_inform_are_an_answer(host, zypper, recorded, code):
    zypper.special["update"] = (code, recorded("zypper_update.xml"), "")
    assert len(pending(host, EVERYTHING)["updates"]) == 11


def test_without_a_release_package_the_repository_decides(host, zypper):
    zypper.release = (1, "no package provides system-release\n")
    updates = {update["name"]: update for update in pending(host, EVERYTHING)["updates"]}
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
        pending(host, EVERYTHING)


def test_a_denial_of_nothing_is_told(host):
    denied = [{"item": item, "reason": ""} for item in ("lockedpkg", "alpha", "jqq")]
    problems = pending(host, EVERYTHING._replace(deny=denied))["problems"]
    assert [text for text in problems if "deny" in text] == ["deny jqq matches no installed or pending package"]
