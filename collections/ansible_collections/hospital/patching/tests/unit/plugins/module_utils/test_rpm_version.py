# SPDX-License-Identifier: GPL-3.0-or-later
"""rpm's order of versions; tests/versions compares it with rpm's own by the thousand."""

import itertools

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version

#: From the oldest to the newest; neighbours differ in one rule each.
ORDER = [
    "1.0~~-1",
    "1.0~rc1-1",
    "1.0~rc1^git1-1",
    "1.0~rc2-1",
    "1.0",
    "1.0-1",
    "1.0-1.el9",
    "1.0-2",
    "1.0-10",
    "1.0^git1-1",
    "1.0^git2-1",
    "1.0a-1",
    "1.0b-1",
    "1.0.1-1",
    "1.2-1",
    "1.10-1",
    "20261125-1",
    "1:0.1-1",
    "2:0-1",
]


@pytest.mark.parametrize(("older", "newer"), list(itertools.combinations(ORDER, 2)))
def test_the_order_is_rpms(older, newer):
    assert rpm_version.compare(older, newer) == -1
    assert rpm_version.compare(newer, older) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [("1.0-1", "1.0-1"), ("0:1.0-1", "1.0-1"), ("1.00-1", "1.0-1"), ("1_0.-1", "1.0-1"), ("1.0-01", "1.0-1")],
)
def test_equal_versions_may_be_written_differently(left, right):
    assert rpm_version.compare(left, right) == 0


def test_sorting_uses_the_same_order():
    assert sorted(ORDER[1::2] + ORDER[::2], key=rpm_version.key) == ORDER


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1:2.3-4.el9", (1, "2.3", "4.el9")),
        ("2.3-4-5", (0, "2.3-4", "5")),
        ("2.3", (0, "2.3", "")),
        (":2.3-1", (0, "2.3", "1")),
        ("a:2-1", (0, "a:2", "1")),
    ],
)
def test_a_version_has_three_parts(text, parts):
    assert rpm_version.split(text) == parts


@pytest.mark.parametrize("text", ["1:2.3-4.el9", "2.3-4", "2.3"])
def test_the_parts_join_to_the_text(text):
    assert rpm_version.joined(*rpm_version.split(text)) == text


def test_a_number_may_have_more_digits_than_python_converts():
    assert rpm_version.compare("1" + "0" * 9000, "9" * 9000) == 1
    assert rpm_version.compare("\u00b2:1", "1") == 0  # a digit to Python, a separator to rpm
