# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import build_manifests
from ansible_collections.hospital.patching.plugins.plugin_utils.transaction import (
    build_transaction,
    problems,
    verify_transaction,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW, update

UPDATES = [update("openssl"), update("curl"), update("old", after=None)]
MANIFEST = build_manifests({"a": "g"}, {"a": UPDATES}, NOW)["a"]


def test_a_transaction_is_ordered_digested_and_fits_its_contract():
    made = build_transaction("a", "apt", UPDATES, MANIFEST["digest"])
    assert [entry["name"] for entry in made["entries"]] == ["curl", "old", "openssl"]
    assert made["digest"] == build_transaction("a", "apt", UPDATES[::-1], MANIFEST["digest"])["digest"]
    verify_transaction(made)


def test_it_lies_within_the_manifest_it_was_made_for():
    assert problems(build_transaction("a", "apt", UPDATES, MANIFEST["digest"]), MANIFEST) == []
    assert problems(build_transaction("a", "apt", UPDATES[:1], MANIFEST["digest"]), MANIFEST) == []


@pytest.mark.parametrize(
    "stray",
    [update("nginx"), update("openssl", after="9"), update("openssl", sha256="b" * 64), update("curl", after=None)],
)
def test_what_leaves_the_manifest_is_named(stray):
    found = problems(build_transaction("a", "apt", [stray], MANIFEST["digest"]), MANIFEST)
    assert len(found) == 1
    assert found[0].startswith(stray["name"])


def test_another_manifest_is_a_problem():
    assert "names the manifest" in problems(build_transaction("a", "apt", UPDATES, None), MANIFEST)[0]


def test_an_edited_transaction_is_refused():
    made = build_transaction("a", "apt", UPDATES, MANIFEST["digest"])
    made["entries"][0]["to"] = "9"
    with pytest.raises(PatchingError, match="stage the host again"):
        verify_transaction(made)
