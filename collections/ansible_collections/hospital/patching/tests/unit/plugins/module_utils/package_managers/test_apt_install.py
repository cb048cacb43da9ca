# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing exactly: nothing but the transaction, and everything else as before."""

import os
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import (
    alternatives,
    etc_archive,
    package_lock,
    retention,
)
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import Package
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import transaction_record
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_install import finder, install
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_local_repository import (
    LocalRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_rollback import rollback
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_stage import AptStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_verify import verify
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_back import (
    reversed_entries,
)
from ansible_collections.hospital.patching.plugins.module_utils.policy_rc_d import MARKER
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

SECURITY = EVERYTHING._replace(security_only=True)


@pytest.fixture
def wanted(patched, host, stage_request):
    """The staged transaction of two packages, one of them automatic."""
    updates = pending(host, SECURITY)["updates"]
    result = AptStage(host, stage_request(updates)).run()
    del patched.commands[:]
    return result["transaction"]


@pytest.fixture
def run(host, wanted, install_request):
    return lambda **others: install(host, install_request(wanted, **others))


def events(host, step="install"):
    return [record["event"] for record in Journal(host.state_dir).read() if record["step"] == step]


def staged(host, wanted, *names):
    return os.path.join(host.state_dir, "stage", wanted["digest"][7:19], *names)


def test_the_transaction_is_installed(patched, host, wanted, run):
    result = run()
    assert result["changed"] is True
    assert result["installed"] == [
        {"name": "libssl3", "arch": "amd64", "from": "3.0.20", "to": "3.0.22"},
        {"name": "openssl", "arch": "amd64", "from": "3.0.20", "to": "3.0.22"},
    ]
    assert (patched.version("libssl3"), patched.version("openssl"), patched.version("tzdata")) == (
        "3.0.22",
        "3.0.22",
        "2026b",
    )
    assert (result["marks_equal"], result["holds_equal"], result["policy_rc_d"]) == (True, True, "ours")
    assert patched.automatic == {"libssl3"}
    assert events(host) == ["begin", "done"]
    assert verify(host, wanted, "to", [])["verdict"] == "ok"


def test_apt_sees_the_stage_alone_and_asks_nothing(patched, host, wanted, run):
    run()
    (args,) = patched.ran("apt-get", "install")
    assert "Dir::Etc::sourcelist=" + staged(host, wanted, "apt/sources.list") in args
    assert "Dir::Etc::sourceparts=/dev/null" in args
    assert "Dpkg::Options::=--force-confdef" in args
    assert "Dpkg::Options::=--force-confold" in args
    assert "--allow-downgrades" not in args
    assert args[-2:] == ["libssl3:amd64=3.0.22", "openssl:amd64=3.0.22"]


def test_services_are_kept_as_they_are_while_dpkg_runs(patched, run):
    run()
    assert patched.policy_during_dpkg is True
    assert not (patched.root / "usr/sbin/policy-rc.d").exists()


def test_a_second_run_changes_nothing(patched, host, run):
    run()
    del patched.commands[:]
    result = run()
    assert (result["changed"], result["nothing_to_do"], result["installed"]) == (False, True, [])
    assert len(result["already"]) == 2
    assert patched.commands == []
    assert events(host) == ["begin", "done"]


def test_check_mode_predicts_and_writes_nothing(patched, host, run):
    before = Journal(host.state_dir).read()
    predicted = run(check=True)
    assert patched.commands == []
    assert Journal(host.state_dir).read() == before
    assert predicted["installed"] == run()["installed"]


def test_an_empty_transaction_is_nothing_to_do(patched, host, stage_request, install_request):
    result = AptStage(host, stage_request([])).run()
    assert install(host, install_request(result["transaction"]))["nothing_to_do"] is True


@pytest.mark.parametrize("check", [True, False])
def test_drift_is_refused(patched, host, run, check):
    patched.install("openssl", "amd64", "3.0.21")
    with pytest.raises(
        PatchingError, match=r"openssl:amd64: 3\.0\.21 is installed; expected 3\.0\.20 \(or 3\.0\.22, the target\)"
    ):
        run(check=check)
    assert patched.commands == []


@pytest.mark.parametrize("check", [True, False])
def test_a_changed_file_is_refused(patched, host, wanted, run, check):
    with open(staged(host, wanted, "debs", "openssl_3.0.22_amd64.deb"), "ab") as handle:
        handle.write(b"x")
    with pytest.raises(PatchingError, match="nothing was installed"):
        run(check=check)
    assert patched.commands == []


def test_a_missing_file_is_refused(host, wanted, run):
    os.unlink(staged(host, wanted, "debs", "openssl_3.0.22_amd64.deb"))
    with pytest.raises(PatchingError, match="missing; expected the staged file"):
        run()


def test_a_transaction_that_was_not_staged_is_refused(host, wanted, run):
    os.unlink(staged(host, wanted, "stage.json"))
    with pytest.raises(PatchingError, match="no finished stage of this transaction"):
        run()


def test_an_edited_transaction_is_refused(wanted, run):
    wanted["entries"][0]["to"] = "3.0.99"
    with pytest.raises(PatchingError, match="the digest it carries"):
        run()


def test_another_runs_hold_is_never_broken(host, run):
    Journal(host.state_dir).append("R0", "lock", "held")
    with pytest.raises(PatchingError, match="held by run R0"):
        run()


@pytest.mark.parametrize("check", [True, False])
def test_another_runs_snapshot_is_refused_and_its_own_is_not(patched, host, run, check):
    journal = Journal(host.state_dir)
    journal.append("R0", "snapshot", "snapshot_pending")
    with pytest.raises(PatchingError, match=r"snapshot_pending of run R0 .*: its disk may be back at a snapshot"):
        run(check=check)
    assert patched.commands == []
    assert events(host) == []
    journal.append("R1", "snapshot", "snapshot_pending")
    assert run(check=check)["changed"] is True


def test_a_locked_database_is_refused_and_the_holder_named(patched, run, monkeypatch):
    def locked(_root, timeout_s, _clock, _holders):
        raise PatchingError("/var/lib/dpkg/lock", "held by process 7", "free after {}".format(timeout_s), "wait")

    monkeypatch.setattr(package_lock, "wait_until_free", locked)
    for check in (True, False):  # the dry run says so before the host is drained
        with pytest.raises(PatchingError, match="held by process 7"):
            run(check=check)
    assert patched.ran("apt-get", "install") == []


def test_an_action_that_nobody_approved_stops_apt_before_dpkg(patched, host, run):
    patched.extra_actions = {("cowsay", "all"): "3"}
    with pytest.raises(PatchingError, match="stopped before anything was installed: cowsay:all would be set to 3"):
        run()
    assert patched.version("openssl") == "3.0.20"
    assert events(host) == ["begin", "failed"]
    assert not (patched.root / "usr/sbin/policy-rc.d").exists()


def test_an_earlier_finding_of_the_guard_is_forgotten(patched, run):
    patched.extra_actions = {("cowsay", "all"): "3"}
    with pytest.raises(PatchingError):
        run()
    patched.extra_actions = {}
    assert run()["changed"] is True


def test_a_package_script_that_fails_is_told_with_dpkgs_words(patched, host, run):
    patched.fail_after = 1
    with pytest.raises(PatchingError, match=r"exit 100: .*E: Sub-process /usr/bin/dpkg returned an error code"):
        run()
    assert events(host) == ["begin", "failed"]
    assert not (patched.root / "usr/sbin/policy-rc.d").exists()


def test_a_script_that_kills_dpkg_is_told_as_such(patched, run, monkeypatch):
    monkeypatch.setattr(patched, "_apt_get", lambda _command: -9)
    with pytest.raises(PatchingError, match=r"apt-get install: killed by signal 9: "):
        run()


def no_room(*_args):
    raise OSError(28, "No space left on device")


def test_no_room_for_the_archive_of_etc_is_refused(patched, host, run, monkeypatch):
    monkeypatch.setattr(etc_archive, "archive", no_room)
    with pytest.raises(PatchingError, match=r"No space left on device; expected room .*; nothing was installed"):
        run()
    assert patched.ran("apt-get", "install") == []
    assert events(host) == ["begin", "failed"]
    assert not (patched.root / "usr/sbin/policy-rc.d").exists()


def test_another_error_of_the_archive_is_not_called_a_lack_of_room(patched, run, monkeypatch):
    def unreadable(*_args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(etc_archive, "archive", unreadable)
    with pytest.raises(PatchingError, match=r"Input/output error; expected a copy of /etc. Next: correct it, then run"):
        run()


def test_a_way_back_needs_no_room_for_an_archive(patched, host, wanted, run, install_request, monkeypatch):
    run()
    monkeypatch.setattr(etc_archive, "archive", no_room)
    assert rollback(host, install_request(wanted), [])["etc_archive"] is None
    assert patched.version("openssl") == "3.0.20"


def test_a_disk_that_cannot_be_written_is_told_and_not_thrown(patched, host, run, monkeypatch):
    monkeypatch.setattr(transaction_record, "write", no_room)
    with pytest.raises(PatchingError, match=r"stage/\w+: .*No space left on device; expected a disk that can be read"):
        run()
    assert patched.ran("apt-get", "install") == []
    assert events(host) == ["begin", "failed"]


def test_an_interrupted_installation_is_repaired_and_completed(patched, host, wanted, run):
    patched.fail_after = 1
    with pytest.raises(PatchingError):
        run()
    patched.fail_after = None
    result = run()
    assert result["repaired"] is True
    assert [args[4:] for args in patched.ran("dpkg", "--configure")][-1] == [
        "dpkg",
        "--force-confdef",
        "--force-confold",
        "--configure",
        "-a",
    ]
    assert events(host) == ["begin", "failed", "begin", "done"]
    assert verify(host, wanted, "to", [])["verdict"] == "ok"
    # The marks are those from before the first attempt.
    assert patched.automatic == {"libssl3"}


def test_a_way_back_runs_no_script_of_a_new_version_once_more(patched, host, wanted, run, install_request):
    """It hung or failed, and would do so again; of a part that goes back the rest has to be finished first."""
    patched.fail_after = 1
    with pytest.raises(PatchingError):
        run()
    patched.fail_after = None
    del patched.commands[:]
    assert rollback(host, install_request(wanted), [])["repaired"] is True
    assert patched.ran("dpkg", "--configure") == []
    assert (patched.version("libssl3"), patched.version("openssl")) == ("3.0.20", "3.0.20")


def test_a_part_that_goes_back_has_the_rest_finished_first(patched, host, wanted, run, install_request):
    patched.fail_after = 1
    with pytest.raises(PatchingError):
        run()
    patched.fail_after = None
    del patched.commands[:]
    rollback(host, install_request(wanted), ["libssl3"])
    assert len(patched.ran("dpkg", "--configure")) == 1


def test_a_call_that_was_killed_after_dpkg_is_finished(patched, host, wanted, run):
    """SIGKILL after dpkg and before the marks: versions are right, the rest is not."""
    run()
    path = os.path.join(host.state_dir, "journal.jsonl")
    with open(path, encoding="utf-8") as handle:
        lines = handle.read().splitlines(True)
    with open(path, "w", encoding="utf-8") as handle:
        handle.writelines(lines[:-1])
    patched.automatic.clear()
    patched.save()
    (patched.root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\n{}\nexit 101\n".format(MARKER))
    result = run()
    assert result["installed"] == []
    assert patched.automatic == {"libssl3"}
    assert not (patched.root / "usr/sbin/policy-rc.d").exists()
    assert events(host)[-1] == "done"


def test_a_version_that_is_not_the_transactions_is_never_called_done(patched, host, run, monkeypatch):
    monkeypatch.setattr(patched, "_apt_get", lambda _command: 0)
    with pytest.raises(PatchingError, match=r"libssl3:amd64: 3\.0\.20 is installed; expected 3\.0\.22"):
        run()


def test_a_timeout_says_what_was_said_last(patched, run, monkeypatch):
    original = patched.run

    def hang(args, **others):
        if "apt-get" in args and args[0] == "sh":
            raise PatchingError("sh", "no end after 60 s", "an end", "look")
        return original(args, **others)

    monkeypatch.setattr(patched, "run", hang)
    with pytest.raises(PatchingError, match=r"apt-get install: no end after 60 s; it was stopped\. It said last"):
        run()


def test_etc_is_archived_and_proposals_are_listed(patched, run, monkeypatch):
    (patched.root / "etc/old.dpkg-dist").write_text("")
    original = patched._apt_get

    def propose(command):
        (patched.root / "etc/nginx.conf.dpkg-dist").write_text("")
        return original(command)

    monkeypatch.setattr(patched, "_apt_get", propose)
    result = run()
    assert [os.path.basename(path) for path in result["conffile_proposals"]] == ["nginx.conf.dpkg-dist"]
    assert os.path.exists(result["etc_archive"])


def test_new_packages_are_marked_as_planned_and_removals_done(patched, host, stage_request, install_request):
    patched.offer("libnew", "amd64", "1")
    patched.install("libwrap0", "amd64", "7", automatic=True)
    patched.offer("libwrap0", "amd64", "7", security=False)
    patched.needs = {"openssl": {("libnew", "amd64"): "1", ("libwrap0", "amd64"): None}}
    wanted = AptStage(host, stage_request(pending(host, SECURITY)["updates"])).run()["transaction"]
    patched.needs = {}
    result = install(host, install_request(wanted))
    assert (patched.version("libnew"), patched.version("libwrap0")) == ("1", None)
    assert patched.automatic == {"libssl3", "libnew"}
    assert result["marks_equal"] is True
    patched.needs = {}
    rollback(host, install_request(wanted), [])
    assert (patched.version("libnew"), patched.version("libwrap0")) == (None, "7")
    assert patched.automatic == {"libssl3", "libwrap0"}


# --- verify ------------------------------------------------------------------


def test_verify_before_anything_is_installed(host, wanted):
    result = verify(host, wanted, "to", [])
    assert (result["verdict"], result["at_target"]) == ("failed", False)
    assert [problem["subject"] for problem in result["problems"]] == [
        "libssl3:amd64",
        "openssl:amd64",
        "marks and holds",
    ]
    at_from = verify(host, wanted, "from", [])
    assert at_from["verdict"] == "ok"
    # Nothing was recorded, so nothing was compared.
    assert [found[key] for found in (result, at_from) for key in ("marks_equal", "holds_equal")] == [None] * 4


def test_verify_finds_a_changed_mark_hold_and_audit(patched, host, wanted, run):
    run()
    patched.automatic = {"openssl"}
    patched.held = {"tzdata"}
    patched.audit = "The following packages are only half configured"
    patched.save()
    (patched.root / "usr/sbin/policy-rc.d").write_text(MARKER)
    result = verify(host, wanted, "to", [])
    assert (result["marks_equal"], result["holds_equal"], result["at_target"]) == (False, False, True)
    assert [problem["subject"] for problem in result["problems"]] == [
        "libssl3:amd64",
        "openssl:amd64",
        "tzdata:amd64",
        "dpkg --audit",
        "/usr/sbin/policy-rc.d",
    ]


def test_verify_names_units_that_failed_since(host, wanted, run, monkeypatch):
    run()
    monkeypatch.setattr(
        "ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_verify.failed_units",
        lambda _runner, _root: ["nginx.service"],
    )
    assert [problem["subject"] for problem in verify(host, wanted, "to", [])["problems"]] == ["nginx.service"]


def test_a_half_configured_package_is_a_problem(patched, host, wanted, run):
    run()
    patched.install("openssl", "amd64", "3.0.22", state="half-configured")
    assert verify(host, wanted, "to", [])["problems"][0]["seen"] == "it is half-configured"


# --- the way back ------------------------------------------------------------


def test_the_way_back(patched, host, wanted, run, install_request):
    run()
    del patched.commands[:]
    result = rollback(host, install_request(wanted), [])
    assert [(item["name"], item["from"], item["to"]) for item in result["installed"]] == [
        ("libssl3", "3.0.22", "3.0.20"),
        ("openssl", "3.0.22", "3.0.20"),
    ]
    assert patched.version("openssl") == "3.0.20"
    assert patched.automatic == {"libssl3"}
    assert events(host, "rollback") == ["begin", "done"]
    assert verify(host, wanted, "from", [])["verdict"] == "ok"
    assert all("--allow-downgrades" in args for args in patched.ran("apt-get", "install"))
    del patched.commands[:]
    again = rollback(host, install_request(wanted), [])
    assert (again["changed"], again["nothing_to_do"], patched.commands) == (False, True, [])


def test_the_way_back_from_a_half_done_installation(patched, host, wanted, run, install_request):
    patched.fail_after = 1
    with pytest.raises(PatchingError):
        run()
    patched.fail_after = None
    rollback(host, install_request(wanted), [])
    assert (patched.version("libssl3"), patched.version("openssl")) == ("3.0.20", "3.0.20")
    assert patched.automatic == {"libssl3"}


def test_a_late_way_back_leaves_what_others_have_set_since(patched, host, wanted, run, install_request):
    patched.install("vim", "amd64", "9", automatic=True)
    run()
    patched.install("libx", "amd64", "1", automatic=True)
    patched.automatic -= {"vim", "libssl3"}
    patched.held = {"tzdata", "vim"}
    patched.save()
    result = rollback(host, install_request(wanted), [])
    assert patched.version("openssl") == "3.0.20"
    assert (patched.automatic, patched.held) == ({"libx"}, {"tzdata", "vim"})
    assert (result["marks_equal"], result["holds_equal"]) == (True, True)
    compared = verify(host, wanted, "from", [])
    assert (compared["verdict"], compared["marks_equal"], compared["holds_equal"]) == ("ok", True, True)
    patched.automatic.add("vim")
    patched.save()
    assert verify(host, wanted, "from", [])["marks_equal"] is False


def test_units_that_failed_since_the_installation_are_named_after_the_way_back(
    host, wanted, run, install_request, monkeypatch
):
    run()
    for module in ("transaction_record", "transaction_verify"):
        monkeypatch.setattr(
            "ansible_collections.hospital.patching.plugins.module_utils.package_managers.{}.failed_units".format(
                module
            ),
            lambda _runner, _root: ["nginx.service"],
        )
    rollback(host, install_request(wanted), [])
    assert [problem["subject"] for problem in verify(host, wanted, "from", [])["problems"]] == ["nginx.service"]


def test_an_installation_after_a_way_back_is_what_counts(patched, host, wanted, run, install_request, monkeypatch):
    """It failed before it changed anything: the host is as the second installation found it."""
    run()
    rollback(host, install_request(wanted), [])
    patched.install("vim", "amd64", "9", automatic=True)
    monkeypatch.setattr(type(host.clock), "stamp", lambda _self: "2099-01-01T00:00:00Z")
    patched.extra_actions = {("cowsay", "all"): "3"}
    with pytest.raises(PatchingError):
        run()
    assert verify(host, wanted, "from", [])["verdict"] == "ok"


def test_the_same_transaction_may_go_forward_again(patched, host, wanted, run, install_request):
    run()
    rollback(host, install_request(wanted), [])
    assert run()["changed"] is True
    assert verify(host, wanted, "to", [])["verdict"] == "ok"


def test_one_package_goes_back(patched, host, wanted, run, install_request):
    run()
    rollback(host, install_request(wanted), ["openssl"])
    assert (patched.version("libssl3"), patched.version("openssl")) == ("3.0.22", "3.0.20")
    part = verify(host, wanted, "from", ["openssl"])
    assert (part["verdict"], part["versions_checked"]) == ("ok", 1)
    assert verify(host, wanted, "to", ["libssl3"])["verdict"] == "ok"
    assert verify(host, wanted, "from", [])["verdict"] == "failed"


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_part_that_stays_keeps_its_marks(patched, host, stage_request, install_request, interrupted):
    """The new dependency of one package stays while another goes back."""
    patched.offer("libnew", "amd64", "1")
    patched.needs = {"openssl": {("libnew", "amd64"): "1"}}
    wanted = AptStage(host, stage_request(pending(host, SECURITY)["updates"])).run()["transaction"]
    patched.needs = {}
    install(host, install_request(wanted))
    if interrupted:  # after dpkg, before the marks
        Journal(host.state_dir, host.clock).append("R1", "install", "begin", transaction=wanted["digest"])
        os.unlink(staged(host, wanted, "after.json"))
        patched.automatic.clear()
        patched.save()
    result = rollback(host, install_request(wanted), ["libssl3"])
    assert patched.automatic == {"libssl3", "libnew"}
    assert result["marks_equal"] is True
    assert verify(host, wanted, "from", ["libssl3"])["verdict"] == "ok"
    assert verify(host, wanted, "to", ["openssl"])["verdict"] == "ok"


@pytest.mark.parametrize(("before", "after"), [("all", "amd64"), ("amd64", "all")])
def test_a_package_that_changed_its_architecture_goes_back(host, before, after):
    entry = {"name": "tzdata", "arch": after, "from": "2026b", "to": "2026f", "automatic": False}
    repository = LocalRepository(host.runner, os.path.join(host.state_dir, "preserved", "x"))
    repository.create()
    path = repository.path("tzdata", "2026b", before)
    for name in (path, path + ".part", repository.path("tzdata", "2026b", "armhf") + ".part"):
        with open(name, "w", encoding="utf-8") as handle:
            handle.write("old")
    package = Package("tzdata", after, "2026f", "install", "installed", "tzdata", "2026f", 0)
    dpkg = Package("dpkg", "amd64", "1", "install", "installed", "dpkg", "1", 0)
    installed = {("tzdata", after): package, ("dpkg", "amd64"): dpkg}
    (back,) = reversed_entries({"entries": [entry]}, [], repository, finder(installed))
    assert (back["arch"], back["to"]) == (before, "2026b")
    repository.check([back])


def test_a_name_that_is_not_in_the_transaction(host, wanted, run, install_request):
    run()
    with pytest.raises(PatchingError, match="bash: not in this transaction"):
        rollback(host, install_request(wanted), ["bash"])


def test_an_old_version_that_was_not_preserved(patched, host, wanted, run, install_request):
    run()
    os.unlink(os.path.join(host.state_dir, "preserved", wanted["digest"][7:19], "debs", "openssl_3.0.20_amd64.deb"))
    with pytest.raises(PatchingError, match=r"openssl:amd64: 3\.0\.20 was not preserved"):
        rollback(host, install_request(wanted), [])
    assert patched.version("libssl3") == "3.0.22"


def test_a_way_back_that_would_change_more_is_refused(patched, host, wanted, run, install_request):
    run()
    patched.needs = {"openssl": {("tzdata", "all"): None}}
    with pytest.raises(PatchingError, match="way back of tzdata: apt would also set it to None"):
        rollback(host, install_request(wanted), [])
    assert patched.version("openssl") == "3.0.22"


def test_data_is_never_downgraded_automatically(patched, host, stage_request, install_request):
    patched.install("postgresql-15", "amd64", "15.1")
    patched.offer("postgresql-15", "amd64", "15.1", security=False)
    patched.offer("postgresql-15", "amd64", "15.2")
    wanted = AptStage(host, stage_request(pending(host, SECURITY)["updates"])).run()["transaction"]
    install(host, install_request(wanted))
    with pytest.raises(PatchingError, match="postgresql-15:amd64: it owns data"):
        rollback(host, install_request(wanted), [])
    assert patched.version("postgresql-15") == "15.2"
    rollback(host, install_request(wanted), ["openssl", "libssl3"])
    assert patched.version("openssl") == "3.0.20"


def test_a_hold_that_was_given_up_while_it_waited_stops_it(host, patched, run, monkeypatch):
    """A recovery may have returned the host meanwhile; users are on it again."""
    journal = Journal(host.state_dir)
    journal.hold("R1", {})
    monkeypatch.setattr(package_lock, "wait_until_free", lambda *_args: journal.release("R1", {}))
    with pytest.raises(PatchingError, match="released while the package database was waited for"):
        run()
    assert patched.version("openssl") == "3.0.20"
    assert events(host) == []


# --- alternatives ------------------------------------------------------------


@pytest.fixture
def chosen(patched, monkeypatch):
    """One name, ``editor``, with two choices; a double of update-alternatives works on it."""
    folder = patched.root / "var/lib/dpkg/alternatives"
    folder.mkdir()
    (patched.root / "etc/alternatives").mkdir()

    def choose(mode, path):
        (folder / "editor").write_text("{}\n/usr/bin/editor\n\n/nano\n10\n/vim\n20\n\n".format(mode))
        link = patched.root / "etc/alternatives/editor"
        if link.is_symlink():
            link.unlink()
        link.symlink_to(path)

    def tool(args, **others):
        if args[0] != "update-alternatives":
            return original(args, **others)
        choose("auto" if "--auto" in args else "manual", "/vim" if "--auto" in args else args[-1])
        return Result(args, 0, "", "")

    original = patched.run
    monkeypatch.setattr(patched, "run", tool)
    choose("manual", "/nano")
    return choose


def drops_the_choice(patched, chosen, monkeypatch):
    """Make every installation forget what a person has chosen, as scripts do that register their program anew."""
    original = patched._apt_get

    def apt_get(command):
        chosen("auto", "/vim")
        return original(command)

    monkeypatch.setattr(patched, "_apt_get", apt_get)


def test_a_choice_that_a_package_script_drops_is_put_back(
    patched, host, wanted, run, chosen, install_request, monkeypatch
):
    drops_the_choice(patched, chosen, monkeypatch)
    assert run()["alternatives_equal"] is True
    assert alternatives.selections(host.root) == {"editor": ["manual", "/nano"]}
    assert verify(host, wanted, "to", [])["alternatives_equal"] is True
    assert rollback(host, install_request(wanted), [])["alternatives_equal"] is True
    assert alternatives.selections(host.root) == {"editor": ["manual", "/nano"]}


def test_what_a_person_chose_since_stays_on_the_way_back(
    patched, host, wanted, run, chosen, install_request, monkeypatch
):
    run()
    chosen("manual", "/vim")
    rollback(host, install_request(wanted), [])
    assert alternatives.selections(host.root) == {"editor": ["manual", "/vim"]}
    assert verify(host, wanted, "from", [])["alternatives_equal"] is True


def test_verify_names_an_alternative_that_gives_something_else(host, wanted, run, chosen):
    run()
    chosen("auto", "/vim")
    result = verify(host, wanted, "to", [])
    assert (result["verdict"], result["alternatives_equal"]) == ("failed", False)
    assert [one["subject"] for one in result["problems"]] == ["alternative editor"]


def test_years_later_the_newest_run_still_goes_back_and_an_older_one_is_refused(
    patched, host, wanted, run, install_request, stage_request
):
    class Later(Clock):
        def now(self):
            return super().now() + timedelta(days=1000)

    def sweep():
        return retention.apply(host._replace(clock=Later()), retention.Retention("R9", 62, "", False))

    run()
    assert sweep()["removed"] == []
    for package in ("libssl3", "openssl"):
        patched.offer(package, "amd64", "3.0.24", security=True)
    updates = pending(host, SECURITY)["updates"]
    newer = AptStage(host, stage_request(updates, run_id="R2")).run()["transaction"]
    install(host, install_request(newer, run_id="R2"))
    assert {item["transaction"] for item in sweep()["removed"]} == {wanted["digest"][7:19]}
    assert rollback(host, install_request(newer, run_id="R2"), [])["changed"] is True
    assert patched.version("openssl") == "3.0.22"
    with pytest.raises(PatchingError, match=r"3\.0\.20 was not preserved, or is kept no longer"):
        rollback(host, install_request(wanted), [])
    assert patched.version("openssl") == "3.0.22"
