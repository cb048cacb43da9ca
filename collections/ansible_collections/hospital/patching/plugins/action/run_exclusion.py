# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides, after a look at the other hosts of its services, whether a run may go to the host it holds."""

from __future__ import annotations

import random
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import exclusion, looking
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run

#: Seconds until the next look. Who gave the host back stays away for longer than one look of the other takes.
LOOK_AGAIN_S = (2.0, 5.0)
STAY_AWAY_S = (8.0, 20.0)


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """``decided`` says go or again; what does not come right by itself is a refusal. ``waited`` only waits."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "state": {"type": "str", "required": True, "choices": ["decided", "waited", "witnessed"]},
        "looks": {"type": "list", "elements": "dict", "default": []},
        "probes": {"type": "list", "elements": "dict", "default": []},
        "peers": {"type": "list", "elements": "str", "default": []},
        "given_back": {"type": "bool", "default": False},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if arguments["state"] == "waited":
            if not self._task.check_mode:
                span = STAY_AWAY_S if arguments["given_back"] else LOOK_AGAIN_S
                self.clock.sleep(random.uniform(*span))  # noqa: S311 - two runs must not come back in step
            return {"changed": False}
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        if arguments["state"] == "witnessed":
            if not self._task.check_mode:
                peers = [{"peer": peer} for peer in arguments["peers"]]
                run.record(host, "verify", "note", seen=looking.seen(peers, arguments["probes"]))
            return {"changed": False}
        plan = run.plan()
        own = looking.intent_of(plan, run.run_id, host)
        readings = looking.readings(arguments["looks"], arguments["probes"])
        answer = exclusion.decide(own, readings, plan["services"])
        if isinstance(answer, exclusion.Go):
            if not self._task.check_mode:  # what was seen of the others then, for whoever asks whether users had them
                run.record(
                    host, "lock", "note", decision="go", seen=looking.seen(arguments["looks"], arguments["probes"])
                )
            return {"changed": False, "decision": "go", "reason": "", "give_back": False}
        given_up = looking.gives_up(own, readings, plan["services"], self._looks(run, host) + 1)
        reason = f"{answer.reason}; {given_up}" if answer.retry and given_up else answer.reason
        again = answer.retry and not given_up
        result = {"changed": False, "decision": "again" if again else "stop", "reason": reason}
        result["give_back"] = answer.clear
        if not self._task.check_mode:
            run.record(host, "lock", "note", **{key: result[key] for key in ("decision", "reason", "give_back")})
        if not again:
            result.update(failed=True, msg=reason)
        return result

    @staticmethod
    def _looks(run: Run, host: str) -> int:
        """Return how often this start of the run has looked for the host in vain."""
        looks = 0
        for record in run.ledger.read():
            if record["host"] is None and (record["step"], record["event"]) == ("gate", "begin"):
                looks = 0
            looks += record["host"] == host and record["detail"].get("decision") == "again"
        return looks
