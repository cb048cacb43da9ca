# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of pending updates: limits are kept, and nothing is dropped silently."""

from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils import pending_filters
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.pending_filters import (
    check,
    choose,
    dated,
    limit,
    unmatched,
)

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)


def update(name, **others):
    found = {
        "name": name,
        "arch": "amd64",
        "source": name,
        "from": "1",
        "to": "2",
        "kind": "upgrade",
        "class": "os",
        "security": False,
        "advisories": [],
        "published": None,
        "published_by": None,
    }
    found.update(others)
    return found


class Resolver:
    """A package manager with dependencies: ``needs`` is name → names that must be changed with it."""

    def __init__(self, everything, needs=None, blind=False):
        self.everything = {item["name"]: item for item in everything}
        self.needs = needs or {}
        self.blind = blind
        self.questions = 0

    def closure(self, names):
        found = set(names)
        while True:
            more = {other for name in found for other in self.needs.get(name, ())} - found
            if not more:
                return found
            found |= more

    def resolve(self, updates):
        self.questions += 1
        names = self.closure(item["name"] for item in updates)
        return [item for name, item in sorted(self.everything.items()) if name in names]

    def without(self, updates):
        if self.blind:
            raise PatchingError("solver", "it cannot", "a solution", "ask otherwise")
        kept = {item["name"] for item in updates}
        return [
            item
            for name, item in self.everything.items()
            if item["kind"] == "upgrade" and not self.closure([name]) & kept
        ]


def chosen(everything, wanted, needs=None, blind=False):
    resolver = Resolver(everything, needs, blind)
    updates, held = choose(everything, wanted, NOW, resolver.resolve, resolver.without)
    return [item["name"] for item in updates], {item["name"]: item["kind"] for item in held}


A, B, C = update("a"), update("b", security=True), update("c", **{"class": "third_party"})


def test_without_a_filter_everything_is_taken_and_nothing_is_asked():
    resolver = Resolver([A, B, C])
    assert choose([A, B, C], EVERYTHING, NOW, resolver.resolve, resolver.without) == ([A, B, C], [])
    assert resolver.questions == 0


@pytest.mark.parametrize(
    ("options", "taken", "held"),
    [
        ({"security_only": True}, ["b"], {"a": "not_security", "c": "not_security"}),
        ({"classes": ["os"]}, ["a", "b"], {"c": "class"}),
        ({"include": ["[ab]"]}, ["a", "b"], {"c": "not_included"}),
        ({"exclude": ["[ab]"]}, ["c"], {"a": "excluded", "b": "excluded"}),
        ({"allow": ["a", "b=2", "c=1"]}, ["a", "b"], {"c": "not_allowed"}),
        ({"deny": [{"item": "a=2"}, {"item": "b=3"}]}, ["b", "c"], {"a": "denied"}),
        ({"allow": ["a"], "deny": [{"item": "a"}]}, [], {"a": "denied", "b": "not_allowed", "c": "not_allowed"}),
        ({"min_age_days": 14}, ["b"], {"a": "deferred", "c": "deferred"}),
    ],
)
def test_each_filter(options, taken, held):
    assert chosen([A, B, C], EVERYTHING._replace(**options)) == (taken, held)


def test_what_is_held_says_whether_it_fixes_a_flaw():
    resolver = Resolver([A, B])
    wanted = EVERYTHING._replace(exclude=["*"])
    _updates, held = choose([A, B], wanted, NOW, resolver.resolve, resolver.without)
    assert [(item["name"], item["security"]) for item in held] == [("a", False), ("b", True)]
    reason = pending_filters.Reason("hold", "dpkg hold")
    assert pending_filters.held_package("a", "amd64", "1", "2", reason)["security"] is None


def test_an_advisory_allows_or_denies_all_that_it_names():
    fixed = update("a", advisories=["RHSA-2026:0001"])
    assert chosen([fixed, B], EVERYTHING._replace(allow=["RHSA-2026:0001"])) == (["a"], {"b": "not_allowed"})
    denied = [{"item": "RHSA-2026:0001", "reason": "breaks DICOM"}]
    assert limit(fixed, EVERYTHING._replace(deny=denied), NOW).text == "denied by RHSA-2026:0001: breaks DICOM"


