# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what people are asked before the broad ring of a run, and records an answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    allowed_signers,
    answering,
    answers,
    approvals,
    opening,
    stopping,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.answers import Asking
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_live import INVENTORYS_OWN, tier_of, variable
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run

#: What -e gives where YAML reads a bare yes or no.
WORDS = {"true": "yes", "false": "no"}


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Verifies before it records; contacts no host."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "service": {"type": "str", "default": ""},
        "probe": {"type": "str", "default": ""},
        "answer": {"type": "str", "default": ""},
        "name": {"type": "str", "default": ""},
        "reason": {"type": "str", "default": ""},
        "key": {"type": "path"},
        "signature": {"type": "path"},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run = Run(arguments["evidence_dir"], arguments["run_id"])
        stopping.require_known(run)
        chosen = answering.choose(run.plan(), arguments["service"], arguments["probe"])
        word = WORDS.get(arguments["answer"].strip().lower(), arguments["answer"].strip().lower())
        if not word:
            records = run.ledger.read()
            return {"changed": False, "text": [answers.told(answers.standing(one, records)) for one in chosen]}
        asking = _one(chosen, word)
        given = self._given(arguments, asking, word)
        hostvars = task_vars["hostvars"]
        strict = answering.is_strict(asking, [tier_of(hostvars.get(host) or {}) for host in asking.hosts])
        signers = self._signers(asking, task_vars) if given.signature else None
        check = bool(self._task.check_mode)
        record = answering.give(run, asking, given, signers, self.clock, strict, check)
        if record is None:
            return {
                "changed": True,
                "text": [f"the answer {word} to {asking.service} {asking.probe} would be recorded"],
            }
        text = [str(record["detail"]["text"])]
        if word == "no":
            waiting = ", ".join(asking.hosts)
            text.append(f"Of {asking.service} no further host of the broad ring is begun ({waiting})")
            text += answering.tell(asking, f"Run {run.run_id}, {'. '.join(text)}", hostvars)
        return {"changed": True, "text": text}

    @staticmethod
    def _given(arguments: Mapping[str, Any], asking: Asking, word: str) -> answering.Given:
        reason = " ".join(arguments["reason"].split())[: answering.LONGEST_REASON]
        signature = ""
        if arguments["signature"]:
            try:
                signature = Path(arguments["signature"]).read_text(encoding="ascii")[: approvals.LARGEST]
            except (OSError, ValueError) as error:
                raise PatchingError(
                    f"signature {arguments['signature']}", str(error), "a file that ssh-keygen -Y sign wrote", "name it"
                ) from error
        elif arguments["key"]:
            statement = asking.statement(word, reason)
            signature = approvals.sign(statement, Path(arguments["key"]), namespace=approvals.ANSWER_NAMESPACE)
        return answering.Given(word, reason, arguments["name"], signature, opening.asker())

    def _signers(self, asking: Asking, task_vars: Mapping[str, Any]) -> Path | None:
        """Return the one list of who may sign of all hosts that wait."""
        subject = f"{asking.service} {asking.probe} of run {asking.run_id}"
        given = [name for name in INVENTORYS_OWN if name in load_extra_vars(self._loader)]
        if given:
            seen = f"{', '.join(given)} is given on the command line, where whoever answers decides it"
            raise PatchingError(subject, seen, "what the inventory has", "set it in the inventory")
        sources, hostvars = list(task_vars.get("ansible_inventory_sources") or []), task_vars["hostvars"]
        found = {
            allowed_signers.place(variable(hostvars.get(host) or {}, "patching_allowed_signers")[0], sources)
            for host in asking.hosts
        }
        if len(found) > 1:
            named = " or ".join(sorted(str(path) if path else "not set" for path in found))
            raise PatchingError(
                subject, f"patching_allowed_signers is {named}", "one file for all hosts that wait", "set it once"
            )
        return next(iter(found))


def _one(chosen: list[Asking], word: str) -> Asking:
    if word not in ("yes", "no"):
        raise PatchingError("the answer", repr(word), "yes or no", "say answer_is=yes or answer_is=no")
    if len(chosen) > 1:
        raise PatchingError(
            f"run {chosen[0].run_id}",
            f"it has the questions {', '.join(f'{one.service} {one.probe}' for one in chosen)}",
            "an answer to one of them",
            "name it by answer_service and answer_probe",
        )
    return chosen[0]
