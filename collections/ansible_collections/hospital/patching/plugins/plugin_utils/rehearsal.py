# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run's ledger says of rehearsed reverts: whose is asked for, and where one is proven.

The request stands in the record with which the run was started, so the newest
start says what is asked. The proof is a note of its host; from run to run the
newest proof of each provider is handed on in that first record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Record = Mapping[str, Any]
Proof = Mapping[str, Any]

#: Under these keys of a start the ledger has the hosts that are asked for, and the proofs of earlier runs.
ASKED, PROVEN = "rehearse", "proven"
#: Under this key of a note it has a proof: provider, snapshot and took_s.
REHEARSAL = "rehearsal"


@dataclass(frozen=True)
class Rehearsals:
    """The hosts whose revert is to be rehearsed in this run, and those on which it was proven."""

    asked: tuple[str, ...] = ()
    proven: Mapping[str, Proof] = field(default_factory=dict)

    @classmethod
    def read(cls, records: Iterable[Record]) -> Rehearsals:
        """Return what a run's ledger says; the newest start counts, so that a request can be withdrawn."""
        asked: tuple[str, ...] = ()
        proven = {}
        for record in records:
            detail = record["detail"]
            if _starts(record):
                asked = tuple(detail.get(ASKED) or ())
            elif record["host"] is not None and record["event"] == "note" and detail.get(REHEARSAL):
                proven[record["host"]] = detail[REHEARSAL]
        return cls(asked, proven)

    def due(self, host: str) -> bool:
        """Say whether the host's revert is asked for and not proven."""
        return host in self.asked and host not in self.proven

    def missing(self) -> list[str]:
        """Return the hosts that :meth:`due` is said of."""
        return [host for host in self.asked if self.due(host)]


def _starts(record: Record) -> bool:
    """Whether a run was started, or started again, by it; neither a recovery nor a person's rollback says anything."""
    if record["host"] is not None or (record["step"], record["event"]) != ("gate", "begin"):
        return False
    return not {"rollback", "recovering"}.intersection(record["detail"])


def last_proven(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return provider → host, run_id, time and took_s of its newest proof, as far as one run's ledger knows."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        detail = record["detail"]
        if _starts(record):
            keep_newest(found, detail.get(PROVEN) or {})
        elif record["host"] is not None and record["event"] == "note" and detail.get(REHEARSAL):
            proof = detail[REHEARSAL]
            mine = {key: record[key] for key in ("host", "run_id", "time")}
            keep_newest(found, {proof["provider"]: {**mine, "took_s": proof["took_s"]}})
    return found


def keep_newest(found: dict[str, dict[str, Any]], more: Mapping[str, Proof]) -> None:
    """Add proofs by provider to those that are found, where they are newer."""
    for provider, proof in more.items():
        if provider not in found or found[provider]["time"] <= proof["time"]:
            found[provider] = dict(proof)
