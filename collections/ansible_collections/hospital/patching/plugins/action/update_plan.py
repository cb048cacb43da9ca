# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the plan: which hosts, in which waves, with which updates; written and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    approvals,
    blocked_fleet,
    candidates,
    dropping,
    emergency,
    evidence,
    history,
    hook_files,
    irreversible,
    lost,
    names,
    one_cve,
    opening,
    plan,
    plan_derived,
    plan_notes,
    plan_text,
    promotion,
    watchers,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.batch import Limits
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import (
    EMERGENCY_ARGUMENTS,
    ControllerWork,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.cve_feed import CveFeed
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_live import INVENTORYS_OWN
from ansible_collections.hospital.patching.plugins.plugin_utils.past_runs import Past
from ansible_collections.hospital.patching.plugins.plugin_utils.plan_html import plan_page
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import SETTINGS
from ansible_collections.hospital.patching.plugins.plugin_utils.shards import Shard

#: Settings that decide something of a night; who reads the plan is told which of them stood on the command line.
SHOWN = {setting.name for setting in SETTINGS} - {"patching_evidence_dir", "patching_evidence_url"}


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Reads settings from the inventory and assessments from the evidence, or derives a plan; contacts no host."""

    ARGUMENTS = {
        "hosts": {"type": "list", "elements": "str", "required": True},
        "pattern": {"type": "str", "default": ""},
        "evidence_dir": {"type": "path", "default": "evidence"},
        "parallel": {"type": "int", "default": Limits().parallel},
        "canaries": {"type": "int", "default": Limits().canaries},
        "emergency": {"type": "bool", "default": False},
        **EMERGENCY_ARGUMENTS,
        "shard": {"type": "int", "default": 0},
        "shards": {"type": "int", "default": Shard().of},
        "derive_from": {"type": "str", "default": ""},
        "drop": {"type": "list", "elements": "str", "default": []},
        "drop_updates": {"type": "list", "elements": "str", "default": []},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        store, now = evidence.Evidence(Path(arguments["evidence_dir"])), self.clock.now()
        pattern, known = arguments["pattern"], {"all", "ungrouped", *task_vars["groups"], *task_vars["groups"]["all"]}
        unknown = names.unknown_terms(pattern, known)
        if unknown or not arguments["hosts"]:
            raise PatchingError(
                f"patching_hosts {pattern!r}",
                f"the inventory does not know {', '.join(unknown)}" if unknown else "it matches no host",
                "hosts or groups of the inventory",
                "correct the pattern, or use the inventory that has them",
            )
        urgent = emergency.read(arguments, lambda: opening.user(task_vars), now)
        drops = dropping.read(arguments["derive_from"], arguments["drop"], arguments["drop_updates"], arguments["cve"])
        if drops is not None:
            planned, notes = _derived(store, now, drops, arguments)
        else:
            extra = load_extra_vars(self._loader)
            _require_the_inventorys_own(extra)
            given = [name for name in extra if name in SHOWN]
            planned, notes = _planned(store, now, arguments, urgent, given, task_vars)
        page, drawn = None, plan_page(planned.plan)
        if not self._task.check_mode:
            store.save_plan(planned)
            page = str(store.save_plan_page(planned.plan["plan_id"], drawn).resolve())
        return {
            "changed": not self._task.check_mode,
            "plan": planned.plan,
            "plan_id": planned.plan["plan_id"],
            "digest": planned.plan["digest"],
            "page": page,
            "text": [
                *plan_text.plan_table(planned.plan).splitlines(),
                *notes,
                *([f"As a chart: {page}"] if page else []),
                *plan_notes.too_few_forks(planned.plan, int(task_vars["ansible_forks"])),
                *plan_notes.frozen_now(planned.plan, store.root),
                *([] if drops else plan_notes.next_steps(planned.plan)),
                *(["In check mode nothing is kept: no plan has this digest"] if self._task.check_mode else []),
            ],
        }


def _require_the_inventorys_own(extra: Mapping[str, Any]) -> None:
    """Refuse now what the gate would refuse in the night."""
    own = [name for name in INVENTORYS_OWN if name in extra]
    if own:
        seen = f"{', '.join(own)} is given on the command line, where whoever plans decides it"
        raise PatchingError("the plan", seen, "what the inventory has", "set it in the inventory")


def _derived(
    store: evidence.Evidence, now: datetime, drops: dropping.Drops, arguments: Mapping[str, Any]
) -> tuple[plan.Planned, list[str]]:
    """Return the approved plan without what is dropped, and what to say of it."""
    loaded = store.load_plan(drops.reference)
    records = Run(str(store.root), str(loaded.plan["plan_id"])).ledger.read()
    dropping.require_current(loaded.plan, approvals.approved_plans(store), records)
    dropping.require_as_approved(loaded.plan, arguments)
    planned = plan_derived.derive(loaded, evidence.new_id(now), now, drops.hosts, drops.updates)
    dropping.require_all_asked_for(planned.plan, arguments["hosts"])
    return planned, dropping.told(loaded.plan, planned.plan, plan_derived.late(planned.plan))


def _planned(
    store: evidence.Evidence,
    now: datetime,
    arguments: Mapping[str, Any],
    urgent: emergency.Emergency | None,
    given: Sequence[str],
    task_vars: Mapping[str, Any],
) -> tuple[plan.Planned, list[str]]:
    """Return the plan for the hosts that are asked for, and what to say of it."""
    hostvars, asked_for, cves = task_vars["hostvars"], set(arguments["hosts"]), CveFeed()
    fleet = {
        name: (candidates.candidate if name in asked_for else candidates.bystander)(
            name, hostvars[name], store.assessment(name), lost.mark(store.root, name), cves
        )
        for name in task_vars["groups"]["all"]
    }
    fleet = emergency.without_young(fleet, urgent)
    if urgent is not None:
        fleet = urgent.applied(fleet)
    past = Past.read(store, trials=any(one.settings.promotion for one in fleet.values()))
    fleet = promotion.promoted(history.with_estimates(fleet, past.history), past.trials, now)
    fleet, blocked = blocked_fleet.applied(fleet, store.root)
    fleet, one_way = irreversible.applied(fleet)
    fleet = hook_files.sealed(one_cve.only(fleet, one_cve.read(arguments["cve"])))
    # Last, so that no freeze is broken that only hosts with nothing to do have.
    urgent = urgent.breaking(fleet, store.root, now) if urgent is not None else None
    watch = watchers.proof(store.root, now, watchers.Machine.here())
    planned = plan.build_plan(
        evidence.new_id(now),
        now,
        fleet,
        groups=set(task_vars["groups"]),
        watched=watch if isinstance(watch, str) else True,
        limits=Limits.of(arguments["parallel"], arguments["canaries"]),
        shard=Shard.read(arguments["shard"], arguments["shards"]),
        urgent=urgent,
        given=given,
        left_out=[*blocked_fleet.notes(blocked), *irreversible.notes(one_way)],
    )
    return planned, [*cves.problems, *past.problems, *plan_notes.waiting(fleet), *plan_notes.held_to(fleet)]
