# SPDX-License-Identifier: GPL-3.0-or-later
"""Staging, installing, verifying and taking back on a host of dnf 5, whose dnf and rpm are played by a runner.

What differs from dnf 4 is tried here, the rest in test_dnf_transactions.py. The double keeps dnf 5's state as dnf 5.4.6
does: a transaction of which a script failed changes the packages and leaves the state as it was. The recorded answers
(``dnf5_transaction_*``) are the hook's own, of the repository that test_dnf5_pending.py tells of.
"""

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import dnf5_state, reboot_required
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    transaction_record,
    transaction_work,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf5 import Dnf5
from ansible_collections.hospital.patching.tests.unit.plugins.module_utils.package_managers.redhat_host import (
    UPDATES,
    RedHatDouble,
    update,
)


class FedoraDouble(RedHatDouble):
    """``reasons`` and ``origins`` are dnf 5's state; ``chosen`` is why dnf 5 takes in a new package."""

    def __init__(self, root):
        super().__init__(root)
        (root / "usr/bin/dnf5").write_text("")
        self.state = root / "usr/lib/sysimage/libdnf5"
        self.state.mkdir(parents=True)
        self.reasons = {"agent": "User", "labels": "Weak Dependency", "kernel-core": "User"}
        self.origins = {"agent-1.0-1": "dvd", "labels-1-1": "dvd", "kernel-core-5.1-1": "os"}
        self.chosen = {"words": "Weak Dependency"}
        self.scripts, self.asked, self.thrown = [], [], None
        self.save()

    def save(self):
        reasons = "".join('"{}.noarch" = {{reason = "{}"}}\n'.format(*one) for one in sorted(self.reasons.items()))
        origins = "".join('"{}.noarch" = {{from_repo = "{}"}}\n'.format(*one) for one in sorted(self.origins.items()))
        (self.state / "packages.toml").write_text('version = "1.0"\n\n[packages]\n' + reasons)
        (self.state / "nevras.toml").write_text('version = "1.0"\n\n[nevras]\n' + origins)

    def run(self, args, **others):
        if "-I" in args:
            script = args[args.index("-I") + 1]
            self.scripts.append(os.path.basename(script))
            beside = set(os.listdir(os.path.dirname(script)))
            assert {"dnf_resolve_hook.py", "dnf_transaction_hook.py", "dnf5_resolve_hook.py"} <= beside
            with open(args[-1], encoding="utf-8") as handle:
                self.asked.append(json.load(handle))
        return super().run(args, **others)

    def _perform(self, asked, log):
        if self.differ or asked["test"]:
            return dict(super()._perform(asked, log), reasons={})
        new = {name: self.chosen.get(name, "User") for name, *_rest in asked["install"] if name not in self.reasons}
        told = {"reasons": {"{}.noarch".format(name): reason for name, reason in new.items()}}
        with open(asked["answer"], "w", encoding="utf-8") as handle:
            json.dump(told, handle)
        answer = dict(super()._perform(asked, log), **told)
        if not answer["failed"]:
            gone = [name for name in self.reasons if not self.installed.get(name)]
            self.reasons = {name: why for name, why in dict(self.reasons, **new).items() if name not in gone}
            rows = {
                "{}-{}".format(name, version): origin for name, _arch, version, _path, origin, _auto in asked["install"]
            }
            there = {"{}-{}".format(name, one) for name, found in self.installed.items() for one in found}
            self.origins = {key: origin for key, origin in dict(self.origins, **rows).items() if key in there}
            self.save()
        return answer

    def _mark(self, asked, _log):
        self.reasons.update({name: reason for name, _arch, reason in asked["reasons"]})
        self.save()
        return {}


@pytest.fixture
def fedora(tmp_path):
    return FedoraDouble(tmp_path)


@pytest.fixture
def manager(fedora, tmp_path):
    return Dnf5(Host(fedora, Clock(), str(tmp_path), str(tmp_path / "state")))


