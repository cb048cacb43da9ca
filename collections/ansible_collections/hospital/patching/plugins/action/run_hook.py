# SPDX-License-Identifier: GPL-3.0-or-later
"""Before and after a site's hook: may it be done, and what became of it; the doing is between the two."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import contacts, hook_files, hook_records, hooks, lost
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Records ``begin``, then ``done`` or ``failed``; a hook that is recorded as done is not done again."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "state": {"type": "str", "required": True, "choices": ["begun", "done", "failed"]},
        "hook": {"type": "dict", "required": True},
        "way_back": {"type": "bool", "default": False},
        "undo": {"type": "bool", "default": False},
        "began_ms": {"type": "int", "default": 0},
        "result": {"type": "dict", "default": {}},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        hook, way_back = self._hook(run, host, arguments["hook"]), arguments["way_back"]
        detail = hook_records.detail_of(host, hook, way_back)
        if arguments["state"] == "begun":
            return self._begin(run, host, hook, detail, task_vars, arguments["undo"])
        detail["took_ms"] = max(0, self._now_ms() - arguments["began_ms"])
        if arguments["state"] == "done":
            self._record(run, host, "done", detail)
            return {"changed": False}
        error = hook_records.error_of(host, hook, arguments["result"], detail["took_ms"])
        lost_connection = bool(arguments["result"].get("lost_connection"))
        return self._failed(run, host, hook, detail, error, lost_connection, arguments["undo"])

    @staticmethod
    def _hook(run: Run, host: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return the plan's own hook, for a task hands over only what was templated on its way."""
        wanted = hooks.identity(plain(given))
        for hook in run.host(host).get("hooks") or []:
            if hooks.identity(hook) == wanted:
                return dict(hook)
        seen = "a hook that the approved plan does not have for it"
        raise PatchingError(f"host {host}", seen, "hooks of the plan", "plan again")

    @staticmethod
    def _is_owed(run: Run, host: str, counterpart: dict[str, Any]) -> bool:
        hook = hooks.undone_by(run.host(host), counterpart)
        return hook is not None and hook_records.is_owed(run.ledger.read(), host, hook, counterpart)

    def _begin(
        self,
        run: Run,
        host: str,
        hook: dict[str, Any],
        detail: dict[str, Any],
        task_vars: dict[str, Any],
        undo: bool,
    ) -> dict[str, Any]:
        where = detail["on"]
        result = {"changed": False, "run": False, "on": where, "began_ms": self._now_ms(), "tasks": ""}
        result.update(hooks.call(hook))
        if undo and not self._is_owed(run, host, hook):
            return result
        try:
            hook_files.require_unchanged(host, hook)
            if where != hooks.CONTROLLER:
                variables = task_vars["hostvars"].get(where) or {}
                contacts.require(where, str(variables.get("ansible_host") or where), variables)
                lost.require_not_missing(run.evidence.root, where)
        except PatchingError as error:
            return {**result, **self._failed(run, host, hook, {**detail, "took_ms": 0}, error, undo=undo)}
        if self._task.check_mode:
            return result
        if not undo and hook_records.is_done(run.ledger.read(), host, hook, detail["way_back"]):
            return result
        self._record(run, host, "begin", detail)
        return {
            **result,
            "run": True,
            "tasks": hook.get("tasks", ""),
            "ends": int(self.clock.now().timestamp()) + hook["timeout_s"],
        }

    def _failed(
        self,
        run: Run,
        host: str,
        hook: dict[str, Any],
        detail: dict[str, Any],
        error: PatchingError,
        lost_connection: bool = False,
        undo: bool = False,
    ) -> dict[str, Any]:
        """Record a failure and fail with it, unless the way back goes on without the hook."""
        self._record(run, host, "failed", {**detail, "msg": str(error)})
        if hook_records.is_told_only(hook, detail["way_back"], undo):
            return {"changed": False, "warnings": [f"{error} The way back goes on: the probes decide."]}
        at_itself = lost_connection and detail["on"] == host
        return {"changed": False, "failed": True, "msg": str(error), "lost_connection": at_itself}

    def _record(self, run: Run, host: str, event: str, detail: dict[str, Any]) -> None:
        if not self._task.check_mode:
            run.record(host, hook_records.STEP, event, **detail)

    def _now_ms(self) -> int:
        return int(self.clock.monotonic() * 1000)
