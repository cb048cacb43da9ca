# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives as part of a transaction: staged, installed, verified, put back, cut off and refused."""

import json
import os
import subprocess

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import schema, transaction
from ansible_collections.hospital.patching.plugins.module_utils.data_owners import DataRules
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    EVERYTHING,
    InstallRequest,
    StageRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.third_party import switch
from ansible_collections.hospital.patching.plugins.module_utils.third_party.joined import replaced_folders

CONTRACTS = os.path.join(os.path.dirname(__file__), *[os.pardir] * 5, "plugins", "plugin_utils", "schemas")


def validate(kind, value):
    """Hold a value against a contract as hosts do, which a test holds equal to the controller's library."""
    contracts = {}
    for name in os.listdir(CONTRACTS):
        with open(os.path.join(CONTRACTS, name), encoding="utf-8") as handle:
            document = json.load(handle)
        contracts[document["$id"]] = contracts[name] = document
    schema.check(value, contracts[kind + ".json"], kind, contracts)


def says(tmp_path):
    """Return what the runtime that is in use prints."""
    done = subprocess.run(
        [str(tmp_path / "java/current/bin/java")], check=True, stderr=subprocess.PIPE, universal_newlines=True
    )
    return done.stderr.split('"')[1]


def tree(tmp_path):
    """Return every path of the software, with where its links point."""
    found = sorted((tmp_path / "java").rglob("*"))
    return [(str(path), os.readlink(path) if path.is_symlink() else "") for path in found]


def refusal(call, *arguments, **more):
    with pytest.raises(PatchingError) as refused:
        call(*arguments, **more)
    return str(refused.value)


def test_a_version_is_staged_switched_to_verified_and_put_back(night, java, tmp_path):
    night.to(java("17.0.1"))
    assert says(tmp_path) == "17.0.1"
    staged = night.stage(java("17.0.2"))
    todo = staged["transaction"]
    validate("transaction", todo)
    assert says(tmp_path) == "17.0.1", "staging has switched"
    assert [(one["name"], one["version"]) for one in staged["preserved"]] == [("java", "17.0.1")]
    assert staged["not_preserved"] == []
    assert night.joined().verify(todo, "from", [])["verdict"] == "ok"

    done = night.install(todo)
    assert says(tmp_path) == "17.0.2"
    assert done["installed"] == [{"name": "java", "arch": "any", "from": "17.0.1", "to": "17.0.2"}]
    assert night.joined().verify(todo, "to", [])["verdict"] == "ok"
    again = night.install(todo)
    assert (again["changed"], again["nothing_to_do"], again["installed"]) == (False, True, [])

    night.rollback(todo, ["java"])
    assert says(tmp_path) == "17.0.1"
    assert night.joined().verify(todo, "from", ["java"])["verdict"] == "ok"
    assert night.rollback(todo)["nothing_to_do"]
    assert night.packages.asked == [], "the package manager was asked for nothing that was its own"


def test_a_first_version_goes_away_again(night, java, tmp_path):
    todo = night.to(java("17.0.1"))
    night.rollback(todo)
    assert not (tmp_path / "java/current").exists()
    night.install(night.stage(java("17.0.1"))["transaction"])
    assert says(tmp_path) == "17.0.1"


def test_end_of_life_software_is_removed_and_can_come_back(night, java, tmp_path):
    night.to(java("17.0.1"))
    gone = {"name": "java", "type": "archive", "absent": True}
    gone.update({key: java("17.0.1")[key] for key in ("root", "link")})
    (update,) = night.joined(gone).pending(EVERYTHING)["updates"]
    validate("update", update)
    assert (update["kind"], update["from"], update["to"]) == ("removal", "17.0.1", None)
    todo = night.to(gone)
    assert not os.path.lexists(tmp_path / "java/current")
    assert [path for path in (tmp_path / "java").iterdir() if path.stat().st_mode & 0o077] == [], "others can run it"
    assert night.joined(gone).pending(EVERYTHING)["updates"] == []
    night.rollback(todo)
    assert says(tmp_path) == "17.0.1"
    assert (tmp_path / "java/17.0.1").stat().st_mode & 0o077 == 0o055, "service accounts cannot use it any more"


def test_service_accounts_can_use_it_whatever_roots_umask_is(night, java, tmp_path):
    before = os.umask(0o077)
    try:
        night.to(java("17.0.1"))
    finally:
        os.umask(before)
    folders = [path for path in (tmp_path / "java").rglob("*") if path.is_dir() and not path.is_symlink()]
    assert [path for path in [tmp_path / "java", *folders] if path.stat().st_mode & 0o055 != 0o055] == []