@pytest.fixture
def stage(manager, stage_request):
    return lambda updates=UPDATES, **others: manager.stage(stage_request(updates, **others))


@pytest.fixture
def wanted(stage, fedora):
    transaction = stage()["transaction"]
    del fedora.work[:], fedora.asked[:]
    return transaction


def seen(fedora):
    installed = {name: list(found) for name, found in fedora.installed.items() if found}
    return installed, dict(fedora.reasons), dict(fedora.origins)


def lock(tmp_path, *conditions, name="agent"):
    path = tmp_path / "etc/dnf/versionlock.toml"
    path.parent.mkdir(exist_ok=True)
    condition = '[[packages.conditions]]\nkey = "evr"\ncomparator = "{}"\nvalue = "{}"\n'
    text = '[[packages]]\nname = "{}"\n'.format(name) + "".join(condition.format(*one) for one in conditions)
    path.write_text('version = "1.0"\n' + text)


def test_a_stage_is_made_by_dnf_5_alone(stage, fedora):
    result = stage()
    assert result["transaction"]["manager"] == "dnf5"
    assert set(fedora.scripts) == {"dnf5_transaction_hook.py"}
    assert fedora.work == ["resolve", "fetch", "perform test", "fetch"]
    assert [item["name"] for item in result["preserved"]] == ["agent", "labels"]


def test_the_transaction_has_dnf_5s_reasons_and_origins(stage):
    entries = {entry["name"]: entry for entry in stage()["transaction"]["entries"]}
    assert {name: (entry["automatic"], entry["origin"]) for name, entry in entries.items()} == {
        "agent": (False, "os"),
        "labels": (True, "dvd"),  # goes, and would come back from there
        "words": (True, "os"),
    }


def test_a_recorded_answer_is_a_transaction(stage, fedora, recorded):
    """The names are those of the recorded repository; nothing is fetched of it."""
    answer = json.loads(recorded("dnf5_transaction_resolve.json"))
    fedora._resolve = lambda _asked, _log: answer
    fedora.installed = {item["name"]: [item["from"]] for item in answer["updates"] if item["from"]}
    updates = [dict(update(item["name"], item["from"], item["to"])) for item in answer["updates"]]
    updates = [dict(one, automatic=one["name"] == "newdep") for one in updates]
    entries = stage(updates, check=True)["transaction"]["entries"]
    assert [(entry["name"], entry["from"], entry["to"], entry["origin"]) for entry in entries] == [
        ("alpha", "1:1.0-1", "1:1.1-1", "baseos"),
        ("kernel-demo", "6.1-1", "6.1-2", "baseos"),
        ("libdep", "1.0-1", "1.1-1", "baseos"),
        ("newdep", None, "1.0-1", "baseos"),
        ("newname", None, "2.0-1", "baseos"),
        ("oldname", "1.0-1", None, None),
        ("viewer", "1.0-1", "1.2-1", "vendor-imaging"),
    ]
    assert [entry["name"] for entry in entries if entry["automatic"]] == ["newdep"]


def test_a_recorded_drift_is_told(stage, fedora, recorded):
    answer = json.loads(recorded("dnf5_transaction_missing.json"))
    fedora._resolve = lambda _asked, _log: answer
    with pytest.raises(PatchingError, match=r"^gamma:noarch: repository now gives 3\.0-9; expected manifest allows 3"):
        stage([update("gamma", "3.0-1", "3.0-7")])


def test_there_and_back_with_every_reason_and_origin(manager, fedora, wanted, install_request):
    before = seen(fedora)
    result = manager.install(install_request(wanted))
    assert (result["changed"], result["marks_equal"], result["holds_equal"]) == (True, True, True)
    assert fedora.reasons == {"agent": "User", "kernel-core": "User", "words": "Weak Dependency"}
    assert fedora.work == ["perform"]  # nothing had to be put back
    assert manager.verify(wanted, "to", [])["problems"] == []
    assert manager.install(install_request(wanted))["nothing_to_do"] is True
    manager.rollback(install_request(wanted), ["agent"])
    assert fedora.installed["agent"] == ["1.0-1"]
    manager.rollback(install_request(wanted), [])
    assert seen(fedora) == before
    assert manager.verify(wanted, "from", [])["problems"] == []
    assert manager.rollback(install_request(wanted), [])["nothing_to_do"] is True


