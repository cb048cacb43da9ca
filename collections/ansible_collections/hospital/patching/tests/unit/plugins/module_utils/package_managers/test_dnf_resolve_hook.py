# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook's own decisions, on doubles of dnf's objects: which packages belong together, and which advisories count."""

import json
import sys
from datetime import datetime
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
    values.update(sourcerpm=name + "-1-1.src.rpm", buildtime=7, obsoletes=[], installed=False)
    values.update(others)
    found = Package(name=name, evr=evr, arch=arch, epoch=epoch, version=version, release=release, **values)
    found.get_advisories = lambda _compare: values["advisories"]
    return found


def advisory(identity, kind, name, evr, *cves, updated=None):
    return SimpleNamespace(
        id=identity,
        updated=updated,
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

    def filterm(self, provides=None, pkg=None, obsoletes=None, **equal):
        found = [package for package in self if all(getattr(package, key) == equal[key] for key in equal)]
        if provides is not None:
            found = [package for package in found if package.name == "kernel" and "installonlypkg(kernel)" in provides]
        if pkg is not None:
            found = [package for package in found if package in pkg]
        if obsoletes is not None:
            found = [package for package in found if {other.name for other in obsoletes} & set(package.obsoletes)]
        return Query(found)


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
        EQ=1,
        LT=2,
        IGNORE_EXCLUDES=1,
        IGNORE_REGULAR_EXCLUDES=4,
        ADVISORY_SECURITY="s",
        REFERENCE_CVE="cve",
        chksum_name=lambda kind: kind,
    )
    reasons = SimpleNamespace(TransactionItemReason_DEPENDENCY=1, TransactionItemReason_WEAK_DEPENDENCY=5)
    monkeypatch.setitem(sys.modules, "hawkey", hawkey)
    monkeypatch.setitem(sys.modules, "libdnf", SimpleNamespace(transaction=reasons))
    monkeypatch.setitem(sys.modules, "libdnf.transaction", reasons)
    return SimpleNamespace(sack=SimpleNamespace(hawkey=hawkey))


def test_installed_packages_are_named_once_and_although_they_are_excluded():
    several = [package("kernel", evr, installed=True) for evr in ("6-1", "6-2")]
    hidden = [package("alpha", "1-1", installed=True), package("offered", "1-1")]
    assert hook.installed_names(Base(several, several + hidden)) == ["alpha", "kernel"]


def test_what_comes_and_goes_is_paired(bindings):
    incoming = [
        package("alpha", "2-1", reason=0),
        package("kernel", "6-3", reason=0),
        package("moved", "2-1", arch="noarch", reason=1),
        package("newdep", "1-1", reason=5),
        package("newname", "1-1", reason=0, obsoletes=["oldname"]),
    ]
    outgoing = [
        package("alpha", "1-1", reason=0),
        package("kernel", "6-1", reason=0),
        package("moved", "1-1", arch="x86_64", reason=0),
        package("oldname", "1-1", reason=0),
    ]
    kernels = [package("kernel", evr, installed=True) for evr in ("6-1", "6-2", "6-4")]
    found = hook.changes(bindings, Base(incoming + outgoing + kernels, (), incoming, outgoing))
    assert [(item["name"], item["from"], item["to"], item["automatic"], item["replaces"]) for item in found] == [
        ("alpha", "1-1", "2-1", False, False),
        ("kernel", "6-1", None, False, False),
        ("kernel", "6-2", "6-3", False, False),  # beside the others, of which the oldest goes
        ("moved", "1-1", "2-1", True, False),
        ("newdep", None, "1-1", True, False),
        ("newname", None, "1-1", False, True),
        ("oldname", "1-1", None, False, False),
    ]
    assert [found[0][key] for key in ("source_rpm", "source_rpm_from", "built_s")] == ["alpha-1-1.src.rpm"] * 2 + [7]
    assert [found[1][key] for key in ("source_rpm", "source_rpm_from", "built_s")] == [None, "kernel-1-1.src.rpm", None]


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


@pytest.mark.parametrize(
    ("advisories", "issued_s"),
    [
        ([("A", "1:3-1", 1), ("B", "1:3-1", 2)], 2 * 86400),  # the newest
        ([("A", "1:3-1", 1), ("B", "1:2-1", 2)], 86400),  # of an earlier version: says nothing of this one's age
        ([("B", "1:2-1", 2)], None),
        ([("A", "1:3-1", None)], None),
        ([], None),
    ],
)
def test_the_age_is_that_of_the_version_itself(bindings, advisories, issued_s):
    listed = [
        advisory(identity, "s", "alpha", evr, updated=day and datetime(1970, 1, 1 + day))  # noqa: DTZ001 - as libdnf
        for identity, evr, day in advisories
    ]
    new = package("alpha", "1:3-1", advisories=listed)
    assert hook.item_of(bindings, Base([]), new, package("alpha", "1:1-1"), {})["issued_s"] == issued_s


