# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's journal: whole or refused, and held by one run at a time."""

import contextlib
import json
import os
import stat
import threading

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.journal import SCHEMA, Journal

RUN = "20261122T010000Z-aaaaaaaa"
OTHER = "20261122T010000Z-bbbbbbbb"


@pytest.fixture
def journal(tmp_path):
    return Journal(str(tmp_path / "state"))


def test_reading_creates_nothing(journal, tmp_path):
    assert journal.read() == []
    assert journal.holder() is None
    assert journal.torn() is False
    assert list(tmp_path.iterdir()) == []


def test_records_come_back_in_their_order(journal):
    journal.append(RUN, "stage", "begin")
    journal.append(RUN, "stage", "done", packages=25, name="köln")
    records = journal.read()
    assert [record["event"] for record in records] == ["begin", "done"]
    assert records[1]["detail"] == {"packages": 25, "name": "köln"}
    assert records[0]["schema"] == SCHEMA


def test_only_root_may_look(journal):
    journal.append(RUN, "stage", "begin")
    assert stat.S_IMODE(os.stat(os.path.dirname(journal.path)).st_mode) == 0o700


def test_a_torn_last_line_is_left_out_told_and_dropped_by_the_next_record(journal):
    journal.append(RUN, "stage", "begin")
    with open(journal.path, "ab") as handle:
        handle.write(b'{"schema":1,"event":"do')
    assert [record["event"] for record in journal.read()] == ["begin"]
    assert journal.torn() is True
    journal.append(RUN, "stage", "done")
    assert [record["event"] for record in journal.read()] == ["begin", "done"]
    assert journal.torn() is False


def test_a_journal_that_is_nothing_but_a_torn_line(journal):
    os.makedirs(os.path.dirname(journal.path))
    with open(journal.path, "wb") as handle:
        handle.write(b'{"sch')
    assert journal.read() == []
    journal.append(RUN, "stage", "begin")
    assert len(journal.read()) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\x00\x00\x00",
        b"not json",
        b"\xff\xfe",
        b"",
        b"[]",
        b"null",
        b'{"schema":1}',
        b'{"schema":"1","event":"begin","run_id":"a"}',
        b'{"schema":1,"event":["begin"],"run_id":"a"}',
    ],
)
def test_a_corrupted_line_in_the_middle_is_refused_with_its_number(journal, line):
    journal.append(RUN, "stage", "begin")
    with open(journal.path, "ab") as handle:
        handle.write(line + b"\n")
    journal.append(RUN, "stage", "done")
    with pytest.raises(PatchingError, match="line 2"):
        journal.read()
    with pytest.raises(PatchingError):
        journal.hold(RUN, {})


@pytest.mark.parametrize("change", [{"schema": SCHEMA + 1}, {"event": "teleported"}, {"run_id": 7}])
def test_a_record_of_a_newer_release_is_refused(journal, change):
    record = dict(journal.append(RUN, "stage", "begin"), **change)
    with open(journal.path, "ab") as handle:
        handle.write(json.dumps(record).encode() + b"\n")
    with pytest.raises(PatchingError, match="newer one"):
        journal.read()


def test_a_journal_that_cannot_be_read_is_refused(journal):
    os.makedirs(journal.path)
    with pytest.raises(PatchingError, match="cannot be read"):
        journal.read()


def test_the_same_run_holds_once(journal):
    record, fresh = journal.hold(RUN, {"controller": "ctl1"})
    assert fresh is True
    assert journal.hold(RUN, {"controller": "ctl1"}) == (record, False)
    assert journal.holder() == record
    assert len(journal.read()) == 1


def test_another_run_is_refused_and_told_what_to_do(journal):
    record, _fresh = journal.hold(RUN, {"controller": "ctl1"})
    with pytest.raises(PatchingError) as caught:
        journal.hold(OTHER, {})
    for part in (RUN, record["time"], "ctl1", "return.yml"):
        assert part in str(caught.value)
    with pytest.raises(PatchingError):
        journal.release(OTHER, {})
    assert journal.holder() == record


def test_released_means_free_for_the_next(journal):
    journal.hold(RUN, {})
    assert journal.release(RUN, {}) is True
    assert journal.release(RUN, {}) is False
    assert journal.holder() is None
    assert journal.hold(OTHER, {})[1] is True


def test_a_stray_release_of_another_run_frees_nothing(journal):
    journal.hold(RUN, {})
    journal.append(OTHER, "lock", "released")
    assert journal.holder()["run_id"] == RUN


def test_of_many_runs_at_once_exactly_one_holds(journal):
    start = threading.Barrier(12)
    winners = []

    def want(number):
        start.wait(20)
        with contextlib.suppress(PatchingError):
            winners.append(journal.hold("run-{}".format(number), {})[0]["run_id"])

    threads = [threading.Thread(target=want, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(winners) == 1
    assert [record["run_id"] for record in journal.read()] == winners


def test_a_hold_that_a_person_breaks_is_handed_over_by_one_record(journal):
    journal.hold(OTHER, {})
    record, fresh = journal.hold(RUN, {}, breaks=OTHER)
    assert (record["run_id"], record["detail"], fresh) == (RUN, {"breaks": OTHER}, True)
    assert [one["event"] for one in journal.read()] == ["held", "held"]
    assert journal.holder()["run_id"] == RUN
    with pytest.raises(PatchingError):
        journal.hold(OTHER, {})


def test_a_break_names_the_run_that_it_breaks(journal):
    journal.hold(OTHER, {})
    with pytest.raises(PatchingError, match=OTHER):
        journal.hold(RUN, {}, breaks="20261122T010000Z-00000000")
