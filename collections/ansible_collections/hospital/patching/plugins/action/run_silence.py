# SPDX-License-Identifier: GPL-3.0-or-later
"""Silences the alerts of a host while it is patched, and lifts that again; asks the monitor from the controller."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import gate_live, rehearsal
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import RUN_ARGUMENTS, ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import keeping, login, records, registry
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import Access, SilenceProvider, Wanted
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp

#: Monitors count in minutes, and their clocks may differ from this one by some of them.
MINUTE_S, EARLY_S = 60, 300


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """``silenced`` before anything is disturbed, ``lifted`` once the host is back; without a monitor nothing."""

    ARGUMENTS = {
        **RUN_ARGUMENTS,
        "state": {"type": "str", "required": True, "choices": ["silenced", "lifted"]},
        "way_back": {"type": "bool", "default": False},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        run, host = Run(arguments["evidence_dir"], arguments["run_id"]), task_vars["inventory_hostname"]
        entry = run.host(host)
        setting = entry.get("silence")
        result: dict[str, Any] = {"changed": False, "id": None, "until": None, "warnings": []}
        if setting is None or self._task.check_mode:
            return result
        if arguments["state"] == "lifted":
            return {**result, **self._lift(run, host, setting, task_vars)}
        return {**result, **self._silence(run, host, entry, arguments["way_back"], task_vars)}

    def _silence(
        self, run: Run, host: str, entry: Mapping[str, Any], way_back: bool, task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        setting, wanted = entry["silence"], self._wanted(run, host, entry, way_back)
        about = {"provider": setting["provider"], "until": stamp(wanted.ends)}
        run.record(host, records.STEP, "begin", **about)
        try:
            made, others = keeping.silence(self._provider(run, host, setting, task_vars), wanted)
        except PatchingError as error:
            # Whoever asked for the way back is not kept from it by a monitor.
            if setting["when_unavailable"] == "refuse" and not way_back:
                run.record(host, records.STEP, "failed", **about, state=records.SILENCED, msg=str(error))
                raise
            run.record(host, records.STEP, "note", **about, unsilenced=str(error))
            return {"warnings": [f"Alerts of {host} are not silenced, and it goes on all the same. {error}"]}
        problems = list(others.problems)
        run.record(host, records.STEP, "done", **about, state=records.SILENCED, id=made, problems=problems)
        records.mark(run, host, stamp(wanted.ends))
        return {"changed": True, "id": made, "until": stamp(wanted.ends), "warnings": problems}

    def _wanted(self, run: Run, host: str, entry: Mapping[str, Any], way_back: bool) -> Wanted:
        now, seconds = self.clock.now(), entry["way_back_s"] + (0 if way_back else entry["estimate_s"])
        if not way_back and rehearsal.Rehearsals.read(run.ledger.read()).due(host):
            seconds += entry["way_back_s"]
        ends = now + timedelta(seconds=seconds)
        return Wanted(run.run_id, host, now - timedelta(seconds=EARLY_S), _whole_minute(ends))

    def _lift(self, run: Run, host: str, setting: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        standing = records.standing(run.ledger.read(), host)
        if standing is None:
            return {}
        about: dict[str, Any] = {"provider": setting["provider"], "state": records.LIFTED}
        try:
            lifted = keeping.lift(self._provider(run, host, setting, task_vars), run.run_id, host, standing.ids)
        except PatchingError as error:
            lifted = keeping.Lifted((), (), (str(error),))
        if lifted.problems:
            # The host is back whatever the monitor says, and a silence ends by itself.
            told = [f"A silence of {host} may last until {standing.until}. {one}" for one in lifted.problems]
            run.record(host, records.STEP, "note", **about, until=standing.until, msg=" ".join(lifted.problems))
            return {"warnings": told}
        run.record(host, records.STEP, "done", **about, ids=list(lifted.lifted), over=list(lifted.over))
        records.unmark(run, host)
        return {"changed": bool(lifted.lifted)}

    @staticmethod
    def _provider(run: Run, host: str, setting: Mapping[str, Any], task_vars: dict[str, Any]) -> SilenceProvider:
        given, problem = gate_live.variable(task_vars["hostvars"].get(host) or {}, login.SETTING)
        expected = "the login at the monitor of patching_silence"
        try:
            found = login.of(given)
        except ValueError as error:
            raise PatchingError(f"{login.SETTING} of {host}", "(set, not shown)", str(error), "correct it") from None
        if problem:
            raise PatchingError(f"{login.SETTING} of {host}", problem, expected, "correct it in the inventory")
        return registry.build(setting, Access(run.plan()["site"]["segments"], found))


def _whole_minute(moment: datetime) -> datetime:
    """Return the next whole minute: what is rounded down by a monitor would end too early."""
    return moment + timedelta(seconds=-int(moment.timestamp()) % MINUTE_S, microseconds=-moment.microsecond)
