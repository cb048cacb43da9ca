# SPDX-License-Identifier: GPL-3.0-or-later
"""dpkg's order of versions."""

import itertools
import shutil
import subprocess

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import dpkg_version

#: From the oldest to the newest; neighbours differ in one rule each.
ORDER = [
    "0~~",
    "0~~a",
    "0~",
    "0",
    "0a",
    "0+b1",
    "1.0~rc1-1",
    "1.0-0ubuntu1",
    "1.0-1~bpo12+1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb12u1",
    "1.0-1.1",
    "1.0-2",
    "1.0a-1",
    "1.0.1-1",
    "1.2-1",
    "1.10-1",
    "20230311+deb12u1",
    "20250419~deb12u2",
    "1:0.1",
    "2:0",
]


@pytest.mark.parametrize(("older", "newer"), list(itertools.combinations(ORDER, 2)))
def test_the_order_is_that_of_the_policy(older, newer):
    assert dpkg_version.compare(older, newer) == -1
    assert dpkg_version.compare(newer, older) == 1


@pytest.mark.parametrize(
    ("left", "right"), [("1.0", "1.0"), ("0:1.0", "1.0"), ("1.0-0", "1.0"), ("1.00", "1.0"), ("1.a01", "1.a1")]
)
def test_equal_versions_may_be_written_differently(left, right):
    assert dpkg_version.compare(left, right) == 0


def test_sorting_uses_the_same_order():
    assert sorted(ORDER[1::2] + ORDER[::2], key=dpkg_version.key) == ORDER


@pytest.mark.parametrize(
    ("text", "parts"),
    [("1:2.3-4", (1, "2.3", "4")), ("2.3-4-5", (0, "2.3-4", "5")), ("2.3", (0, "2.3", "")), ("a:2", (0, "a:2", ""))],
)
def test_a_version_has_three_parts(text, parts):
    assert dpkg_version.split(text) == parts


def test_a_number_may_have_more_digits_than_python_converts():
    assert dpkg_version.compare("1" + "0" * 9000, "9" * 9000) == 1
    assert dpkg_version.split("\u00b2:1") == (0, "\u00b2:1", "")


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not here")
@pytest.mark.parametrize(("left", "right"), list(itertools.combinations(ORDER[::2], 2)))
def test_dpkg_agrees(left, right):
    assert subprocess.run(["dpkg", "--compare-versions", left, "lt", right], check=False).returncode == 0
