# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils import installed
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.software_documents import (
    EVERYTHING,
    package,
    software,
)

KEYS = st.sampled_from(["name", "version", "path", "packages", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def kinds(found):
    return [item.kind for item in found.items]


def test_one_of_everything_is_read_and_what_dpkg_has_removed_is_not_installed():
    found = installed.read(EVERYTHING)
    assert found.unknown == ()
    assert kinds(found) == [
        *["deb"] * 4,
        "snap",
        "flatpak",
        "pypi",
        "pypi",
        "npm",
        "gem",
        "java",
        "application",
        "jar",
        "image",
    ]
    assert "gone" not in [item.name for item in found.items]
    jar = next(item for item in found.items if item.kind == "jar")
    assert jar.path == "/opt/app.war!/WEB-INF/lib/a.jar!/log4j-core.jar"
    assert jar.cves == ("CVE-2021-44228", "CVE-2021-45046")


def test_an_older_document_leaves_its_parts_unknown_never_empty():
    older = {"os": {}, "packages": [package()], "errors": {}}
    assert installed.read(older).unknown == (
        "snaps", "flatpaks", "python_environments", "npm_packages", "ruby_gems", "java_homes", "applications"
    )  # fmt: skip
    assert set(installed.read(None).unknown) >= {"packages", "snaps"}


def test_what_is_collected_only_when_asked_for_is_no_gap_unless_it_failed():
    assert installed.read(software(vulnerable_jars=None)).unknown == ()
    failed = software(vulnerable_jars=None, errors={"vulnerable_jars": "a zip bomb"})
    assert installed.read(failed).unknown == ("vulnerable_jars",)


@pytest.mark.parametrize("entries", [["text"], [{"version": "1"}], "text", [None]])
def test_entries_that_make_no_sense_make_their_part_unknown(entries):
    assert installed.read(software(ruby_gems=entries)).unknown == ("ruby_gems",)


@pytest.mark.parametrize(
    ("given_", "version", "epoch"),
    [
        (package(version="1:2.0-1", epoch="1"), "1:2.0-1", "1"),
        (package(version="2.0-1", epoch=1), "1:2.0-1", "1"),
        (package(version="2.0-1", epoch=0), "2.0-1", None),
        (package(version="2.0-1.el9", manager="rpm", epoch=1), "2.0-1.el9", "1"),
        (package(version="1:2.0-1.el9", manager="rpm"), "2.0-1.el9", "1"),
        (package(version="2.0-1.el9", manager="rpm", epoch="(none)"), "2.0-1.el9", None),
        (package(version=None), None, None),
    ],
)
def test_the_epoch_is_part_of_dpkgs_version_and_apart_from_rpms(given_, version, epoch):
    (item,) = installed.read(software(packages=[given_])).items
    assert (item.version, item.epoch) == (version, epoch)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [("a\nb\x1b[31m", "a b [31m"), ("caf\udce9", "caf?"), ("", None), (None, None), (5, "5"), ([], None)],
)
def test_texts_are_one_line_that_can_be_written(raw, clean):
    assert installed.text(raw) == clean


@given(st.dictionaries(st.sampled_from(installed.PARTS), JSON))
def test_whatever_a_host_sends_is_read_without_a_traceback(parts):
    found = installed.read({"errors": {}, **parts})
    assert all(item.name for item in found.items)
    assert all(str(item).encode("utf-8") for item in found.items)
