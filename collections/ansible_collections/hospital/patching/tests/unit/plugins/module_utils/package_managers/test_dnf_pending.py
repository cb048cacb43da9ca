# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dnf host would update; the hook's answers were recorded with dnf 4.14 on a small repository."""

import json
import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

SCHEMA = os.path.join(os.path.dirname(__file__), *[os.pardir] * 5, "plugins", "plugin_utils", "schemas", "update.json")
REST = ("refreshed", "repositories", "updates")

FULL = "write failed: No space left on device"


class DnfDouble:
    """A runner whose Pythons answer what was recorded, as the hook writes it."""

    def __init__(self, root, recorded):
        self.root, self.recorded = root, recorded
        self.answers = {}
        self.asked, self.targets, self.kept, self.directories = [], [], [], []
        self.seeded = []
        for name in ("var/tmp", "usr/bin", "usr/libexec", "etc", "var/lib/dnf"):
            (root / name).mkdir(parents=True)
        (root / "etc/os-release").write_text('ID="rocky"\nVERSION_ID="9.4"\n')
        self.python("usr/bin/python3")

    def python(self, path, **answer):
        (self.root / path).write_text("")
        self.answers[str(self.root / path)] = answer or None

    def run(self, args, **options):
        python, isolated, script, question = args
        assert isolated == "-I"
        with open(script, encoding="utf-8") as handle:
            compile(handle.read(), script, "exec")
        with open(question, encoding="utf-8") as handle:
            asked = json.load(handle)
        self.asked.append((os.path.relpath(python, str(self.root)), asked["security"]))
        self.targets.append(asked.get("targets"))
        self.kept.append(asked.get("without"))
        self.directories.append((asked["cachedir"], asked["persistdir"]))
        self.seeded = sorted(os.listdir(asked["persistdir"]) + os.listdir(asked["cachedir"]))
        answer = self.answers[python]
        if answer is None:
            kind = "_security" if asked["security"] else ""
            kind = next(("_" + key for key in ("targets", "without") if key in asked), kind)
            answer = json.loads(self.recorded("dnf_answer{}.json".format(kind)))
        if "crash" in answer:
            return Result(args, 1, "", answer["crash"])
        with open(asked["answer"], "w", encoding="utf-8") as handle:
            handle.write(answer.get("text") or json.dumps(answer))
        return Result(args, 0, "", "")


@pytest.fixture
def dnf(tmp_path, recorded):
    return DnfDouble(tmp_path, recorded)


@pytest.fixture
def host(dnf, tmp_path):
    return Host(dnf, Clock(), str(tmp_path), str(tmp_path / "state"))


def test_everything(host, tmp_path):
    result = pending(host, EVERYTHING)
    assert [(update["name"], update["from"], update["to"], update["kind"]) for update in result["updates"]] == [
        ("alpha", "1:1.0-1", "1:1.1-1", "upgrade"),
        ("beta", "2.0-1", "2.0^git1-1", "upgrade"),
        ("firefox", "115.0-1", "128.0-1", "upgrade"),
        ("gamma", "3.0-1", "3.0-2", "upgrade"),
        ("kernel-demo", "6.1-1", "6.1-2", "upgrade"),
        ("libalpha", "1.0-1", "1.0-3", "upgrade"),
        ("newdep", None, "1.0-1", "new_install"),
        ("newname", None, "2.0-1", "new_install"),
        ("oldname", "1.0-1", None, "removal"),
        ("viewer", "1.0-1", "1.2-1", "upgrade"),
    ]
    assert result["listed"] == 9
    assert result["facts"] == {"id": "rocky", "version_id": "9.4", "architecture": "x86_64"}
    assert [(item["name"], item["version"], item["candidate"], item["kind"]) for item in result["held"]] == [
        ("excludedpkg", "1.0-1", "1.1-1", "excluded"),
        ("lockedpkg", "1.0-1", "1.1-1", "hold"),
        ("epsilon", "1.0-1", "2.0-1", "kept_back"),
    ]
    assert [item["reason"] for item in result["held"][:2]] == ["dnf excludepkgs or includepkgs", "dnf versionlock"]
    assert os.listdir(str(tmp_path / "var/tmp")) == []