def test_an_archive_with_another_sum_is_refused_and_nothing_is_left(night, java, tmp_path):
    night.to(java("17.0.1"))
    before, bad = tree(tmp_path), java("17.0.2", sha256="0" * 64)
    said = refusal(night.stage, bad)
    assert "has SHA-256" in said
    assert "0" * 64 in said
    assert tree(tmp_path) == before
    assert not list((tmp_path / "state/software").rglob("file.part"))


def test_a_version_that_does_not_run_here_is_refused_at_stage(night, java, tmp_path):
    night.to(java("17.0.1"))
    assert 'said \'openjdk version "8"' in refusal(night.stage, java("17.0.2", says="8"))
    assert says(tmp_path) == "17.0.1"


def test_detection_inside_the_archive_has_to_agree(night, java, tmp_path):
    found = {"file": "release", "pattern": r"([\d.]+)"}
    night.to(java("17.0.1", detect=found))
    other = java("17.0.2", detect=found)
    wrong = dict(java("17.0.3"), source=other["source"], sha256=other["sha256"], detect=found)
    assert "the archive has version 17.0.2" in refusal(night.stage, wrong)
    assert not (tmp_path / "java/17.0.3").exists()
    untold = dict(java("17.0.4"), detect=dict(found, pattern=r"([a-z]+)?"))
    assert "does not tell a version" in refusal(night.stage, untold)
    assert not (tmp_path / "java/17.0.4").exists()


def test_what_was_changed_since_the_stage_is_not_switched_to(night, java, tmp_path):
    night.to(java("17.0.1"))
    todo = night.stage(java("17.0.2"))["transaction"]
    (tmp_path / "java/17.0.2/bin/java").write_text("#!/bin/sh\nevil\n")
    assert "changed since it was staged" in refusal(night.install, todo)
    assert says(tmp_path) == "17.0.1"


