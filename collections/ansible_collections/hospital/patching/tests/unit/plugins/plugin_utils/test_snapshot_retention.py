# SPDX-License-Identifier: GPL-3.0-or-later
"""Which restore points go, and which never do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils import snapshot_retention as retention
from ansible_collections.hospital.patching.plugins.plugin_utils.snapshot_retention import (
    Limits,
    Owner,
    Standing,
    Wanted,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW

RUN, OTHER = "20261122T010000Z-aaaaaaaa", "20261122T020000Z-bbbbbbbb"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POINT = {
    "id": "p1",
    "provider": "container",
    "run_id": RUN,
    "host": "h1",
    "reason": "monthly",
    "created": stamp(NOW - HOUR),
    "expires": stamp(NOW + DAY),
    "detail": {},
}
EXPIRED = {**POINT, "created": stamp(NOW - 3 * DAY), "expires": stamp(NOW)}
CLOSED = Owner("closed", named=True, recorded=frozenset({"p1"}), changed=True, outcome="patched", ended=NOW - HOUR)
FREE = Standing()
WANTED = Wanted(NOW)


def judge(point=None, owner=CLOSED, standing=FREE, wanted=WANTED):
    return retention.judge("h1", "container", point or POINT, owner, standing, wanted)


def test_what_expired_goes_to_the_second_and_not_before():
    found = judge(EXPIRED)
    assert (found.delete, found.cause, found.why) == (True, "expired", f"its retention ended at {stamp(NOW)}")
    found = judge({**EXPIRED, "expires": stamp(NOW + timedelta(seconds=1))})
    assert (found.delete, found.cause) == (False, "kept")


def test_what_expired_of_a_run_that_is_gone_goes_and_before_that_stays():
    assert judge(EXPIRED, Owner("gone")).cause == "expired"
    # It may be another controller's, with which it is as it should be.
    assert judge(POINT, Owner("gone")).cause == "kept"


NEEDED = [
    (CLOSED, Standing(holder=OTHER), f"run {OTHER} holds the host; return.yml returns it"),
    (CLOSED, Standing(pending=RUN), f"the host's journal ends in a snapshot of run {RUN}"),
    (CLOSED, Standing(out=f"stuck in run {OTHER}"), f"the host is stuck in run {OTHER}; return.yml returns it"),
    (replace(CLOSED, state="open"), FREE, f"run {RUN} is not closed; if its controller is dead, recover.yml closes it"),
    (Owner("gone"), Standing(holder=RUN), f"run {RUN} holds the host"),
]
UNKNOWN = [
    (CLOSED, Standing(problem="h1 did not answer"), "nobody can tell where the host stands: h1 did not answer"),
    (Owner("unreadable", seen="line 3"), FREE, f"nobody can tell what became of run {RUN}: line 3"),
]


@pytest.mark.parametrize("wanted", [WANTED, Wanted(NOW, frozenset({"p1"}), 0)])
@pytest.mark.parametrize(("owner", "standing", "why"), NEEDED + UNKNOWN)
def test_what_somebody_may_need_stays_whatever_its_age_and_whoever_asks(owner, standing, why, wanted):
    found = judge(EXPIRED, owner, standing, wanted)
    assert (found.delete, found.overdue) == (False, True)
    assert why in found.why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"host": "h2"}, "it says that it is of host h2 and provider container"),
        ({"provider": "btrfs"}, "it says that it is of host h1 and provider btrfs"),
        ({"run_id": "monthly"}, "'monthly' is no id of a run"),
        ({"run_id": ""}, "'' is no id of a run"),
        ({"id": ""}, "it has no id"),
    ],
)
def test_a_foreign_one_stays_though_it_is_old_and_named(change, why):
    found = judge({**EXPIRED, **change}, wanted=Wanted(NOW, frozenset({"p1", ""}), 0))
    assert (found.delete, found.cause, found.why, found.overdue) == (False, "foreign", why, False)


@pytest.mark.parametrize(
    ("change", "owner", "why"),
    [
        ({"expires": "soon"}, CLOSED, "its times cannot be read (created"),
        ({"created": None}, CLOSED, "its times cannot be read (created ''"),
        ({"created": stamp(NOW + HOUR)}, CLOSED, "which is not yet: a clock is wrong"),
        ({}, replace(CLOSED, named=False, recorded=frozenset()), f"the ledger of run {RUN} does not name the host"),
    ],
)
def test_what_contradicts_itself_waits_for_a_person(change, owner, why):
    found = judge({**EXPIRED, **change}, owner)
    assert (found.delete, found.cause) == (False, "unknown")
    assert why in found.why
    assert judge({**EXPIRED, **change}, owner, wanted=Wanted(NOW, frozenset({"p1"}))).cause == "asked"


def test_what_a_killed_run_left_is_an_orphan_once_the_run_is_closed():
    killed = Owner("closed", named=True, outcome="not_started", ended=NOW)
    assert judge(POINT, killed).why == "its run is closed and has changed nothing on the host"
    assert judge(POINT, replace(killed, recorded=frozenset({"p1"}))).cause == "orphan"
    assert judge(POINT, replace(killed, state="open")).cause == "needed"


def test_the_second_of_two_is_an_orphan_and_the_one_that_the_ledger_names_is_not():
    assert judge({**POINT, "id": "p0"}).cause == "orphan"
    assert judge(POINT).cause == "kept"


def test_the_only_one_of_a_host_that_was_changed_is_no_orphan_though_the_ledger_does_not_name_it():
    assert judge(POINT, replace(CLOSED, recorded=frozenset())).cause == "kept"
    # The ledger may know less than the host's own journal.
    killed = Owner("closed", named=True, outcome="not_started", ended=NOW)
    assert judge(POINT, killed, Standing(worked=frozenset({RUN}))).cause == "kept"
    assert judge(POINT, killed, Standing(worked=frozenset({OTHER}))).cause == "orphan"


def test_what_a_revert_has_set_aside_is_no_orphan():
    aside = {**POINT, "id": "p9", "detail": {"kind": "set_aside"}}
    assert judge(aside).cause == "kept"
    assert judge({**EXPIRED, "id": "p9", "detail": {"kind": "set_aside"}}).cause == "expired"


def test_that_of_a_proven_host_goes_early_only_where_that_is_set():
    assert judge(wanted=Wanted(NOW, verified_keep_s=3600)).cause == "proven"
    assert judge(wanted=Wanted(NOW, verified_keep_s=3601)).cause == "kept"
    assert judge(wanted=WANTED).cause == "kept"
    for owner in (replace(CLOSED, outcome="rolled_back"), Owner("gone"), replace(CLOSED, ended=None)):
        assert judge(POINT, owner, wanted=Wanted(NOW, verified_keep_s=0)).cause == "kept"


def test_one_that_is_named_goes_early():
    found = judge(wanted=Wanted(NOW, frozenset({"p1"})))
    assert (found.delete, found.why) == (True, "it was asked for by its id")
    assert judge(wanted=Wanted(NOW, frozenset({"p2"}))).delete is False


TIMES = st.sampled_from([*(stamp(NOW + n * HOUR) for n in (-72, -24, -1, 0, 1, 24, 72)), "", "soon"])
#: Mostly ours: of what is foreign at once there is little to learn.
POINTS = st.fixed_dictionaries(
    {
        "id": st.sampled_from([*["p1", "p2"] * 6, ""]),
        "provider": st.sampled_from([*["container"] * 12, "btrfs"]),
        "run_id": st.sampled_from([*[RUN] * 12, "monthly", ""]),
        "host": st.sampled_from([*["h1"] * 12, "h2"]),
        "created": TIMES,
        "expires": TIMES,
        "detail": st.sampled_from([None, {}, {"kind": "restore_point"}, {"kind": "set_aside"}]),
    }
)
OWNERS = st.builds(
    Owner,
    st.sampled_from([*["closed"] * 6, *["gone"] * 2, "open", "unreadable"]),
    named=st.sampled_from([True, True, True, False]),
    recorded=st.sampled_from([frozenset(), frozenset({"p1"}), frozenset({"p1", "p2"})]),
    changed=st.booleans(),
    outcome=st.sampled_from([None, "patched", "rolled_back", "not_started"]),
    ended=st.sampled_from([None, NOW - DAY, NOW]),
)
STANDINGS = st.builds(
    Standing,
    problem=st.sampled_from([*[""] * 12, "no answer"]),
    holder=st.sampled_from([*[None] * 12, RUN, OTHER]),
    pending=st.sampled_from([*[None] * 12, RUN, OTHER]),
    out=st.sampled_from([*[""] * 12, "stuck"]),
    worked=st.sampled_from([frozenset(), frozenset({RUN})]),
)
WISHES = st.builds(
    Wanted,
    st.just(NOW),
    st.sampled_from([*[frozenset()] * 6, frozenset({"p1"}), frozenset({"p1", "p2", ""})]),
    st.sampled_from([None, 0, 3600]),
)


#: All that goes, each for its own reason.
GOING = st.sampled_from(
    [
        (EXPIRED, CLOSED, WANTED),
        (EXPIRED, Owner("gone"), WANTED),
        ({**EXPIRED, "detail": {"kind": "set_aside"}}, CLOSED, WANTED),
        ({**POINT, "id": "p0"}, CLOSED, WANTED),
        (POINT, Owner("closed", named=True, outcome="not_started", ended=NOW), WANTED),
        (POINT, CLOSED, Wanted(NOW, verified_keep_s=0)),
        (POINT, CLOSED, Wanted(NOW, frozenset({"p1"}))),
    ]
)
#: Each of these alone has to keep it.
OBSTACLES = st.sampled_from(
    [
        lambda point, owner, standing: (point, replace(owner, state="open"), standing),
        lambda point, owner, standing: (point, replace(owner, state="unreadable"), standing),
        lambda point, owner, standing: (point, owner, replace(standing, problem="no answer")),
        lambda point, owner, standing: (point, owner, replace(standing, holder=OTHER)),
        lambda point, owner, standing: (point, owner, replace(standing, holder=RUN)),
        lambda point, owner, standing: (point, owner, replace(standing, pending=OTHER)),
        lambda point, owner, standing: (point, owner, replace(standing, pending=RUN)),
        lambda point, owner, standing: (point, owner, replace(standing, out="stuck")),
        lambda point, owner, standing: ({**point, "host": "h2"}, owner, standing),
        lambda point, owner, standing: ({**point, "provider": "btrfs"}, owner, standing),
        lambda point, owner, standing: ({**point, "run_id": "monthly"}, owner, standing),
        lambda point, owner, standing: ({**point, "run_id": None}, owner, standing),
        lambda point, owner, standing: ({**point, "id": ""}, owner, standing),
    ]
)


@given(GOING, st.lists(OBSTACLES, min_size=1, max_size=3))
@settings(max_examples=400)
def test_any_one_obstacle_keeps_what_would_have_gone(going, obstacles):
    point, owner, wanted = going
    assert judge(point, owner, FREE, wanted).delete
    standing = FREE
    for obstacle in obstacles:
        point, owner, standing = obstacle(point, owner, standing)
    assert not judge(point, owner, standing, wanted).delete


@given(POINTS, OWNERS, STANDINGS, WISHES)
@settings(max_examples=600)
def test_never_what_is_needed_and_never_what_is_foreign(point, owner, standing, wanted):
    """Whatever is known and asked for: what goes is ours, nobody needs it, and there is a reason for it."""
    found = judge(point, owner, standing, wanted)
    event(found.cause)
    assert found.why
    if not found.delete:
        return
    # Ours.
    assert (point["host"], point["provider"], point["run_id"]) == ("h1", "container", RUN)
    assert point["id"]
    # Needed by nobody.
    assert owner.state in ("closed", "gone")
    assert (standing.problem, standing.holder, standing.pending, standing.out) == ("", None, None, "")
    # With a reason.
    asked = point["id"] in wanted.drop
    known = point["expires"].endswith("Z") and point["created"].endswith("Z")
    old = known and point["expires"] <= stamp(NOW)
    ours_alone = owner.state == "closed" and (point["detail"] or {}).get("kind") != "set_aside"
    untouched = ours_alone and not owner.changed and RUN not in standing.worked
    spare = ours_alone and bool(owner.recorded) and point["id"] not in owner.recorded
    proven = ours_alone and owner.outcome == "patched" and wanted.verified_keep_s is not None
    assert asked or (known and (old or untouched or spare or proven))


@given(POINTS, OWNERS, STANDINGS, WISHES)
def test_learning_less_never_deletes_more(point, owner, standing, wanted):
    """Where the host does not answer, or the ledger cannot be read, nothing goes that would have stayed."""
    for less in (
        judge(point, owner, replace(standing, problem="no answer"), wanted),
        judge(point, replace(owner, state="unreadable"), standing, wanted),
        judge(point, replace(owner, state="open"), standing, wanted),
    ):
        assert not less.delete


# --- what ledgers and the journal say -------------------------------------------


def record(host, step, event_, time=NOW, **detail):
    return {"host": host, "step": step, "event": event_, "time": stamp(time), "run_id": RUN, "detail": detail}


OPENED = record(None, "gate", "begin", plan_digest="sha256:1")
MADE = record("h1", "snapshot", "done", snapshot={"id": "p1", "provider": "container"})
INSTALLED = record("h1", "install", "done")
PATCHED = record("h1", "record", "outcome", outcome="patched", reason="proven")
CLOSING = record(None, "record", "done", outcomes={})


def test_a_run_is_open_until_its_last_opening_was_closed():
    assert retention.owner_of([OPENED, MADE], "h1").state == "open"
    assert retention.owner_of([OPENED, MADE, CLOSING], "h1").state == "closed"
    assert retention.owner_of([OPENED, MADE, CLOSING, OPENED], "h1").state == "open"
    # A note after the end opens nothing.
    assert retention.owner_of([OPENED, CLOSING, record("h1", "record", "note")], "h1").state == "closed"
    for contradiction in ([], [MADE]):
        found = retention.owner_of(contradiction, "h1")
        assert (found.state, found.seen) == ("unreadable", "its ledger knows no beginning and no end of it")


def test_what_the_ledger_knows_of_the_host():
    records = [OPENED, MADE, record("h1", "snapshot", "done"), INSTALLED, PATCHED, CLOSING]
    assert retention.owner_of(records, "h1") == Owner(
        "closed",
        "its ledger knows no beginning and no end of it",
        named=True,
        recorded=frozenset({"p1"}),
        changed=True,
        outcome="patched",
        ended=NOW,
    )
    other = retention.owner_of(records, "h2")
    assert (other.named, other.recorded, other.outcome) == (False, frozenset(), None)


@pytest.mark.parametrize("outcome", ["patched", "rolled_back", "unverified", "stuck", "unreachable", "nothing_to_do"])
def test_a_run_whose_installation_was_not_recorded_counts_as_one_that_changed_the_host(outcome):
    """A controller that is killed during the installation records none, and the host goes on."""
    ended = record("h1", "record", "outcome", outcome=outcome, reason="recovered")
    assert retention.owner_of([OPENED, MADE, ended, CLOSING], "h1").changed


@pytest.mark.parametrize("outcome", ["not_started", "refused"])
def test_a_host_that_was_returned_as_it_was_was_not_changed(outcome):
    ended = record("h1", "record", "outcome", outcome=outcome, reason="killed")
    assert not retention.owner_of([OPENED, MADE, ended, CLOSING], "h1").changed
    assert retention.owner_of([OPENED, MADE, INSTALLED, ended, CLOSING], "h1").changed


def test_the_newest_word_on_a_host_holds():
    stuck = record("h1", "record", "outcome", NOW, outcome="stuck", reason="no answer")
    patched = record("h1", "record", "outcome", NOW + HOUR, outcome="patched", reason="proven")
    assert retention.out_of_service({RUN: [stuck]}, "h1") == f"stuck in run {RUN}"
    assert retention.out_of_service({RUN: [stuck], OTHER: [patched]}, "h1") == ""
    late = {**stuck, "time": stamp(NOW + 2 * HOUR)}
    assert retention.out_of_service({RUN: [late], OTHER: [patched]}, "h1") == f"stuck in run {RUN}"
    assert retention.out_of_service({RUN: [record("h1", "drain", "done")]}, "h1") == f"out of service in run {RUN}"
    assert retention.out_of_service({RUN: [stuck]}, "h2") == ""
    assert retention.out_of_service({}, "h1") == ""


JOURNAL = {"holder": None, "pending": None, "released": None, "worked": [], "records": []}


def test_where_the_host_stands_by_its_journal():
    assert retention.standing_of(JOURNAL, "") == Standing()
    assert retention.standing_of({**JOURNAL, "holder": {"run_id": RUN}}, "").holder == RUN
    assert retention.standing_of({**JOURNAL, "pending": {"run_id": RUN}}, "").pending == RUN
    assert retention.standing_of({**JOURNAL, "worked": [RUN]}, "").worked == {RUN}
    out = {**JOURNAL, "released": {"run_id": RUN, "detail": {"out": "stuck"}}}
    assert retention.standing_of(out, "").out == f"stuck by its journal, in run {RUN}"
    assert retention.standing_of(out, "stuck in run R").out == "stuck in run R"
    assert retention.standing_of({**out, "released": {"run_id": RUN, "detail": {}}}, "").out == ""


@pytest.mark.parametrize("missing", ["holder", "pending"])
def test_without_the_journal_nobody_can_tell(missing):
    answer = {key: value for key, value in JOURNAL.items() if key != missing}
    assert retention.standing_of({**answer, "msg": "h1: the connection\nwas lost"}, "").problem == (
        "h1: the connection was lost"
    )
    assert retention.standing_of({}, "").problem == "it gave no answer"


# --- room -------------------------------------------------------------------------


def room(free, size=1000):
    found = {"kind": "datastore", "name": "ds1", "size_bytes": size, "free_bytes": free}
    return retention.room_left("vc1", found, Limits(low=20, critical=10))


@pytest.mark.parametrize(
    ("free", "level"), [(1000, "ok"), (200, "ok"), (199, "low"), (100, "low"), (99, "critical"), (0, "critical")]
)
def test_room_is_warned_of_before_it_runs_out(free, level):
    assert room(free).level == level


def test_what_is_told_of_room():
    assert room(200).told == ""
    assert room(150).told == (
        "datastore ds1 on vc1: 15 % free (150 of 1000 bytes); expected 20 % or more. Next: make room, or drop restore"
        " points early: housekeeping.yml -e housekeeping_drop=ID."
    )
    assert "expected 10 % or more" in room(9).told


@pytest.mark.parametrize(("free", "size"), [(1, 0), (2, 1), (-1, 5), (None, 5), (1, "5"), (True, 5)])
def test_room_that_is_told_wrongly_is_said_to_be_unknown(free, size):
    found = room(free, size)
    assert found.level == "unknown"
    assert "nobody is warned before it is full" in found.told


def test_limits_may_be_none():
    found = {"kind": "pool", "name": "p", "size_bytes": 10, "free_bytes": 0}
    assert retention.room_left("h", found, Limits(0, 0)).level == "ok"
