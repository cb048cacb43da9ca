# SPDX-License-Identifier: GPL-3.0-or-later
"""Staging, installing, verifying and taking back on a dnf host, whose dnf and rpm are played by a runner.

What the hook itself does with the real dnf is tested in the lab (tests/system/exact/test_dnf.py).
"""

import os
import tarfile

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import dnf_history, package_lock, rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    dnf_perform,
    rpm_rehearsal,
    rpm_unfinished,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf import Dnf
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import RpmFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.tests.unit.plugins.module_utils.package_managers.redhat_host import (
    UPDATES,
    RedHatDouble,
    update,
)


@pytest.fixture
def redhat(tmp_path, monkeypatch):
    double = RedHatDouble(tmp_path)
    monkeypatch.setattr(dnf_history, "present", lambda _root: True)
    monkeypatch.setattr(
        dnf_history,
        "read",
        lambda _root: dnf_history.History(
            {}, {(name, "noarch"): name in double.automatic for name in double.installed}
        ),
    )
    return double


@pytest.fixture
def manager(redhat, tmp_path):
    return Dnf(Host(redhat, Clock(), str(tmp_path), str(tmp_path / "state")))


@pytest.fixture
def stage(manager, stage_request):
    return lambda updates=UPDATES, **others: manager.stage(stage_request(updates, **others))


@pytest.fixture
def wanted(stage, redhat):
    transaction = stage()["transaction"]
    del redhat.work[:]
    return transaction


def versions(redhat):
    return {name: list(found) for name, found in redhat.installed.items() if found and name != "kernel-core"}


AFTER = {"agent": ["1.1-1"], "words": ["1-1"]}


def test_there_and_back(manager, redhat, wanted, install_request):
    before, automatic = versions(redhat), set(redhat.automatic)
    result = manager.install(install_request(wanted))
    assert versions(redhat) == AFTER
    assert (result["changed"], result["marks_equal"], result["policy_rc_d"]) == (True, True, None)
    assert set(result["seconds_ms"]) == {"prepare", "rpm", "after"}
    assert "words" in redhat.automatic
    assert redhat.environment["SYSTEMD_OFFLINE"] == "1"
    assert manager.verify(wanted, "to", [])["problems"] == []
    assert manager.install(install_request(wanted))["nothing_to_do"] is True
    assert redhat.work == ["perform"]
    manager.rollback(install_request(wanted), ["agent"])
    assert versions(redhat) == dict(AFTER, agent=["1.0-1"])
    manager.rollback(install_request(wanted), [])
    assert (versions(redhat), redhat.automatic) == (before, automatic)
    assert manager.verify(wanted, "from", [])["problems"] == []
    assert manager.rollback(install_request(wanted), [])["nothing_to_do"] is True


def test_the_stage_is_whole_or_made_again(stage, redhat):
    first = stage()
    assert [item["name"] for item in first["preserved"]] == ["agent", "labels"]
    assert (first["not_preserved"], first["cves"]) == ([], {"agent": ["CVE-2026-1"]})
    assert redhat.work == ["resolve", "fetch", "perform test", "fetch"]
    assert stage()["changed"] is False
    os.unlink(RpmFolder(first["preserved_dir"]).path("agent", "1.0-1", "noarch"))
    assert stage()["changed"] is True


def test_a_way_back_of_which_something_is_lost_is_not_tested(stage, redhat, monkeypatch):
    """rpm would refuse what the lost package's dependencies lack; that it is lost is told already."""
    asked = []
    monkeypatch.setattr(rpm_rehearsal, "way_back", lambda *_args: asked.append(1))
    del redhat.repository[("agent", "1.0-1")]
    assert [item["name"] for item in stage()["not_preserved"]] == ["agent"]
    assert asked == []


def test_whether_the_way_back_was_tried_is_told_and_without_room_it_is_tried_again(stage, redhat, monkeypatch):
    assert stage(check=True)["way_back_tried"] is None
    monkeypatch.setattr(rpm_rehearsal, "way_back", lambda *_asked: False)
    assert stage()["way_back_tried"] is False
    monkeypatch.setattr(rpm_rehearsal, "way_back", lambda *_asked: True)
    assert stage()["way_back_tried"] is True
    again = stage()
    assert (again["changed"], again["way_back_tried"]) == (False, True)
    redhat.installed.update(agent=["1.1-1"], labels=[], words=["1-1"])
    assert stage()["way_back_tried"] is None


def test_check_mode_stages_nothing(stage, tmp_path):
    predicted = stage(check=True)
    assert predicted["transaction"] == stage()["transaction"]
    assert predicted["stage_dir"] is None


def test_what_is_there_already_is_nothing_to_do(stage, redhat):
    redhat.installed.update(agent=["1.1-1"], labels=[], words=["1-1"])
    assert stage()["nothing_to_do"] is True
    assert redhat.work == []


