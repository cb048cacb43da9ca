# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for runs that have gone silent, pages a person, fails when there are any, and leaves a mark that it looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import watch_mark, watchers, watching
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.paging import Pager
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import records as silences


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """Reads every run of the evidence directory; contacts no host."""

    ARGUMENTS = {
        "evidence_dir": RUN_ARGUMENTS["evidence_dir"],
        "silent_s": {"type": "int", "default": watchers.LIMIT_S},
        "every_s": {"type": "int", "default": 0},
        "page_command": {"type": "list", "elements": "str", "default": []},
        "page_url": {"type": "str", "default": "", "no_log": True},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        evidence_dir, now = arguments["evidence_dir"], self.clock.now()
        pager = Pager() if self._task.check_mode else Pager(arguments["page_command"], arguments["page_url"])
        try:
            silent = watching.silent_runs(evidence_dir, now, arguments["silent_s"])
            ended = silences.ended(evidence_dir, now)
        except PatchingError as error:
            # There is nowhere to remember it: this is paged at every look.
            raise watching.with_problems(error, pager.page(str(error)).problems) from error
        due = watching.due(evidence_dir, silent, now) if pager else []
        problems: list[str] = []
        reached = True
        if pager and (due or ended):
            sent = pager.page("\n".join(map(str, [*due, *ended])))
            reached, problems = sent.reached, list(sent.problems)
            if reached:
                problems += watching.remember(evidence_dir, due, now) + silences.remember(ended, now)
        result = self._result(silent, ended, due if reached else [], problems)
        if not self._task.check_mode:
            given = (reached, arguments["silent_s"], arguments["every_s"])
            result.update(watch_mark.leave(evidence_dir, pager, *given, self.clock.now()))
        return result

    @staticmethod
    def _result(
        silent: Sequence[watching.Silence],
        ended: Sequence[silences.Ended],
        paged: Sequence[watching.Silence],
        problems: list[str],
    ) -> dict[str, Any]:
        result: dict[str, Any] = {
            "changed": False,
            "silent": [silence.result() for silence in silent],
            "silences_ended": [one.result() for one in ended],
            "paged": [silence.run_id for silence in paged],
            "problems": problems,
            "mark": None,
            "no_mark": None,
        }
        if silent or ended:
            result.update(failed=True, msg=watching.message([*silent, *ended], problems))
        return result
