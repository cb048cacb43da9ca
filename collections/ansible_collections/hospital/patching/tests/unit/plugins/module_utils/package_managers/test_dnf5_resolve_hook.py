# SPDX-License-Identifier: GPL-3.0-or-later
"""The decisions of dnf 5's hook, on doubles of libdnf5's objects; with the real ones it made the recorded answers."""

import json
import sys
from types import SimpleNamespace

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import dnf5_resolve_hook as hook

IN, OUT, REASON = "in", "out", "reason"


def getters(**values):
    return SimpleNamespace(**{"get_" + name: (lambda value=value: value) for name, value in values.items()})


def package(name, evr, arch="noarch", obsoletes=(), installed=False, **others):
    values = dict(repo_id="baseos", vendor="V", sourcerpm=name + "-1-1.src.rpm", build_time=7)
    values.update(download_size=1, install_size=2, checksum=getters(type_str="sha256", checksum="ab"))
    values.update(others)
    found = getters(name=name, evr=evr, arch=arch, **values)
    found.obsoletes, found.installed = obsoletes, installed
    return found


def advisory(identity, kind, name, evr, *cves, issued=0, applicable=True):
    collection = getters(packages=[package(name, evr)])
    collection.is_applicable = lambda: applicable
    references = [getters(id=cve, type="cve") for cve in cves] + [getters(id="1", type="bugzilla")]
    return getters(name=identity, type=kind, buildtime=issued, references=references, collections=[collection])


class Query(list):
    """Of libdnf5's query, which filters itself, what the hook uses."""

    def _keep(self, wanted):
        self[:] = [one for one in self if wanted(one)]

    def filter_available(self):
        self._keep(lambda one: not one.installed)

    def filter_installed(self):
        self._keep(lambda one: one.installed)

    def filter_installonly(self):
        self._keep(lambda one: one.get_name() == "kernel")

    def filter_upgrades(self):
        self.filter_available()

    def filter_latest_evr(self):
        newest = {}
        for one in sorted(self, key=lambda one: rpm_version.key(one.get_evr())):
            newest[(one.get_name(), one.get_arch())] = one
        self[:] = newest.values()

    def filter_name(self, names):
        self._keep(lambda one: one.get_name() in names)

    def filter_obsoletes(self, others):
        names = {other.get_name() for other in others}
        self._keep(lambda one: names & set(one.obsoletes))


def library(advisories=()):
    """Return a double of libdnf5; a base is the list of its packages."""
    return SimpleNamespace(
        rpm=SimpleNamespace(
            PackageQuery=lambda base: Query(base.packages),
            rpmvercmp=lambda one, other: rpm_version.compare(one + "-1", other + "-1"),
        ),
        advisory=SimpleNamespace(AdvisoryQuery=lambda _base: list(advisories)),
        base=SimpleNamespace(GoalProblem_NO_PROBLEM=0),
        transaction=SimpleNamespace(
            TransactionItemReason_DEPENDENCY=1,
            TransactionItemReason_WEAK_DEPENDENCY=2,
            transaction_item_action_is_inbound=lambda action: action == IN,
            transaction_item_action_is_outbound=lambda action: action == OUT,
        ),
    )


def base(*packages):
    found = SimpleNamespace(packages=list(packages), locks_cleared=0)

    def clear():
        found.packages += found.locked
        found.locked = []

    found.locked = []
    found.get_rpm_package_sack = lambda: SimpleNamespace(clear_versionlock_excludes=clear)
    return found


def transaction(*items):
    found = [getters(package=one, action=action, reason=reason) for action, reason, one in items]
    return SimpleNamespace(get_transaction_packages=lambda: found)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("1.0-1", "1.0-1", 0), ("1:1.0-1", "2.0-1", 1), ("1.0-1", "1.0-2", -1), ("2.0^git1-1", "2.0-1", 1)],
)
def test_versions_are_ordered_as_rpm_does(one, other, expected):
    assert hook.compare(library(), one, other) == expected


