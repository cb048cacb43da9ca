# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain


class Lazy(dict):
    """A mapping whose values are made when they are asked for, as inventory values are."""

    def items(self):
        return [(key, f"evaluated {value}") for key, value in super().items()]


class Tagged(str):
    pass


def test_lazy_mappings_are_evaluated_and_text_becomes_plain():
    found = plain({"a": (Lazy(b="template"), Tagged("text")), "n": 1, "t": True, "none": None})
    assert found == {"a": [{"b": "evaluated template"}, "text"], "n": 1, "t": True, "none": None}
    assert found["a"][1].__class__ is str
