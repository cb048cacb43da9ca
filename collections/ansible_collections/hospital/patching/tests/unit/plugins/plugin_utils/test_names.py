# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils.names import name_problem, natural_key, unknown_terms


def test_numbers_in_names_are_compared_as_numbers():
    assert sorted(["web10", "web2", "db1", "web02"], key=natural_key) == ["db1", "web02", "web2", "web10"]


@given(st.lists(st.text(alphabet="ab01.-é²", max_size=8), unique=True))
def test_the_order_is_total_and_does_not_depend_on_the_input(names):
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


@pytest.mark.parametrize(
    "name", ["web*", "web[1:3]", "!db1", "~web.*", "a,b", "web:db", "a b", "&x", "", "@retry", "-x", "web?", "a/b"]
)
def test_a_name_that_ansible_reads_as_a_pattern_is_refused(name):
    assert "pattern" in name_problem(name)


@pytest.mark.parametrize("name", ["portal", "all", "ungrouped"])
def test_a_name_that_expands_to_a_group_is_refused(name):
    assert "group" in name_problem(name, {"portal"})


def test_a_plain_name_is_fine():
    assert name_problem("portal1.example-hospital_a.org", {"portal"}) is None


def test_names_in_a_pattern_that_nothing_has():
    known = {"all", "portal", "portal1", "db"}
    assert unknown_terms("portal:db", known) == []
    assert unknown_terms("portal1, portal9:!ws:&lb", known) == ["portal9", "ws", "lb"]
    assert unknown_terms("portal[1:2]:web*:~db[0-9]", known) == []