def test_what_comes_and_goes_is_paired():
    kernels = [package("kernel", evr, installed=True) for evr in ("6-1", "6-2", "6-4")]
    old = package("oldname", "1-1", installed=True)
    new = package("newname", "1-1", obsoletes=("oldname",))
    newest = package("kernel", "6-3")
    done = transaction(
        (IN, 0, package("alpha", "2-1")),
        (OUT, 0, package("alpha", "1-1", installed=True)),
        (IN, 0, newest),
        (OUT, 0, kernels[0]),
        (IN, 1, package("moved", "2-1")),
        (OUT, 0, package("moved", "1-1", arch="x86_64", installed=True)),
        (IN, 2, package("newdep", "1-1")),
        (IN, 0, new),
        (OUT, 0, old),
        (REASON, 1, package("other", "1-1", installed=True)),
    )
    found = hook.changes(library(), base(old, new, newest, *kernels), done)
    assert [(item["name"], item["from"], item["to"], item["automatic"], item["replaces"]) for item in found] == [
        ("alpha", "1-1", "2-1", False, False),
        ("kernel", "6-1", None, False, False),
        ("kernel", "6-2", "6-3", False, False),  # beside the others, of which the oldest goes
        ("moved", "1-1", "2-1", True, False),
        ("newdep", None, "1-1", True, False),
        ("newname", None, "1-1", False, True),
        ("oldname", "1-1", None, False, False),
    ]


def test_advisories_count_after_the_installed_version_and_up_to_the_target():
    advisories = [
        advisory("old", "security", "alpha", "1-1", "CVE-1"),
        advisory("between", "security", "alpha", "1-2", "CVE-3", "CVE-2", issued=5),
        advisory("exact", "bugfix", "alpha", "2-1", issued=9),
        advisory("later", "security", "alpha", "3-1", "CVE-4"),
        advisory("other", "security", "beta", "2-1", "CVE-5"),
        advisory("module", "security", "alpha", "2-1", "CVE-6", applicable=False),
    ]
    done = transaction((IN, 0, package("alpha", "2-1")), (OUT, 0, package("alpha", "1-1", installed=True)))
    (item,) = hook.changes(library(advisories), base(), done)
    assert (item["advisories"], item["security"], item["cves"]) == (["between", "exact"], True, ["CVE-2", "CVE-3"])
    assert item["issued_s"] == 9
    (new,) = hook.changes(library(advisories), base(), transaction((IN, 0, package("alpha", "2-1"))))
    assert (new["advisories"], new["security"]) == (["exact"], False)


def test_what_is_hidden_is_told_by_what_hides_it():
    installed = [package(name, "1-1", installed=True) for name in ("excluded", "free", "locked")]
    newer = {name: package(name, "2-1") for name in ("excluded", "free", "locked")}
    seen = base(installed[1], newer["free"], installed[2])
    seen.locked = [newer["locked"]]
    whole = base(*installed, *newer.values())
    assert [(item["name"], item["candidate"], item["kind"]) for item in hook.held_back(library(), seen, whole)] == [
        ("excluded", "2-1", "excluded"),
        ("locked", "2-1", "hold"),
    ]


def test_what_the_transaction_does_not_reach_is_kept_back():
    host = base(package("epsilon", "1-1", installed=True), package("epsilon", "2-1"), package("new", "1-1"))
    assert [item["name"] for item in hook.left_behind(library(), host, [])] == ["epsilon"]
    reached = [{"name": "epsilon", "arch": "noarch", "to": "2-1"}]
    assert hook.left_behind(library(), host, reached) == []


def test_another_checksum_is_none():
    assert hook.sha256_of(package("a", "1-1")) == "ab"
    assert hook.sha256_of(package("a", "1-1", checksum=getters(type_str="sha1", checksum="ab"))) is None


