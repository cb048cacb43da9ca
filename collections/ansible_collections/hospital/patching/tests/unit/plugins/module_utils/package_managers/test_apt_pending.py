# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host would update."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING

SECURITY = EVERYTHING._replace(security_only=True)


def names(result):
    return [(update["name"], update["from"], update["to"]) for update in result["updates"]]


def test_everything(patched, host, tmp_path):
    result = pending(host, EVERYTHING)
    assert names(result) == [
        ("libssl3", "3.0.20", "3.0.22"),
        ("openssl", "3.0.20", "3.0.22"),
        ("tzdata", "2026b", "2026f"),
    ]
    assert result["listed"] == 3
    assert result["facts"] == {"id": "debian", "version_id": "12", "architecture": "amd64"}
    assert result["held"] == []
    first = result["updates"][0]
    assert (first["kind"], first["class"], first["security"], first["automatic"]) == ("upgrade", "os", True, True)
    assert first["origin"] == "Debian-Security:12/oldstable-security"
    assert len(first["sha256"]) == 64
    assert first["installed_bytes"] == 12 * 1024
    assert first["cves"] is None
    assert "index_files" not in result["repositories"][0]
    assert os.listdir(str(tmp_path / "var/tmp")) == []


def test_security_only_resolves_again_and_keeps_what_it_needs(patched, host):
    patched.needs = {"openssl": {("libnew", "amd64"): "1"}}
    patched.offer("libnew", "amd64", "1", security=False)
    result = pending(host, SECURITY)
    assert [update["name"] for update in result["updates"]] == ["libnew", "libssl3", "openssl"]
    assert result["updates"][0]["kind"] == "new_install"
    assert result["listed"] == 3


def test_a_point_release_on_top_of_a_security_fix_counts(patched, host, monkeypatch):
    published = {("tzdata", "all"): ["2026c"]}
    monkeypatch.setattr(
        "ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_origins.security_versions",
        lambda _repositories, _names: published,
    )
    result = pending(host, SECURITY)
    assert [update["name"] for update in result["updates"]] == ["libssl3", "openssl", "tzdata"]
    assert result["updates"][2]["security"] is True


def test_the_package_manager_is_started_four_times(patched, host):
    pending(host, EVERYTHING)
    assert [args[0] for args in patched.commands] == ["apt-get", "apt-get", "apt-get", "apt-cache"]


def test_held_packages_are_listed_with_what_they_would_become(patched, host):
    patched.held = {"tzdata", "dpkg"}
    patched.save()
    result = pending(host, EVERYTHING)
    assert [update["name"] for update in result["updates"]] == ["libssl3", "openssl"]
    assert result["held"] == [
        {"name": "dpkg", "arch": "amd64", "version": "1.21.23", "candidate": None, "reason": "dpkg hold"},
        {"name": "tzdata", "arch": "all", "version": "2026b", "candidate": "2026f", "reason": "dpkg hold"},
    ]


def test_nothing_pending(debian, host):
    result = pending(host, SECURITY)
    assert (result["updates"], result["listed"]) == ([], 0)


def test_a_repository_that_is_down_is_an_error(patched, host, recorded):
    patched.apt_update = (100, recorded("apt_update_unreachable.txt"))
    with pytest.raises(PatchingError, match="repository http"):
        pending(host, EVERYTHING)
