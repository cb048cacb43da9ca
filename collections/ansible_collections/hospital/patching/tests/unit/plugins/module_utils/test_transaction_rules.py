# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction: built, digested, checked, within its manifest."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


def entry(**changes):
    return dict(
        {
            "name": "a",
            "arch": "amd64",
            "from": "1",
            "to": "2",
            "sha256": "00",
            "size_bytes": 3,
            "origin": None,
            "automatic": False,
        },
        **changes,
    )


def manifest(**changes):
    item = dict(
        {"name": "a", "arch": "amd64", "version": "2", "sha256": "00", "origin": None, "kind": "upgrade"}, **changes
    )
    return {"entries": [item], "digest": "sha256:x"}


def test_entries_are_sorted_and_digested():
    one = transaction.build("h", "apt", None, [entry(name="b"), entry()])
    two = transaction.build("h", "apt", None, [entry(), entry(name="b")])
    assert one == two
    assert [item["name"] for item in one["entries"]] == ["a", "b"]
    transaction.validate(one)
    assert transaction.short_name(one) == one["digest"][7:19]


def test_kinds():
    assert transaction.entry_kind(entry()) == "upgrade"
    assert transaction.entry_kind(entry(**{"from": None})) == "new_install"
    assert transaction.entry_kind(entry(to=None)) == "removal"


def test_a_changed_transaction_is_refused():
    changed = transaction.build("h", "apt", None, [entry()])
    changed["entries"][0]["to"] = "3"
    with pytest.raises(PatchingError, match="the digest it carries"):
        transaction.validate(changed)


def test_an_unknown_schema_is_refused():
    with pytest.raises(PatchingError, match="schema 2"):
        transaction.validate({"schema": 2})


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "-o"},
        {"name": "a b"},
        {"arch": "amd64;"},
        {"to": "--force"},
        {"to": "1 2"},
        {"from": None, "to": None},
        {"from": 1},
    ],
)
def test_nothing_that_could_be_an_option_or_a_command(changes):
    with pytest.raises(PatchingError, match="the entry"):
        transaction.validate(transaction.build("h", "apt", None, [entry(**changes)]))


def test_within_the_manifest():
    transaction.check_within([entry()], manifest())
    transaction.check_within([entry()], None)
    transaction.check_within([entry(to=None)], manifest(kind="removal", version="1"))


@pytest.mark.parametrize(
    ("changed", "allowed", "message"),
    [
        (entry(name="b"), manifest(), "b:amd64: the repository now gives upgrade 2; expected nothing"),
        (entry(to="3"), manifest(), "repository now gives upgrade 3; expected manifest allows 2"),
        (entry(to=None), manifest(), "now gives removal 1; expected manifest allows upgrade only"),
        (entry(), manifest(kind="removal"), "manifest allows removal only"),
        (entry(sha256="11"), manifest(), "SHA-256 11; expected manifest allows SHA-256 00"),
    ],
)
def test_anything_else_is_refused(changed, allowed, message):
    with pytest.raises(PatchingError, match=message):
        transaction.check_within([changed], allowed)