def test_what_dnf_5_gives_another_reason_gets_its_own(manager, fedora, wanted, install_request):
    fedora.chosen = {"words": "User"}
    assert manager.install(install_request(wanted))["marks_equal"] is True
    assert fedora.reasons["words"] == "Dependency"
    assert fedora.work == ["perform", "mark"]


def test_a_new_package_of_the_user_is_the_users(manager, fedora, stage, install_request):
    transaction = stage([*UPDATES[:2], update("words", None, "1-1", False)])["transaction"]
    fedora.chosen = {"words": "Dependency"}
    manager.install(install_request(transaction))
    assert fedora.reasons["words"] == "User"


def test_after_a_failed_script_dnf_5s_state_is_put_right(manager, fedora, wanted, install_request):
    fedora.failing = {"agent"}
    for _attempt in range(2):
        with pytest.raises(PatchingError, match=r"%post of agent-1\.1-1\.noarch failed .*the index is full"):
            manager.install(install_request(wanted))
    assert "words" not in fedora.reasons  # as libdnf5 does
    failed = {problem["subject"] for problem in manager.verify(wanted, "to", [])["problems"]}
    assert failed == {"agent:noarch", "words"}
    fedora.failing = set()
    assert manager.install(install_request(wanted))["repaired"] is True
    assert fedora.reasons["words"] == "Weak Dependency"
    assert manager.verify(wanted, "to", [])["problems"] == []


@pytest.mark.parametrize("back", [False, True])
def test_a_killed_rpm_is_completed_or_taken_back(manager, fedora, wanted, install_request, back):
    before = seen(fedora)[:2]
    fedora.killed = True
    with pytest.raises(PatchingError, match=r"dnf transaction: killed by signal 9: "):
        manager.install(install_request(wanted))
    fedora.killed = False
    if back:
        manager.rollback(install_request(wanted), [])
        assert seen(fedora)[:2] == before
    else:
        fedora.chosen = {}  # of a package that is installed again dnf 5 takes in no weak dependency
        assert manager.install(install_request(wanted))["repaired"] is True
        assert fedora.reasons["words"] == "Weak Dependency"


def test_what_a_killed_module_has_left_of_reasons_is_kept(manager, fedora, wanted, install_request):
    """Neither the module nor the hook came to its end; the hook had written what dnf 5 had resolved."""
    fedora.killed = True
    with pytest.raises(PatchingError):
        manager.install(install_request(wanted))
    fedora.killed, fedora.chosen = False, {}
    directory = transaction_work.stage_dir(manager.host, wanted)
    record = transaction_record.read(directory)
    del record["new_reasons"]
    transaction_record.write(transaction_record.path_of(directory), record)
    manager.install(install_request(wanted))
    assert fedora.reasons["words"] == "Weak Dependency"


def test_a_failed_attempt_is_taken_back_with_the_reasons_from_before_it(manager, fedora, wanted, install_request):
    before = seen(fedora)[:2]
    fedora.failing = {"agent"}
    with pytest.raises(PatchingError):
        manager.install(install_request(wanted))
    fedora.failing = set()
    fedora.reasons = {"agent": "User", "kernel-core": "User"}  # dnf 5 has looked, and labels was gone
    fedora.save()
    manager.rollback(install_request(wanted), [])
    assert seen(fedora)[:2] == before