def test_a_transaction_with_problems_is_refused_with_all_of_them():
    failed = SimpleNamespace(get_problems=lambda: 4, get_resolve_logs_as_strings=lambda: ["one", "two"])
    with pytest.raises(hook.Failure) as caught:
        hook.resolved(library(), SimpleNamespace(resolve=lambda: failed))
    assert caught.value.parts == {"step": "resolve", "seen": "one; two", "repository": None}


class Repository:
    """Notes what the hook sets before the repositories are loaded."""

    Type_AVAILABLE = "available"

    def __init__(self, name):
        self.name, self.settings, self.callbacks, self.expired = name, SimpleNamespace(), None, False

    def get_id(self):
        return self.name

    def get_type(self):
        return self.Type_AVAILABLE

    def get_config(self):
        return self.settings

    def set_callbacks(self, callbacks):
        self.callbacks = callbacks

    def expire(self):
        self.expired = True


class Repositories(list):
    def filter_enabled(self, _wanted):
        """All of them are."""


class Unreadable(Exception):
    """What libdnf5 throws."""


def loading(*names, create=None, load=None):
    """Return a library, a base and its repositories; ``create`` and ``load`` are what libdnf5 throws then."""
    repos = [Repository(name) for name in names]

    def throw(text):
        if text:
            raise Unreadable(text)

    sack = SimpleNamespace(
        create_repos_from_system_configuration=lambda: throw(create),
        load_repos=lambda: throw(load),
    )
    dnf = SimpleNamespace(
        repo=SimpleNamespace(
            Repo=Repository,
            RepoQuery=lambda _base: Repositories(repos),
            RepoCallbacks=object,
            RepoCallbacksUniquePtr=lambda callbacks: callbacks,
        )
    )
    return dnf, SimpleNamespace(get_repo_sack=lambda: sack), repos


@pytest.mark.parametrize(("refresh", "expire"), [(True, 1), (False, -1)])
def test_no_repository_is_passed_over_and_no_key_is_accepted(refresh, expire):
    dnf, host, repos = loading("baseos", "vendor")
    hook.load_repositories(dnf, host, refresh, (Unreadable,))
    for repo in repos:
        assert (repo.settings.skip_if_unavailable, repo.settings.metadata_expire) == (False, expire)
        assert repo.expired is refresh
        assert repo.callbacks.repokey_import("a key") is False


@pytest.mark.parametrize(
    ("thrown", "step", "repository"),
    [
        ({"load": 'Failed to download metadata for repository "vendor": Usable URL not found'}, "refresh", "vendor"),
        ({"load": 'Failed to load system repo from root "/": rpmtsOpenDB failed'}, "database", None),
        ({"create": 'Error in configuration file "/etc/yum.repos.d/bad.repo"'}, "settings", None),
    ],
)
def test_what_cannot_be_loaded_is_told_by_its_step(thrown, step, repository):
    dnf, host, _repos = loading("baseos", "vendor", **thrown)
    with pytest.raises(hook.Failure) as caught:
        hook.load_repositories(dnf, host, True, (Unreadable,))
    assert (caught.value.parts["step"], caught.value.parts["repository"]) == (step, repository)


def test_only_a_known_repository_is_blamed():
    seen = 'Failed to download metadata (baseurl: "file:///x") for repository "vendor": Usable URL not found'
    assert hook.blamed(seen, ["baseos", "vendor"]) == "vendor"
    assert hook.blamed(seen, ["baseos"]) is None


def test_missing_bindings_are_an_answer(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "libdnf5", None)
    (tmp_path / "asked.json").write_text(json.dumps({"answer": str(tmp_path / "answer.json")}))
    monkeypatch.setattr(sys, "argv", ["hook", str(tmp_path / "asked.json")])
    assert hook.main() == 0
    assert json.loads((tmp_path / "answer.json").read_text())["error"]["step"] == "bindings"
