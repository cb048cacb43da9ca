# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, new_id, read_json, write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import build_plan
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    PLAN_ID,
    pending,
    planned,
    portal_pair,
    server,
    update,
)


@pytest.fixture
def evidence(tmp_path):
    return Evidence(tmp_path / "evidence")


@pytest.fixture
def kept(evidence):
    return evidence.save_plan(planned(portal_pair()))


def test_an_id_is_the_time_and_something_random():
    assert new_id(NOW, "ab12cd34") == PLAN_ID
    assert re.fullmatch(r"20261122T080000Z-[0-9a-f]{8}", new_id(NOW))
    assert new_id(NOW) != new_id(NOW)


def test_the_layout(evidence):
    root = evidence.root
    assert evidence.assess_path("db1") == root / "assess" / "db1.json"
    assert evidence.plan_dir(PLAN_ID) == root / "plans" / PLAN_ID
    assert evidence.ledger_path(PLAN_ID) == root / PLAN_ID / "ledger.jsonl"
    assert evidence.stage_path(PLAN_ID, "db1") == root / PLAN_ID / "stage" / "db1.json"
    assert evidence.report_path(PLAN_ID, "html") == root / PLAN_ID / "report.html"


@pytest.mark.parametrize("host", ["../db1", "a/b", "", ".hidden", "a\0b"])
def test_a_host_name_never_leaves_its_folder(evidence, host):
    with pytest.raises(PatchingError):
        evidence.assess_path(host)


@pytest.mark.parametrize("run_id", ["..", "plans", "20261122T080000Z", f"{PLAN_ID}/x", f"{PLAN_ID}\n"])
def test_an_id_of_another_form_is_refused(evidence, run_id):
    with pytest.raises(PatchingError):
        evidence.run_dir(run_id)


def test_assessments_are_kept_and_replaced(evidence):
    assert evidence.assessment("db1") is None
    evidence.save_assessment("db1", {"status": "assessed", "reason": "früh"})
    evidence.save_assessment("db1", {"status": "failed"})
    assert evidence.assessment("db1") == {"status": "failed"}


def test_writing_leaves_nothing_else_behind(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": "ä"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "a": "ä",\n  "b": 1\n}\n'


def test_a_write_that_fails_keeps_the_old_document(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert read_json(tmp_path / "a.json") == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_directory_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PatchingError, match="patching_evidence_dir"):
        write_json(tmp_path / "file" / "a.json", 1)


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_a_document_that_cannot_be_read_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(PatchingError, match="a JSON document"):
        read_json(tmp_path / "a.json")


def test_a_plan_is_found_by_path_folder_id_and_digest(evidence, kept):
    digest = read_json(kept)["digest"]
    for reference in (str(kept), str(kept.parent), PLAN_ID, digest):
        loaded = evidence.load_plan(reference)
        assert loaded.path == kept
        assert loaded.plan["digest"] == digest
        assert set(loaded.manifests) == {loaded.plan["hosts"]["portal1"]["manifest"]}


def test_the_newest_of_equal_plans_is_taken(evidence, kept):
    later = build_plan("20261122T080500Z-00000000", NOW + timedelta(minutes=5), portal_pair())
    evidence.save_plan(later)
    assert evidence.plans() == [PLAN_ID, "20261122T080500Z-00000000"]
    assert evidence.load_plan(later.plan["digest"]).plan["plan_id"] == later.plan["plan_id"]


@pytest.mark.parametrize("reference", ["nothing", "20261122T080000Z-ffffffff", "sha256:" + "0" * 64, ""])
def test_what_names_no_plan_is_refused(evidence, kept, reference):
    with pytest.raises(PatchingError, match="plan"):
        evidence.load_plan(reference)


def test_an_edited_plan_is_not_loaded(evidence, kept):
    plan = read_json(kept)
    plan["hosts"]["portal1"]["address"] = "10.9.0.1"
    write_json(kept, plan)
    with pytest.raises(PatchingError, match="never edit one"):
        evidence.load_plan(PLAN_ID)


def test_an_edited_missing_or_swapped_manifest_is_not_loaded(evidence, kept):
    (path,) = (kept.parent / "manifests").iterdir()
    original = path.read_text()
    manifest = json.loads(original)
    manifest["entries"][0]["version"] = "9"
    write_json(path, manifest)
    with pytest.raises(PatchingError, match="do not edit a manifest"):
        evidence.load_plan(PLAN_ID)
    (other,) = planned({"a": server("a", "s", pending(update("curl")), downtime_s=60)}).manifests.values()
    write_json(path, other)
    with pytest.raises(PatchingError, match="which its name says"):
        evidence.load_plan(PLAN_ID)
    path.unlink()
    with pytest.raises(PatchingError, match="a JSON document"):
        evidence.load_plan(PLAN_ID)


def test_a_run_gets_its_own_copy_once(evidence, kept):
    loaded = evidence.load_plan(PLAN_ID)
    folder = evidence.start_run(PLAN_ID, loaded)
    before = (folder / "plan.json").stat().st_mtime_ns
    assert evidence.start_run(PLAN_ID, loaded) == folder
    assert (folder / "plan.json").stat().st_mtime_ns == before
    assert evidence.load_plan(str(folder)).manifests == loaded.manifests
    assert evidence.runs() == [PLAN_ID]


def test_a_run_never_changes_its_plan(evidence, kept):
    evidence.start_run(PLAN_ID, evidence.load_plan(PLAN_ID))
    other = planned({"a": server("a", "s", downtime_s=60)})
    evidence.save_plan(other)
    with pytest.raises(PatchingError, match="start a new run"):
        evidence.start_run(PLAN_ID, evidence.load_plan(PLAN_ID))


def test_an_empty_directory_has_no_plans_and_no_runs(evidence):
    assert (evidence.plans(), evidence.runs()) == ([], [])
