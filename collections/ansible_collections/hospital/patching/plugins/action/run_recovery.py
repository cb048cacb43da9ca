# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what killed runs left behind, says how each host is secured, and closes those runs."""

from __future__ import annotations

import socket
from contextlib import nullcontext
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    controllers,
    gate_live,
    opening,
    outcomes,
    plan,
    recovery,
    resumption,
    watching,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.paging import Pager
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run

#: What a recovery cannot mend.
NEED_A_PERSON = frozenset({"stuck", "unreachable", "unverified"})


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """``opened`` before the hosts, ``judged`` on each, ``closed`` after them."""

    ARGUMENTS = {
        "state": {"type": "str", "required": True, "choices": ["opened", "judged", "closed"]},
        "run_id": {"type": "str", "default": ""},
        "evidence_dir": {"type": "path", "default": "evidence"},
        "silent_s": {"type": "int", "default": 120},
        "at_to": {"type": "bool", "default": False},
        "at_from": {"type": "bool", "default": False},
        "runs": {"type": "list", "elements": "str", "default": []},
        "unreadable": {"type": "list", "elements": "str", "default": []},
        "page_command": {"type": "list", "elements": "str", "default": []},
        "page_url": {"type": "str", "default": "", "no_log": True},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if arguments["state"] == "opened":
            return self._open(arguments, task_vars)
        if arguments["state"] == "judged":
            host = task_vars["inventory_hostname"]
            return self._judge(arguments, host, gate_live.freezes_of(task_vars["hostvars"].get(host) or {}))
        return self._close(arguments)

    def _open(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        named = arguments["run_id"]
        names = [named] if named else watching.open_runs(arguments["evidence_dir"])
        runs: dict[str, str] = {}
        opened, unreadable = [], []
        for name in names:
            try:
                left = self._left_behind(Run(arguments["evidence_dir"], name), arguments, task_vars)
            except PatchingError as error:
                if named:
                    raise
                unreadable.append(f"run {name}: {error}")  # one damaged run must not keep the others from recovery
                continue
            if left is not None:
                opened.append(name)
                runs.update(dict.fromkeys(left, name))
        facts = {
            "evidence_dir": arguments["evidence_dir"],
            "controller": socket.gethostname(),
            "opened": opened,
            "unreadable": unreadable,
            "runs": runs,
            "hosts": list(runs),
        }
        return {"changed": False, "opened": opened, "hosts": list(runs), "ansible_facts": {"patching_run": facts}}

    def _left_behind(self, run: Run, arguments: dict[str, Any], task_vars: dict[str, Any]) -> list[str] | None:
        """Return the hosts that a dead run left out of service; None for a run that needs no recovery."""
        named = bool(arguments["run_id"])
        with nullcontext() if self._task.check_mode else controllers.opening(run):
            records = run.ledger.read()
            detail = controllers.driver(records)
            if detail is None:
                if named:
                    raise _not_needed(run.run_id)
                return None
            why = controllers.showing_life(run, detail, self.clock, arguments["silent_s"])
            if why is not None:
                if named:
                    raise _alive(run.run_id, why)
                return None
            approved = run.plan()
            opening.require_whole_run(approved, task_vars.get("ansible_limit"))
            plan.verify_plan(approved, known_hosts=set(task_vars["groups"]["all"]), groups=set(task_vars["groups"]))
            left = recovery.left_out(records)
            if not self._task.check_mode:
                circumstances = opening.circumstances(approved, approved["digest"])
                run.record(None, "gate", "begin", **{**circumstances, "approval": "recovery"}, recovering=left)
        return left

    def _judge(self, arguments: dict[str, Any], host: str, freezes: tuple[str, ...]) -> dict[str, Any]:
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        records = run.ledger.read()
        taken = resumption.taken(records, host)
        found = recovery.way(
            arguments["at_to"],
            arguments["at_from"],
            recovery.installed(records, host),
            taken.failed if taken else None,
            resumption.restarted(records, host),
            recovery.may_restart(run.host(host), self.clock.now(), run.plan()["site"]["segments"], freezes),
        )
        return {"changed": False, **found.result()}

    def _close(self, arguments: dict[str, Any]) -> dict[str, Any]:
        bad = list(arguments["unreadable"])
        for name in [] if self._task.check_mode else arguments["runs"]:
            run = Run(arguments["evidence_dir"], name)
            found = run.close()
            reason = outcomes.exit_reason({host: found[host] for host in found if found[host] in NEED_A_PERSON})
            bad += [f"run {name}: {reason}"] if reason else []
        pager = Pager() if self._task.check_mode else Pager(arguments["page_command"], arguments["page_url"])
        if bad and pager:
            bad += pager.page("recovery: " + "; ".join(bad)).problems
        return {"changed": False, "bad": "; ".join(bad)}


def _not_needed(name: str) -> PatchingError:
    return PatchingError(
        f"run {name}", "it was closed in good order", "a run that was killed", "read its report; nothing is to recover"
    )


def _alive(name: str, why: str) -> PatchingError:
    return PatchingError(
        f"run {name}",
        why,
        "a run whose controller is dead",
        "let it go on, or end it by stop.yml; two controllers must not drive one run",
    )
