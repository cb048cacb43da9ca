# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the approved plan says of a host: the inventory may have changed since."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import hooks, looking, resumption
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.mirror import mirror_of
from ansible_collections.hospital.patching.plugins.plugin_utils.restore_point import restore_point
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Returns the plan's entry with either the manifest (to stage) or the transaction (to install)."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "part": {"type": "str", "required": True, "choices": ["manifest", "transaction"]},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        entry = run.host(host)
        state: dict[str, Any] = {"changed": False, "finished": run.finished(host), "out": run.out(host)}
        state["hooks"] = hooks.by_step(entry)
        if arguments["part"] == "manifest":
            return {**state, "host": entry, "manifest": run.manifest(host)}
        stage, plan, records = run.stage(host), run.plan(), run.ledger.read()
        taken = resumption.taken(records, host)
        intent = looking.intent_of(plan, run.run_id, host)
        peers = looking.peers(plan, intent)
        snapshot = restore_point(host, run.run_id, entry, stage)
        return {
            **state,
            "host": {**entry, "snapshot": snapshot},
            "transaction": stage["transaction"],
            "health_before": run.health_before(host),
            "named_before": run.health_before(host, {probe["name"] for probe in entry["probes"]}),
            "intent": looking.record_of(intent),
            "mirror": mirror_of(records, host),
            "look_at": peers,
            "look_probes": looking.probes(plan, peers),
            "outcome": run.outcome(host),
            "unsaid": resumption.unsaid(records, host) or {},
            "held_only": resumption.held_only(records, host),
            "taken": taken is not None,
            "baseline": taken.baseline if taken else [],
            "failure": (taken and taken.failed) or "",
            "installed": bool(taken and taken.installed),
        }
