# SPDX-License-Identifier: GPL-3.0-or-later
"""Which restore point a person means, what it loses, and what is kept of the journal that it erases."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.journal import tail_digest
from ansible_collections.hospital.patching.plugins.plugin_utils import disk_revert, stateful
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW

RUN = "20261122T080000Z-ab12cd34"
POINT = {"id": "sha256:0c1d", "provider": "container", "created": "2026-11-22T07:18:00Z", "reason": "before run"}
MADE = "hospital.patching.host_snapshot"


def record(step, event, host="web1", **detail):
    return {"host": host, "step": step, "event": event, "detail": detail}


def made(point, host="web1", module=MADE):
    return record("snapshot", "done", host, module=module, snapshot=point)


def intent(digest, snapshot=POINT["id"]):
    return record("snapshot", "note", revert={"snapshot": snapshot, "tail_digest": digest, "source": "journal"})


REVERTED = record("snapshot", "done", module="hospital.patching.host_journal", record={"event": "reverted"})
PENDING, BEGUN, STAGED = (
    {"step": "snapshot", "event": "snapshot_pending"},
    {"step": "install", "event": "begin"},
    {"step": "stage", "event": "done"},
)
LEDGER = [record("snapshot", "begin"), made(POINT), record("install", "done")]


def test_the_restore_point_is_known_by_its_id_alone():
    other = {**POINT, "id": "sha256:ffff"}
    assert disk_revert.choose([made(other), made(POINT)], RUN, "web1", POINT["id"]) == POINT


@pytest.mark.parametrize("wanted", ["before run", "sha256:0c", ""])
def test_another_id_is_refused_and_the_right_ones_are_listed(wanted):
    with pytest.raises(PatchingError) as caught:
        disk_revert.choose([made(POINT), made({**POINT, "id": "sha256:9999"}, "web2")], RUN, "web1", wanted)
    assert "sha256:0c1d of 2026-11-22T07:18:00Z" in caught.value.expected
    assert "9999" not in str(caught.value)
    assert "-e revert_host=web1" in caught.value.next_step


@pytest.mark.parametrize(
    "records",
    [
        [],
        [made({**POINT, "provider": "preserved"})],
        [made({**POINT, "provider": "none"})],
        [made(None)],
        [made(POINT, module="hospital.patching.host_snapshot_rollback")],
        [made({**POINT, "provider": "of another version"})],
    ],
)
def test_where_the_run_made_none_of_the_disk_its_packages_are_taken_back(records):
    with pytest.raises(PatchingError) as caught:
        disk_revert.choose(records, RUN, "web1", POINT["id"])
    assert "the run made none of its disk" in caught.value.expected
    assert caught.value.next_step.endswith(f"rollback.yml -e patching_run_id={RUN} -e rollback_hosts=web1")


@pytest.mark.parametrize(
    ("setting", "packages", "owners", "why"),
    [
        (None, ["openssl", "postgresql-15"], [], "it has postgresql-15"),
        (None, ["openssl", "postgresql-client-15"], [], ""),
        (None, ["ehr-store"], ["ehr-*"], "it has ehr-store"),
        (False, ["postgresql-15"], [], ""),
        (True, [], [], "patching_stateful says so"),
        (None, [], [], ""),
    ],
)
def test_a_hosts_data_moves_on_where_the_site_says_so_or_a_package_owns_data(setting, packages, owners, why):
    assert stateful.stateful(setting, packages, owners) == why


@pytest.mark.parametrize(
    ("entry", "moves_on", "why_not"),
    [
        ({"disk_revert": True, "snapshot": {"provider": "container"}}, "", ""),
        ({"snapshot": {"provider": "container"}}, "", "patching_disk_revert does not allow it"),
        (
            {"disk_revert": True, "snapshot": {"provider": "container"}},
            "it has slapd",
            "its data moves on: it has slapd",
        ),
        ({"disk_revert": True, "snapshot": {"provider": "preserved"}}, "", "patching_snapshot is preserved"),
        ({"disk_revert": True, "snapshot": {"provider": "none"}}, "", "patching_snapshot is none"),
    ],
)
def test_a_run_puts_a_disk_back_by_itself_only_where_policy_allows_it_and_no_data_moves_on(entry, moves_on, why_not):
    found = disk_revert.allowed(entry, moves_on)
    assert found["allowed"] is (why_not == "")
    assert found["why_not"].startswith(why_not)


def test_what_is_lost_is_told_and_has_to_be_accepted_by_name():
    lost = disk_revert.loss_text(disk_revert.loss(POINT, NOW, {"loss": {"size_bytes": 517, "unknown": None}}))
    assert lost == "whatever it has written in the 42 minutes since 2026-11-22T07:18:00Z is lost: about 517 bytes"
    disk_revert.require_accepted("db1", "it has slapd", lost, "db1")
    disk_revert.require_accepted("web1", "", lost, "")
    for typed in ("", "yes", "db2"):
        with pytest.raises(PatchingError, match="42 minutes") as caught:
            disk_revert.require_accepted("db1", "it has slapd", lost, typed)
        assert "rollback.yml" in caught.value.next_step
        assert "-e revert_loses_data=db1" in caught.value.next_step


def test_what_the_journal_loses_is_read_from_it():
    tail = disk_revert.tail([PENDING, BEGUN], LEDGER, "web1", POINT["id"])
    assert (tail.source, tail.records, tail.digest) == ("journal", [BEGUN], tail_digest([BEGUN]))


def test_of_a_host_that_does_not_answer_it_is_what_the_ledger_has():
    tail = disk_revert.tail(None, [*LEDGER, record("install", "done", "web2")], "web1", POINT["id"])
    assert (tail.source, tail.records) == ("ledger", LEDGER[1:])


@pytest.mark.parametrize("journal", [[PENDING], [PENDING, STAGED], None])
def test_an_attempt_that_was_cut_off_has_kept_it_before(journal):
    digest = tail_digest([BEGUN])
    tail = disk_revert.tail(journal, [*LEDGER, intent(digest)], "web1", POINT["id"])
    assert tail.digest == digest


def test_an_attempt_that_was_cut_off_before_the_revert_is_told_by_the_journal():
    later = {"step": "lock", "event": "released"}
    tail = disk_revert.tail([PENDING, BEGUN, later], [*LEDGER, intent("sha256:old")], "web1", POINT["id"])
    assert tail.records == [BEGUN, later]


@pytest.mark.parametrize("records", [[intent("sha256:old"), REVERTED], [intent("sha256:old"), intent("x", "another")]])
def test_an_attempt_that_was_ended_or_meant_another_is_no_attempt(records):
    tail = disk_revert.tail([PENDING], [*LEDGER, *records], "web1", POINT["id"])
    assert (tail.records, tail.digest) == ([], tail_digest([]))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"loss": {"size_bytes": 1_288_490_189, "unknown": None}}, " is lost: about 1.2 GiB"),
        ({"loss": {"size_bytes": 2**20, "unknown": "thin volumes"}}, " is lost: at least 1.0 MiB; thin volumes"),
        ({"loss": {"size_bytes": None, "unknown": "qcow2"}}, "; how many bytes that is, is not known: qcow2"),
        ({"msg": "the connection\n was lost"}, "; how many bytes that is, is not known: the connection was lost"),
        ({}, "; how many bytes that is, is not known: its provider has not said"),
    ],
)
def test_bytes_are_told_as_far_as_they_are_known(told, said):
    assert disk_revert.loss_text(disk_revert.loss(POINT, NOW, told)).endswith(said)


def test_a_revert_is_done_when_the_journal_says_so():
    lost = {"since": POINT["created"], "seconds": 60, "size_bytes": 1, "unknown": None}
    begun = intent("sha256:1")
    begun["detail"]["revert"]["loss"] = lost
    assert disk_revert.reverts(LEDGER) == {}
    assert disk_revert.reverts([*LEDGER, begun]) == {
        "web1": {"snapshot": POINT["id"], "done": False, "loss": lost},
    }
    assert disk_revert.reverts([begun, REVERTED])["web1"]["done"] is True
    # One by an older version, which recorded no loss; and one that was begun once more.
    assert disk_revert.reverts([intent("sha256:1"), REVERTED, intent("sha256:1")])["web1"] == {
        "snapshot": POINT["id"],
        "done": False,
        "loss": None,
    }
