# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds a snapshot in the journal, and how a disk that was put back is told by it."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.hold_check import refuse_other_pending, refuse_reverted
from ansible_collections.hospital.patching.plugins.module_utils.host_lock import HostLock
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal, lost_tail, tail_digest
from ansible_collections.hospital.patching.plugins.module_utils.reverts import (
    mark_pending,
    mark_rehearsal,
    mark_reverted,
)

RUN = "20261122T010000Z-aaaaaaaa"
OTHER = "20261122T010000Z-bbbbbbbb"
MARK = "sha256:" + "1" * 64
DIGEST = "sha256:" + "2" * 64
MIRROR = {"pending": [MARK], "touched": [], "snapshot": "sha256:0c1d"}
TOUCHED = {"pending": [], "touched": [MARK], "snapshot": "sha256:0c1d"}


@pytest.fixture
def journal(tmp_path):
    return Journal(str(tmp_path / "state"))


@pytest.fixture
def lock(journal, systemd, sleepless_clock):
    return HostLock(journal, systemd, sleepless_clock, 60)


@pytest.fixture
def pending(journal):
    """A journal as a snapshot of RUN holds it."""
    journal.hold(RUN, {})
    return mark_pending(journal, RUN, {"ledger": MARK}).record


def contents(journal):
    with open(journal.path, "rb") as handle:
        return handle.read()


def tear(journal):
    with open(journal.path, "ab") as handle:
        handle.write(b'{"schema":1,"event":"do')


# --- snapshot_pending


def test_a_snapshot_is_journalled_once(journal, pending):
    assert (pending["step"], pending["event"], pending["detail"]) == ("snapshot", "snapshot_pending", {"ledger": MARK})
    before = contents(journal)
    assert mark_pending(journal, RUN, {"ledger": "another"}) == (False, pending)
    assert contents(journal) == before


def test_after_an_install_the_snapshot_is_not_marked_again(journal, pending):
    """The resumed run keeps the snapshot that it has; a mark after the install would hide a revert to it."""
    assert not journal.worked(RUN)
    journal.append(RUN, "install", "begin")
    assert journal.worked(RUN)
    assert not journal.worked(OTHER)
    assert mark_pending(journal, RUN, {}) == (False, pending)
    assert journal.read()[-1]["event"] == "begin"


def test_a_snapshot_of_a_host_that_nobody_holds_is_refused(journal):
    with pytest.raises(PatchingError, match=r"no run holds it; .* hold it first"):
        mark_pending(journal, RUN, {})
    assert journal.read() == []
    journal.hold(RUN, {})
    journal.release(RUN, {})
    with pytest.raises(PatchingError, match="no run holds it"):
        mark_pending(journal, RUN, {})


def test_a_fraction_cannot_be_journalled(journal):
    journal.hold(RUN, {})
    with pytest.raises(PatchingError, match="float"):
        mark_pending(journal, RUN, {"load": 0.5})
    assert len(journal.read()) == 1


@pytest.mark.parametrize("write", [True, False])
def test_a_snapshot_of_another_runs_host_is_refused(journal, write):
    journal.hold(OTHER, {})
    with pytest.raises(PatchingError, match="held by run " + OTHER):
        mark_pending(journal, RUN, {}, write)
    assert len(journal.read()) == 1


def test_check_mode_marks_nothing(journal, tmp_path):
    # The hold was only predicted too.
    assert mark_pending(journal, RUN, {}, write=False) == (True, None)
    assert not (tmp_path / "state").exists()
    journal.hold(RUN, {})
    record = mark_pending(journal, RUN, {}).record
    before = contents(journal)
    assert mark_pending(journal, RUN, {}, write=False) == (False, record)
    assert mark_reverted(journal, RUN, DIGEST, None, write=False) == (True, None)
    assert contents(journal) == before


# --- reverted


def test_a_revert_is_journalled_once(journal, pending):
    marked = mark_reverted(journal, RUN, DIGEST, "sha256:0c1d")
    assert (marked.changed, marked.record["event"], marked.record["step"]) == (True, "reverted", "snapshot")
    assert marked.record["detail"] == {"tail_digest": DIGEST, "snapshot": "sha256:0c1d"}
    assert mark_reverted(journal, RUN, DIGEST, "sha256:0c1d") == (False, marked.record)
    assert len(journal.read()) == 3
    with pytest.raises(PatchingError, match="its last record is reverted"):
        mark_reverted(journal, RUN, MARK, "sha256:0c1d")


def test_a_torn_line_after_the_snapshot_does_not_count(journal, pending):
    tear(journal)
    assert journal.pending() == pending
    assert mark_reverted(journal, RUN, DIGEST, None).changed is True
    assert [record["event"] for record in journal.read()] == ["held", "snapshot_pending", "reverted"]


