# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt keeps back and why, fed with a scenario that apt 2.6.1 wrote.

Installed were six packages at 1.0. engine 2.0 has a dependency that nothing offers,
codec 1.2 is phased at 0 %, viewer is pinned to 1.0, tools 2.0 and portal 3.0 are
backports, those of tools under a pin as well.
"""

import io

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.apt_preferences import Pin
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import Package
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_kept_back, apt_scenario

INSTALLED = {
    (name, arch): Package(name, arch, "1.0", "install", "installed", name, "1.0", 0)
    for name, arch in (
        ("archive", "all"),
        ("codec", "amd64"),
        ("engine", "amd64"),
        ("portal", "amd64"),
        ("tools", "amd64"),
        ("viewer", "amd64"),
    )
}
UPGRADED = {("archive", "all"): "1.1", ("portal", "amd64"): "1.5"}
PINS = [
    Pin("/etc/apt/preferences.d/pacs.pref", ["viewer"], "version 1.0*", 990),
    Pin("/etc/apt/preferences.d/pacs.pref", ["/^tool/"], "release a=stable-backports", 50),
]


@pytest.fixture
def versions(recorded):
    lines = io.BytesIO(recorded("apt_scenario.edsp").encode())
    return apt_scenario.parse(lines, {name for name, _arch in INSTALLED})


def held(versions, installed, upgraded, pins):
    items = apt_kept_back.held(apt_kept_back.find(versions, installed, upgraded, pins))
    return [(item["name"], item["candidate"], item["kind"]) for item in items]


def test_versions(versions):
    assert len(versions) == 13
    archive = next(version for version in versions if version.name == "archive")
    assert (archive.version, archive.source, archive.candidate, archive.priority) == ("1.1", "archive-src", True, 500)
    assert archive.offered == "o=Site,a=stable,n=night,l=Site,c="
    assert [version.phased for version in versions if version.name == "codec"] == [0, None]


def test_each_reason(versions):
    assert held(versions, INSTALLED, UPGRADED, PINS) == [
        ("codec", "1.2", "phased"),
        ("engine", "2.0", "kept_back"),
        ("tools", "2.0", "pinned"),
        ("viewer", "2.0", "pinned"),
    ]


def test_a_backport_without_a_pin_is_no_update(versions):
    assert ("tools", "2.0", "pinned") not in held(versions, INSTALLED, UPGRADED, PINS[:1])


@pytest.mark.parametrize(("priority", "pinned"), [(500, False), (990, True)])
def test_a_pin_to_the_default_of_an_archive_is_not_to_blame(versions, priority, pinned):
    # As of stable beside backports: the pin gives the candidate what it has anyway.
    versions = [
        version._replace(priority=priority) if version.name == "tools" and version.candidate else version
        for version in versions
    ]
    pin = Pin("/etc/apt/preferences", ["*"], "release o=Debian,a=stable", priority)
    assert (("tools", "2.0", "pinned") in held(versions, INSTALLED, UPGRADED, [pin])) is pinned


def test_the_pin_that_prefers_another_version_is_named_and_not_one_of_no_effect(versions):
    pins = [Pin("/etc/apt/preferences", ["*"], "release a=stable", 500), *PINS]
    items = apt_kept_back.held(apt_kept_back.find(versions, INSTALLED, UPGRADED, pins))
    assert "version 1.0*" in next(item["reason"] for item in items if item["name"] == "viewer")


def test_a_package_on_hold_is_listed_elsewhere(versions):
    installed = dict(INSTALLED)
    installed[("engine", "amd64")] = INSTALLED[("engine", "amd64")]._replace(want="hold")
    assert "engine" not in [name for name, _version, _kind in held(versions, installed, UPGRADED, PINS)]


def test_other_packages_are_passed_over(recorded):
    lines = io.BytesIO(recorded("apt_scenario.edsp").encode())
    assert {version.name for version in apt_scenario.parse(lines, {"viewer"})} == {"viewer"}


@pytest.mark.parametrize("text", [b"", b"Package: viewer", b"Package: viewer\nVersion: \xff\nAPT-Pin: x\n\n", b"\n\n"])
def test_damage_gives_nothing(text):
    assert apt_scenario.parse(io.BytesIO(text), {"viewer"}) == []
