# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import (
    allows,
    build_manifests,
    contradictions,
    group_of,
    verify_manifest,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import FACTS, NOW, update

OTHER = "b" * 64


def build(**updates_by_host):
    return build_manifests(dict.fromkeys(updates_by_host, "debian-12-amd64"), updates_by_host, NOW)


def test_the_group_is_the_system():
    assert group_of(FACTS) == "debian-12-amd64"


def test_an_unknown_system_has_no_group():
    with pytest.raises(PatchingError, match="assess the host again"):
        group_of({"id": "debian", "version_id": None, "architecture": "amd64"})


def test_hosts_of_one_group_share_one_manifest_with_all_their_targets():
    found = build(a=[update("openssl")], b=[update("openssl"), update("curl"), update("old", after=None)])
    assert found["a"] == found["b"]
    assert [entry["name"] for entry in found["a"]["entries"]] == ["curl", "old", "openssl"]
    verify_manifest(found["a"])


def test_a_host_that_wants_another_version_gets_the_groups_next_manifest():
    found = build(a=[update(after="2")], b=[update(after="3")], c=[update(after="3"), update("curl")])
    assert [found[host]["group"] for host in "abc"] == ["debian-12-amd64", "debian-12-amd64.2", "debian-12-amd64.2"]


def test_updates_that_hosts_have_in_common_make_the_manifests_that_equal_ones_do():
    one, new = update(sha256=None), update(before=None)
    shared = {"a": [one], "b": [new], "c": [one], "d": [update(after="4")], "e": [one, update("curl")], "f": [new]}
    assert build(**shared) == build(**{host: copy.deepcopy(updates) for host, updates in shared.items()})
    assert build(**shared)["c"]["entries"][1]["kind"] == "new_install"


def test_hosts_of_other_groups_share_nothing():
    found = build_manifests({"a": "debian-12-amd64", "b": "debian-12-arm64"}, {"a": [update()], "b": [update()]}, NOW)
    assert found["a"]["digest"] != found["b"]["digest"]


def test_the_time_of_making_is_outside_the_digest():
    later = build_manifests({"a": "g"}, {"a": [update()]}, NOW + timedelta(days=1))
    assert later["a"]["digest"] == build_manifests({"a": "g"}, {"a": [update()]}, NOW)["a"]["digest"]


def test_one_version_with_two_checksums_refuses_every_host_that_wants_it():
    wanted = {"a": [update()], "b": [update(sha256=OTHER)], "c": [update()], "d": [update("curl")]}
    found = contradictions(wanted)
    assert set(found) == {"a", "b", "c"}
    assert "two SHA-256" in found["a"]
    with pytest.raises(PatchingError, match="which repository is wrong"):
        build(**wanted)


def test_an_unknown_checksum_contradicts_nothing_and_the_known_one_is_frozen():
    found = build(a=[update(sha256=None)], b=[update()])
    assert found["a"]["entries"][0]["sha256"] == update()["sha256"]


@pytest.mark.parametrize(
    "change", [{"to": "3.0.18-1"}, {"sha256": OTHER}, {"sha256": None}, {"arch": "arm64"}, {"name": "curl"}]
)
def test_nothing_but_the_target_is_allowed(change):
    manifest = build(a=[update()])["a"]
    assert allows(manifest, update())
    assert not allows(manifest, update() | change)


def test_an_upgrade_does_not_allow_a_new_install_or_a_removal():
    manifest = build(a=[update()])["a"]
    assert not allows(manifest, update(before=None))
    assert not allows(manifest, update(after=None))


def test_what_one_host_installs_anew_another_may_upgrade_to():
    manifest = build(a=[update()], b=[update(before=None)])["a"]
    assert allows(manifest, update())
    assert allows(manifest, update(before=None))


def test_a_removal_allows_the_removal_only():
    manifest = build(a=[update(after=None)])["a"]
    assert allows(manifest, update(after=None))
    assert not allows(manifest, update())


def test_an_edited_manifest_is_refused():
    manifest = copy.deepcopy(build(a=[update()])["a"])
    manifest["entries"][0]["version"] = "9"
    with pytest.raises(PatchingError, match="do not edit a manifest"):
        verify_manifest(manifest)


def test_a_manifest_of_a_newer_schema_is_refused():
    with pytest.raises(PatchingError, match="at schema"):
        verify_manifest(build(a=[update()])["a"] | {"schema": 2})


def software(version="17.0.2", **entry):
    """Return an update of declared software, with the whole entry that it comes from."""
    spec = {"name": "java", "type": "archive", "version": version, **entry}
    more = {"installer": "archive", "software": spec, "order": 1}
    return {**update("java", after=version), "arch": "any", "class": "third_party", **more}


def test_how_declared_software_is_installed_is_approved_with_it():
    (entry,) = build(a=[software(root="/opt/java")])["a"]["entries"]
    assert (entry["installer"], entry["software"]["root"]) == ("archive", "/opt/java")
    manifest = build(a=[software(root="/opt/java")])["a"]
    verify_manifest(manifest)
    assert allows(manifest, software(root="/opt/java"))
    assert not allows(manifest, software(root="/opt/other"))
    assert not allows(manifest, {**update("java", after="17.0.2"), "arch": "any"})


def test_hosts_that_declare_another_entry_for_a_version_share_no_manifest():
    found = build(
        a=[software(root="/opt/java")], b=[software(root="/usr/java")], c=[{**software(root="/opt/java"), "order": 2}]
    )
    assert found["a"]["digest"] == found["c"]["digest"] != found["b"]["digest"]
