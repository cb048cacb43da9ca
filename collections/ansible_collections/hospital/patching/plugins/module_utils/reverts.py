# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds a snapshot in the journal: ``snapshot_pending`` before it, ``reverted`` first after its revert.

A rehearsal notes between the two that it begins: a journal that still says so afterwards was not put back.
"""

import re
from typing import Any, Dict, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.journal import (
    SNAPSHOT_STEP,
    Journal,
    lost_tail,
    refuse_unwritable,
)

#: ``record`` is None when it would only have been written (check mode).
Marked = NamedTuple("Marked", [("changed", bool), ("record", Optional[Dict[str, Any]])])

#: Under this key a note of the snapshot's step says that a revert is about to be rehearsed.
REHEARSAL_KEY = "rehearsal"

_DIGEST = re.compile("sha256:[0-9a-f]{64}")


def mark_pending(journal: Journal, run_id: str, detail: Dict[str, Any], write: bool = True) -> Marked:
    """Journal that ``run_id`` is about to make a snapshot; a second call changes nothing.

    In check mode the hold was only predicted, so that nobody holds the host is no refusal there.

    Raises:
        PatchingError: another run holds the host, or none does, or ``detail`` cannot be written.
    """
    refuse_unwritable(detail)

    def there() -> Optional[Dict[str, Any]]:
        journal.refuse_other_holder(run_id)
        if write and journal.holder() is None:
            raise PatchingError(
                journal.subject(),
                "no run holds it",
                "a host that run {} holds".format(run_id),
                "hold it first by host_journal state=held; a snapshot is made only of a host that is held",
            )
        # Once packages were changed, the journal says where the snapshot was; a second mark would hide its revert.
        if journal.worked(run_id):
            return journal.last_pending(run_id)
        record = journal.pending()
        return record if record is not None and record["run_id"] == run_id else None

    record, fresh = journal.append_unless(there, run_id, SNAPSHOT_STEP, "snapshot_pending", detail, write)
    return Marked(fresh, record)


def mark_rehearsal(journal: Journal, run_id: str, waits: Optional[str], write: bool = True) -> Marked:
    """Journal that ``run_id`` is about to rehearse a revert to the snapshot that it has just made.

    Args:
        waits: why a start of the host needs a person, if it does.

    Raises:
        PatchingError: its start needs a person, another run holds the host, or the last snapshot in the journal is
            none of this run's or packages were changed after it.
    """
    if waits:
        raise PatchingError(
            journal.subject(),
            "{}, and a revert may reboot it".format(waits),
            "a host that starts without a person",
            "rehearse on another host; or set patching_boots_unattended if it does start by itself, and plan again",
        )
    detail = {REHEARSAL_KEY: True}

    def there() -> Optional[Dict[str, Any]]:
        journal.refuse_other_holder(run_id)
        records = journal.read()
        tail = lost_tail(records)
        if tail is None or records[-len(tail) - 1]["run_id"] != run_id or journal.worked(run_id):
            raise PatchingError(
                journal.subject(),
                "its last record is {}".format(_told(records[-1] if records else None)),
                "the snapshot_pending of run {}, and no package changed after it".format(run_id),
                "make the restore point first; what is installed already is not put back by a rehearsal",
            )
        noted = [one for one in tail if (one["run_id"], one["event"], one["detail"]) == (run_id, "note", detail)]
        return noted[-1] if noted else None

    record, fresh = journal.append_unless(there, run_id, SNAPSHOT_STEP, "note", detail, write)
    return Marked(fresh, record)


def mark_reverted(
    journal: Journal, run_id: str, tail_digest: str, snapshot: Optional[str], write: bool = True
) -> Marked:
    """Journal that the disk was put back to a snapshot of ``run_id``; a second call changes nothing.

    Args:
        tail_digest: digest of the records that the revert erased.
        snapshot: the provider's id of the snapshot, if it is known.

    Raises:
        PatchingError: that is no digest, another run holds the host, or the journal
            does not end in this run's ``snapshot_pending``.
    """
    if not _DIGEST.fullmatch(tail_digest):
        raise PatchingError(
            "tail_digest",
            repr(tail_digest),
            "sha256: and 64 hexadecimal digits",
            "take it from host_journal_info before the revert, or from the run's ledger",
        )
    detail = {"tail_digest": tail_digest, "snapshot": snapshot}

    def there() -> Optional[Dict[str, Any]]:
        journal.refuse_other_holder(run_id)
        records = journal.read()
        last = records[-1] if records else None
        if last is not None and (last["run_id"], last["event"], last["detail"]) == (run_id, "reverted", detail):
            return last
        pending = journal.pending()
        if pending is None or pending["run_id"] != run_id:
            raise PatchingError(
                journal.subject(),
                "its last record is {}".format(_told(last)),
                "the snapshot_pending of run {}, which is the last that a revert leaves".format(run_id),
                "name the run that made the snapshot; a host that was not reverted, or on which something was "
                "journalled since, is returned by return.yml",
            )
        return None

    record, fresh = journal.append_unless(there, run_id, SNAPSHOT_STEP, "reverted", detail, write)
    return Marked(fresh, record)


def _told(record: Optional[Dict[str, Any]]) -> str:
    return "none" if record is None else "{event} of step {step} of run {run_id}".format(**record)
