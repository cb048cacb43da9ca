# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates that nobody installs any more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import blocked_fleet, blocking, blocks
from ansible_collections.hospital.patching.plugins.plugin_utils.blocks import Block
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    pending,
    planned,
    server,
    update,
)

BAD = Block("openssl=3.0.17-1", "labels fail", "anna@ctl", "2026-11-22T08:00:00Z")
OPENSSL = update("openssl", advisories=["DSA-1-1"])


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / blocks.FILE)


@pytest.mark.parametrize(
    ("item", "hosts", "hit"),
    [
        ("openssl", (), True),
        ("openssl=3.0.17-1", (), True),
        ("openssl=3.0.15-1", (), False),
        ("DSA-1-1", (), True),
        ("ssl", (), False),
        ("openssl", ("web*",), True),
        ("openssl", ("db*", "portal?"), False),
    ],
)
def test_what_an_item_is_about(item, hosts, hit):
    assert bool(blocks.hits([Block(item, "why", hosts=hosts)], "web1", [OPENSSL])) is hit


def test_a_transaction_is_held_against_the_advisories_that_the_plan_knows():
    entry = {"name": "openssl", "arch": "amd64", "from": "3.0.15-1", "to": "3.0.17-1"}
    plan = planned({"web1": server("web1", "a", pending(OPENSSL), downtime_s=60, min_healthy=0)}).plan
    block = [Block("DSA-1-1", "why")]
    assert blocks.hits(block, "web1", [entry]) == []
    assert [hit.name for hit in blocks.hits(block, "web1", [entry], blocks.advisories_of(plan))] == ["openssl"]


def test_what_came_along_with_a_blocked_update_is_not_asked_for_by_itself():
    library = update("libnew", None, "1", automatic=True)
    kernel = update("kernel", None, "6.2", automatic=False)
    gone = update("oldlib", "1", None)
    everything = [OPENSSL, update("curl"), library, kernel, gone]
    found = blocks.hits([BAD], "web1", everything)
    assert [one["name"] for one in blocks.left(everything, found)] == ["curl", "kernel"]
    assert blocks.left(everything, []) == everything


def test_a_block_is_written_read_and_lifted_and_stays_on_record(place):
    assert blocks.read(place) == ()
    assert blocking.block(place, BAD)
    assert blocks.read(place) == (BAD,)
    assert not blocking.block(place, BAD), "a second person's block of the same changes nothing"
    assert blocking.lift(place, BAD.item, "ben@ctl", "a driver was to blame", NOW)
    (kept,) = blocks.read(place)
    assert (kept.holds, kept.reason, kept.lifted_by) == (False, "labels fail", "ben@ctl")
    assert blocks.hits([kept], "web1", [OPENSSL]) == []
    assert not blocking.lift(place, BAD.item, "ben@ctl", "", NOW)
    assert blocking.block(place, BAD)
    assert [one.holds for one in blocks.read(place)] == [False, True]


class Tagged(str):
    """Text as Ansible hands it to a task: YAML knows how to write no other kind than Python's own."""


def test_text_of_ansibles_own_kind_is_written(place):
    assert blocking.block(place, Block(Tagged("openssl"), Tagged("why"), hosts=(Tagged("web*"),)))
    assert blocks.read(place) == (Block("openssl", "why", hosts=("web*",)),)


def test_check_mode_writes_nothing(place, tmp_path):
    assert blocking.block(place, BAD, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Block("openssl", "  "), "block of openssl: no reason"),
        (Block("openssl*", "why"), r"block_item: 'openssl\*'; expected NAME, NAME=VERSION"),
        (Block("", "why"), "block_item: ''"),
        (Block("openssl curl", "why"), "block_item: 'openssl curl'"),
    ],
)
def test_a_block_that_could_not_hold_is_not_written(place, tmp_path, block, message):
    with pytest.raises(PatchingError, match=message):
        blocking.block(place, block)
    assert not (tmp_path / blocks.FILE).exists()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("item: openssl", "no list"),
        ("- openssl", "an entry that is no mapping"),
        ("- {item: openssl}", "no reason"),
        ("- {item: openssl, reason: why, host: web1}", "the key host"),
        ("- {item: openssl, reason: 7}", "a value that is no text"),
        ("- {item: 'openssl*', reason: why}", "expected NAME, NAME=VERSION"),
        ("- {item: openssl, reason: why", "no YAML"),
    ],
)
def test_a_file_that_cannot_be_understood_closes(text, seen):
    with pytest.raises(PatchingError, match=seen):
        blocks.parse(text, "blocks.yml")