class Asked(Base):
    """Resolves what it is asked to upgrade, except ``stubborn``, and keeps what was excluded."""

    def __init__(self, packages, stubborn=(), outgoing=()):
        super().__init__(packages)
        self.packages, self.stubborn, self.outgoing = packages, stubborn, list(outgoing)
        self.wanted, self.excluded, self.security = [], [], []
        self.sack.add_excludes = self.excluded.extend

    def reset(self, goal):
        self.wanted = []

    def reset_security_filters(self):
        self.security = []

    def add_security_filters(self, comparison, types):
        self.security = [comparison] + types

    def upgrade_all(self):
        self.wanted = [each for each in self.packages if not each.installed and each not in self.excluded]

    def package_upgrade(self, wanted):
        self.wanted.append(wanted)

    def resolve(self):
        incoming = [each for each in self.wanted if each.name not in self.stubborn]
        self.transaction = Transaction(incoming, self.outgoing)


@pytest.fixture
def packages():
    return [
        package("alpha", "1-1", installed=True, reason=0),
        package("alpha", "2-1", reason=0),
        package("alpha", "3-1", reason=0),
        package("alpha", "3-1", reponame="copy", reason=0),
        package("beta", "2-1", reason=0),
        package("newname", "2-1", reason=0, obsoletes=["alpha"]),
    ]


@pytest.fixture
def dnf(bindings):
    return SimpleNamespace(sack=bindings.sack, exceptions=SimpleNamespace(Error=KeyError))


def test_exactly_the_targets_are_upgraded(dnf, packages):
    found = hook.resolve_targets(dnf, Asked(packages), [["alpha", "noarch", "3-1", "copy"]])
    assert [(item["name"], item["to"], item["repository"]) for item in found] == [("alpha", "3-1", "copy")]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (["alpha", "noarch", "4-1", "baseos"], "alpha 4-1 is not offered by baseos"),
        (["beta", "noarch", "2-1", "baseos"], "dnf does not upgrade beta"),
    ],
)
def test_a_target_that_dnf_passes_over_is_no_answer(dnf, packages, target, message):
    with pytest.raises(hook.Failure, match=message):
        hook.resolve_targets(dnf, Asked(packages, stubborn=["beta"]), [["alpha", "noarch", "3-1", "baseos"], target])


@pytest.mark.parametrize(("security", "filters"), [(True, ["gte", "security"]), (False, [])])
def test_what_stays_is_neither_upgraded_nor_replaced(dnf, packages, security, filters):
    base = Asked(packages)
    found = hook.resolve_without(dnf, base, {("alpha", "noarch")}, security)
    assert [item["name"] for item in found] == ["beta"]
    assert base.security == filters


def test_what_goes_although_it_should_stay_is_no_answer(dnf, packages):
    with pytest.raises(hook.Failure, match="dnf cannot leave alpha as it is"):
        hook.resolve_without(dnf, Asked(packages, outgoing=packages[:1]), {("alpha", "noarch")}, False)


@pytest.mark.parametrize(("refresh", "expire"), [(True, [1, -1]), (False, [-1, -1])])
def test_only_the_first_question_fetches(dnf, refresh, expire):
    seen = []
    repo = SimpleNamespace(id="a", load=lambda: seen.append(repo.metadata_expire))
    hook.load_repositories(
        dnf,
        SimpleNamespace(read_all_repos=lambda: None, repos=SimpleNamespace(iter_enabled=lambda: [repo])),
        refresh,
    )
    assert seen + [repo.metadata_expire] == expire
    assert repo.skip_if_unavailable is False


def test_another_checksum_is_no_sha256(bindings):
    item = hook.item_of(bindings, Base([]), package("a", "1-1", chksum=("sha512", b"\x01")), None, {})
    assert item["sha256"] is None


def test_what_an_exclusion_hides_is_held_with_the_newest_version():
    old = package("locked", "1-1", installed=True)
    shown = [package("free", "2-1", installed=False)]
    hidden = [package("locked", evr, installed=False) for evr in ("0.9-1", "3-1", "2-1")]
    base = Base(shown, shown + hidden + [old])
    held = hook.held_back(base, {("locked", "noarch"): {str(hidden[1])}})
    assert [(item["name"], item["version"], item["candidate"], item["kind"], item["reason"]) for item in held] == [
        ("locked", "1-1", "3-1", "hold", "dnf versionlock")
    ]
    excluded = hook.held_back(base, {})[0]
    assert (excluded["kind"], excluded["reason"]) == ("excluded", "dnf excludepkgs or includepkgs")


def test_what_the_transaction_does_not_reach_is_held():
    packages = [package(name, "1-1", installed=True) for name in ("gamma", "alpha", "oldname")]
    packages += [package(name, "2-1", installed=False) for name in ("gamma", "alpha", "oldname", "uninstalled")]
    everything = [
        {"name": "alpha", "arch": "noarch", "to": "2-1"},
        {"name": "oldname", "arch": "noarch", "to": None},
    ]
    found = hook.left_behind(Base(packages), everything)
    assert [(item["name"], item["candidate"], item["kind"]) for item in found] == [("gamma", "2-1", "kept_back")]


def test_a_python_without_dnf_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dnf", None)
    question, answer = tmp_path / "q.json", tmp_path / "a.json"
    question.write_text(json.dumps({"answer": str(answer)}))
    monkeypatch.setattr(sys, "argv", ["resolve.py", str(question)])
    assert hook.main() == 0
    error = json.loads(answer.read_text())["error"]
    assert (error["step"], error["repository"]) == ("bindings", None)
