# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the journals of many hosts at once: the look that follows an intent must not take minutes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.plugin_utils import lost
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run

#: So many hosts are connected to at the same time.
AT_ONCE = 16
#: What a module call needs to know of its host beside the connection's own options.
NEEDED = ("ansible_python_interpreter", "ansible_shell_type", "patching_policy", "patching_device_segments")
MODULE = "hospital.patching.host_journal_info"


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Returns one look a peer, in the order asked; a peer that cannot be read carries ``msg`` instead of records.

    Each look is an action of its own (``host_step``, like every task that
    reaches a host) with a connection of its own, in a thread of its own.
    """

    ARGUMENTS = {**RUN_ARGUMENTS, "peers": {"type": "list", "elements": "str", "required": True}}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        # All variables are templated here, in one thread.
        self._own = frozenset(task_vars)
        asked = [
            (peer, self._prepare(peer, task_vars["hostvars"], arguments["evidence_dir"])) for peer in arguments["peers"]
        ]
        alive = Run(arguments["evidence_dir"], arguments["run_id"]).heartbeat(check=bool(self._task.check_mode))
        with alive, ThreadPoolExecutor(AT_ONCE) as pool:  # a peer that does not answer takes its time
            return {"changed": False, "looks": list(pool.map(lambda one: _look(*one), asked))}

    def _prepare(self, peer: str, hostvars: Mapping[str, Mapping[str, Any]], evidence_dir: str) -> Any:
        """Return the action that looks at a peer with its variables, or the look itself where no connection is made."""
        missing = lost.mark(Path(evidence_dir), peer)
        if missing is not None:
            return {"peer": peer, "msg": f"{missing.reason}: it is not connected to"}
        try:
            variables = hostvars.get(peer) or {}
            if variables.get("patching_policy") == "vendor_locked":
                return {"peer": peer, "no_journal": "vendor_locked: it is never contacted"}
            connection = self._connect(variables)
            known = {name: variables[name] for name in NEEDED if name in variables}
            facts = dict(variables.get("ansible_facts") or {})  # where a discovered interpreter is kept
        except AnsibleError as error:
            return {"peer": peer, "msg": str(error)}
        task = self._task.copy()
        task.action, task.args, task.delegate_to = MODULE, {}, None
        action = self._shared_loader_obj.action_loader.get(
            "hospital.patching.host_step",
            task=task,
            connection=connection,
            play_context=self._play_context.copy(),
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return action, {**known, "inventory_hostname": peer, "hostvars": {peer: known}, "ansible_facts": facts}

    def _connect(self, variables: Mapping[str, Any]) -> Any:
        """Return a connection with the host's own options, as Ansible makes one for a delegated task."""
        loaders = self._shared_loader_obj
        connection = loaders.connection_loader.get(
            str(variables.get("ansible_connection") or self._task.connection), self._play_context.copy(), None
        )
        if boolean(variables.get("ansible_become", self._task.become or False)):
            method = str(variables.get("ansible_become_method") or self._task.become_method or "sudo")
            connection.set_become_plugin(loaders.become_loader.get(method))
        for kind, plugin in (
            ("connection", connection),
            ("shell", connection._shell),
            ("become", connection.become),
        ):
            if plugin is not None:
                names = constants.config.get_plugin_vars(kind, plugin._load_name)
                known = {name: variables[name] for name in names if name in variables}
                plugin.set_options(task_keys=self._keywords(), var_options=known)
        return connection

    def _keywords(self) -> dict[str, Any]:
        """Return the task's keywords for a connection, with the time limit and passwords of the command line.

        The play's context carries this host's own passwords too; those are no other host's business.
        """
        context = self._play_context
        words = {key: value for key, value in self._task.dump_attrs().items() if key != "retries"}
        words["timeout"] = context.timeout
        for key in ("password", "become_pass"):
            if not self._own.intersection(constants.MAGIC_VARIABLE_MAPPING[key]):
                words[key] = getattr(context, key) or None
        return words


def _look(peer: str, prepared: Any) -> dict[str, Any]:
    if isinstance(prepared, dict):
        return prepared
    action, variables = prepared
    try:
        seen = action.run(task_vars=variables)
    except Exception as error:  # noqa: BLE001 - whatever went wrong: this host was not seen, the others were
        return {"peer": peer, "msg": f"{type(error).__name__}: {error}"}
    kept = ("msg", "lost_connection", "records", "holder", "torn")
    return {"peer": peer, **{key: seen[key] for key in kept if key in seen}}
