# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one module of a host's journey: checks the address, survives a lost connection, keeps evidence.

Every module of this collection that reaches a host is routed here by
``meta/runtime.yml``. Other collections' modules (a load balancer's, a reboot)
are run through ``hospital.patching.host_step`` itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.hold_check import MIRROR_KEY
from ansible_collections.hospital.patching.plugins.plugin_utils import contacts, lost
from ansible_collections.hospital.patching.plugins.plugin_utils.mirror import ANNOUNCED
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import STEP_KEYS, Run

#: Arguments that this plugin reads itself when a task names it directly.
OWN_ARGUMENTS = ("module", "arguments")


class ActionModule(ActionBase):  # type: ignore[misc]
    """One step, one connection, one record."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        module, arguments = self._module()
        started = time.monotonic()
        try:
            self._check_address(task_vars)
            if arguments.get("controller_time"):
                arguments["controller_time"] = Clock().stamp()  # a task that is tried again was templated at its first
            if arguments.get("state") == ANNOUNCED:
                arguments["detail"] = self._announced(arguments.get("detail") or {}, task_vars)
            with self._sign_of_life():
                result.update(self._execute(module, arguments, task_vars))
        except PatchingError as error:
            result.update(failed=True, changed=False, msg=str(error), contacted=False)
        except AnsibleConnectionFailure as error:
            result.update(failed=True, changed=False, lost_connection=True, msg=self._lost(task_vars, str(error)))
        result.pop("unreachable", None)
        self._record(result, task_vars, int((time.monotonic() - started) * 1000))
        return result

    def _module(self) -> tuple[str, dict[str, Any]]:
        if self._task.action.endswith("host_step"):
            return self._task.args["module"], dict(self._task.args.get("arguments") or {})
        return self._task.action, dict(self._task.args)

    # --- before the connection -------------------------------------------------

    def _check_address(self, task_vars: dict[str, Any]) -> None:
        """Refuse the task unless the address it would reach may be contacted, and the host is no lost one."""
        target = self._target(task_vars)
        if self._connection.transport != "local":
            variables = self._settings(target, task_vars)
            contacts.require(target, self._address(), variables)
            evidence_dir = self._task.args.get("evidence_dir") or variables.get("patching_evidence_dir")
            if evidence_dir:
                lost.require_not_missing(Path(str(evidence_dir)), target)

    def _target(self, task_vars: dict[str, Any]) -> str:
        return str(self._task.delegate_to or task_vars["inventory_hostname"])

    def _address(self) -> str:
        try:
            return str(self._connection.get_option("host"))
        except (KeyError, AnsibleError):
            return str(self._connection._play_context.remote_addr)

    @staticmethod
    def _settings(host: str, task_vars: dict[str, Any]) -> Mapping[str, Any]:
        # A delegated host that the inventory does not know has no declared segments, so it is not contacted.
        return task_vars["hostvars"].get(host) or {}

    def _announced(self, detail: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Tell the ledger before the host's journal is told; whoever finds the one then finds the other."""
        run_id, step = self._task.args.get("run_id"), self._task.args.get("step")
        if not (run_id and step) or self._task.check_mode:
            return dict(detail)
        run, said = Run(self._task.args["evidence_dir"], run_id), {"module": self._module()[0]}
        announced = run.record(task_vars["inventory_hostname"], step, "begin", on=self._target(task_vars), **said)
        return {**detail, MIRROR_KEY: announced["hash"]}

    # --- the connection --------------------------------------------------------

    def _execute(self, module: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        name = module if self._shared_loader_obj.action_loader.has_plugin(module) else None
        if name is None or self._task.action == module:
            outcome = self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars)
        else:
            outcome = self._run_action(module, arguments, task_vars)
        if outcome.get("unreachable"):
            raise AnsibleConnectionFailure(str(outcome.get("msg", "unreachable")))
        return dict(outcome)

    def _sign_of_life(self) -> AbstractContextManager[object]:
        """A step may run for half an hour without a record: the run's watcher must not take that for its death."""
        evidence_dir, run_id = (self._task.args.get(key) for key in ("evidence_dir", "run_id"))
        if not (evidence_dir and run_id):
            return nullcontext()
        return Run(evidence_dir, run_id).heartbeat(check=self._task.check_mode)

    def _run_action(self, name: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        task = self._task.copy()
        task.args = arguments
        action = self._shared_loader_obj.action_loader.get(
            name,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return dict(action.run(task_vars=task_vars))

    def _lost(self, task_vars: dict[str, Any], seen: str) -> str:
        return str(
            PatchingError(
                self._target(task_vars),
                "the connection was lost or never made ({})".format(" ".join(seen.split())[-300:]),
                "an answer from the host",
                "look at the host from its console; run the same command again once it answers",
            )
        )

    # --- after it --------------------------------------------------------------

    def _record(self, result: dict[str, Any], task_vars: dict[str, Any], took_ms: int) -> None:
        """Mirror the step's outcome in the run's ledger, before the next step can begin."""
        run_id, step = self._task.args.get("run_id"), self._task.args.get("step")
        if not (run_id and step) or self._task.check_mode:
            return
        event = "failed" if result.get("failed") else "done"
        detail = {key: value for key, value in result.items() if key in STEP_KEYS}
        detail.update(took_ms=took_ms, module=self._module()[0], on=self._target(task_vars))
        Run(self._task.args["evidence_dir"], run_id).record(task_vars["inventory_hostname"], step, event, **detail)
