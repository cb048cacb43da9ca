# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a plan, who has approved it, and adds a signature or an approval that was given in AWX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    allowed_signers,
    approvals,
    awx_approvals,
    awx_site,
    break_glass,
    plan_text,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_api import AwxApi
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_approvals import AwxApproval
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_site import AwxSite
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_live import (
    INVENTORYS_OWN,
    SECONDS,
    tier_of,
    variable,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.refusals import APPROVALS

#: The ways to approve a plan.
HOW = """To approve it here: -e approve_key=KEY, a key without passphrase or the .pub of one that ssh-agent holds
To approve it elsewhere: {command}
and bring that here: approve.yml -e patching_plan={digest} -e approve_signature=approval.sig"""


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Verifies before it keeps; contacts no host."""

    ARGUMENTS = {
        "plan": {"type": "str", "required": True},
        "key": {"type": "path"},
        "signature": {"type": "path"},
        "awx": {"type": "int"},
        "awx_workflow_job": {"type": "int"},
        "evidence_dir": {"type": "path", "default": "evidence"},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        store = Evidence(Path(arguments["evidence_dir"]))
        loaded = store.load_plan(arguments["plan"])
        approved = loaded.plan
        digest, plan_dir = str(approved["digest"]), store.plan_dir(str(approved["plan_id"]))
        allowed, seconds, awx = self._allowed(approved, task_vars)
        before = approvals.of_plan(store, loaded, allowed, awx=awx, seconds=seconds)
        signature = self._signature(arguments, digest)
        names = [approvals.verify(signature, digest, allowed, seconds).name] if signature else []
        given, others = self._given(arguments, digest, AwxApi(awx))
        names += [awx.approvers[one.user] for one in given]
        if not self._task.check_mode:
            if signature:
                approvals.keep(plan_dir, signature)
            for one in given:
                awx_approvals.keep(approvals.folder(plan_dir), one)
        after = approvals.of_plan(store, loaded, allowed, awx=awx, seconds=seconds)
        needed = max(self._needed(approved, task_vars).values(), default=0)
        missing = max(0, needed - len(after.approvers))
        return {
            "changed": any(name not in before.approvers for name in names),
            "approvers": list(after.approvers),
            "rejected": list(after.rejected),
            "needed": needed,
            "text": [
                *plan_text.plan_table(approved).splitlines(),
                f"Approved by {', '.join(after.approvers) or 'nobody'}; its most critical hosts need {needed}",
                *(f"Does not count: {why}" for why in (*after.rejected, *others)),
                *(f"{name} would approve it" for name in names if name not in after.approvers),
                *(_how(missing, digest) if missing else []),
            ],
        }

    @staticmethod
    def _needed(approved: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, int]:
        """Return how many people have to approve, for each host: the inventory's tier counts where it is stricter."""
        hostvars = task_vars["hostvars"]
        return {
            host: max(entry["approvals"], APPROVALS[tier_of(hostvars.get(host) or {})])
            for host, entry in approved["hosts"].items()
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

    @staticmethod
    def _given(arguments: Mapping[str, Any], digest: str, api: AwxApi) -> tuple[list[AwxApproval], list[str]]:
        """Return what was approved in AWX, and why other approvals of the workflow job do not count.

        They may be of other shards, or of plans that were made anew. Where none counts, that is refused.
        """
        found = [] if arguments["awx"] is None else [awx_approvals.read(arguments["awx"], digest, api)]
        workflow_job = arguments["awx_workflow_job"]
        against: list[PatchingError] = []
        for number in [] if workflow_job is None else awx_approvals.given_in(workflow_job, api):
            try:
                found += [] if number == arguments["awx"] else [awx_approvals.read(number, digest, api)]
            except PatchingError as error:
                against.append(error)
        if against and not found:
            raise against[0]
        return found, [f"approval of the workflow job: {error.seen}" for error in against]

    def _allowed(
        self, approved: Mapping[str, Any], task_vars: Mapping[str, Any]
    ) -> tuple[Path | None, Path | None, AwxSite]:
        """Return who may sign, who else may where the glass is broken for it, and in which AWX people may approve."""
        hostvars, sources = task_vars["hostvars"], list(task_vars.get("ansible_inventory_sources") or [])
        needing = [host for host, count in self._needed(approved, task_vars).items() if count]
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
            raise PatchingError(subject, seen, "what the inventory has", "set it in the inventory")
        found = _lists("patching_allowed_signers", hostvars, needing, sources)
        segments, signers = approved["site"]["segments"], next(iter(found))
        sites = [awx_site.of(partial(variable, hostvars[host]), segments, signers) for host in sorted(needing)]
        if any(site != sites[0] for site in sites):
            seen, expected = "patching_awx_* differ among its hosts of tiers 1 and 2", "one AWX for all of them"
            raise PatchingError(subject, seen, expected, "set them once")
        breaks = break_glass.shortens(approved, "approval")
        seconds: set[Path | None] = _lists(SECONDS, hostvars, needing, sources) if breaks else {None}
        if found == {None} and sites[0].problem and seconds == {None}:
            raise _unclear(subject, "patching_allowed_signers", found)
        for setting, paths in (("patching_allowed_signers", found), (SECONDS, seconds)):
            if len(paths) > 1:
                raise _unclear(subject, setting, paths)
        return signers, next(iter(seconds)), sites[0]


def _how(missing: int, digest: str) -> list[str]:
    people = "person has" if missing == 1 else "people have"
    return [
        f"{missing} more {people} to approve it",
        *HOW.format(command=approvals.command(digest), digest=digest).splitlines(),
    ]


def _lists(
    setting: str, hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str], sources: Sequence[str]
) -> set[Path | None]:
    return {allowed_signers.place(hostvars[host].get(setting), sources) for host in hosts}


def _unclear(subject: str, setting: str, paths: set[Path | None]) -> PatchingError:
    named = " or ".join(sorted(str(path) if path else "not set" for path in paths))
    seen = f"{setting} is {named} for its hosts of tiers 1 and 2"
    return PatchingError(subject, seen, "one file for all of them", "set it once")
