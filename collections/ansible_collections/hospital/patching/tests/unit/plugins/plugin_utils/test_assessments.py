# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from unittest import mock

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import assessments, evidence, sbom
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.software_documents import software

FIRST, LATER = "2026-11-22T01:00:00Z", "2026-11-23T01:00:00Z"


@pytest.fixture
def store(tmp_path):
    return evidence.Evidence(tmp_path)


def kept(store, status, time, of=None, pending=None):
    document = {"host": "ws1", "status": status, "time": time, "software": of, "pending": pending, "problems": []}
    assessments.carry_over(document, store, "ws1")
    assessments.keep(document, store, "ws1")
    return store.assessment("ws1")


def test_an_assessed_host_has_an_sbom_of_the_same_time(store):
    found = kept(store, "assessed", FIRST, software())
    assert (found["seen"], found["software_time"], found["problems"]) == (FIRST, FIRST, [])
    document = json.loads(store.sbom_path("ws1").read_text(encoding="utf-8"))
    assert document["metadata"]["timestamp"] == "2026-11-22T01:00:00+00:00"


def test_a_host_that_is_away_keeps_what_was_known_of_it(store):
    kept(store, "assessed", FIRST, software())
    before = store.sbom_path("ws1").read_bytes()
    for time in (LATER, "2026-11-24T01:00:00Z"):
        found = kept(store, "unreachable", time)
        assert (found["seen"], found["software_time"]) == (FIRST, FIRST)
        assert found["software"] == software()
    assert store.sbom_path("ws1").read_bytes() == before


def test_a_document_of_an_older_version_is_carried_over_by_its_time(store):
    store.save_assessment("ws1", {"status": "assessed", "time": FIRST, "software": software()})
    found = kept(store, "lost", LATER)
    assert (found["seen"], found["software_time"]) == (FIRST, FIRST)


@pytest.mark.parametrize("status", ["unreachable", "failed", "not_contacted", "lost"])
def test_nights_without_an_assessment_do_not_make_updates_wait_anew(store, status):
    waiting = {"updates": [], "held": [{"name": "a", "arch": "all", "candidate": "2", "published": FIRST}]}
    kept(store, "assessed", FIRST, software(), waiting)
    for time in (LATER, "2026-11-24T01:00:00Z"):
        found = kept(store, status, time)
        assert (found["pending"], found["first_seen"]) == (None, {"a:all=2": FIRST})
    nothing = {"updates": [], "held": []}
    assert kept(store, "assessed", "2026-11-25T01:00:00Z", software(), nothing)["first_seen"] == {}


def test_a_host_that_was_never_assessed_has_seen_nothing(store):
    assert kept(store, "unreachable", FIRST)["first_seen"] == {}


def test_an_sbom_that_is_outdated_is_removed(store):
    kept(store, "assessed", FIRST, software())
    with mock.patch.object(sbom, "document", side_effect=RuntimeError("the library does not like it")):
        kept(store, "assessed", LATER, software())
    assert not store.sbom_path("ws1").exists()


def test_one_odd_name_costs_neither_the_sbom_nor_the_assessment(store):
    odd = [{"name": "evil/", "version": "1", "path": "/opt/x"}]
    found = kept(store, "assessed", FIRST, software(npm_packages=odd))
    assert found["problems"] == []
    assert "evil/" in store.sbom_path("ws1").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["", "[1]", "5"])
def test_a_damaged_document_is_replaced(store, content):
    evidence.write_text(store.assess_path("ws1"), content)
    found = kept(store, "unreachable", LATER)
    assert (found["seen"], found["software"]) == (None, None)


def test_an_sbom_that_fails_does_not_cost_the_assessment(store):
    with mock.patch.object(sbom, "document", side_effect=RuntimeError("the library does not like it")):
        found = kept(store, "assessed", FIRST, software())
    assert found["problems"] == ["no SBOM was written: RuntimeError: the library does not like it"]
    assert found["software"] == software()


def test_a_directory_that_cannot_be_written_is_said(store):
    (store.root / "sbom").touch()
    with pytest.raises(PatchingError, match="patching_evidence_dir"):
        kept(store, "assessed", FIRST, software())
