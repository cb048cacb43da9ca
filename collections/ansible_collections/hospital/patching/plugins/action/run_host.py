# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the approved plan says of a host: the inventory may have changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    blocks,
    disk_revert,
    gate_live,
    hooks,
    looking,
    rehearsal,
    rehearsal_request,
    resumption,
    stateful,
)
from ansible_collections.hospital.patching.plugins.plugin_utils import setting_types as types
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
        entry, variables = run.host(host), task_vars["hostvars"].get(host) or {}
        state: dict[str, Any] = {"changed": False, "finished": run.finished(host), "out": run.out(host)}
        state["hooks"] = hooks.by_step(entry)
        state["counterparts"] = hooks.counterparts(entry)
        if arguments["part"] == "manifest":
            window_end = (entry.get("window") or {}).get("end") or ""
            wanted = _wanted(run, host, entry, variables)
            return {**state, "host": entry, "manifest": run.manifest(host), "window_end": window_end, **wanted}
        stage, plan, records = run.stage(host), run.plan(), run.ledger.read()
        taken = resumption.taken(records, host)
        intent = looking.intent_of(plan, run.run_id, host)
        peers = looking.peers(plan, intent)
        snapshot = restore_point(host, run.run_id, entry, stage)
        moves_on = stateful.why(run.evidence, host, variables)
        tier = min(int(entry["tier"]), gate_live.tier_of(variables))
        return {
            **state,
            "host": {**entry, "snapshot": snapshot},
            "transaction": stage["transaction"],
            "data_rules": _data_rules(variables),
            "disk_revert": disk_revert.allowed(entry, moves_on),
            "rehearsal": _rehearsal(records, host, taken, rehearsal_request.why_not(entry, tier, moves_on)),
            "left_out": _told(stage.get("blocked") or []),
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


def _rehearsal(
    records: Sequence[Mapping[str, Any]], host: str, taken: resumption.Taken | None, why_not: str
) -> dict[str, Any]:
    """Return whether the host's revert is rehearsed in this run, is still to be, and why it must not be."""
    known = rehearsal.Rehearsals.read(records)
    due = known.due(host) and not (taken and taken.installed)
    return {"asked": host in known.asked, "due": due, "why_not": why_not if due else ""}


def _wanted(run: Run, host: str, entry: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan's updates without what is blocked by now, and what that is.

    Raises:
        PatchingError: the blocks cannot be read, or nothing is left.
    """
    found = blocks.hits(gate_live.blocks_of(variables, run.evidence.root), host, entry["updates"])
    updates = blocks.left(entry["updates"], found)
    if not updates:
        raise PatchingError(
            f"host {host}",
            f"all that the plan has for it is blocked, {found[0].told()}",
            "an update that is not",
            "leave it out by plan.yml -e plan_from=… -e plan_drop=…, or withdraw the block and stage again",
        )
    return {"updates": updates, "blocked": [hit.as_dict() for hit in found]}


def _told(left_out: Sequence[Mapping[str, Any]]) -> str:
    """Say what the host did not get because it was blocked, as the end of a sentence."""
    named = "; ".join(f"{one['name']} {one['to'] or '(removal)'} ({one['item']}: {one['reason']})" for one in left_out)
    return f"; left out because it is blocked: {named}" if named else ""


def _data_rules(variables: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return which packages own data and which downgrades are safe, by the inventory as it is now.

    Whoever is responsible for the data may say so after the night. What cannot be
    read allows nothing, and a pattern that cannot be read is every package.
    """
    rules: dict[str, list[Any]] = {}
    for name, setting, closed in (("owners", "patching_data_owners", ["*"]), ("safe", "patching_downgrade_safe", [])):
        value, problem = gate_live.variable(variables, setting)
        try:
            read = types.texts if name == "owners" else types.version_pairs
            rules[name] = closed if problem else list(read(value or []))
        except ValueError:
            rules[name] = list(closed)
    return rules