def test_what_a_wanted_update_needs_comes_along():
    assert chosen([A, B], EVERYTHING._replace(include=["b"]), {"b": ["a"]}) == (["a", "b"], {})


@pytest.mark.parametrize("blind", [True, False])
def test_what_needs_something_beyond_a_limit_is_held_with_it(blind):
    found = chosen([A, B, C], EVERYTHING._replace(exclude=["a"]), {"b": ["a"]}, blind)
    assert found == (["c"], {"a": "excluded", "b": "needs_held"})


@pytest.mark.parametrize(
    "consequence",
    [update("new", kind="new_install", **{"from": None}), update("gone", kind="removal", to=None)],
)
def test_new_packages_and_removals_are_consequences_and_can_be_denied(consequence):
    name = consequence["name"]
    everything = [A, B, consequence]
    assert chosen(everything, EVERYTHING._replace(include=["b"]), {"a": [name]}) == (["b"], {"a": "not_included"})
    denied = EVERYTHING._replace(deny=[{"item": name}])
    assert chosen(everything, denied, {"a": [name]}) == (["b"], {name: "denied", "a": "needs_held"})


def test_one_that_cannot_be_resolved_alone_is_held_with_the_reason():
    def resolve(updates):
        if any(item["name"] == "b" for item in updates):
            raise PatchingError("apt-get", "b Depends: a", "a transaction", "repair it")
        return updates

    updates, held = choose([A, B, C], EVERYTHING._replace(exclude=["a"]), NOW, resolve, lambda _kept: [B, C])
    assert updates == [C]
    assert held[1]["reason"] == "cannot be resolved without what is held: b Depends: a"


def test_the_number_of_questions_is_bounded_and_what_was_not_tried_is_told():
    everything = [update("p{:03}".format(number)) for number in range(400)] + [A]
    resolver = Resolver(everything, {item["name"]: ["a"] for item in everything[:-1]}, blind=True)
    updates, held = choose(everything, EVERYTHING._replace(exclude=["a"]), NOW, resolver.resolve, resolver.without)
    assert resolver.questions == pending_filters.MOST_QUESTIONS
    assert updates == []
    assert len(held) == 401
    assert "not tried: 40 questions" in held[-1]["reason"]


def test_packages_of_the_same_source_are_suspected_first():
    everything = [update("p{:03}".format(number)) for number in range(400)]
    everything += [update("tool", source="lib"), update("lib")]
    resolver = Resolver(everything, {"tool": ["lib"]}, blind=True)
    updates, held = choose(everything, EVERYTHING._replace(exclude=["lib"]), NOW, resolver.resolve, resolver.without)
    assert len(updates) == 400
    assert [item["name"] for item in held] == ["lib", "tool"]
    assert resolver.questions == 3


@pytest.mark.parametrize(
    ("security", "published", "by", "reason"),
    [
        (False, "2026-11-11T12:00:00Z", "advisory", None),
        (False, "2026-11-11T12:00:01Z", "advisory", "deferred: published 2026-11-11, 13 of 14 days old"),
        (True, "2026-11-20T00:00:00Z", "build", "deferred: published 2026-11-20, 5 of 14 days old"),
        (True, "2026-11-20T00:00:00Z", "seen", "deferred: seen first 2026-11-20, 5 of 14 days old"),
        (True, "2026-12-20T00:00:00Z", "advisory", "deferred: published 2026-12-20, 0 of 14 days old"),
        (False, "2026-07-11T10:16:37Z", "archive", None),
        (
            False,
            "2026-11-24T00:00:00Z",
            "archive",
            "deferred: published on 2026-11-24 at the latest, 14 days are asked",
        ),
        (False, None, None, "deferred: published at an unknown time, 14 days are asked for"),
        (False, "yesterday", "advisory", "deferred: published at an unknown time, 14 days are asked for"),
        (True, "2026-11-24T00:00:00Z", "archive", None),
        (True, None, None, None),
    ],
)
def test_deferral(security, published, by, reason):
    found = limit(
        update("a", security=security, published=published, published_by=by),
        EVERYTHING._replace(min_age_days=14),
        NOW,
    )
    assert (found is None) if reason is None else found.text.startswith(reason)


