# SPDX-License-Identifier: GPL-3.0-or-later
"""No run works on a host that another run holds, or whose disk was put back behind its back.

A disk revert erases what the journal says after the snapshot, so the journal
then ends in ``snapshot_pending``, as it does while a snapshot is made. The run's
ledger, which no revert reaches, tells the two apart.
"""

from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal

#: Where a ``snapshot_pending`` record names the ledger record that announced it.
MIRROR_KEY = "ledger"


def refuse_other_holder(journal: Journal, run_id: str) -> None:
    """Return when the host is held by ``run_id`` or by none.

    Raises:
        PatchingError: naming the run that holds it.
    """
    holder = journal.holder()
    if holder is not None and holder["run_id"] != run_id:
        raise PatchingError(
            "this host",
            "held by run {} since {}".format(holder["run_id"], holder["time"]),
            "held by run {} or by none".format(run_id),
            "finish, resume or return that run first; its hold is never broken by another run",
        )


def refuse_other_pending(journal: Journal, run_id: str) -> None:
    """Return unless the journal ends in another run's snapshot; after its own snapshot a run installs.

    Raises:
        PatchingError: naming the run and what a person does.
    """
    record = journal.pending()
    if record is not None and record["run_id"] != run_id:
        raise _reverted(journal, record, "and run {} did not write it".format(run_id), None)


def refuse_reverted(journal: Journal, run_id: str, mirror: Dict[str, Any]) -> None:
    """Return unless the journal ends in a snapshot and the ledger does not say the same.

    Args:
        mirror: what the ledger of ``run_id`` says of this host's snapshots, as
            plugin_utils/mirror.py returns it; empty when it says nothing.

    Raises:
        PatchingError: the disk was put back, or nobody can tell; a human decides, nothing is installed.
    """
    refuse_other_pending(journal, run_id)
    record = journal.pending()
    if record is None:
        return
    mark = record["detail"].get(MIRROR_KEY)
    if mark in (mirror.get("touched") or []):
        why = "but that run's ledger says that an install was begun after it"
    elif mark not in (mirror.get("pending") or []):
        why = "but that run's ledger does not mirror it"
    else:
        return
    raise _reverted(journal, record, why, mirror.get("snapshot"))


def _reverted(journal: Journal, record: Dict[str, Any], why: str, snapshot: Optional[str]) -> PatchingError:
    seen = "its last record is the snapshot_pending of run {} from {}, {}".format(record["run_id"], record["time"], why)
    return PatchingError(
        journal.subject(),
        seen + ": its disk may be back at {}".format("snapshot {}".format(snapshot) if snapshot else "a snapshot"),
        "a journal and a ledger that say the same",
        "compare the host with the run's ledger; when it is in order, return it by return.yml, which says who decided",
    )
