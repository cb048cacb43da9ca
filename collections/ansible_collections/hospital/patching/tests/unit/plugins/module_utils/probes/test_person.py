# SPDX-License-Identifier: GPL-3.0-or-later
"""A question to people is checked like every probe, and read by nobody."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

LABEL = {"name": "label", "type": "person", "ask": "Print a label", "who": ["Ada Lovelace"]}


def test_what_is_not_stated():
    options = registry.options(LABEL)
    assert (options["within_s"], options["signed"]) == (3600, False)
    assert registry.targets(LABEL) == []


def test_whoever_reads_it_gets_no_verdict(make_context):
    result = registry.build(LABEL, make_context()).read()
    assert result["verdict"] == "inconclusive"
    assert "Print a label" in result["detail"]
    assert result["target"] == "Ada Lovelace"


def test_one_name_stands_for_a_list():
    assert registry.options({**LABEL, "who": "Ada Lovelace"})["who"] == ["Ada Lovelace"]


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"ask": " "}, "ask"),
        ({"ask": "two\nlines"}, "ask"),
        ({"ask": "x" * 301}, "ask"),
        ({"ask": None}, "no option ask"),
        ({"who": []}, "who"),
        ({"who": None}, "no option who"),
        ({"who": ["Ada", " ada "]}, "who"),
        ({"who": ["Ada", ""]}, "who"),
        ({"within_s": 59}, "within_s is 59"),
        ({"within_s": 604801}, "within_s is 604801"),
        ({"timeout_s": 60}, "timeout_s is 60"),
        ({"url": "https://portal/"}, "unknown option url"),
    ],
)
def test_a_question_that_is_not_understood_is_refused(change, seen):
    with pytest.raises(PatchingError, match=seen):
        registry.check({**LABEL, **change})
