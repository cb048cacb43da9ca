# SPDX-License-Identifier: GPL-3.0-or-later
"""Maven's order of versions, and the ranges of the table at their edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.software.maven_version import compare
from ansible_collections.hospital.patching.plugins.module_utils.software.vulnerable_libraries import RULES, libraries

#: Pairs of Maven's own ComparableVersionTest and of releases that were made.
ASCENDING = [
    ("1-alpha2snapshot", "1-alpha2"),
    ("1-alpha2", "1-alpha-123"),
    ("1-alpha-123", "1-beta-2"),
    ("1-beta-2", "1-beta123"),
    ("1-beta123", "1-m2"),
    ("1-m2", "1-m11"),
    ("1-m11", "1-rc"),
    ("1-rc", "1-SNAPSHOT"),
    ("1-SNAPSHOT", "1"),
    ("1", "1-sp"),
    ("1-sp", "1-abc"),
    ("1-abc", "1.1"),
    ("2.0-beta9", "2.0-rc1"),
    ("2.0-rc2", "2.0"),
    ("2.0", "2.0.1"),
    ("2.9.1", "2.10.0"),
    ("2.3.1", "2.3.2"),
    ("6.3.0.1", "6.3.0.2"),
    ("5.3.9.RELEASE", "5.3.18.RELEASE"),
    ("1.9", "1.10.0"),
]
EQUAL = [("1", "1.0"), ("1", "1-ga"), ("1.0.0", "1-final"), ("5.2.20.RELEASE", "5.2.20"), ("2.0-RC1", "2-cr1")]


@pytest.mark.parametrize(("older", "newer"), ASCENDING)
def test_order(older, newer):
    assert (compare(older, newer), compare(newer, older)) == (-1, 1)


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal(left, right):
    assert compare(left, right) == 0


@given(st.lists(st.text("0123456789.-abrcsp", max_size=12), min_size=3, max_size=3))
def test_it_is_an_order(texts):
    a, b, c = texts
    assert compare(a, b) == -compare(b, a)
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0


@pytest.mark.parametrize("text", ["", "${project.version}", "9" * 10000, "\udcff", "-.-"])
def test_what_is_no_version_is_no_traceback(text):
    assert compare(text, "1.0") in (-1, 0, 1)


@pytest.mark.parametrize(
    ("artifact", "version", "cves"),
    [
        ("log4j-core", "2.0-beta8", {"CVE-2021-45105", "CVE-2021-44832"}),
        ("log4j-core", "2.0-beta9", {"CVE-2021-44228", "CVE-2021-45046", "CVE-2021-45105", "CVE-2021-44832"}),
        ("log4j-core", "2.14.1", {"CVE-2021-44228", "CVE-2021-45046", "CVE-2021-45105", "CVE-2021-44832"}),
        ("log4j-core", "2.15.0", {"CVE-2021-45046", "CVE-2021-45105", "CVE-2021-44832"}),
        ("log4j-core", "2.16.0", {"CVE-2021-45105", "CVE-2021-44832"}),
        ("log4j-core", "2.17.0", {"CVE-2021-44832"}),
        ("log4j-core", "2.17.1", set()),
        ("log4j-core", "2.12.2", {"CVE-2021-45105", "CVE-2021-44832"}),
        ("log4j-core", "2.12.4", set()),
        ("log4j-core", "2.3.1", {"CVE-2021-44832"}),
        ("log4j-core", "2.3.2", set()),
        ("log4j", "1.2.17", {"CVE-2019-17571", "CVE-2021-4104"}),
        ("spring-beans", "5.2.19.RELEASE", {"CVE-2022-22965"}),
        ("spring-beans", "5.2.20.RELEASE", set()),
        ("spring-beans", "5.3.17", {"CVE-2022-22965"}),
        ("spring-beans", "5.3.18", set()),
        ("commons-text", "1.4", set()),
        ("commons-text", "1.9", {"CVE-2022-42889"}),
        ("commons-text", "1.10.0", set()),
        ("struts2-core", "6.3.0.1", {"CVE-2023-50164", "CVE-2024-53677"}),
        ("struts2-core", "6.3.0.2", {"CVE-2024-53677"}),
        ("struts2-core", "6.4.0", set()),
        ("commons-collections", "3.2.1", {"CVE-2015-7501"}),
        ("commons-collections", "3.2.2", set()),
        ("commons-collections4", "4.0", {"CVE-2015-7501"}),
        ("commons-collections4", "4.1", set()),
        ("activemq-client", "5.15.16", set()),
        ("activemq-client", "5.18.2", {"CVE-2023-46604"}),
    ],
)
def test_ranges_at_their_edges(artifact, version, cves):
    assert set(libraries()[artifact].cves(version)) == cves


def test_every_row_is_whole():
    for rule in RULES:
        assert rule.source.startswith("https://")
        assert rule.cve.startswith("CVE-")
        assert all(fixed is None or compare(first, fixed) < 0 for first, fixed in rule.affected)
