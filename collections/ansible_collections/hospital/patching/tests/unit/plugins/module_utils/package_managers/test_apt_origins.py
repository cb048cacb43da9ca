# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an update comes from."""

import gzip

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_origins

SECURITY = {"label": "Debian-Security", "origin": "Debian", "archive": "oldstable-security", "version": "12"}
MAIN = {"label": "Debian", "origin": "Debian", "archive": "oldstable", "codename": "bookworm", "version": "12.15"}
VENDOR = {"label": "Docker CE", "origin": "Docker", "archive": "bookworm", "site": "download.docker.com"}


@pytest.mark.parametrize(
    ("origin", "security"),
    [
        (SECURITY, True),
        (MAIN, False),
        (VENDOR, False),
        ({"label": "Ubuntu", "origin": "Ubuntu", "archive": "noble-security"}, True),
        ({"label": "Ubuntu", "origin": "Ubuntu", "archive": "noble-updates"}, False),
        ({"label": "UbuntuESM", "origin": "UbuntuESM", "archive": "jammy-infra-security"}, True),
        ({"label": "mirror", "archive": "stable", "codename": "bookworm-security"}, True),
        ({}, False),
    ],
)
def test_security_archives(origin, security):
    assert apt_origins.is_security(origin) is security


def test_the_security_archive_is_shown_first():
    assert apt_origins.preferred([MAIN, SECURITY]) is SECURITY
    assert apt_origins.preferred([VENDOR, MAIN]) is VENDOR
    assert apt_origins.preferred([]) is None


def test_an_origin_in_words():
    assert apt_origins.text(SECURITY) == "Debian-Security:12/oldstable-security"
    assert apt_origins.text({"site": "repo.local"}) == "repo.local:/"
    assert apt_origins.text(None) is None


@pytest.mark.parametrize(
    ("name", "origins", "expected"),
    [
        ("openssl", [SECURITY], "os"),
        ("firefox-esr", [SECURITY], "third_party"),
        ("firefox-esr-l10n-de", [MAIN], "third_party"),
        ("chromium", [SECURITY], "third_party"),
        ("openjdk-17-jre-headless", [SECURITY], "third_party"),
        ("docker-ce", [VENDOR], "third_party"),
        ("libwrap0", [], "os"),
    ],
)
def test_classes(name, origins, expected):
    assert apt_origins.update_class(name, origins) == expected


@pytest.mark.parametrize(("ending", "opener"), [("", open), (".gz", gzip.open)])
def test_versions_that_a_security_archive_holds(tmp_path, ending, opener):
    path = str(tmp_path / ("Packages" + ending))
    with opener(path, "wb") as handle:
        handle.write(
            b"Package: a\nVersion: 1.1\nArchitecture: amd64\n\nPackage: ab\nVersion: 9\nArchitecture: amd64\n\n"
        )
        handle.write(b"Package: a\nVersion: 1.2\nArchitecture: amd64\n")
    repository = {"label": "Debian-Security", "suite": "oldstable-security", "index_files": [path, "/nonexistent"]}
    main = {"label": "Debian", "suite": "oldstable", "index_files": [path]}
    assert apt_origins.security_versions([repository], {"a"}) == {("a", "amd64"): ["1.1", "1.2"]}
    assert apt_origins.security_versions([main], {"a"}) == {}


@pytest.mark.parametrize(
    ("current", "to", "fixed"),
    [("1.0", "1.2", True), ("1.1", "1.2", False), ("1.0", "1.0.5", False), (None, "1.1", True)],
)
def test_a_point_release_may_carry_a_security_fix(current, to, fixed):
    assert apt_origins.fixed_on_the_way(current, to, ["1.1"]) is fixed
