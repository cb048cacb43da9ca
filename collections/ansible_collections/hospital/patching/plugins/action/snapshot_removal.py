# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletes one restore point that housekeeping has judged, and records it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.hospital.patching.plugins.action.host_step import ActionModule as HostStep
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers, housekeeping
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import Ledger
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run

MODULE = "hospital.patching.host_snapshot"


class ActionModule(HostStep):
    """Never fails its host: what could not be deleted is returned as ``problem``, and told when all is done."""

    ARGUMENTS = {
        "housekeeping": {"type": "str", "required": True},
        "evidence_dir": {"type": "path", "default": "evidence"},
        "place": {"type": "dict", "required": True},
        "owner": {"type": "str", "required": True},
        "id": {"type": "str", "required": True},
        "cause": {"type": "str", "required": True},
        "why": {"type": "str", "required": True},
    }
    clock = Clock()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        _checked, arguments = self.validate_argument_spec(self.ARGUMENTS)
        self.given = plain(arguments)
        self.host = str(task_vars["inventory_hostname"])
        result = super().run(tmp, task_vars)
        problem = str(result.get("msg") or "it failed") if result.get("failed") else ""
        if problem:
            problem = str(self._not_deleted(problem))
        try:
            self._say(*(("failed", {"msg": problem}) if problem else ("done", {"changed": bool(result["changed"])})))
        except PatchingError as error:
            problem = (
                problem or f"restore point {self.given['id']} was deleted, and that could not be recorded: {error}"
            )
        return {
            "changed": bool(result.get("changed")),
            "problem": problem,
            "host": self.host,
            "provider": self.given["place"]["provider"],
            "id": self.given["id"],
            "run_id": self.given["owner"],
            "why": self.given["why"],
        }

    def _execute(self, module: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        with self._claimed():
            self._say("begin", {"cause": self.given["cause"], "why": self.given["why"]})
            asked = {
                "state": "absent",
                "provider": self.given["place"]["provider"],
                "options": self.given["place"]["options"],
                "host": self.host,
                "run_id": self.given["owner"],
                "id": self.given["id"],
            }
            outcome = self._execute_module(module_name=MODULE, module_args=asked, task_vars=task_vars)
        if outcome.get("unreachable"):
            raise AnsibleConnectionFailure(str(outcome.get("msg", "unreachable")))
        return dict(outcome)

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Keep the run that made it from being begun again meanwhile; in check mode, which writes nothing, only look.

        Raises:
            PatchingError: it was begun again since it was judged.
        """
        run = Run(self.given["evidence_dir"], self.given["owner"])
        if not housekeeping.require_evidence(run.evidence.root).run_dir(run.run_id).is_dir():
            yield
            return
        with nullcontext() if self._task.check_mode else controllers.opening(run):
            self._require_ended(run)
            yield

    def _require_ended(self, run: Run) -> None:
        owner = housekeeping.Ledgers(run.evidence).owner(run.run_id, self.host)
        if owner.state in ("open", "unreadable"):
            raise PatchingError(
                f"restore point {self.given['id']} of host {self.host}",
                f"run {run.run_id} was begun again" if owner.state == "open" else owner.seen,
                "a run that has ended, as it had when its restore points were judged",
                "let that run end; the next housekeeping looks again",
            )

    def _not_deleted(self, problem: str) -> PatchingError:
        place = self.given["place"]
        return PatchingError(
            f"restore point {self.given['id']} of host {self.host}",
            f"it was not deleted by {place['provider']} on {place['on']}: {problem}",
            f"one that is gone, because {self.given['why']}",
            "correct what is named, then run housekeeping.yml again",
        )

    def _say(self, event: str, detail: dict[str, Any]) -> None:
        if self._task.check_mode:
            return
        ledger = Ledger(housekeeping.ledger_path(Path(self.given["evidence_dir"])), clock=self.clock)
        said = {"snapshot": self.given["id"], "owner": self.given["owner"], "on": self.given["place"]["on"]}
        said["provider"] = self.given["place"]["provider"]
        ledger.append(self.given["housekeeping"], "snapshot", event, host=self.host, detail={**said, **detail})
