# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the fleet's inventory from what assess kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    end_of_life,
    evidence,
    fleet_inventory,
    lost,
    settings,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.contacts import RUN_VARIABLES
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.cve_feed import CveFeed
from ansible_collections.hospital.patching.plugins.plugin_utils.eol_feed import Feed
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet_state import Member


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Reads one document a host from the evidence directory; contacts no host."""

    ARGUMENTS = {
        "hosts": {"type": "list", "elements": "str", "required": True},
        "evidence_dir": {"type": "path", "default": "evidence"},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        store, now = evidence.Evidence(Path(arguments["evidence_dir"])), self.clock.now()
        hostvars, check = task_vars["hostvars"], bool(self._task.check_mode)
        feeds: dict[str, Feed] = {}

        def judge_of(member: Member) -> end_of_life.Judge:
            known = member.settings
            if known is None or known.eol_feed is None:
                return end_of_life.Judge(None, now.date())
            feed = feeds.setdefault(known.eol_feed, Feed(known.eol_feed))
            return end_of_life.Judge(feed, now.date(), known.eol_near_days, known.extended_support)

        cves = CveFeed()
        members = (self._member(store, name, hostvars[name], check, cves) for name in arguments["hosts"])
        written = fleet_inventory.write(store, members, judge_of, now, check)
        return {
            "changed": not check,
            "path": str(store.inventory_path("fleet.json").resolve()),
            "alarms": written.document["alarms"],
            "summary": written.document["summary"],
            "problems": cves.problems,
            "text": [*fleet_inventory.lines(written.document), *cves.problems],
        }

    @staticmethod
    def _member(
        store: evidence.Evidence, host: str, variables: Mapping[str, Any], check: bool, cves: CveFeed
    ) -> Member:
        problems = []
        known, document = None, None
        try:
            known = settings.effective(host, variables, also_known=RUN_VARIABLES)
        except PatchingError as error:
            problems.append(str(error))
        try:
            document = store.assessment(host)
        except (PatchingError, TypeError, ValueError) as error:
            problems.append(str(error))
        if check:
            document = _unsaved(document, variables)
        if known is not None and document and document.get("pending"):
            document["pending"] = cves.named(document["pending"], known.debian_tracker)
        address = str(variables.get("ansible_host") or host)
        return Member(host, address, known, document, lost.mark(store.root, host), "; ".join(problems))


def _unsaved(document: dict[str, Any] | None, variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the document as assess would have kept it outside check mode."""
    facts = variables.get("ansible_facts") or {}
    if not facts.get("patching_assessment"):
        return document
    software = facts.get("patching_software") or (document or {}).get("software")
    return {**(document or {}), **facts["patching_assessment"], "software": software}
