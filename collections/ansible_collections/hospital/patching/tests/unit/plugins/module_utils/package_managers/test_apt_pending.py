# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host would update."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

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
    assert result["facts"] == {"id": "debian", "version_id": "12", "codename": "bookworm", "architecture": "amd64"}
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


def test_the_package_manager_is_started_five_times(patched, host):
    pending(host, EVERYTHING)
    assert [args[0] for args in patched.commands] == ["apt-get", "apt-get", "apt-get", "apt-get", "apt-cache"]


def test_held_packages_are_listed_with_what_they_would_become(patched, host):
    patched.held = {"tzdata", "dpkg"}
    patched.save()
    result = pending(host, EVERYTHING)
    assert [update["name"] for update in result["updates"]] == ["libssl3", "openssl"]
    assert [(item["name"], item["version"], item["candidate"], item["reason"]) for item in result["held"]] == [
        ("dpkg", "1.21.23", None, "dpkg hold"),
        ("tzdata", "2026b", "2026f", "dpkg hold"),
    ]
    assert {item["kind"] for item in result["held"]} == {"hold"}


def test_nothing_pending(debian, host):
    result = pending(host, SECURITY)
    assert (result["updates"], result["listed"]) == ([], 0)


def test_a_repository_that_is_down_is_an_error(patched, host, recorded):
    patched.apt_update = (100, recorded("apt_update_unreachable.txt"))
    with pytest.raises(PatchingError, match="repository http"):
        pending(host, EVERYTHING)


def held(result):
    return {item["name"]: (item["kind"], item["candidate"], item["reason"]) for item in result["held"]}


def test_what_is_not_asked_for_is_listed_as_held(patched, host):
    assert held(pending(host, SECURITY)) == {"tzdata": ("not_security", "2026f", "fixes no security flaw")}


def test_what_needs_a_denied_update_is_held_with_it(patched, host):
    patched.needs = {"openssl": {("libssl3", "amd64"): "3.0.22"}}
    result = pending(host, EVERYTHING._replace(deny=[{"item": "libssl3", "reason": "breaks the PACS viewer"}]))
    assert names(result) == [("tzdata", "2026b", "2026f")]
    assert held(result) == {
        "libssl3": ("denied", "3.0.22", "denied by libssl3: breaks the PACS viewer"),
        "openssl": ("needs_held", "3.0.22", "cannot be had while these are held: libssl3"),
    }


def test_the_pins_of_the_host_stay_in_force_beside_the_limits(patched, host, tmp_path):
    (tmp_path / "etc/apt").mkdir(parents=True)
    (tmp_path / "etc/apt/preferences").write_text("Package: openssl\nPin: version 1\nPin-Priority: 1001\n")
    result = pending(host, EVERYTHING._replace(exclude=["libssl3"]))
    assert names(result) == [("tzdata", "2026b", "2026f")]
    assert held(result)["openssl"][0] == "needs_held"


def test_kept_back_and_pinned(patched, host, tmp_path):
    (tmp_path / "etc/apt/preferences.d").mkdir(parents=True)
    (tmp_path / "etc/apt/preferences.d/clock").write_text("Package: tz*\nPin: release a=x\nPin-Priority: 90\n")
    patched.priorities = {("tzdata", "2026f"): 90}
    patched.blocked = {"openssl"}
    assert held(pending(host, EVERYTHING)) == {
        "openssl": ("kept_back", "3.0.22", "kept back: apt cannot install it with what else is installed"),
        "tzdata": (
            "pinned",
            "2026f",
            "pinned: Package: tz*, Pin: release a=x, Pin-Priority: 90 (/etc/apt/preferences.d/clock)",
        ),
    }


def test_without_a_scenario_the_updates_stand_and_the_gap_is_told(patched, host, monkeypatch):
    monkeypatch.setattr(patched, "_dump", lambda args, _path: Result(args, 100, "", "E: no such solver"))
    result = pending(host, EVERYTHING)
    assert len(result["updates"]) == 3
    assert "no such solver" in result["problems"][0]


def test_source_packages(patched, host):
    patched.sources = {"libssl3": "openssl\nSource-Version: 9"}
    assert [update["source"] for update in pending(host, EVERYTHING)["updates"]] == ["openssl", "openssl", "tzdata"]
    first = pending(host, EVERYTHING)["updates"][0]
    assert (first["source_from"], first["source_to"]) == ("9", "9")


def test_the_day_a_version_was_seen_is_carried_on(patched, host):
    seen = {"tzdata:all=2026f": "2026-01-02T03:04:05Z"}
    update = pending(host, EVERYTHING._replace(first_seen=seen))["updates"][2]
    assert (update["published"], update["published_by"]) == ("2026-01-02T03:04:05Z", "seen")


def test_a_full_disk_is_not_blamed_on_a_repository(debian, host):
    text = (
        "E: Failed to fetch http://deb.debian.org/debian/dists/x  Write error - write (28: No space left on device)\n"
    )
    debian.apt_update = (100, text)
    with pytest.raises(PatchingError, match=r"var/tmp: .*make room there"):
        pending(host, EVERYTHING)


def test_a_denial_of_nothing_is_told(patched, host):
    denied = [{"item": item, "reason": ""} for item in ("dpkg", "openssl", "jqq")]
    problems = pending(host, EVERYTHING._replace(deny=denied))["problems"]
    assert [text for text in problems if "deny" in text] == ["deny jqq matches no installed or pending package"]
