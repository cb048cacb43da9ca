# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook's own decisions, on doubles of dnf's objects: which packages belong together, and which advisories count."""

import json
import sys
from types import SimpleNamespace

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import dnf_resolve_hook as hook


class Package(SimpleNamespace):
    def __str__(self):
        return "{}-{}.{}".format(self.name, self.evr, self.arch)


def package(name, evr, arch="noarch", **others):
    epoch, version, release = rpm_version.split(evr)
    values = dict(reponame="baseos", vendor="V", chksum=None, downloadsize=1, installsize=2, advisories=[])
    values.update(others)
    found = Package(name=name, evr=evr, arch=arch, epoch=epoch, version=version, release=release, **values)
    found.get_advisories = lambda _compare: values["advisories"]
    return found


def advisory(identity, kind, name, evr, *cves):
    return SimpleNamespace(
        id=identity,
        type=kind,
        packages=[SimpleNamespace(name=name, arch="noarch", evr=evr)],
        references=[SimpleNamespace(type="cve", id=cve) for cve in cves] + [SimpleNamespace(type="url", id="x")],
    )


class Query(list):
    def available(self):
        return Query(package for package in self if not package.installed)

    def installed(self):
        return Query(package for package in self if package.installed)

    def upgrades(self):
        return self.available()

    def latest(self):
        return self

    def filterm(self, provides):
        return Query(
            package for package in self if package.name in ("kernel",) and "installonlypkg(kernel)" in provides
        )


class Base:
    """``visible`` are the packages after exclusions, ``everything`` those without."""

    def __init__(self, visible, everything=(), incoming=(), outgoing=()):
        self.sack = SimpleNamespace(
            query=lambda flags=None: Query(everything if flags else visible),
            evr_cmp=rpm_version.compare,
        )
        self.conf = SimpleNamespace(installonlypkgs=["installonlypkg(kernel)"])
        self.transaction = Transaction(incoming, outgoing)


class Transaction(list):
    def __init__(self, incoming, outgoing):
        super().__init__(SimpleNamespace(pkg=each, reason=each.reason) for each in list(incoming) + list(outgoing))
        self.install_set, self.remove_set = list(incoming), list(outgoing)


@pytest.fixture(autouse=True)
def bindings(monkeypatch):
    hawkey = SimpleNamespace(
        EQ=1, LT=2, IGNORE_REGULAR_EXCLUDES=4, ADVISORY_SECURITY="s", REFERENCE_CVE="cve", chksum_name=lambda kind: kind
    )
    reasons = SimpleNamespace(TransactionItemReason_DEPENDENCY=1, TransactionItemReason_WEAK_DEPENDENCY=5)
    monkeypatch.setitem(sys.modules, "hawkey", hawkey)
    monkeypatch.setitem(sys.modules, "libdnf", SimpleNamespace(transaction=reasons))
    monkeypatch.setitem(sys.modules, "libdnf.transaction", reasons)
    return SimpleNamespace(sack=SimpleNamespace(hawkey=hawkey))


def test_what_comes_and_goes_is_paired(bindings):
    incoming = [
        package("alpha", "2-1", reason=0),
        package("kernel", "6-2", reason=0),
        package("moved", "2-1", arch="noarch", reason=1),
        package("newname", "1-1", reason=5),
    ]
    outgoing = [
        package("alpha", "1-1", reason=0),
        package("kernel", "6-1", reason=0),
        package("moved", "1-1", arch="x86_64", reason=0),
        package("oldname", "1-1", reason=0),
    ]
    found = hook.changes(bindings, Base(incoming + outgoing, (), incoming, outgoing))
    assert [(item["name"], item["from"], item["to"], item["automatic"]) for item in found] == [
        ("alpha", "1-1", "2-1", False),
        ("kernel", "6-1", None, False),
        ("kernel", None, "6-2", False),
        ("moved", "1-1", "2-1", True),
        ("newname", None, "1-1", True),
        ("oldname", "1-1", None, False),
    ]


def test_advisories_after_the_installed_version_count(bindings):
    new = package(
        "alpha",
        "1:3-1",
        reason=0,
        chksum=("sha256", b"\x01\xff"),
        advisories=[
            advisory("OLD", "s", "alpha", "1:1-1", "CVE-1"),
            advisory("FIX", "s", "alpha", "1:2-1", "CVE-3", "CVE-2"),
            advisory("BUG", "b", "alpha", "1:3-1"),
            advisory("OTHER", "s", "beta", "1:2-1", "CVE-4"),
        ],
    )
    item = hook.item_of(bindings, Base([]), new, package("alpha", "1:1-1"), {})
    assert (item["advisories"], item["security"], item["cves"]) == (["BUG", "FIX"], True, ["CVE-2", "CVE-3"])
    assert item["sha256"] == "01ff"


def test_another_checksum_is_no_sha256(bindings):
    item = hook.item_of(bindings, Base([]), package("a", "1-1", chksum=("sha512", b"\x01")), None, {})
    assert item["sha256"] is None


def test_what_an_exclusion_hides_is_held_with_the_newest_version():
    old = package("locked", "1-1", installed=True)
    shown = [package("free", "2-1", installed=False)]
    hidden = [package("locked", evr, installed=False) for evr in ("0.9-1", "3-1", "2-1")]
    base = Base(shown, shown + hidden + [old])
    held = hook.held_back(base, {("locked", "noarch"): {str(hidden[1])}})
    assert [(item["name"], item["version"], item["candidate"], item["reason"]) for item in held] == [
        ("locked", "1-1", "3-1", "dnf versionlock")
    ]
    assert hook.held_back(base, {})[0]["reason"] == "dnf excludepkgs or includepkgs"


def test_what_the_transaction_does_not_reach_is_held():
    packages = [package(name, "1-1", installed=True) for name in ("gamma", "alpha", "oldname")]
    packages += [package(name, "2-1", installed=False) for name in ("gamma", "alpha", "oldname", "uninstalled")]
    everything = [
        {"name": "alpha", "arch": "noarch", "to": "2-1"},
        {"name": "oldname", "arch": "noarch", "to": None},
    ]
    assert [(item["name"], item["candidate"]) for item in hook.left_behind(Base(packages), everything)] == [
        ("gamma", "2-1")
    ]


def test_a_python_without_dnf_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dnf", None)
    question, answer = tmp_path / "q.json", tmp_path / "a.json"
    question.write_text(json.dumps({"answer": str(answer)}))
    monkeypatch.setattr(sys, "argv", ["resolve.py", str(question)])
    assert hook.main() == 0
    error = json.loads(answer.read_text())["error"]
    assert (error["step"], error["repository"]) == ("bindings", None)