def test_an_update_says_where_it_comes_from_and_what_it_fixes(host):
    updates = {update["name"]: update for update in pending(host, EVERYTHING)["updates"]}
    libalpha = updates["libalpha"]
    # 1.0-3 has no advisory of its own: the fix is 1.0-2, between the installed version and it.
    assert (libalpha["security"], libalpha["advisories"]) == (True, ["TEST-2026:0001"])
    assert libalpha["cves"] == ["CVE-2026-1111", "CVE-2026-1112"]
    assert (libalpha["origin"], libalpha["class"], libalpha["automatic"]) == ("baseos", "os", False)
    assert (libalpha["download_bytes"] > 0, libalpha["installed_bytes"], len(libalpha["sha256"])) == (True, 4, 64)
    assert (updates["gamma"]["security"], updates["gamma"]["advisories"]) == (False, ["TEST-2026:0002"])
    assert updates["newdep"]["automatic"] is True
    assert {name: update["class"] for name, update in updates.items() if update["class"] != "os"} == {
        "firefox": "third_party",
        "viewer": "third_party",
    }
    assert (updates["oldname"]["origin"], updates["oldname"]["download_bytes"]) == (None, 0)
    assert (libalpha["source"], libalpha["source_from"], libalpha["source_to"]) == ("libalpha", "1.0-1", "1.0-3")
    assert (updates["newdep"]["source_from"], updates["newdep"]["source_to"]) == (None, "1.0-1")
    assert (updates["oldname"]["source"], updates["oldname"]["source_to"]) == ("oldname", None)


def test_a_full_disk_is_not_blamed_on_a_repository(host, dnf):
    dnf.python("usr/bin/python3", error={"step": "refresh", "seen": FULL, "repository": "baseos"})
    with pytest.raises(PatchingError, match=r"var/tmp: .*make room there"):
        pending(host, EVERYTHING)


def test_an_update_says_since_when_it_exists(host):
    updates = {update["name"]: update for update in pending(host, EVERYTHING)["updates"]}
    assert {name: (updates[name]["published"], updates[name]["published_by"]) for name in ("alpha", "gamma")} == {
        "alpha": ("2026-10-05T12:00:00Z", "advisory"),  # issued on the third, updated on the fifth
        "gamma": ("2026-10-02T00:00:00Z", "advisory"),
    }
    # Its advisory is of an earlier version.
    assert (updates["libalpha"]["published"], updates["libalpha"]["published_by"]) == ("2026-09-21T14:13:20Z", "build")
    assert (updates["oldname"]["published"], updates["oldname"]["published_by"]) == (None, None)


def test_the_shape_is_that_of_apt(host, recorded):
    result = pending(host, EVERYTHING)
    assert sorted(result) == ["facts", "held", "listed", "manager", "problems", *REST]
    with open(SCHEMA, encoding="utf-8") as handle:
        known = sorted(set(json.load(handle)["properties"]) - {"installer", "software", "order"})
    assert [sorted(update) for update in result["updates"]] == [known] * 10
    assert sorted(result["held"][0]) == [
        *("arch", "candidate", "kind", "name", "published", "published_by", "reason", "security", "version")
    ]
    assert result["repositories"][0] == {
        "uri": "file:///srv/world/os",
        "suite": "baseos",
        "origin": None,
        "label": "Test OS 9 - BaseOS",
        "signed": False,
    }


def test_security_only_is_dnfs_own_choice(host, dnf):
    result = pending(host, EVERYTHING._replace(security_only=True))
    left = [(item["name"], item["candidate"]) for item in result["held"] if item["kind"] == "not_security"]
    assert {item["security"] for item in result["held"] if item["kind"] == "not_security"} == {False}
    assert left == [
        ("beta", "2.0^git1-1"),
        ("firefox", "128.0-1"),
        ("gamma", "3.0-2"),
        ("kernel-demo", "6.1-2"),
        ("newname", "2.0-1"),
        ("viewer", "1.2-1"),
    ]
    assert [update["name"] for update in result["updates"]] == ["alpha", "libalpha", "newdep"]
    assert dnf.asked == [("usr/bin/python3", True)]
    assert result["listed"] == 9


def test_a_security_fix_that_dnf_passes_over_is_held_with_another_reason(host, dnf, recorded):
    answer = json.loads(recorded("dnf_answer_security.json"))
    answer["updates"] = [item for item in answer["updates"] if item["name"] != "libalpha"]
    dnf.python("usr/bin/python3", **answer)
    held = {item["name"]: item for item in pending(host, EVERYTHING._replace(security_only=True))["held"]}
    assert held["libalpha"]["kind"] == "not_security"
    assert "does not choose it" in held["libalpha"]["reason"]
    assert held["beta"]["reason"] == "fixes no security flaw"