def test_a_version_that_is_gone_is_refused(stage, redhat):
    redhat.repository[("agent", "1.2-1")] = redhat.repository.pop(("agent", "1.1-1"))
    with pytest.raises(
        PatchingError, match=r"agent:noarch: repository now gives 1\.2-1; expected manifest allows 1\.1-1"
    ):
        stage()


def test_what_the_manifest_does_not_name_is_refused(stage, redhat):
    redhat.changes.append(("kernel-core", "5.1-1", None))
    with pytest.raises(PatchingError, match=r"kernel-core:noarch: the repository now gives removal 5\.1-1"):
        stage()


def test_an_unsigned_package_is_refused(stage, redhat):
    redhat.unsigned = {"words"}
    with pytest.raises(PatchingError, match="words:noarch 1-1: Package is not signed"):
        stage()


def test_a_package_that_is_not_what_the_index_says_is_refused(stage, redhat, monkeypatch):
    monkeypatch.setattr(redhat, "_change", lambda *change: dict(RedHatDouble._change(redhat, *change), sha256="0" * 64))
    with pytest.raises(PatchingError, match="no downloaded file with SHA-256 0000"):
        stage()


def test_a_rehearsal_that_differs_is_refused(stage, redhat, manager):
    redhat.differ = ["dnf would also remove db-9-1.noarch"]
    with pytest.raises(PatchingError, match="dnf would also remove db-9-1"):
        stage()
    assert [record["event"] for record in Journal(manager.host.state_dir).read()] == ["begin", "failed"]


def test_an_old_kernel_that_dnf_would_remove_stays(stage):
    """It is the way back of the new one."""
    entries = stage([*UPDATES, update("kernel-core", "5.1-1", None)])["transaction"]["entries"]
    assert "kernel-core" not in {entry["name"] for entry in entries}


def test_dnf_is_stopped_before_it_does_anything_else(manager, redhat, wanted, install_request):
    before = versions(redhat)
    redhat.differ = ["dnf would also install cowsay-3-1.noarch"]
    with pytest.raises(PatchingError, match="stopped before anything was installed: dnf would also install cowsay"):
        manager.install(install_request(wanted))
    assert versions(redhat) == before


def lock(tmp_path, text):
    path = tmp_path / "etc/dnf/plugins/versionlock.list"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("text", ["agent-0:1.0-1.*\n", "agent\n", "labels-0:1-1.*\n"])
def test_a_lock_that_was_set_after_the_stage_is_honoured(
    manager, redhat, wanted, install_request, tmp_path, check, text
):
    lock(tmp_path, text)
    with pytest.raises(PatchingError, match=r"^(agent|labels):noarch: dnf versionlock holds 1"):
        manager.install(install_request(wanted, check=check))
    assert (redhat.work, versions(redhat)) == ([], {"agent": ["1.0-1"], "labels": ["1-1"]})


def test_a_lock_hinders_neither_its_own_version_nor_the_way_back(manager, redhat, wanted, install_request, tmp_path):
    lock(tmp_path, "agent-0:1.1-1.*\n")
    manager.install(install_request(wanted))
    assert versions(redhat) == AFTER
    manager.rollback(install_request(wanted), [])
    assert versions(redhat) == {"agent": ["1.0-1"], "labels": ["1-1"]}


def test_drift_is_refused(manager, redhat, wanted, install_request):
    redhat.installed["agent"] = ["1.0-9"]
    with pytest.raises(PatchingError, match=r"agent:noarch: 1\.0-9 is installed; expected 1\.0-1"):
        manager.install(install_request(wanted))


def test_a_failed_script_is_no_success_neither_now_nor_later(manager, redhat, wanted, install_request):
    redhat.failing = {"agent"}
    for _attempt in range(2):
        with pytest.raises(PatchingError, match=r"%post of agent-1\.1-1\.noarch failed .*the index is full"):
            manager.install(install_request(wanted))
    assert [problem["subject"] for problem in manager.verify(wanted, "to", [])["problems"]] == ["agent:noarch"]
    redhat.failing = set()
    assert manager.install(install_request(wanted))["repaired"] is True
    assert manager.verify(wanted, "to", [])["problems"] == []


@pytest.mark.parametrize("back", [False, True])
def test_a_killed_rpm_is_completed_or_taken_back(manager, redhat, wanted, install_request, back):
    before = versions(redhat)
    redhat.killed = True
    with pytest.raises(PatchingError, match=r"dnf transaction: killed by signal 9: "):
        manager.install(install_request(wanted))
    assert redhat.installed["agent"] == ["1.0-1", "1.1-1"]
    redhat.killed = False
    if back:
        manager.rollback(install_request(wanted), [])
        assert versions(redhat) == before
    else:
        assert manager.install(install_request(wanted))["repaired"] is True
        assert versions(redhat) == AFTER
    assert rpm_unfinished.read(manager.host.state_dir) == set()


