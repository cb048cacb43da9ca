# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a plan, who has approved it, and adds a signature."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    allowed_signers,
    approvals,
    break_glass,
    plan_text,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_live import INVENTORYS_OWN, SECONDS


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Verifies before it keeps; contacts no host."""

    ARGUMENTS = {
        "plan": {"type": "str", "required": True},
        "key": {"type": "path"},
        "signature": {"type": "path"},
        "evidence_dir": {"type": "path", "default": "evidence"},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        store = Evidence(Path(arguments["evidence_dir"]))
        loaded = store.load_plan(arguments["plan"])
        approved = loaded.plan
        digest, plan_dir = str(approved["digest"]), store.plan_dir(str(approved["plan_id"]))
        allowed = self._one_of("patching_allowed_signers", approved, task_vars)
        if allowed is None:
            raise _no_list(approved)
        breaks = break_glass.shortens(approved, "approval")
        seconds = self._one_of(SECONDS, approved, task_vars) if breaks else None
        before = approvals.of_plan(store, loaded, allowed, seconds=seconds)
        signature = self._signature(arguments, digest)
        name = ""
        if signature:
            name = approvals.verify(signature, digest, allowed, seconds).name
            if not self._task.check_mode:
                approvals.keep(plan_dir, signature)
        after = approvals.of_plan(store, loaded, allowed, seconds=seconds)
        needed = max((entry["approvals"] for entry in approved["hosts"].values()), default=0)
        return {
            "changed": bool(name) and name not in before.approvers,
            "approvers": list(after.approvers),
            "rejected": list(after.rejected),
            "needed": needed,
            "text": [
                *plan_text.plan_table(approved).splitlines(),
                f"Approved by {', '.join(after.approvers) or 'nobody'}; its most critical hosts need {needed}",
                *(f"Does not count: {why}" for why in after.rejected),
                *([f"{name} would approve it"] if name and name not in after.approvers else []),
                *([] if signature else [f"To approve it: {approvals.command(digest)}"]),
            ],
        }

    @staticmethod
    def _signature(arguments: Mapping[str, Any], digest: str) -> str:
        if arguments["signature"]:
            try:
                return Path(arguments["signature"]).read_text(encoding="ascii")[: approvals.LARGEST]
            except (OSError, ValueError) as error:
                raise PatchingError(
                    f"signature {arguments['signature']}", str(error), "a file that ssh-keygen -Y sign wrote", "name it"
                ) from error
        return approvals.sign(digest, Path(arguments["key"])) if arguments["key"] else ""

    def _one_of(self, setting: str, approved: Mapping[str, Any], task_vars: Mapping[str, Any]) -> Path | None:
        """Return the list that a setting names, the same for all hosts that need a signature; None when it is not set.

        Raises:
            PatchingError: the hosts name several, or the plan needs no signature from this inventory.
        """
        hostvars, sources = task_vars["hostvars"], list(task_vars.get("ansible_inventory_sources") or [])
        needing = [host for host, entry in approved["hosts"].items() if entry["approvals"]]
        unknown = [host for host in needing if host not in hostvars]
        subject = f"plan {approved['plan_id']}"
        if not needing:
            seen, expected = "none of its hosts needs a signature", "hosts of tier 1 or 2"
            raise PatchingError(subject, seen, expected, "start it with its digest: that approves tiers 3 and 4")
        if unknown:
            seen = f"this inventory does not know {', '.join(unknown[:5])}"
            raise PatchingError(subject, seen, "the inventory that it was made from", "name that with -i")
        given = [name for name in INVENTORYS_OWN if name in load_extra_vars(self._loader)]
        if given:
            seen = f"{', '.join(given)} is given on the command line, where whoever approves decides it"
            raise PatchingError(subject, seen, "a list that the inventory names", "set it in the inventory")
        found = {allowed_signers.place(hostvars[host].get(setting), sources) for host in needing}
        if len(found) > 1:
            named = " or ".join(sorted(str(path) if path else "not set" for path in found))
            seen = f"{setting} is {named} for its hosts of tiers 1 and 2"
            raise PatchingError(subject, seen, "one file for all of them", "set it once")
        return next(iter(found))


def _no_list(approved: Mapping[str, Any]) -> PatchingError:
    seen = "patching_allowed_signers is not set for its hosts of tiers 1 and 2"
    return PatchingError(f"plan {approved['plan_id']}", seen, "one file for all of them", "set it once")
