# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens and closes a rollback that a person asks for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    closed_run,
    controllers,
    opening,
    plan,
    rollback,
    taking_back,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.taking_back import Found, Way


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """``opened`` returns the hosts in order, ``refused`` leaves one as it was, ``closed`` says which those are."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "state": {"type": "str", "required": True, "choices": ["opened", "refused", "closed"]},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "updates": {"type": "list", "elements": "str", "default": []},
        "advisories": {"type": "list", "elements": "str", "default": []},
        "runs": {"type": "list", "elements": "str", "default": []},
        "reason": {"type": "str", "default": ""},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if arguments["state"] == "opened":
            return self._open(arguments, task_vars)
        if arguments["state"] == "refused":
            run = Run(arguments["evidence_dir"], arguments["run_id"])
            if not self._task.check_mode:
                run.record(task_vars["inventory_hostname"], *rollback.REFUSED, reason=arguments["reason"])
            return {"changed": False}
        return self._close(arguments)

    def _open(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if not arguments["reason"].strip():
            raise PatchingError(
                f"rollback of run {arguments['run_id']}",
                "no reason",
                "why it is taken back",
                "give -e \"rollback_reason='…'\"",
            )
        found = self._find(arguments, task_vars)
        if arguments["run_id"] == taking_back.ALL:
            found = taking_back.within(found, task_vars["groups"]["all"])
        opened = found.runs()
        with ExitStack() as stack:
            runs = {name: Run(arguments["evidence_dir"], name) for name in opened}
            for name in [] if self._task.check_mode else sorted(opened):
                stack.enter_context(controllers.opening(runs[name]))
            for run in runs.values():
                wanted = {way.host for way in found.ways if way.run_id == run.run_id}
                closed_run.require(
                    run, task_vars, self.clock, wanted if arguments["run_id"] == taking_back.ALL else None
                )
            if not self._task.check_mode:
                self._record(runs, found, arguments)
        hosts = [way.host for way in found.ways]
        facts = {
            "run_id": arguments["run_id"],
            "evidence_dir": arguments["evidence_dir"],
            **{key: arguments[key] for key in ("updates", "advisories", "reason")},
            "controller": controllers.this_process()["controller"],
            "by": opening.user(),
            "hosts": hosts,
            "opened": opened,
            "runs": {way.host: way.run_id for way in found.ways},
            "updates_of": {way.host: list(way.names) for way in found.ways},
        }
        left = [f"{host} is left as it is: {why}" for host, why in found.left.items()]
        return {
            "changed": False,
            "hosts": hosts,
            "text": [*left, *found.notes],
            "ansible_facts": {"patching_run": facts},
        }

    def _find(self, arguments: Mapping[str, Any], task_vars: Mapping[str, Any]) -> Found:
        """Return the ways back; of one run's whole transactions, or its packages by name, as its ledger tells."""
        store = Evidence(arguments["evidence_dir"])
        by_name = not arguments["advisories"] and not any("=" in one for one in arguments["updates"])
        if arguments["run_id"] != taking_back.ALL and by_name:
            return self._of_run(Run(arguments["evidence_dir"], arguments["run_id"]), arguments, task_vars)
        if arguments["run_id"] != taking_back.ALL:
            closed_run.require(Run(arguments["evidence_dir"], arguments["run_id"]), task_vars, self.clock)
        since = "" if arguments["run_id"] == taking_back.ALL else arguments["run_id"]
        items = [*arguments["updates"], *arguments["advisories"]]
        return taking_back.find(taking_back.read(store, since), arguments["hosts"], items, arguments["run_id"])

    def _of_run(self, run: Run, arguments: Mapping[str, Any], task_vars: Mapping[str, Any]) -> Found:
        closed_run.require(run, task_vars, self.clock)
        transactions = {host: stage["transaction"] for host, stage in run.stages().items()}
        hosts = rollback.choose(
            plan.order(run.plan()), run.ledger.read(), transactions, arguments["hosts"], arguments["updates"]
        )
        newer = taking_back.newer(run.evidence, run.run_id)
        found = Found([])
        for host in hosts:
            names = rollback.own(transactions[host], arguments["updates"])
            changed = names or rollback.own(transactions[host])
            built = taking_back.built_upon(host, run.run_id, changed, taking_back.later_than(newer, run.run_id, host))
            if built is None:
                found.ways.append(Way(run.run_id, host, tuple(names)))
            else:
                found.left[host] = str(built)
        if not found.ways:
            raise PatchingError(
                f"rollback of run {run.run_id}",
                "; ".join(found.left.values()),
                "a host on which nothing was built upon it",
                "take back first what is named",
            )
        return found

    def _record(self, runs: Mapping[str, Run], found: Found, arguments: Mapping[str, Any]) -> None:
        """Tell each run's ledger what is taken back of it, and what goes before that."""
        before: list[str] = []
        for name, run in runs.items():
            ways = [way for way in found.ways if way.run_id == name]
            approved = run.plan()
            circumstances = opening.circumstances(approved, approved["digest"])
            asked: dict[str, Any] = {
                "hosts": [way.host for way in ways],
                "updates": sorted({item for way in ways for item in way.names}) if _is_part(arguments) else [],
                "reason": arguments["reason"],
            }
            if arguments["advisories"]:
                asked["advisories"] = list(arguments["advisories"])
            if before:
                asked["after_runs"] = list(before)
            if found.left and not before:
                asked["left"] = dict(found.left)
            run.record(None, "gate", "begin", **{**circumstances, "approval": "a person's request"}, rollback=asked)
            before.append(name)

    def _close(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            return {"changed": False, "bad": ""}
        missing: dict[str, str] = {}
        for name in arguments["runs"] or [arguments["run_id"]]:
            run = Run(arguments["evidence_dir"], name)
            found = rollback.not_taken_back(run.ledger.read())
            run.record(None, "record", "done", not_taken_back=found)
            missing.update(found)
        bad = "; ".join(f"{host} was not taken back: {why}" for host, why in missing.items())
        return {"changed": False, "bad": bad}


def _is_part(arguments: Mapping[str, Any]) -> bool:
    return bool(arguments["updates"] or arguments["advisories"])