def test_who_changes_a_reason_after_the_installation_means_it(manager, fedora, wanted, install_request):
    manager.install(install_request(wanted))
    fedora.reasons["agent"] = "Weak Dependency"
    fedora.save()
    manager.rollback(install_request(wanted), [])
    assert (fedora.reasons["agent"], fedora.reasons["labels"]) == ("Weak Dependency", "Weak Dependency")


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("held", [("agent", ("=", "1.0-1")), ("agent", ("!=", "1.1-1")), ("lab*", ("=", "1-1"))])
def test_a_lock_that_was_set_after_the_stage_is_honoured(
    manager, fedora, wanted, install_request, tmp_path, check, held
):
    lock(tmp_path, held[1], name=held[0])
    with pytest.raises(PatchingError, match=r"^(agent|labels):noarch: dnf versionlock holds 1"):
        manager.install(install_request(wanted, check=check))
    assert fedora.work == []


def test_a_lock_hinders_neither_what_it_allows_nor_the_way_back(manager, fedora, wanted, install_request, tmp_path):
    lock(tmp_path, (">=", "1.1"))
    manager.install(install_request(wanted))
    assert manager.verify(wanted, "to", [])["holds_equal"] is True
    manager.rollback(install_request(wanted), [])
    assert fedora.installed["agent"] == ["1.0-1"]
    (tmp_path / dnf5_state.LOCKS).unlink()
    assert manager.verify(wanted, "from", [])["holds_equal"] is False


def test_drift_is_refused(manager, fedora, wanted, install_request):
    fedora.installed["agent"] = ["1.0-9"]
    with pytest.raises(PatchingError, match=r"agent:noarch: 1\.0-9 is installed; expected 1\.0-1"):
        manager.install(install_request(wanted))
    assert fedora.work == []


def test_dnf_5_is_stopped_before_it_does_anything_else(manager, fedora, wanted, install_request):
    before = seen(fedora)
    fedora.differ = ["dnf5 would also remove db-9-1.noarch"]
    with pytest.raises(PatchingError, match="stopped before anything was installed: dnf5 would also remove db"):
        manager.install(install_request(wanted))
    assert seen(fedora) == before


def test_a_state_that_cannot_be_read_is_refused_before_anything(manager, fedora, wanted, install_request):
    (fedora.state / "packages.toml").write_text('version = "2.0"\n')
    with pytest.raises(PatchingError, match=r"packages\.toml: version"):
        manager.install(install_request(wanted))
    assert fedora.work == []


def test_a_host_of_which_dnf_5_knows_nothing_yet_is_patched(manager, fedora, stage, install_request):
    for path in fedora.state.iterdir():
        path.unlink()
    fedora.reasons, fedora.origins = {}, {}
    updates = [update("agent", "1.0-1", "1.1-1"), update("labels", "1-1", None), update("words", None, "1-1", True)]
    manager.install(install_request(stage(updates)["transaction"]))
    assert fedora.reasons["words"] == "Weak Dependency"


HOLD = """
import fcntl, sys
held = open(sys.argv[1], "a")
fcntl.lockf(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_while_dnf_5_works_nothing_is_begun(manager, fedora, wanted, install_request, tmp_path):
    path = tmp_path / "run/dnf/rpmtransaction.lock"
    path.parent.mkdir(parents=True)
    command = [sys.executable, "-I", "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(PatchingError, match="/run/dnf/rpmtransaction.lock: held by process {} ".format(other.pid)):
            manager.install(install_request(wanted)._replace(lock_timeout_s=0))
    assert fedora.work == []


def test_a_python_without_libdnf5_is_named(manager, fedora, wanted, install_request):
    fedora._perform = lambda _asked, _log: {
        "error": {"step": "bindings", "seen": "x", "repository": None},
        "errors": ["x"],
    }
    with pytest.raises(PatchingError, match=r"no system Python has dnf 5's bindings.*python3-libdnf5"):
        manager.install(install_request(wanted))


def test_its_vendors_reboots_are_owed():
    entries = [{"name": "dbus-broker", "to": "2-1"}]
    assert reboot_required.of_transaction(entries, "/", "dnf5") == ["its vendor reboots for it (dbus-broker 2-1)"]