def test_a_host_that_was_not_reverted_is_refused(journal, pending):
    journal.append(RUN, "install", "begin")
    with pytest.raises(PatchingError) as caught:
        mark_reverted(journal, RUN, DIGEST, None)
    assert caught.value.seen == "its last record is begin of step install of run " + RUN
    assert "return.yml" in caught.value.next_step
    assert journal.read()[-1]["event"] == "begin"


def test_an_empty_journal_was_not_reverted(journal, tmp_path):
    with pytest.raises(PatchingError, match="its last record is none"):
        mark_reverted(journal, RUN, DIGEST, None)
    assert not (tmp_path / "state").exists()


def test_another_runs_snapshot_is_not_this_runs_revert(journal, pending):
    with pytest.raises(PatchingError, match="held by run " + RUN):
        mark_reverted(journal, OTHER, DIGEST, None)
    journal.append(RUN, "lock", "released")
    journal.append(RUN, "snapshot", "snapshot_pending")
    with pytest.raises(PatchingError, match="expected the snapshot_pending of run " + OTHER):
        mark_reverted(journal, OTHER, DIGEST, None)


@pytest.mark.parametrize("wrong", ["", "sha256:", "2" * 64, DIGEST.upper(), DIGEST + "0", DIGEST + "\n"])
def test_what_is_no_digest_is_refused(journal, pending, wrong):
    with pytest.raises(PatchingError, match="64 hexadecimal digits"):
        mark_reverted(journal, RUN, wrong, None)
    assert journal.pending() == pending


# --- the end of the journal against the ledger


def test_a_run_that_was_killed_before_the_install_goes_on(lock, pending):
    lock.hold(RUN, {}, mirror=MIRROR)  # stops the updaters, as after a reboot
    assert lock.hold(RUN, {}, mirror=MIRROR).changed is False
    lock.journal.append(RUN, "install", "begin")
    assert lock.hold(RUN, {}, mirror={}).changed is False, "a journal that goes on needs no mirror"


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize(
    ("mirror", "seen"),
    [
        ({}, "ledger does not mirror it: its disk may be back at a snapshot"),
        (None, "ledger does not mirror it"),
        (dict(MIRROR, pending=["sha256:" + "3" * 64]), "ledger does not mirror it"),
        (TOUCHED, "an install was begun after it: its disk may be back at snapshot sha256:0c1d"),
        (dict(TOUCHED, pending=[MARK]), "an install was begun after it"),
    ],
)
def test_a_disk_that_was_put_back_means_a_human(lock, systemd, pending, mirror, seen, write):
    tear(lock.journal)
    before = contents(lock.journal)
    with pytest.raises(PatchingError) as caught:
        lock.hold(RUN, {}, write, mirror=mirror)
    error = caught.value
    assert lock.journal.path in error.subject
    assert seen in error.seen
    assert RUN in error.seen
    assert error.expected == "a journal and a ledger that say the same"
    for words in ("compare the host with the run's ledger", "return.yml"):
        assert words in error.next_step
    assert contents(lock.journal) == before
    assert systemd.changes() == []


def test_a_snapshot_that_was_never_announced_is_not_mirrored(journal):
    journal.hold(RUN, {})
    mark_pending(journal, RUN, {})
    with pytest.raises(PatchingError, match="does not mirror it"):
        refuse_reverted(journal, RUN, {"pending": [], "touched": [], "snapshot": None})


def test_a_journal_that_ends_in_another_runs_snapshot_is_refused(lock):
    lock.journal.append(OTHER, "snapshot", "snapshot_pending", ledger=MARK)
    for refuse in (
        lambda: lock.hold(RUN, {}, mirror=MIRROR),
        lambda: lock.hold(RUN, {}, write=False, mirror=MIRROR),
        lambda: refuse_other_pending(lock.journal, RUN),
    ):
        with pytest.raises(PatchingError, match="run {} did not write it.*return.yml".format(RUN)):
            refuse()
    assert len(lock.journal.read()) == 1
    refuse_other_pending(lock.journal, OTHER)  # after its own snapshot a run installs


def test_a_run_that_holds_the_host_is_named_before_its_snapshot(lock):
    lock.journal.hold(OTHER, {})
    mark_pending(lock.journal, OTHER, {})
    with pytest.raises(PatchingError, match="held by run " + OTHER):
        lock.hold(RUN, {}, mirror=MIRROR)


def test_staging_again_does_not_hide_a_revert(lock, pending):
    lock.journal.append(OTHER, "stage", "begin")
    lock.journal.append(OTHER, "stage", "done")
    with pytest.raises(PatchingError, match="an install was begun after it"):
        lock.hold(RUN, {}, mirror=TOUCHED)
    assert mark_pending(lock.journal, RUN, {}).changed is False


