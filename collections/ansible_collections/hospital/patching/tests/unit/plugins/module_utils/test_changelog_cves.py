# SPDX-License-Identifier: GPL-3.0-or-later
"""CVEs of a changelog, fed with that of Debian's expat."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.changelog_cves import cves_between, read_changelog
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

with open(os.path.join(os.path.dirname(__file__), "recorded", "changelog_expat.txt"), encoding="utf-8") as _handle:
    EXPAT = _handle.read()


class OneAnswer:
    def __init__(self, text):
        self.text = text
        self.args = []

    def run(self, args, **_others):
        self.args = args
        return Result(args, 0, self.text, "")


def test_only_entries_after_from_count():
    assert cves_between(EXPAT, "2.5.0-1+deb12u4", "2.5.0-1+deb12u5") == [
        "CVE-2025-59375",
        "CVE-2026-56132",
        "CVE-2026-77214",
        "CVE-2026-102633",
    ]


def test_entries_after_to_do_not_count():
    found = cves_between(EXPAT, "2.5.0-1+deb12u3", "2.5.0-1+deb12u4")
    assert "CVE-2024-28757" in found
    assert "CVE-2026-56132" not in found


def test_several_versions_add_up():
    both = cves_between(EXPAT, "2.5.0-1+deb12u2", "2.5.0-1+deb12u5")
    assert set(both) > set(cves_between(EXPAT, "2.5.0-1+deb12u4", "2.5.0-1+deb12u5"))
    assert both[0] == "CVE-2024-28757"


@pytest.mark.parametrize(("current", "to"), [("2.5.0-1+deb12u5", "2.5.0-1+deb12u5"), (None, "2.5.0-1+deb12u5")])
def test_nothing_is_fixed_without_a_change(current, to):
    assert cves_between(EXPAT, current, to) == []


def test_the_changelog_of_a_package_made_by_debian_has_another_name():
    runner = OneAnswer(EXPAT)
    assert read_changelog(runner, "/x.deb", native=False) == EXPAT
    assert runner.args[-1].endswith("changelog.Debian.gz")
    read_changelog(runner, "/x.deb", native=True)
    assert runner.args[-1].endswith("/changelog.gz")


def test_a_package_without_a_changelog():
    assert read_changelog(OneAnswer(""), "/x.deb", native=False) is None