@pytest.mark.parametrize(
    ("published", "by", "first_seen", "expected"),
    [
        ("2026-11-24T00:00:00Z", "archive", None, ("2026-11-24T00:00:00Z", "archive")),
        ("2026-11-24T00:00:00Z", "archive", {}, ("2026-11-24T00:00:00Z", "seen")),
        (None, None, {}, ("2026-11-25T12:00:00Z", "seen")),
        ("2026-11-24T00:00:00Z", "archive", {"a:amd64=2": "2026-11-01T00:00:00Z"}, ("2026-11-01T00:00:00Z", "seen")),
        ("2026-11-24T00:00:00Z", "archive", {"a:amd64=1": "2026-11-01T00:00:00Z"}, ("2026-11-24T00:00:00Z", "seen")),
        ("2026-11-24T00:00:00Z", "archive", {"a:amd64=2": "broken"}, ("2026-11-24T00:00:00Z", "seen")),
        ("2026-11-24T00:00:00Z", "build", {"a:amd64=2": "2026-11-01T00:00:00Z"}, ("2026-11-24T00:00:00Z", "build")),
    ],
)
def test_the_day_it_was_seen(published, by, first_seen, expected):
    found = dated(update("a", published=published, published_by=by), first_seen, NOW)
    assert (found["published"], found["published_by"]) == expected


def test_a_security_fix_waits_out_its_days_where_somebody_keeps_track():
    wanted = EVERYTHING._replace(min_age_days=14, first_seen={})
    new = dated(update("a", security=True), {}, NOW)
    assert limit(new, wanted, NOW).text == "deferred: seen first 2026-11-25, 0 of 14 days old"
    later = datetime(2026, 12, 9, 12, 0, tzinfo=timezone.utc)
    again = dated(update("a", security=True), {pending_filters.version_label(new): new["published"]}, later)
    assert limit(again, wanted, later) is None


def test_items_about_nothing_are_told():
    wanted = EVERYTHING._replace(
        deny=[{"item": item} for item in ("jqq", "jqq=1.6", "jq", "a=9", "held", "RHSA-1", "RHSA-2")],
        allow=["b", "lib"],
        include=["j?", "lib*", "a*"],
    )
    listed = [update("a", advisories=["RHSA-1"])], [{"name": "held"}]
    assert unmatched(wanted, ["jq", "b"], *listed) == [
        item + " matches no installed or pending package"
        for item in ("deny jqq", "deny jqq=1.6", "deny RHSA-2", "allow lib", "include lib*")
    ]
    assert unmatched(EVERYTHING, []) == []


def test_a_negative_age_is_refused():
    with pytest.raises(PatchingError, match="min_age_days: -1"):
        chosen([A], EVERYTHING._replace(min_age_days=-1))


def test_an_age_beyond_all_calendars_and_times_that_are_no_text_are_refused():
    check(EVERYTHING._replace(min_age_days=36500, first_seen={"a:x=1": "2026-01-01T00:00:00Z", "a:x=2": None}))
    with pytest.raises(PatchingError, match="min_age_days: 1000000000; expected 0 to 36500 days"):
        check(EVERYTHING._replace(min_age_days=1000000000))
    with pytest.raises(PatchingError, match="first_seen: 5 for a:x=1"):
        check(EVERYTHING._replace(first_seen={"a:x=1": 5}))


NAMES = st.sampled_from("abcdefgh")


@settings(max_examples=200, deadline=None)
@given(
    names=st.sets(NAMES, min_size=1),
    needs=st.dictionaries(NAMES, st.lists(NAMES, max_size=2)),
    excluded=st.lists(NAMES, max_size=3),
    include=st.lists(NAMES, max_size=3),
    blind=st.booleans(),
)
def test_no_limit_is_passed_and_nothing_is_lost(names, needs, excluded, include, blind):
    everything = [update(name) for name in sorted(names)]
    needs = {name: [other for other in others if other in names] for name, others in needs.items()}
    taken, held = chosen(everything, EVERYTHING._replace(exclude=excluded, include=include), needs, blind)
    assert not set(taken) & set(excluded)
    assert sorted(taken + list(held)) == sorted(names)
    resolver = Resolver(everything, needs)
    possible = {name for name in names if not resolver.closure([name]) & set(excluded)}
    wanted = {name for name in possible if not include or name in include}
    assert set(taken) == resolver.closure(wanted)
