# SPDX-License-Identifier: GPL-3.0-or-later
"""Staging: within the manifest, checked, rehearsed, and only once."""

import hashlib
import json
import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import disk_space
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_local_repository import (
    LocalRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_stage import AptStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.deb_repack import Repacker

SECURITY = EVERYTHING._replace(security_only=True)


@pytest.fixture
def updates(patched, host):
    return pending(host, SECURITY)["updates"]


@pytest.fixture
def stage(host, stage_request):
    def run(updates, **others):
        return AptStage(host, stage_request(updates, **others)).run()

    return run


def manifest_of(updates, **changes):
    entries = [
        dict(
            {"name": u["name"], "arch": u["arch"], "version": u["to"], "sha256": u["sha256"], "kind": u["kind"]},
            **changes,
        )
        for u in updates
    ]
    return {"entries": entries, "digest": "sha256:manifest"}


def test_the_transaction_is_staged_and_the_way_back_kept(patched, updates, stage, host):
    patched.changelog = "src (9) x; urgency=high\n  * CVE-2026-12345\n"
    result = stage(updates, manifest=manifest_of(updates))
    assert result["changed"] is True
    assert result["transaction"]["manifest"] == "sha256:manifest"
    assert [(e["name"], e["from"], e["to"], e["automatic"]) for e in result["transaction"]["entries"]] == [
        ("libssl3", "3.0.20", "3.0.22", True),
        ("openssl", "3.0.20", "3.0.22", False),
    ]
    assert sorted(os.listdir(os.path.join(result["stage_dir"], "debs"))) == [
        "libssl3_3.0.22_amd64.deb",
        "openssl_3.0.22_amd64.deb",
    ]
    assert [(kept["name"], kept["version"]) for kept in result["preserved"]] == [
        ("libssl3", "3.0.20"),
        ("openssl", "3.0.20"),
    ]
    assert result["not_preserved"] == []
    assert result["cves"] == {"libssl3": ["CVE-2026-12345"], "openssl": ["CVE-2026-12345"]}
    assert result["download_bytes"] > 0
    with open(os.path.join(result["stage_dir"], "Packages"), encoding="utf-8") as handle:
        index = handle.read()
    assert "Filename: debs/libssl3_3.0.22_amd64.deb" in index
    assert hashlib.sha256(patched.repository[("libssl3", "amd64", "3.0.22")]).hexdigest() in index
    assert [record["event"] for record in Journal(host.state_dir).read()] == ["begin", "done"]
    assert os.listdir(os.path.join(host.root, "var/tmp")) == []


def test_a_second_call_downloads_nothing(patched, updates, stage, host):
    first = stage(updates)
    del patched.commands[:]
    second = stage(updates)
    assert second["changed"] is False
    assert second["download_bytes"] == 0
    assert {key: value for key, value in second.items() if key not in ("changed", "download_bytes")} == {
        key: value for key, value in first.items() if key not in ("changed", "download_bytes")
    }
    assert patched.ran("apt-get", "download") == []
    assert len(Journal(host.state_dir).read()) == 2


def test_another_run_that_needs_the_same_stage_is_journalled(patched, updates, stage, host):
    """By the journal alone a host tells what it may remove."""
    stage(updates)
    for _once in range(2):
        again = stage(updates, run_id="20261222T010000Z-bbbbbbbb", window_end="2026-12-23T04:00:00Z")
        assert again["changed"] is False
    records = Journal(host.state_dir).read()
    assert [record["event"] for record in records] == ["begin", "done", "done"]
    assert records[-1]["run_id"] == "20261222T010000Z-bbbbbbbb"
    assert records[-1]["detail"] == {
        "transaction": again["transaction"]["digest"],
        "window_end": "2026-12-23T04:00:00Z",
    }
    stage(updates, run_id="20270122T010000Z-cccccccc", check=True)
    assert len(Journal(host.state_dir).read()) == 3


def test_a_damaged_stage_is_made_again(updates, stage):
    first = stage(updates)
    with open(os.path.join(first["stage_dir"], "debs", "openssl_3.0.22_amd64.deb"), "ab") as handle:
        handle.write(b"x")
    second = stage(updates)
    assert second["changed"] is True
    assert 0 < second["download_bytes"] < first["download_bytes"]


def test_check_mode_writes_nothing(updates, stage, host):
    result = stage(updates, check=True)
    assert result["changed"] is True
    assert (result["stage_dir"], result["cves"]) == (None, {})
    assert result["download_bytes"] > 0
    assert len(result["preserved"]) == 2
    assert not os.path.exists(host.state_dir)
    real = stage(updates)
    assert real["transaction"] == result["transaction"]
    assert real["download_bytes"] == result["download_bytes"]


def test_everything_at_its_target(patched, updates, stage):
    for update in updates:
        patched.install(update["name"], update["arch"], update["to"])
    result = stage(updates)
    assert (result["nothing_to_do"], result["changed"], result["stage_dir"]) == (True, False, None)
    assert result["transaction"]["entries"] == []


def test_what_is_done_already_is_left_out(patched, updates, stage):
    patched.install("openssl", "amd64", "3.0.22")
    assert [entry["name"] for entry in stage(updates)["transaction"]["entries"]] == ["libssl3"]


def test_something_newer_than_the_target_is_refused(patched, updates, stage):
    patched.install("openssl", "amd64", "3.0.99")
    with pytest.raises(PatchingError, match=r"openssl:amd64: 3\.0\.99 is installed; expected 3\.0\.22 or older"):
        stage(updates)


def test_a_version_that_the_repository_lost_is_drift(patched, updates, stage, host):
    del patched.repository[("openssl", "amd64", "3.0.22")]
    patched.offer("openssl", "amd64", "3.0.23")
    with pytest.raises(
        PatchingError, match=r"openssl:amd64: repository now gives 3\.0\.23; expected manifest allows 3\.0\.22"
    ):
        stage(updates)
    assert not os.path.exists(host.state_dir)


def test_a_version_for_another_architecture_only_is_told(updates, stage):
    asked = [dict(update, arch="arm64") if update["name"] == "openssl" else update for update in updates]
    with pytest.raises(
        PatchingError, match=r"openssl:arm64: repository gives 3\.0\.22 for amd64 only; expected manifest allows it for"
    ):
        stage(asked)


def test_a_rebuilt_file_under_the_same_version_is_refused(patched, updates, stage):
    allowed = manifest_of(updates)
    patched.offer("openssl", "amd64", "3.0.22", text="rebuilt")
    with pytest.raises(PatchingError, match="find out who rebuilt this version"):
        stage(updates, manifest=allowed)


@pytest.mark.parametrize("manifest", [True, False])
def test_a_dependency_that_nobody_allowed_is_refused(patched, updates, stage, manifest):
    patched.offer("libnew", "amd64", "1")
    patched.needs = {"openssl": {("libnew", "amd64"): "1"}}
    with pytest.raises(PatchingError, match="libnew:amd64: the repository now gives new_install 1; expected nothing"):
        stage(updates, manifest=manifest_of(updates) if manifest else None)


def test_a_removal_that_nobody_allowed_is_refused(patched, updates, stage):
    patched.install("libwrap0", "amd64", "7")
    patched.needs = {"openssl": {("libwrap0", "amd64"): None}}
    with pytest.raises(PatchingError, match="libwrap0:amd64: the repository now gives removal 7"):
        stage(updates)


def test_a_new_package_keeps_its_planned_mark(patched, stage, host):
    patched.offer("libnew", "amd64", "1")
    patched.needs = {"openssl": {("libnew", "amd64"): "1"}}
    found = stage(pending(host, SECURITY)["updates"])["transaction"]["entries"]
    assert next((entry["name"], entry["from"], entry["automatic"]) for entry in found) == ("libnew", None, True)


def test_too_little_room_is_refused_before_anything_is_downloaded(patched, updates, stage, host, monkeypatch):
    monkeypatch.setattr(disk_space, "free_bytes", lambda _mount: 1024)
    with pytest.raises(PatchingError, match="file system"):
        stage(updates)
    assert patched.ran("apt-get", "download") == []
    assert not os.path.exists(host.state_dir)


def test_an_old_version_from_apts_cache(patched, updates, stage, host):
    content = patched.repository.pop(("openssl", "amd64", "3.0.20"))
    cache = os.path.join(host.root, "var/cache/apt/archives")
    os.makedirs(cache)
    with open(os.path.join(cache, "openssl_3.0.20_amd64.deb"), "wb") as handle:
        handle.write(content)
    result = stage(updates)
    assert [kept["name"] for kept in result["preserved"]] == ["libssl3", "openssl"]


def test_an_old_version_that_is_gone_is_packed_from_its_files(patched, updates, stage, monkeypatch):
    content = patched.repository.pop(("openssl", "amd64", "3.0.20"))

    def pack(_self, package, target):
        assert (package.name, package.version) == ("openssl", "3.0.20")
        with open(target, "wb") as handle:
            handle.write(content)

    monkeypatch.setattr(Repacker, "pack", pack)
    planned = stage(updates, check=True)
    result = stage(updates)
    assert [kept["name"] for kept in result["preserved"]] == ["libssl3", "openssl"]
    assert result["not_preserved"] == []
    assert planned["download_bytes"] == result["download_bytes"]
    assert planned["space"][0]["needed_bytes"] > result["download_bytes"]


def test_an_old_version_that_is_gone_altogether_is_told(patched, updates, stage):
    del patched.repository[("openssl", "amd64", "3.0.20")]
    result = stage(updates)
    assert [kept["name"] for kept in result["preserved"]] == ["libssl3"]
    assert result["not_preserved"] == [
        {
            "name": "openssl",
            "arch": "amd64",
            "version": "3.0.20",
            "reason": "dpkg has no list of its files",
        }
    ]


def test_a_file_that_does_not_arrive_is_an_error_in_the_journal(patched, updates, stage, host, monkeypatch):
    monkeypatch.setattr(patched, "_download", lambda _targets, _cwd: None)
    with pytest.raises(PatchingError, match="no downloaded file with SHA-256"):
        stage(updates)
    assert [record["event"] for record in Journal(host.state_dir).read()] == ["begin", "failed"]


def test_a_rehearsal_that_differs_is_refused(patched, updates, stage, monkeypatch):
    original = patched._changes
    patched.offer("libnew", "amd64", "1")

    def more_from_the_stage(words, ignore_holds=False):
        found = original(words, ignore_holds)
        if "Dir::Etc::sourceparts=/dev/null" in patched.commands[-1]:
            found[("libnew", "amd64")] = "1"
        return found

    monkeypatch.setattr(patched, "_changes", more_from_the_stage)
    with pytest.raises(PatchingError, match="rehearsal of libnew:amd64: None to 1 appears"):
        stage(updates)


def test_the_record_is_json_that_names_the_transaction(updates, stage):
    result = stage(updates)
    with open(os.path.join(result["stage_dir"], "stage.json"), encoding="utf-8") as handle:
        assert json.load(handle)["transaction"] == result["transaction"]


def test_a_way_back_that_was_put_in_order_is_preserved_by_the_next_call(patched, updates, stage):
    content = patched.repository.pop(("openssl", "amd64", "3.0.20"))
    assert [lost["name"] for lost in stage(updates)["not_preserved"]] == ["openssl"]
    patched.repository[("openssl", "amd64", "3.0.20")] = content
    result = stage(updates)
    assert (result["changed"], result["not_preserved"]) == (True, [])
    assert [kept["name"] for kept in result["preserved"]] == ["libssl3", "openssl"]
    assert stage(updates)["changed"] is False


def test_a_preserved_file_that_was_lost_is_preserved_again(updates, stage):
    path = os.path.join(stage(updates)["preserved_dir"], "debs", "openssl_3.0.20_amd64.deb")
    os.unlink(path)
    assert stage(updates)["changed"] is True
    assert os.path.exists(path)


def test_what_a_killed_call_left_half_packed_is_removed(updates, stage):
    first = stage(updates)
    left = os.path.join(first["preserved_dir"], "debs", ".repack-x", "tree")
    os.makedirs(left)
    os.unlink(os.path.join(first["stage_dir"], "stage.json"))
    stage(updates, check=True)
    assert os.path.exists(left)
    stage(updates)
    assert not os.path.exists(os.path.dirname(left))


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), UnicodeEncodeError("ascii", "F\u0151", 1, 2, "ordinal not in range")],
)
def test_an_error_of_the_disk_is_told_and_in_the_journal(updates, stage, host, monkeypatch, error):
    def fail(_self):
        raise error

    monkeypatch.setattr(LocalRepository, "index", fail)
    with pytest.raises(
        PatchingError, match=r"stage of h1: .*(No space left|ordinal not in range).*nothing was installed"
    ):
        stage(updates)
    records = Journal(host.state_dir).read()
    assert [record["event"] for record in records] == ["begin", "failed"]
    assert str(error) in records[1]["detail"]["reason"]


def test_a_journal_that_cannot_be_written_is_told(updates, stage, monkeypatch):
    def fail(*_arguments, **_others):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Journal, "append", fail)
    with pytest.raises(PatchingError, match=r"stage of h1: .*Read-only file system"):
        stage(updates)


def test_a_full_boot_names_the_kernels_that_nothing_boots_any_more(patched, updates, stage, host, monkeypatch):
    running = os.uname().release
    for release in ("1.0-1", "1.0-2", running, "999.0-1"):
        patched.install("linux-image-" + release, "amd64", "1")
    monkeypatch.setattr(disk_space, "free_bytes", lambda mount: 0)
    with pytest.raises(PatchingError) as refused:
        stage(updates)
    assert "apt-get remove linux-image-1.0-1 linux-image-1.0-2)" in refused.value.next_step
    assert running not in refused.value.next_step
    assert not os.path.exists(host.state_dir)
