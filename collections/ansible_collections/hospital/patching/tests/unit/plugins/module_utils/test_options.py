# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of probes and providers, as templates and people write them."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.options import read_options

SPEC = {
    "text": {"type": "str", "required": True},
    "number": {"type": "int", "default": 5},
    "flag": {"type": "bool", "default": False},
    "words": {"type": "list", "elements": "str", "default": []},
    "table": {"type": "dict", "default": {}},
    "choice": {"type": "str", "choices": ["a", "b"]},
    "place": {"type": "path"},
    "any": {"type": "raw"},
}


def read(**given):
    return read_options("probe 'x'", SPEC, given)


def test_defaults_fill_what_is_not_given():
    expected = {"text": "t", "number": 5, "flag": False, "words": [], "table": {}}
    assert read(text="t") == dict(expected, choice=None, place=None, any=None)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("text", 5, "5"),
        ("number", "7", 7),
        ("number", 7.0, 7),
        ("flag", "yes", True),
        ("flag", 0, False),
        ("words", "one", ["one"]),
        ("words", ("a", 1), ["a", "1"]),
        ("choice", "b", "b"),
        ("place", "/etc/ssl/ca.pem", "/etc/ssl/ca.pem"),
        ("any", [1], [1]),
    ],
)
def test_what_a_template_gives_is_converted(name, given, expected):
    assert read(**{"text": "t", name: given})[name] == expected


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"text": None},
        {"text": "t", "txet": "t"},
        {"text": ["t"]},
        {"text": "t", "number": "many"},
        {"text": "t", "number": 7.5},
        {"text": "t", "number": True},
        {"text": "t", "flag": "perhaps"},
        {"text": "t", "words": {"a": 1}},
        {"text": "t", "words": [["a"]]},
        {"text": "t", "table": "a=b"},
        {"text": "t", "choice": "c"},
    ],
)
def test_anything_else_is_refused_with_its_subject(given):
    with pytest.raises(PatchingError, match="probe 'x'"):
        read(**given)