def test_a_running_process_that_must_not_run_is_named_before_anything_is_touched(night, java, tmp_path):
    night.to(java("17.0.1"))
    viewer = tmp_path / f"viewer{os.getpid()}"  # another run of this test beside this one has another name
    viewer.symlink_to("/bin/sleep")
    todo = night.stage(java("17.0.2", not_running=[viewer.name]))["transaction"]
    sleeper = subprocess.Popen([viewer, "60"])
    try:
        for check in (True, False):
            assert f"({sleeper.pid}); expected none of {viewer.name}" in refusal(night.install, todo, check=check)
        assert not [one for one in night.packages.asked if one[0] == "install"]
    finally:
        sleeper.kill()
        sleeper.wait()
    assert says(tmp_path) == "17.0.1"
    night.install(todo)
    assert says(tmp_path) == "17.0.2"


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_the_switch_it_is_the_old_or_the_new_and_is_resumed(night, java, tmp_path, monkeypatch, after):
    night.to(java("17.0.1"))
    todo = night.stage(java("17.0.2"))["transaction"]
    point = switch.point

    def killed(link, folder):
        if after:
            point(link, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(switch, "point", killed)
    with pytest.raises(KeyboardInterrupt):
        night.install(todo)
    assert says(tmp_path) == ("17.0.2" if after else "17.0.1")
    assert night.packages.journal.read()[-1]["event"] == "begin"
    monkeypatch.setattr(switch, "point", point)
    night.install(todo)
    assert says(tmp_path) == "17.0.2"
    assert night.packages.journal.read()[-1]["event"] == "done"


def test_what_something_else_installed_is_drift(night, java, tmp_path):
    night.to(java("17.0.1"))
    todo = night.stage(java("17.0.2"))["transaction"]
    (tmp_path / "java/17.0.9").mkdir()
    switch.point(str(tmp_path / "java/current"), str(tmp_path / "java/17.0.9"))
    assert "17.0.9 is installed; expected 17.0.1 (or 17.0.2, the target)" in refusal(night.install, todo)


def test_a_stage_that_was_cut_off_is_done_again(night, java, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(switch, "tree_digest", lambda _folder: (once for once in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            night.stage(java("17.0.2"))
    (tmp_path / "java/17.0.2/bin/java").unlink()
    night.to(java("17.0.2"))
    assert says(tmp_path) == "17.0.2"


def test_a_folder_that_somebody_else_made_is_not_taken_for_the_version(night, java, tmp_path):
    (tmp_path / "java/17.0.2").mkdir(parents=True)
    assert "not what stage unpacks" in refusal(night.stage, java("17.0.2"))


def test_a_program_where_the_link_should_be_is_a_problem_of_that_entry_alone(night, java, tmp_path, make_archive):
    (tmp_path / "java").mkdir()
    (tmp_path / "java/current").mkdir()
    other = java("1.0", name="other", root=str(tmp_path / "other"), link=str(tmp_path / "other/current"))
    found = night.joined(java("17.0.2"), other).pending(EVERYTHING)
    assert [update["name"] for update in found["updates"]] == ["other"]
    assert "no symbolic link" in found["problems"][0]


def test_filters_hold_software_as_they_hold_packages(night, java):
    deny = EVERYTHING._replace(deny=[{"item": "java=17.0.2", "reason": "breaks the viewer"}])
    for wanted, kind in (
        (deny, "denied"),
        (EVERYTHING._replace(classes=["os"]), "class"),
        (EVERYTHING._replace(allow=["libssl3"]), "not_allowed"),
        (EVERYTHING._replace(include=["libssl3"]), "not_included"),
    ):
        found = night.joined(java("17.0.2")).pending(wanted)
        assert (found["updates"], [one["kind"] for one in found["held"]]) == ([], [kind])
    night.to(java("17.0.2"))
    assert [one["kind"] for one in night.joined(java("17.0.1")).pending(EVERYTHING)["held"]] == ["newer"]


def test_another_entry_than_the_approved_one_is_refused(night, java):
    updates = night.joined(java("17.0.2")).pending(EVERYTHING)["updates"]
    approved = {"digest": "sha256:" + "0" * 64, "entries": [dict(updates[0], version="17.0.2", software={"name": "x"})]}
    request = StageRequest("R1", "h1", updates, approved, check=False)
    assert "another than the manifest's" in refusal(night.joined().stage, request)


def test_a_changed_transaction_is_refused(night, java):
    todo = night.stage(java("17.0.2"))["transaction"]
    todo["entries"][0]["software"]["probe"]["command"] = ["sh", "-c", "evil"]
    assert "do not edit a transaction" in refusal(night.install, todo)


def test_a_host_without_declared_software_gets_its_transaction_untouched(night):
    todo = transaction.build("h1", "apt", None, [{"name": "a", "arch": "all", "from": "1", "to": "2"}])
    night.joined().install(InstallRequest("R1", todo, 0, 60, check=False))
    assert night.packages.asked == [("install", todo["digest"])]


def test_software_that_does_not_work_or_has_another_version_is_not_verified(night, java, tmp_path):
    night.to(java("17.0.1"))
    todo = night.to(java("17.0.2"))
    (tmp_path / "java/17.0.2/bin/java").write_text("#!/bin/sh\necho no such library >&2; exit 1\n")
    found = night.joined().verify(todo, "to", [])
    assert (found["verdict"], found["at_target"], found["versions_checked"]) == ("failed", True, 1)
    assert "ended with 1: no such library" in found["problems"][0]["seen"]
    found = night.joined().verify(todo, "from", [])
    (problem,) = found["problems"]
    assert (problem["seen"], problem["expected"]) == ("17.0.2 is installed", "17.0.1")


def test_tokens_that_a_program_prints_are_not_repeated(night, java, tmp_path):
    todo = night.to(java("17.0.1"))
    java_17 = tmp_path / "java/17.0.1/bin/java"
    for rest in ("exit 1", "exit 0"):
        java_17.write_text("#!/bin/sh\necho cannot reach https://ada:geheim@pacs/wado?token=geheim\n" + rest)
        (problem,) = night.joined().verify(todo, "to", [])["problems"]
        assert "https://***@pacs/wado?token=***" in problem["seen"]
        assert "geheim" not in problem["seen"]


def test_a_probe_of_the_host_itself_is_asked_where_nothing_answers(night, java):
    todo = night.to(java("17.0.1", probe={"type": "tcp", "host": "127.0.0.1", "port": 9}))
    found = night.joined().verify(todo, "to", [])
    assert found["verdict"] == "failed"
    assert "refused the connection" in found["problems"][0]["seen"]


def test_what_runs_from_the_version_that_was_left_is_to_be_restarted(host, night, java, tmp_path):
    night.to(java("17.0.1"))
    todo = night.to(java("17.0.2"))
    assert str(tmp_path / "java/17.0.1") in replaced_folders(host, todo, [], "to")
    assert str(tmp_path / "java/17.0.2") in replaced_folders(host, todo, ["java"], "from")
    assert replaced_folders(host, todo, ["tzdata"], "to") == []


@pytest.mark.parametrize(("name", "owners"), [("orthanc", []), ("java", ["java"])])
def test_what_owns_data_goes_back_only_where_somebody_said_that_it_is_safe(night, java, tmp_path, name, owners):
    night.to(java("17.0.1", name=name))
    todo = night.to(java("17.0.2", name=name))
    said = refusal(night.rollback, todo, rules=DataRules(owners, []))
    assert "it owns data, and 17.0.2 may have changed its format" in said
    assert "nothing was changed" in said
    assert says(tmp_path) == "17.0.2"
    safe = {"name": name, "from": "17.0.2", "to": "17.0.1"}
    night.rollback(todo, rules=DataRules(owners, [safe]))
    assert says(tmp_path) == "17.0.1"
