# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest runs of an evidence directory, each of whose ledgers is read once for all that is learned from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, read_json
from ansible_collections.hospital.patching.plugins.plugin_utils.history import History
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import Ledger
from ansible_collections.hospital.patching.plugins.plugin_utils.promotion import Trials

#: How many of the newest runs are read.
RUNS = 30


@dataclass(frozen=True)
class Past:
    """How long hosts took, what was tried on them, and what could not be read and so teaches and proves nothing."""

    history: History = field(default_factory=History)
    trials: Trials = field(default_factory=Trials)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, store: Evidence, trials: bool = True) -> Past:
        """Return what the newest runs tell.

        Args:
            trials: whether anybody asks for promotion; only then a run's plan is read too.
        """
        past = cls()
        for run_id in store.runs()[-RUNS:]:
            try:
                records = Ledger(store.ledger_path(run_id)).read()
            except PatchingError as error:
                past.problems.append(f"Nothing is learned from run {run_id}: {error}")
                continue
            past.history.learn(records)
            if trials:
                past.learn_trials(store, run_id, records)
        return past

    def learn_trials(self, store: Evidence, run_id: str, records: list[dict[str, Any]]) -> None:
        """Take what was tried from one run; a plan that cannot be read proves nothing, but its times count."""
        try:
            self.trials.learn(read_json(store.run_dir(run_id) / "plan.json"), records)
        except (PatchingError, KeyError, TypeError, ValueError) as error:
            self.problems.append(f"Run {run_id} proves nothing for later rings: {error}")
