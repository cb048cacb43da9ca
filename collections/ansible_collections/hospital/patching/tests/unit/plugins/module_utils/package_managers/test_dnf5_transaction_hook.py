# SPDX-License-Identifier: GPL-3.0-or-later
"""The decisions of dnf 5's transaction hook, on doubles of libdnf5's objects; with the real ones it made recordings."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    dnf5_transaction_hook as hook,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_scripts,
)

INSTALL, REMOVE = "Install", "Remove"


class Package:
    """One of libdnf5's packages; ``repo`` is @System for what is installed."""

    def __init__(self, name, evr, repo="os", arch="noarch", path="", signed=True):
        self.name, self.evr, self.repo, self.arch, self.path, self.signed = name, evr, repo, arch, path, signed

    def get_name(self):
        return self.name

    def get_arch(self):
        return self.arch

    def get_evr(self):
        return self.evr

    def get_repo_id(self):
        return self.repo

    def get_package_path(self):
        return self.path

    def get_download_size(self):
        return 7

    def get_checksum(self):
        return SimpleNamespace(get_type_str=lambda: "sha256", get_checksum=lambda: "ab")


class Query(list):
    """Of libdnf5's query, which filters itself, what the hook uses."""

    def _keep(self, wanted):
        self[:] = [one for one in self if wanted(one)]

    def filter_available(self):
        self._keep(lambda one: one.repo != "@System")

    def filter_installed(self):
        self._keep(lambda one: one.repo == "@System")

    def filter_repo_id(self, names):
        self._keep(lambda one: one.repo in names)

    def filter_name(self, names):
        self._keep(lambda one: one.name in names)

    def filter_arch(self, names):
        self._keep(lambda one: one.arch in names)

    def filter_installonly(self):
        self._keep(lambda one: one.name == "kernel")


class Goal:
    """Resolves as libdnf5 does: what comes replaces other versions, kernels come beside, weak dependencies come too."""

    def __init__(self, base):
        self.base, self.comes, self.goes, self.marks, self.erasing = base, {}, {}, [], None

    def add_rpm_install(self, package):
        self.comes[package] = "User"

    add_rpm_reinstall = add_rpm_install

    def add_rpm_remove(self, package):
        self.goes[package] = "User"

    def add_rpm_reason_change(self, spec, reason, group, _settings):
        self.marks.append((spec, reason, group))

    def set_allow_erasing(self, value):
        self.erasing = value

    def resolve(self):
        world = self.base.world
        for package in self.base.packages:
            if package.repo == hook.FILES and package.name in world.taken_in:
                self.comes.setdefault(package, world.taken_in[package.name])
        for package in world.more:
            self.comes[package] = "Dependency"
        for package in self.base.packages:
            replaced = any(one.name == package.name and package.name != "kernel" for one in self.comes)
            if package.repo == "@System" and (replaced or package in world.also_goes):
                self.goes[package] = "User"
        return Transaction(world, self)


class Transaction:
    TransactionRunResult_SUCCESS = 0

    def __init__(self, world, goal):
        self.world, self.goal, self.callbacks = world, goal, None
        pairs = [(one, INSTALL, why) for one, why in goal.comes.items()]
        pairs += [(one, REMOVE, why) for one, why in goal.goes.items()]
        self.items = [
            SimpleNamespace(get_package=lambda p=p: p, get_action=lambda a=a: a, get_reason=lambda w=w: w)
            for p, a, w in pairs
        ]

    def get_problems(self):
        return 1 if self.world.problem else 0

    def get_resolve_logs_as_strings(self):
        return [self.world.problem]

    def get_transaction_packages(self):
        return self.items

    def empty(self):
        return not (self.items or self.goal.marks)

    def set_callbacks(self, callbacks):
        self.callbacks = callbacks

    def set_description(self, text):
        self.world.described.append(text)

    def get_transaction_problems(self):
        return self.world.problems

    def transaction_result_to_string(self, result):
        return "Rpm transaction failed." if result else ""

    def test(self):
        self.world.done.append("test")
        return self.world.result

    def run(self):
        self.world.done.append(("run", sorted(self.goal.comes, key=str), list(self.goal.marks)))
        if self.world.thrown:
            raise self.world.thrown
        if self.callbacks:
            for item in self.items:
                self.callbacks.elem_progress(item, 0, 1)
                self.callbacks.install_start(item, 1)
                failed = item.get_package().name in self.world.failing
                self.callbacks.script_stop(item, item.get_package(), 1, 1 if failed else 0)
        keep = [p for p in self.world.packages if p not in self.goal.goes]
        self.world.packages = keep + [Package(p.name, p.evr, "@System", p.arch) for p in self.goal.comes]
        return self.world.result