def test_the_notes_of_a_transaction_end_with_it(manager, wanted, install_request):
    """In another architecture, or of a package that never arrived, they made each later run a repair."""
    manager.install(install_request(wanted))
    kept = [("agent", "x86_64"), ("labels", "noarch"), ("words", "noarch"), ("other", "noarch")]
    rpm_unfinished.keep(manager.host.state_dir, kept)
    assert manager.install(install_request(wanted))["repaired"] is True
    assert rpm_unfinished.read(manager.host.state_dir) == {("other", "noarch")}
    assert manager.install(install_request(wanted))["nothing_to_do"] is True


def in_archive(result):
    with tarfile.open(result["etc_archive"]) as tar:
        return sorted(os.path.basename(name) for name in tar.getnames()[1:])


def test_a_night_after_a_way_back_has_a_record_of_its_own(manager, redhat, wanted, install_request, tmp_path):
    (tmp_path / "etc/first").write_text("")
    redhat.failing = {"agent"}
    with pytest.raises(PatchingError):
        manager.install(install_request(wanted))
    redhat.failing = set()
    manager.rollback(install_request(wanted), [])
    (tmp_path / "etc/second.rpmnew").write_text("the administrator's, of the day between")
    result = manager.install(install_request(wanted))
    assert result["conffile_proposals"] == []
    assert in_archive(result) == ["first", "second.rpmnew"]
    manager.rollback(install_request(wanted), [])
    (tmp_path / "etc/third").write_text("")
    assert in_archive(manager.install(install_request(wanted))) == ["first", "second.rpmnew", "third"]


def test_a_resumed_attempt_keeps_the_archive_of_the_first(manager, redhat, wanted, install_request, tmp_path):
    redhat.failing = {"agent"}
    (tmp_path / "etc/first").write_text("")
    with pytest.raises(PatchingError):
        manager.install(install_request(wanted))
    redhat.failing = set()
    (tmp_path / "etc/second").write_text("")
    assert in_archive(manager.install(install_request(wanted))) == ["first"]


def test_a_way_back_that_does_not_fit_is_refused_before_it_begins(manager, redhat, wanted, install_request):
    manager.install(install_request(wanted))
    redhat.differ = ["dnf would also remove words-1-1.noarch"]
    with pytest.raises(PatchingError, match="way back of agent: dnf would also remove words"):
        manager.rollback(install_request(wanted), ["agent"])
    assert versions(redhat) == AFTER
    assert [one["step"] for one in Journal(manager.host.state_dir).read()][-1] == "install"


@pytest.mark.parametrize("check", [True, False])
def test_a_locked_database_is_refused_and_the_holder_named(manager, redhat, wanted, install_request, tmp_path, check):
    (tmp_path / "var/lib/dnf/rpmdb_lock.pid").write_text(str(os.getppid()))
    with pytest.raises(PatchingError, match="/var/lib/dnf/rpmdb_lock.pid: held by process {} ".format(os.getppid())):
        manager.install(install_request(wanted, check=check)._replace(lock_timeout_s=0))
    assert redhat.work == []


@pytest.mark.parametrize("text", ["", "rubbish", "0", "-1", "99999999"])
def test_what_a_dead_dnf_has_left_holds_nothing(tmp_path, text):
    (tmp_path / "var/lib/dnf").mkdir(parents=True)
    (tmp_path / "var/lib/dnf/rpmdb_lock.pid").write_text(text)
    assert package_lock.rpm_holders(str(tmp_path)) == []


def test_a_kernel_comes_beside_the_old_one_and_goes_alone():
    packages, _problems = rpm_database.parse(
        "".join(
            "\x1f".join(["kernel-core", "(none)", number, "1", "x86_64", "x", "V", "1", "1"]) + "\x1e"
            for number in "12"
        )
    )
    installed, folder = RpmInstalled(packages), RpmFolder("/s")
    new = {"name": "kernel-core", "arch": "x86_64", "from": "2-1", "to": "3-1", "origin": "os", "automatic": False}
    asked = dnf_perform.question([new], folder, installed)
    assert asked["install"] == [
        ["kernel-core", "x86_64", "3-1", folder.path("kernel-core", "3-1", "x86_64"), "os", None]
    ]
    back = dict(new, **{"from": "2-1", "to": "1-1"})
    assert dnf_perform.question([back], folder, installed)["remove"] == [["kernel-core", "x86_64", "2-1"]]
    assert dnf_perform.question([back], folder, installed)["install"] == []
