# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dnf 5 host would update. No dnf 5 runs here: a double plays answers of the hook.

They were recorded once with dnf 5.4.6, rpm 6.1 and python3-libdnf5 of Debian sid, in a folder of their own: packages
named as those of dnf 4's recordings (and ``libdep``, a dependency) were built with rpmbuild, indexed with createrepo_c,
given an updateinfo, and installed in their older versions with dnf5; then ``excludepkgs=excludedpkg``, ``best=False``,
``dnf5 mark dependency libdep`` and ``dnf5 versionlock add lockedpkg``. The hook itself wrote the answers.
"""

import json
import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf import Dnf
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf5 import Dnf5
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.registry import select
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result


class Dnf5Double:
    """A runner whose Python answers what was recorded, as dnf5_resolve_hook.py writes it."""

    def __init__(self, recorded):
        self.recorded, self.answer = recorded, None
        self.asked, self.seeded = [], []

    def run(self, args, **options):
        _python, isolated, script, question = args
        assert isolated == "-I"
        assert os.path.basename(script) == "dnf5_resolve_hook.py"
        assert os.path.exists(os.path.join(os.path.dirname(script), "dnf_resolve_hook.py"))
        with open(script, encoding="utf-8") as handle:
            compile(handle.read(), script, "exec")
        with open(question, encoding="utf-8") as handle:
            asked = json.load(handle)
        self.asked.append(asked)
        self.seeded = sorted(os.listdir(asked["cachedir"]))
        kind = next(("_" + key for key in ("targets", "without") if key in asked), "")
        kind = kind or ("_security" if asked["security"] else "")
        answer = self.answer or json.loads(self.recorded("dnf5_answer{}.json".format(kind)))
        with open(asked["answer"], "w", encoding="utf-8") as handle:
            json.dump(answer, handle)
        return Result(args, 0, "", "")


@pytest.fixture
def dnf5(recorded):
    return Dnf5Double(recorded)


@pytest.fixture
def host(dnf5, tmp_path):
    for name in ("var/tmp", "usr/bin", "etc", "var/lib/rpm"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("usr/bin/dnf5", "usr/bin/python3", "var/lib/rpm/rpmdb.sqlite"):
        (tmp_path / name).write_text("")
    (tmp_path / "etc/os-release").write_text('ID="fedora"\nVERSION_ID="42"\n')
    return Host(dnf5, Clock(), str(tmp_path), str(tmp_path / "state"))


def test_everything(host, tmp_path):
    result = select("auto", host).pending(EVERYTHING)
    assert result["manager"] == "dnf5"
    assert [
        (update["name"], update["from"], update["to"], update["kind"], update["automatic"])
        for update in result["updates"]
    ] == [
        ("alpha", "1:1.0-1", "1:1.1-1", "upgrade", False),
        ("beta", "2.0-1", "2.0^git1-1", "upgrade", False),
        ("firefox", "115.0-1", "128.0-1", "upgrade", False),
        ("gamma", "3.0-1", "3.0-2", "upgrade", False),
        ("kernel-demo", "6.1-1", "6.1-2", "upgrade", False),
        ("libalpha", "1.0-1", "1.0-3", "upgrade", False),
        ("libdep", "1.0-1", "1.1-1", "upgrade", True),
        ("newdep", None, "1.0-1", "new_install", True),
        ("newname", None, "2.0-1", "new_install", False),
        ("oldname", "1.0-1", None, "removal", False),
        ("viewer", "1.0-1", "1.2-1", "upgrade", False),
    ]
    assert result["listed"] == 10
    assert result["facts"] == {"id": "fedora", "version_id": "42", "architecture": "x86_64"}
    assert [(item["name"], item["candidate"], item["kind"], item["reason"]) for item in result["held"]] == [
        ("excludedpkg", "1.1-1", "excluded", "dnf excludepkgs or includepkgs"),
        ("lockedpkg", "1.1-1", "hold", "dnf versionlock"),
        ("epsilon", "2.0-1", "kept_back", "dnf5 does not choose it: its dependencies are not met"),
    ]
    assert [(repo["suite"], repo["signed"]) for repo in result["repositories"]] == [
        ("baseos", False),
        ("vendor-imaging", True),
    ]
    assert os.listdir(str(tmp_path / "var/tmp")) == []


def test_an_update_says_what_it_fixes_and_since_when_it_exists(host):
    updates = {update["name"]: update for update in Dnf5(host).pending(EVERYTHING)["updates"]}
    libalpha, alpha = updates["libalpha"], updates["alpha"]
    # 1.0-3 has no advisory of its own: the fix is 1.0-2, between the installed version and it.
    assert (libalpha["security"], libalpha["advisories"]) == (True, ["TEST-2026:0001"])
    assert libalpha["cves"] == ["CVE-2026-1111", "CVE-2026-1112"]
    assert (libalpha["published"], libalpha["published_by"]) == ("2026-09-21T14:13:20Z", "build")
    assert (alpha["published"], alpha["published_by"]) == ("2026-10-05T12:00:00Z", "advisory")
    assert (updates["gamma"]["security"], updates["gamma"]["advisories"]) == (False, ["TEST-2026:0002"])
    assert (libalpha["origin"], libalpha["class"], len(libalpha["sha256"])) == ("baseos", "os", 64)
    assert updates["viewer"]["class"] == "third_party"


def test_security_only_is_dnfs_own_choice(host):
    result = Dnf5(host).pending(EVERYTHING._replace(security_only=True))
    assert [update["name"] for update in result["updates"]] == ["alpha", "libalpha", "newdep"]
    left = [item["name"] for item in result["held"] if item["kind"] == "not_security"]
    assert left == ["beta", "firefox", "gamma", "kernel-demo", "libdep", "newname", "viewer"]


def test_a_limit_is_resolved_again_by_dnf_5(host, dnf5):
    result = Dnf5(host).pending(EVERYTHING._replace(deny=[{"item": "newdep", "reason": "breaks the viewer"}]))
    assert [update["name"] for update in result["updates"]] == [
        *("beta", "firefox", "gamma", "kernel-demo", "libalpha", "libdep", "newname", "oldname", "viewer")
    ]
    assert [asked.get("without") for asked in dnf5.asked] == [None, [["newdep", "noarch"]], None]
    assert len({asked["cachedir"] for asked in dnf5.asked}) == 1


def test_the_hosts_cache_is_copied(host, dnf5, tmp_path):
    (tmp_path / "var/cache/libdnf5/baseos-0123/repodata").mkdir(parents=True)
    (tmp_path / "var/cache/libdnf5/baseos-0123/solv").mkdir()
    (tmp_path / "var/cache/libdnf5/other").mkdir()
    Dnf5(host).pending(EVERYTHING)
    assert dnf5.seeded == ["baseos-0123"]


@pytest.mark.parametrize(
    ("step", "seen", "repository", "message"),
    [
        # All but the last are in the words of dnf 5.4.6.
        (
            "refresh",
            'Failed to download metadata (baseurl: "file:///srv/world/os") for repository "baseos": repomd.xml GPG '
            "signature verification error: Signing key not found",
            "baseos",
            "^repository baseos: .*Signing key not found",
        ),
        (
            "refresh",
            'Failed to download metadata (baseurl: "http://me:secret@x/") for repository "down": Usable URL not found',
            "down",
            r"^repository down: Failed to download .*http://\*\*\*@x/",
        ),
        (
            "database",
            'Failed to load system repo from root "/": rpmtsOpenDB failed: No such file or directory',
            None,
            "^rpm database: Failed to load system repo",
        ),
        ("settings", 'Error in configuration file "/etc/dnf/dnf.conf"', None, "^/etc/dnf/dnf.conf: Error in"),
        (
            "resolve",
            "Problem: cannot install the best update candidate for package epsilon-1.0-1.noarch\n  - nothing",
            None,
            "^dnf upgrade: Problem: cannot install the best update candidate for package epsilon",
        ),
        ("bindings", "No module named 'libdnf5'", None, "no system Python has dnf 5's bindings.*python3-libdnf5"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(host, dnf5, step, seen, repository, message):
    dnf5.answer = {"error": {"step": step, "seen": seen, "repository": repository}}
    with pytest.raises(PatchingError, match=message) as caught:
        Dnf5(host).pending(EVERYTHING)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "links_to", "kind"),
    [
        (("dnf5",), "dnf5", Dnf5),
        (("dnf5",), None, Dnf5),
        (("dnf5", "dnf-3"), "dnf5", Dnf5),  # Fedora 41 and later, with dnf 4 beside it
        (("dnf5", "dnf-3"), "dnf-3", Dnf),  # Fedora 39 and 40, with dnf 5 beside it
        (("dnf5", "dnf-3"), None, Dnf),
        (("dnf-3",), "dnf-3", Dnf),
    ],
)
def test_the_link_says_which_dnf_runs_a_host(tmp_path, files, links_to, kind):
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "var/lib/rpm").mkdir(parents=True)
    (tmp_path / "var/lib/rpm/rpmdb.sqlite").write_text("")
    for name in files:
        (tmp_path / "usr/bin" / name).write_text("")
    if links_to:
        (tmp_path / "usr/bin/dnf").symlink_to(links_to)
    assert [each for each in (Dnf, Dnf5) if each.present(str(tmp_path))] == [kind]


def test_it_can_be_named(host):
    assert select("dnf5", host).NAME in arguments.MANAGER["manager"]["choices"]
    with pytest.raises(PatchingError, match="dnf is not installed here"):
        select("dnf", host)