def test_a_host_whose_revert_is_journalled_is_held_again(lock, pending):
    mark_reverted(lock.journal, RUN, DIGEST, None)
    lock.hold(RUN, {}, mirror=TOUCHED)
    assert lock.journal.holder()["run_id"] == RUN


def test_a_person_decides_and_the_journal_goes_on(lock, systemd, pending):
    systemd.states = dict.fromkeys(systemd.states, "inactive")
    before = contents(lock.journal)
    assert lock.hold(RUN, {}, write=False, decided="jane: compared").changed is True
    assert contents(lock.journal) == before
    assert lock.hold(RUN, {}, decided="jane: compared").changed is True
    last = lock.journal.read()[-1]
    assert (last["event"], last["detail"]["decided"]) == ("note", "jane: compared")
    assert lock.hold(RUN, {}, decided="jane: compared").changed is False
    assert lock.journal.pending() is None


def test_a_person_decides_for_another_run_too(lock, pending):
    lock.hold(OTHER, {}, breaks=RUN, decided="jane: that run is dead")
    assert lock.journal.holder()["run_id"] == OTHER
    assert lock.journal.holder()["detail"]["decided"] == "jane: that run is dead"
    assert lock.journal.pending() is None


def test_a_decision_that_was_not_needed_is_not_journalled(lock):
    lock.hold(RUN, {}, decided="jane: returned")
    assert "decided" not in lock.journal.holder()["detail"]
    assert len(lock.journal.read()) == 1


# --- what a revert erases


def test_the_tail_is_what_came_after_the_last_snapshot(journal, pending):
    assert lost_tail(journal.read()) == []
    journal.append(RUN, "install", "begin")
    journal.append(RUN, "install", "done")
    assert [record["event"] for record in lost_tail(journal.read())] == ["begin", "done"]
    journal.append(OTHER, "snapshot", "snapshot_pending")
    assert lost_tail(journal.read()) == []
    assert lost_tail([]) is None


def test_the_tails_digest_is_that_of_its_canonical_json():
    # printf '[]' | sha256sum
    assert tail_digest([]) == "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert tail_digest([{"b": "ü", "a": 1}]) == tail_digest([{"a": 1, "b": "ü"}])
    assert tail_digest([{"a": 1}, {"a": 2}]) != tail_digest([{"a": 2}, {"a": 1}])


# --- rehearsing


def test_a_rehearsal_is_noted_once_and_the_revert_has_to_erase_it(journal, pending):
    disk = contents(journal)
    note = mark_rehearsal(journal, RUN, None).record
    assert (note["step"], note["event"], note["detail"]) == ("snapshot", "note", {"rehearsal": True})
    assert mark_rehearsal(journal, RUN, None) == (False, note)
    tail = lost_tail(journal.read())
    assert tail == [note]
    with pytest.raises(
        PatchingError, match=r"its last record is note of step snapshot .* the last that a revert leaves"
    ):
        mark_reverted(journal, RUN, tail_digest(tail), "sha256:0c1d")
    with open(journal.path, "wb") as handle:
        handle.write(disk)  # the disk is put back
    assert mark_reverted(journal, RUN, tail_digest(tail), "sha256:0c1d").changed
    assert not journal.worked(RUN)


def test_check_mode_notes_no_rehearsal(journal, pending):
    assert mark_rehearsal(journal, RUN, None, write=False) == (True, None)
    assert journal.read()[-1] == pending


def test_a_rehearsal_without_a_restore_point_of_this_run_is_refused(journal):
    journal.hold(RUN, {})
    with pytest.raises(PatchingError, match=r"its last record is held .* make the restore point first"):
        mark_rehearsal(journal, RUN, None)
    assert len(journal.read()) == 1
    journal.append(OTHER, "snapshot", "snapshot_pending")
    with pytest.raises(PatchingError, match="expected the snapshot_pending of run " + RUN):
        mark_rehearsal(journal, RUN, None)


def test_what_is_installed_is_not_put_back_by_a_rehearsal(journal, pending):
    journal.append(RUN, "install", "begin")
    with pytest.raises(PatchingError, match="no package changed after it"):
        mark_rehearsal(journal, RUN, None)
    assert journal.read()[-1]["event"] == "begin"


def test_a_rehearsal_on_another_runs_host_is_refused(journal):
    journal.hold(OTHER, {})
    with pytest.raises(PatchingError, match="held by run " + OTHER):
        mark_rehearsal(journal, RUN, None)


def test_a_host_whose_start_needs_a_person_is_not_put_back_for_a_rehearsal(journal, pending):
    with pytest.raises(
        PatchingError, match=r"passphrase of sda3, and a revert may reboot it.*patching_boots_unattended"
    ):
        mark_rehearsal(journal, RUN, "it will wait for the passphrase of sda3")
    assert journal.read()[-1] == pending
