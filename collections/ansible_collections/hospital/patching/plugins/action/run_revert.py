# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the revert of one host's disk that a person asks for, and keeps what it will erase."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    closed_run,
    controllers,
    disk_revert,
    opening,
    rehearsal,
    stateful,
    taking_back,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.restore_point import restore_point
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """``located`` says where to ask what a revert loses, ``opened`` holds the request against the run.

    ``kept`` writes down what the disk's journal is about to lose.

    ``rehearsed`` records that a host on which nothing was installed yet was put back and proven.
    """

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "state": {"type": "str", "required": True, "choices": ["located", "opened", "kept", "rehearsed"]},
        "host": {"type": "str", "required": True},
        "snapshot": {"type": "str", "required": True},
        "reason": {"type": "str", "default": ""},
        "loses_data": {"type": "str", "default": ""},
        "journal": {"type": "list", "elements": "dict"},
        "told": {"type": "dict", "default": {}},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        if arguments["state"] == "kept":
            return self._keep(run, arguments)
        if arguments["state"] == "rehearsed":
            return self._prove(run, arguments)
        host = arguments["host"]
        if not host or not arguments["reason"].strip():
            raise PatchingError(
                f"revert of run {run.run_id}",
                "no reason" if host else "no host",
                "one host by name, the id of its restore point, and why",
                "give -e revert_host=HOST -e revert_snapshot=ID -e \"revert_reason='…'\"",
            )
        entry = run.host(host)
        if arguments["state"] == "located":
            closed_run.require(run, task_vars, self.clock, {host})
            disk_revert.choose(run.ledger.read(), run.run_id, host, arguments["snapshot"])
            return {"changed": False, "place": restore_point(host, run.run_id, entry, run.stage(host))}
        if self._task.check_mode:
            return self._open(run, arguments, task_vars)
        with controllers.opening(run):
            return self._open(run, arguments, task_vars)

    def _open(self, run: Run, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host = arguments["host"]
        closed_run.require(run, task_vars, self.clock, {host})
        point = disk_revert.choose(run.ledger.read(), run.run_id, host, arguments["snapshot"])
        _require_newest(run, host)
        lost = disk_revert.loss_text(disk_revert.loss(point, self.clock.now(), plain(arguments["told"])))
        why = stateful.why(run.evidence, host, task_vars["hostvars"].get(host) or {})
        disk_revert.require_accepted(host, why, lost, arguments["loses_data"])
        approved = run.plan()
        asked = {"hosts": [host], "updates": [], "reason": arguments["reason"], "snapshot": point["id"]}
        if why:
            asked["loses_data"] = why
        circumstances = opening.circumstances(approved, approved["digest"])
        if not self._task.check_mode:
            run.record(None, "gate", "begin", **{**circumstances, "approval": "a person's request"}, rollback=asked)
        facts = {
            "run_id": run.run_id,
            "evidence_dir": arguments["evidence_dir"],
            "controller": circumstances["controller"],
            "by": circumstances["started_by"],
            "reason": arguments["reason"],
            "snapshot": point["id"],
            "hosts": [host],
            "opened": [run.run_id],
        }
        text = f"{host} is put back to {point['id']}, made {point['created']} ({point['reason']}); {lost}"
        return {"changed": False, "text": text, "ansible_facts": {"patching_run": facts}}

    def _keep(self, run: Run, arguments: dict[str, Any]) -> dict[str, Any]:
        host, snapshot = arguments["host"], arguments["snapshot"]
        records = run.ledger.read()
        tail = disk_revert.tail(arguments["journal"], records, host, snapshot)
        if not self._task.check_mode:
            path = run.evidence.tail_path(run.run_id, host, tail.digest)
            if not path.exists():
                write_json(path, {"host": host, "snapshot": snapshot, "source": tail.source, "records": tail.records})
            intent: dict[str, Any] = {"snapshot": snapshot, "tail_digest": tail.digest, "source": tail.source}
            for point in [one for one in disk_revert.points(records, host) if one["id"] == snapshot][-1:]:
                intent["loss"] = disk_revert.loss(point, self.clock.now(), plain(arguments["told"]))
            run.record(host, "snapshot", "note", **{disk_revert.INTENT: intent})
        return {"changed": False, "tail_digest": tail.digest, "source": tail.source}

    def _prove(self, run: Run, arguments: dict[str, Any]) -> dict[str, Any]:
        """Record what the caller has proven: the host is back at that restore point, and works."""
        host, snapshot = arguments["host"], arguments["snapshot"]
        records = run.ledger.read()
        point = disk_revert.choose(records, run.run_id, host, snapshot)
        since = disk_revert.reverted_since(records, host, snapshot)
        if since is None:
            raise PatchingError(
                f"rehearsal of a revert on {host}",
                f"run {run.run_id} has not journalled that its disk was put back to {snapshot}",
                "a revert that was really done",
                "start the run again; the rehearsal is repeated",
            )
        took_s = max(0, int((self.clock.now() - since).total_seconds()))
        proof = {"provider": point["provider"], "snapshot": snapshot, "took_s": took_s}
        if not self._task.check_mode:
            text = (
                f"its disk was put back to {snapshot} by {point['provider']} and proven, as a rehearsal, in {took_s} s"
            )
            run.record(host, "snapshot", "note", **{rehearsal.REHEARSAL: proof}, text=text)
        return {"changed": False, **proof}


def _require_newest(run: Run, host: str) -> None:
    """Refuse where a newer run has changed the host: its updates would vanish, and its ledger would not know."""
    newer = [one for one in taking_back.newer(run.evidence, run.run_id) if one.hosts.get(host)]
    if newer:
        raise PatchingError(
            f"host {host}",
            f"run {newer[0].run_id} has installed {len(newer[0].hosts[host])} updates on it since",
            f"a host that no run has changed after run {run.run_id}",
            f"put it back to a restore point of run {newer[0].run_id}, or take that run's packages back first",
        )