def test_where_nothing_was_ever_blocked_and_where_that_is_not_known(tmp_path):
    assert blocks.read(str(tmp_path / "blocks.yml")) == ()
    with pytest.raises(PatchingError, match="is not there"):
        blocks.read(str(tmp_path / "blocks.yml"), named=True)
    with pytest.raises(PatchingError, match="is not there"):
        blocks.read(str(tmp_path / "unmounted" / "blocks.yml"))
    (tmp_path / "blocks.yml").mkdir()
    with pytest.raises(PatchingError, match="until it can be read no update is installed"):
        blocks.read(str(tmp_path / "blocks.yml"))


def test_a_path_that_depends_on_where_a_run_is_started_is_refused(tmp_path):
    with pytest.raises(PatchingError, match=r"patching_blocks_file: lists/blocks\.yml; expected an absolute path"):
        blocks.place_of("lists/blocks.yml", tmp_path)
    with pytest.raises(PatchingError, match="patching_blocks_file of web1"):
        fleet(blocks_file="lists/blocks.yml")


def test_before_the_first_assessment_nothing_was_ever_blocked(tmp_path):
    found, hits = blocked_fleet.applied(fleet(), tmp_path / "evidence")
    assert (found["web1"].why_not, hits) == (None, {})


def test_a_block_stands_wherever_a_host_looks_for_it(tmp_path):
    other = str(tmp_path / "other.yml")
    hostvars = {"web1": {}, "web2": {"patching_blocks_file": other}}
    assert blocking.places(hostvars, list(hostvars), tmp_path) == [str(tmp_path / "blocks.yml"), other]
    hostvars["web3"] = {"patching_blocks_file": "https://user:pass@blocks/list.yml"}
    with pytest.raises(PatchingError, match=r"https://blocks/list\.yml, to which nothing can be written"):
        blocking.places(hostvars, list(hostvars), tmp_path)


def fleet(**settings):
    return {"web1": server("web1", "a", pending(OPENSSL, update("curl")), downtime_s=60, min_healthy=0, **settings)}


def test_a_plan_leaves_out_what_is_blocked_and_says_why(tmp_path, place):
    blocking.block(place, BAD)
    found, hits = blocked_fleet.applied(fleet(), tmp_path)
    assert [one["name"] for one in planned(found).plan["hosts"]["web1"]["updates"]] == ["curl"]
    told = "openssl=3.0.17-1 is blocked by anna@ctl since 2026-11-22T08:00:00Z: labels fail"
    assert blocked_fleet.notes(hits) == [f"Left out on web1: {told}"]

    blocking.block(place, Block("curl", "slow"))
    none, _hits = blocked_fleet.applied(fleet(), tmp_path)
    left_out = planned(none).plan["not_planned"]["web1"]
    assert left_out["outcome"] == "excluded"
    assert told in left_out["reason"]


def test_what_assess_has_held_back_because_of_a_block_is_named_too(tmp_path, place):
    blocking.block(place, BAD)
    known = pending(update("curl"))
    reason = f"denied by {BAD.item}: {BAD.told()}"
    known["held"] = [{"name": "openssl", "arch": "amd64", "candidate": "3.0.17-1", "kind": "denied", "reason": reason}]
    _found, hits = blocked_fleet.applied({"web1": server("web1", "a", known)}, tmp_path)
    assert blocked_fleet.notes(hits) == [f"Left out on web1: {BAD.told()}"]
    blocking.lift(place, BAD.item, "ben@ctl", "", NOW)
    assert blocked_fleet.applied({"web1": server("web1", "a", known)}, tmp_path)[1] == {}


def test_blocks_that_cannot_be_read_refuse_every_host(tmp_path):
    found, _hits = blocked_fleet.applied(fleet(blocks_file=str(tmp_path / "gone.yml")), tmp_path)
    refused = planned(found).plan["not_planned"]["web1"]
    assert refused["outcome"] == "refused"
    assert "gone.yml is not there" in refused["reason"]


NAMES = st.sampled_from(["openssl", "curl", "kernel"])
ITEMS = st.one_of(NAMES, st.builds("{}={}".format, NAMES, st.sampled_from("12")), st.sampled_from(["DSA-1", "DSA-2"]))
UPDATES = st.builds(
    lambda name, before, after, automatic, advisory: update(
        name, before, after, automatic=automatic, advisories=[advisory]
    ),
    NAMES,
    st.sampled_from([None, "0"]),
    st.sampled_from("12"),
    st.booleans(),
    st.sampled_from(["DSA-1", "DSA-2", "DSA-3"]),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ITEMS, max_size=3), st.lists(UPDATES, max_size=6))
def test_nothing_that_is_left_is_blocked_and_no_upgrade_is_left_out_without_a_block(items, updates):
    known = [Block(item, "why") for item in items]
    found = blocks.hits(known, "web1", updates)
    kept = blocks.left(updates, found)
    assert blocks.hits(known, "web1", kept) == []
    named = {(hit.name, hit.to) for hit in found}
    gone = [one for one in updates if one not in kept and one["kind"] == "upgrade"]
    assert all((one["name"], one["to"]) in named for one in gone)
