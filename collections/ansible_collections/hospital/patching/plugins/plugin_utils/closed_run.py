# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses to take back, or put back, what a run that is not over has in its hands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers, opening, plan
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


def require(run: Run, task_vars: Mapping[str, Any], clock: Clock, wanted: Collection[str] | None = None) -> None:
    """Refuse ``--limit``, a changed plan, and a run that goes on or was killed: it has hosts in flight.

    Args:
        wanted: the hosts that the inventory has to know; all of the plan when that is None.

    Raises:
        PatchingError: naming the run and what to do first.
    """
    approved, records = run.plan(), run.ledger.read()
    known = set(task_vars["groups"]["all"])
    if wanted is not None:
        known |= set(approved["hosts"]) - set(wanted)
    opening.require_whole_run(approved, task_vars.get("ansible_limit"))
    plan.verify_plan(approved, known_hosts=known, groups=set(task_vars["groups"]))
    controllers.require_alone(run, records, clock)
    if controllers.driver(records) is not None:
        raise PatchingError(
            f"run {run.run_id}", "it was killed and has not been closed", "a closed run", "start recover.yml first"
        )
