# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.yaml_lines import read

TEXT = """\
# a comment
a: 1
b:
  - x
  - {c: yes, d: 2026-01-01}
"e f": |
  two
  lines
"""


def test_values_are_plain_and_have_lines():
    document = read(TEXT, "f")
    assert document.value == {"a": 1, "b": ["x", {"c": True, "d": "2026-01-01"}], "e f": "two\nlines\n"}
    assert document.where(("a",)) == "f:2"
    assert document.where(("b", 1, "c")) == "f:5"
    assert document.where(("e f",)) == "f:6"


def test_of_what_is_not_there_the_line_above_is_told():
    assert read(TEXT, "f").where(("b", 0, "nothing", 7)) == "f:4"
    assert read("", "f").where(("a",)) == "f"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [", "f:2: no YAML: "),
        ("a: 1\nb: 2\na: 3\n", "f:3: the key a stands there twice"),
        ("a: 1\non: 3\n", "f:2: the key 'on' is no text"),
        ("a: 1\n7: 3\n", "f:2: the key '7' is no text"),
        ("a: &x 1\nb: *x\n", "f:2: the alias *x"),
        ("a: &x [*x]\n", "f:1: the alias *x"),
        ("a: 1\nb: !vault |\n  x\n", "f:2: the tag !vault"),
        ("a: !!python/object/apply:os.system [x]\n", "f:1: the tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: 1\n---\nb: 1\n", "f:2: no YAML: "),
        ("[" * 1000 + "]" * 1000, "f: nested too deep"),
    ],
)
def test_what_hides_something_is_refused_with_its_line(text, message):
    with pytest.raises(PatchingError) as found:
        read(text, "f")
    assert str(found.value).startswith(message)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc :#-", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_what_yaml_writes_is_read_back(value):
    text = yaml.safe_dump(value)
    document = read(text, "f")
    assert document.value == value
    assert max(document.lines.values()) <= len(text.splitlines())
