# SPDX-License-Identifier: GPL-3.0-or-later
"""Canonical JSON: one text for one value."""

import json

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json, digest

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_keys_are_sorted_by_utf_16_code_units():
    """RFC 8785, section 3.2.3: an astral character comes before one that Unicode numbers lower."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys)))) == [
        "\r",
        "1",
        "\x80",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


def test_there_is_no_white_space_and_text_stays_as_it_is():
    assert canonical_json({"b": [1, True, None], "a": "ö"}) == '{"a":"ö","b":[1,true,null]}'


@hypothesis.given(VALUES)
def test_the_text_is_the_value_and_the_same_whatever_the_order(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(_backwards(value)) == text
    assert digest(_backwards(value)) == digest(value)


def _backwards(value):
    if isinstance(value, dict):
        return {key: _backwards(item) for key, item in reversed(list(value.items()))}
    return tuple(_backwards(item) for item in value) if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": [1, {"b": 1.5}]}, r"\$\.a\[1\]\.b is a float"),
        (1.0, r"\$ is a float"),
        ({"a": {2: 1}}, r"\$\.a has the key 2, which is no string"),
        ({"a": {"b": object()}}, "not JSON serializable"),
    ],
)
def test_what_has_no_canonical_form_is_refused_with_its_place(value, problem):
    with pytest.raises(TypeError, match=problem):
        canonical_json(value)
