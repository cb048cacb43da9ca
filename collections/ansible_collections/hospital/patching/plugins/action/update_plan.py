# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the plan: which hosts, in which waves, with which updates; written and shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    candidates,
    evidence,
    lost,
    names,
    plan,
    plan_text,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.cve_feed import CveFeed


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Reads settings from the inventory and assessments from the evidence; contacts no host."""

    ARGUMENTS = {
        "hosts": {"type": "list", "elements": "str", "required": True},
        "pattern": {"type": "str", "default": ""},
        "evidence_dir": {"type": "path", "default": "evidence"},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        store, now = evidence.Evidence(Path(arguments["evidence_dir"])), self.clock.now()
        pattern, known = arguments["pattern"], {"all", "ungrouped", *task_vars["groups"], *task_vars["groups"]["all"]}
        unknown = names.unknown_terms(pattern, known)
        if unknown or not arguments["hosts"]:
            raise PatchingError(
                f"patching_hosts {pattern!r}",
                f"the inventory does not know {', '.join(unknown)}" if unknown else "it matches no host",
                "hosts or groups of the inventory",
                "correct the pattern, or use the inventory that has them",
            )
        hostvars, asked_for = task_vars["hostvars"], set(arguments["hosts"])
        cves = CveFeed()
        fleet = {
            name: (candidates.candidate if name in asked_for else candidates.bystander)(
                name, hostvars[name], store.assessment(name), lost.mark(store.root, name), cves
            )
            for name in task_vars["groups"]["all"]
        }
        planned = plan.build_plan(evidence.new_id(now), now, fleet, groups=set(task_vars["groups"]))
        if not self._task.check_mode:
            store.save_plan(planned)
        return {
            "changed": not self._task.check_mode,
            "plan": planned.plan,
            "plan_id": planned.plan["plan_id"],
            "digest": planned.plan["digest"],
            "text": [*plan_text.plan_table(planned.plan).splitlines(), *cves.problems],
        }