def test_a_limit_is_resolved_again_in_the_same_directories(host, dnf):
    deny = [{"item": "newdep", "reason": "breaks the viewer"}]
    result = pending(host, EVERYTHING._replace(deny=deny))
    assert [update["name"] for update in result["updates"]] == [
        *("beta", "firefox", "gamma", "kernel-demo", "libalpha", "newname", "oldname", "viewer")
    ]
    assert [(item["name"], item["version"], item["kind"]) for item in result["held"][3:]] == [
        ("newdep", None, "denied"),
        ("alpha", "1:1.0-1", "needs_held"),
    ]
    assert dnf.kept == [None, [["newdep", "noarch"]], None]
    # What is newly installed in another package's place is asked for by itself, what is only needed is not.
    assert dnf.targets == [
        None,
        None,
        [
            ["beta", "noarch", "2.0^git1-1", "baseos"],
            ["firefox", "noarch", "128.0-1", "baseos"],
            ["gamma", "noarch", "3.0-2", "baseos"],
            ["kernel-demo", "noarch", "6.1-2", "baseos"],
            ["libalpha", "noarch", "1.0-3", "baseos"],
            ["newname", "noarch", "2.0-1", "baseos"],
            ["viewer", "noarch", "1.2-1", "vendor-imaging"],
        ],
    ]
    assert result["listed"] == 9
    kinds = {update["name"]: update["kind"] for update in result["updates"]}
    assert (kinds["newname"], kinds["oldname"]) == ("new_install", "removal")
    assert len(set(dnf.directories)) == 1


def test_the_hosts_cache_and_history_are_copied(host, dnf, tmp_path):
    (tmp_path / "var/lib/dnf/history.sqlite").write_text("h")
    (tmp_path / "var/cache/dnf/baseos-0123/repodata").mkdir(parents=True)
    (tmp_path / "var/cache/dnf/baseos-0123/packages").mkdir()
    (tmp_path / "var/cache/dnf/baseos.solv").write_text("s")
    pending(host, EVERYTHING)
    assert dnf.seeded == ["baseos-0123", "baseos.solv", "history.sqlite"]


def failed(step, seen, repository=None):
    return {"error": {"step": step, "seen": seen, "repository": repository}}


def test_the_systems_own_python_is_asked_first_and_the_next_one_if_it_lacks_the_bindings(host, dnf):
    dnf.python("usr/libexec/platform-python", **failed("bindings", "No module named 'dnf'"))
    assert pending(host, EVERYTHING)["listed"] == 9
    assert [python for python, _security in dnf.asked] == ["usr/libexec/platform-python", "usr/bin/python3"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            failed("refresh", "Failed to download metadata for repo 'down':\n http://me:secret@x/ is down", "down"),
            r"^repository down: .*http://\*\*\*@x/ is down",
        ),
        (failed("database", "rpmdb open failed"), "^rpm database: rpmdb open failed"),
        (failed("settings", "Parsing file failed"), "^/etc/dnf/dnf.conf: Parsing"),
        (failed("resolve", "Problem: nothing provides x"), "^dnf upgrade: Problem: nothing provides x"),
        (failed("bindings", "No module named 'dnf'"), "no system Python has dnf 4's bindings"),
        ({"crash": "Traceback\nMemoryError: no"}, r"gave no answer \(MemoryError: no\)"),
        ({"text": '{"updates": ['}, "gave no answer"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(host, dnf, tmp_path, answer, message):
    dnf.python("usr/bin/python3", **answer)
    with pytest.raises(PatchingError, match=message) as caught:
        pending(host, EVERYTHING)
    assert "secret" not in str(caught.value)
    assert os.listdir(str(tmp_path / "var/tmp")) == []


def test_a_host_without_repositories_is_not_up_to_date(host, dnf, recorded):
    answer = json.loads(recorded("dnf_answer.json"))
    dnf.python("usr/bin/python3", **dict(answer, repositories=[], updates=[]))
    with pytest.raises(PatchingError, match=r"^repositories of this host: none is enabled"):
        pending(host, EVERYTHING)


def test_a_denial_of_nothing_is_told(dnf, host, recorded):
    answer = json.loads(recorded("dnf_answer.json"))
    dnf.python("usr/bin/python3", **dict(answer, installed=["python3-dnf"]))
    denied = [{"item": item, "reason": ""} for item in ("python3-dnf", "alpha", "jqq")]
    problems = pending(host, EVERYTHING._replace(deny=denied))["problems"]
    assert [text for text in problems if "deny" in text] == ["deny jqq matches no installed or pending package"]
