# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run's ledger says of a host's snapshots, against which the host holds the end of its own journal.

A snapshot is announced in the ledger before the journal's ``snapshot_pending``
is written, and that record carries the announcement's hash: whenever the
controller is killed, a journal that ends so has its mirror, unless the ledger
is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: The state of ``host_journal`` that is announced.
ANNOUNCED = "snapshot_pending"


def mirror_of(records: Iterable[Mapping[str, Any]], host: str) -> dict[str, Any]:
    """Return what ``host_journal`` needs to tell a snapshot in the making from a disk that was put back.

    ``pending`` are the hashes of the announcements after which nothing was
    installed, ``touched`` of those after which the host itself has said that an
    install was begun, and ``snapshot`` is the provider's id of the last one made, or None.
    """
    pending: list[str] = []
    touched: list[str] = []
    snapshot: str | None = None
    for record in records:
        if record["host"] != host:
            continue
        step, event, detail = record["step"], record["event"], record["detail"]
        if (step, event) == ("snapshot", "begin"):
            pending.append(record["hash"])
        elif (step, event) == ("snapshot", "done"):
            snapshot = (detail.get("snapshot") or {}).get("id") or snapshot
        elif step == "install" and detail.get("journalled"):
            touched += pending
            pending = []
    return {"pending": pending, "touched": touched, "snapshot": snapshot}