class Callbacks:
    """libdnf5's own, which does nothing."""


class Thrown(Exception):
    """What libdnf5 throws."""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Return a host: its packages, what libdnf5 takes in by itself (name to reason), and what goes wrong."""
    found = SimpleNamespace(
        packages=[Package("agent", "1.0-1", "@System"), Package("labels", "1-1", "@System")],
        hidden=[],
        taken_in={},
        more=[],
        also_goes=[],
        failing=set(),
        problem="",
        problems=[],
        result=0,
        thrown=None,
        done=[],
        described=[],
        settings=[],
        answer=str(tmp_path / "answer.json"),
    )
    monkeypatch.setattr(hook.resolving, "library", lambda: (library(found), (Thrown,)))
    monkeypatch.setattr(hook, "LOCK", str(tmp_path / "lock"))
    return found


def downloader(_base):
    asked = []

    def download():
        for package in asked:
            if package.evr == "9-9":
                raise Thrown("Failed to download packages")
            with open(package.path, "w", encoding="utf-8") as handle:
                handle.write(package.name)

    return SimpleNamespace(add=asked.append, download=download)


class Signature:
    CheckResult_OK, CheckResult_SKIPPED = 0, 1

    def __init__(self, _base):
        """Checks by what the double says."""

    def check_package_signature(self, package):
        return 0 if package.signed else 3

    def check_result_to_string(self, _result):
        return "The package is not signed."


def number(text):
    return rpm_version.key(text + "-1")


def library(world):
    def base():
        settings = SimpleNamespace(system_state_dir=os.path.join(os.path.dirname(world.answer), "state"))
        world.settings.append(settings)
        found = SimpleNamespace(packages=list(world.packages), world=world, get_config=lambda: settings)
        found.load_config = found.setup = lambda: None
        found.get_logger = lambda: SimpleNamespace(add_logger=lambda _logger: None)

        def add_files(paths):
            for path in paths:
                name, evr = os.path.basename(path)[: -len(".rpm")].split("_")
                found.packages.append(Package(name, evr, hook.FILES, path=path))

        def clear():
            found.packages += world.hidden

        found.get_repo_sack = lambda: SimpleNamespace(load_repos=lambda *_kind: None, add_cmdline_packages=add_files)
        found.get_rpm_package_sack = lambda: SimpleNamespace(clear_versionlock_excludes=clear)
        return found

    return SimpleNamespace(
        base=SimpleNamespace(
            Base=base, Goal=Goal, Transaction=Transaction, GoalProblem_NO_PROBLEM=0, GoalJobSettings=lambda: None
        ),
        repo=SimpleNamespace(Repo=SimpleNamespace(Type_SYSTEM="system"), PackageDownloader=downloader),
        rpm=SimpleNamespace(
            PackageQuery=lambda base: Query(base.packages),
            RpmSignature=Signature,
            TransactionCallbacks=Callbacks,
            TransactionCallbacksUniquePtr=lambda callbacks: callbacks,
            rpmvercmp=lambda one, other: (number(one) > number(other)) - (number(one) < number(other)),
        ),
        logger=SimpleNamespace(create_file_logger=lambda *_where: None),
        transaction=SimpleNamespace(
            transaction_item_action_is_inbound=lambda action: action == INSTALL,
            transaction_item_action_is_outbound=lambda action: action == REMOVE,
            transaction_item_reason_to_string=str,
            transaction_item_reason_from_string=lambda text: "reason " + text,
        ),
    )


def asked(world, **others):
    folder = os.path.dirname(world.answer)
    return dict({"cachedir": folder, "persistdir": folder, "answer": world.answer}, **others)


def perform(world, install, remove=(), test=False, **others):
    rows = [[name, "noarch", evr, "/s/{}_{}.rpm".format(name, evr), "os", auto] for name, evr, auto in install]
    gone = [[name, "noarch", evr] for name, evr in remove]
    return hook.answer(asked(world, work="perform", install=rows, remove=gone, test=test, **others))


def versions(world):
    return sorted((one.name, one.evr) for one in world.packages if one.repo == "@System")


# --- perform ---


def test_exactly_the_transaction_is_run_with_nothing_of_the_hosts_own_policy(world):
    answer = perform(world, [("agent", "1.1-1", None)], [("labels", "1-1")])
    assert answer == {"differences": [], "errors": [], "failed": [], "reasons": {}}
    assert versions(world) == [("agent", "1.1-1")]
    settings = world.settings[-1]
    assert (settings.disable_excludes, settings.plugins) == (["*"], False)
    assert (settings.clean_requirements_on_remove, settings.installonly_limit) == (False, 0)
    assert world.described == ["hospital.patching"]


def test_a_rehearsal_runs_nothing(world):
    before = versions(world)
    assert perform(world, [("agent", "1.1-1", None)], test=True)["errors"] == []
    assert (world.done, versions(world)) == (["test"], before)


def test_a_new_dependency_is_left_to_dnf_5_and_keeps_its_reason(world):
    world.taken_in = {"words": "Weak Dependency"}
    answer = perform(world, [("agent", "1.1-1", None), ("words", "1-1", True)])
    assert (answer["differences"], answer["reasons"]) == ([], {"words.noarch": "Weak Dependency"})


def test_one_that_dnf_5_does_not_take_in_is_asked_for(world):
    answer = perform(world, [("agent", "1.1-1", None), ("words", "1-1", True)])
    assert (answer["differences"], answer["reasons"]) == ([], {"words.noarch": "User"})
    assert ("words", "1-1") in versions(world)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"more": [Package("cowsay", "3-1")]}, "dnf5 would also install cowsay-3-1.noarch"),
        ({"also_goes": ["db"]}, "dnf5 would also remove db-9-1.noarch"),
    ],
)
def test_anything_else_stops_it_before_it_begins(world, change, seen):
    db = Package("db", "9-1", "@System")
    world.packages.append(db)
    world.__dict__.update({name: [db if one == "db" else one for one in found] for name, found in change.items()})
    before = versions(world)
    assert perform(world, [("agent", "1.1-1", None)])["differences"] == [seen]
    assert (world.done, versions(world)) == ([], before)


def test_what_cannot_be_resolved_is_refused(world):
    world.problem = "nothing provides x needed by agent-1.1-1"
    with pytest.raises(hook.Failure, match="nothing provides x"):
        perform(world, [("agent", "1.1-1", None)])
    assert world.done == []


def test_a_file_of_another_package_is_refused(world):
    rows = [["agent", "noarch", "1.1-1", "/s/agent_1.2-1.rpm", "os", None]]
    with pytest.raises(hook.Failure, match=r"/s/agent_1.2-1.rpm is not agent-1.1-1.noarch"):
        hook.answer(asked(world, work="perform", install=rows, remove=[], test=False))


def test_each_package_is_noted_before_rpm_touches_it_and_failed_scripts_are_told(world, tmp_path):
    world.failing, world.result = {"agent"}, 5
    begun = tmp_path / "begun"
    answer = perform(world, [("agent", "1.1-1", None), ("words", "1-1", False)], begun=str(begun))
    assert answer["failed"] == [["agent", "noarch"]]
    assert answer["errors"] == ["Rpm transaction failed."]
    assert [json.loads(line) for line in begun.read_text().splitlines()] == [["agent", "noarch"], ["words", "noarch"]]


def test_a_failed_script_is_an_error_even_where_libdnf5_says_success(world):
    world.failing = {"agent"}
    assert perform(world, [("agent", "1.1-1", None)])["errors"] != []


def test_what_libdnf5_throws_while_it_works_is_an_error(world):
    world.thrown = Thrown("disk full")
    answer = perform(world, [("agent", "1.1-1", None), ("words", "1-1", True)])
    assert answer["errors"] == ["disk full"]
    with open(world.answer, encoding="utf-8") as handle:  # what a killed process leaves
        assert json.load(handle)["reasons"] == {"words.noarch": "User"}


def test_what_is_there_is_installed_again_and_the_older_one_beside_it_goes(world):
    world.packages.append(Package("agent", "1.1-1", "@System"))
    assert perform(world, [("agent", "1.1-1", None)])["differences"] == []
    assert len(world.done) == 1
    assert versions(world) == [("agent", "1.1-1"), ("labels", "1-1")]


def test_an_upgrade_that_was_cut_off_is_finished_before_its_way_back(world):
    world.packages.append(Package("agent", "1.1-1", "@System"))
    perform(world, [("agent", "1.0-1", None)])
    assert world.described == ["hospital.patching: what was cut off", "hospital.patching"]
    assert versions(world) == [("agent", "1.0-1"), ("labels", "1-1")]


def test_that_finishes_nothing_else(world):
    world.packages += [Package("agent", "1.1-1", "@System")]
    world.also_goes = [world.packages[1]]
    with pytest.raises(hook.Failure, match="would not only finish agent"):
        perform(world, [("agent", "1.0-1", None)])
    assert world.done == []


def test_kernels_are_beside_each_other_on_purpose(world):
    world.packages += [Package("kernel", "6-1", "@System"), Package("kernel", "6-2", "@System")]
    perform(world, [("kernel", "6-3", None)])
    assert [evr for name, evr in versions(world) if name == "kernel"] == ["6-1", "6-2", "6-3"]


# --- what rpm and scripts said ---


def test_the_log_is_told_in_rpms_own_words(recorded, tmp_path, capsys):
    """Recorded with rpm 6.1: a %post that failed, one in Lua, and one that went well."""
    path = tmp_path / "libdnf5.log"
    path.write_text("2026-11-26T18:22:04+0000 [1] ERROR [rpm] of an earlier run\n")
    log = hook.Log(str(path))
    text = recorded("dnf5_rpm.log")
    with open(str(path), "a", encoding="utf-8") as handle:
        handle.write(text[:-20])  # the last line is not whole yet
    log.tell()
    with open(str(path), "a", encoding="utf-8") as handle:
        handle.write(text[-20:])
    log.tell()
    said = capsys.readouterr().out
    assert said.splitlines()[:3] == [
        "fine",
        "the index is full",
        "warning: %post(firefox-128.0-9.noarch) scriptlet failed, exit status 3",
    ]
    assert [(item["package"], item["how"]) for item in rpm_scripts.failures(said)] == [
        ("firefox-128.0-9.noarch", "exit status 3"),
        ("viewer-1.2-9.noarch", "lua said no"),
    ]
    assert log.errors == json.loads(recorded("dnf5_transaction_failed.json"))["errors"]


# --- where packages came from ---


TABLE = 'version = "1.0"\n\n[nevras]\n"a-1:1-1.noarch" = {from_repo = "@commandline"}\n'
OTHERS = '"b-1-1.noarch" = {from_repo = "@commandline"}\n"c-1-1.noarch" = {from_repo = "x"}\n\n'


def origins(tmp_path, table, install):
    path = tmp_path / "nevras.toml"
    path.write_text(table)
    path.chmod(0o644)
    hook.keep_origins(str(tmp_path), install, str(tmp_path / "lock"))
    assert path.stat().st_mode & 0o777 == 0o644
    return path.read_text()


def test_what_came_from_the_stage_is_from_its_repository(tmp_path):
    install = [["a", "noarch", "1:1-1", "/s", "os", None], ["c", "noarch", "1-1", "/s", "os", None]]
    assert origins(tmp_path, TABLE + OTHERS, install) == TABLE.replace("@commandline", "os") + OTHERS


def test_a_transaction_says_so_of_its_packages(world, tmp_path):
    (tmp_path / "state").mkdir()
    table = tmp_path / "state/nevras.toml"
    table.write_text('"agent-1.1-1.noarch" = {from_repo = "@commandline"}\n')
    perform(world, [("agent", "1.1-1", None)], test=True)
    assert "@commandline" in table.read_text()
    perform(world, [("agent", "1.1-1", None)])
    assert table.read_text() == '"agent-1.1-1.noarch" = {from_repo = "os"}\n'


@pytest.mark.parametrize("origin", [None, 'o"s', "o\\s", "o s"])
def test_a_name_that_would_break_the_table_is_left_out(tmp_path, origin):
    assert origins(tmp_path, TABLE, [["a", "noarch", "1:1-1", "/s", origin, None]]) == TABLE


def test_another_form_of_the_table_is_left_alone(tmp_path):
    table = TABLE.replace(" = {", "={")
    assert origins(tmp_path, table, [["a", "noarch", "1:1-1", "/s", "os", None]]) == table


HOLD = """
import fcntl, sys
held = open(sys.argv[1], "a")
fcntl.lockf(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_while_another_transaction_runs_the_table_is_not_touched(tmp_path):
    command = [sys.executable, "-I", "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError):
            origins(tmp_path, TABLE, [["a", "noarch", "1:1-1", "/s", "os", None]])
        assert (tmp_path / "nevras.toml").read_text() == TABLE


# --- resolve, fetch, mark ---


@pytest.fixture
def repositories(monkeypatch):
    """Play the loading of repositories, which test_dnf5_resolve_hook.py tests, and the shape of changes."""
    loaded = []
    monkeypatch.setattr(hook.resolving, "load_repositories", lambda *asked: loaded.append(asked[2]))
    monkeypatch.setattr(
        hook.resolving, "changes", lambda _dnf, _base, done: [hook.nevra(i.get_package()) for i in done.items]
    )
    return loaded


def wants(name, to, origin=None):
    return {"name": name, "arch": "noarch", "to": to, "origin": origin}


def test_the_planned_version_is_resolved_from_the_planned_repository(world, repositories):
    world.packages += [Package("agent", "1.1-1", "mirror"), Package("agent", "1.1-1", "os", arch="x86_64")]
    answer = hook.answer(asked(world, work="resolve", updates=[wants("agent", "1.1-1", "os"), wants("labels", None)]))
    assert answer["missing"] is None
    assert ("agent", "noarch", "1.1-1") in answer["updates"]
    assert ("labels", "noarch", "1-1") in answer["updates"]
    assert repositories == [True]


def test_a_version_that_is_gone_is_told_with_those_that_there_are(world, repositories):
    world.packages += [Package("agent", "1.10-1"), Package("agent", "1.9-1")]
    answer = hook.answer(asked(world, work="resolve", updates=[wants("agent", "1.1-1")]))
    assert answer == {
        "updates": [],
        "missing": {"name": "agent", "arch": "noarch", "versions": ["1.9-1", "1.10-1"]},
    }


def test_what_the_host_hides_is_refused_as_such(world, repositories):
    world.hidden = [Package("agent", "1.1-1")]
    with pytest.raises(hook.Failure, match=r"agent 1\.1-1 is excluded or locked on this host"):
        hook.answer(asked(world, work="resolve", updates=[wants("agent", "1.1-1")]))


def fetch(world, tmp_path, *packages):
    (tmp_path / "target").mkdir()
    packages = [[name, "noarch", evr, origin] for name, evr, origin in packages]
    return hook.answer(asked(world, work="fetch", packages=packages, target=str(tmp_path / "target")))["files"]


def test_files_are_fetched_and_their_signatures_checked(world, repositories, tmp_path):
    world.packages.append(Package("words", "1-1", path=str(tmp_path / "w.rpm"), signed=False))
    world.hidden = [Package("agent", "1.0-1", path=str(tmp_path / "a.rpm"))]  # hidden from being chosen, not from this
    files = fetch(world, tmp_path, ("agent", "1.0-1", None), ("words", "1-1", "os"), ("gone", "1-1", None))
    assert [(file["name"], file["problem"]) for file in files] == [
        ("agent", None),
        ("words", "The package is not signed."),
    ]
    assert [os.path.exists(file["path"]) for file in files] == [True, True]
    assert os.path.dirname(files[0]["path"]) == str(tmp_path / "target")
    assert (files[0]["sha256"], repositories) == ("ab", [False])


def test_a_package_of_another_repository_is_not_fetched(world, repositories, tmp_path):
    world.packages.append(Package("words", "1-1", "elsewhere", path=str(tmp_path / "w.rpm")))
    assert fetch(world, tmp_path, ("words", "1-1", "os")) == []


def test_a_download_that_fails_names_the_package(world, repositories, tmp_path):
    world.packages.append(Package("words", "9-9", path=str(tmp_path / "w.rpm")))
    with pytest.raises(hook.Failure, match=r"Failed to download packages: words-9-9.noarch"):
        fetch(world, tmp_path, ("words", "9-9", "os"))


def test_reasons_are_set_in_libdnf5s_words(world):
    assert hook.answer(asked(world, work="mark", reasons=[["agent", "noarch", "Weak Dependency"]])) == {}
    assert world.done == [("run", [], [("agent.noarch", "reason Weak Dependency", "")])]
    world.result = 3
    with pytest.raises(hook.Failure, match="Rpm transaction failed"):
        hook.answer(asked(world, work="mark", reasons=[["agent", "noarch", "User"]]))


def test_no_reason_is_no_transaction(world):
    assert hook.answer(asked(world, work="mark", reasons=[])) == {}
    assert world.done == []


def test_a_python_without_libdnf5_says_so_and_fails(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "libdnf5", None)
    question, answer = tmp_path / "q.json", tmp_path / "a.json"
    question.write_text(json.dumps({"work": "perform", "answer": str(answer)}))
    monkeypatch.setattr(sys, "argv", ["hook.py", str(question)])
    assert hook.main() == 1
    assert json.loads(answer.read_text())["error"]["step"] == "bindings"
