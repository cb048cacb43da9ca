# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a housekeeping of restore points, judges those of one host, and tells what became of all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import housekeeping, opening, settings
from ansible_collections.hospital.patching.plugins.plugin_utils.contacts import RUN_VARIABLES
from ansible_collections.hospital.patching.plugins.plugin_utils.controller_work import ControllerWork
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import new_id
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import Ledger
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.snapshot_retention import (
    Limits,
    RoomLeft,
    Wanted,
    room_left,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp


class ActionModule(ControllerWork, ActionBase):  # type: ignore[misc]
    """``opened`` before the hosts, ``judged`` for each host and place, ``closed`` after them."""

    ARGUMENTS = {
        "state": {"type": "str", "required": True, "choices": ["opened", "judged", "closed"]},
        "evidence_dir": {"type": "path", "default": "evidence"},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "drop": {"type": "raw", "default": []},
        "place": {"type": "dict", "default": {}},
        "journal": {"type": "dict", "default": {}},
        "listed": {"type": "dict", "default": {}},
    }
    clock = Clock()

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if arguments["state"] == "opened":
            return self._open(arguments, task_vars)
        if arguments["state"] == "judged":
            return self._judge(arguments, task_vars)
        return self._close(arguments, task_vars)

    def _open(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        root, drop = Path(arguments["evidence_dir"]), housekeeping.ids_of(arguments["drop"])
        unknown = sorted(set(arguments["hosts"]) - set(task_vars["groups"]["all"]))
        if unknown or not arguments["hosts"]:
            raise PatchingError(
                "patching_hosts",
                f"{', '.join(unknown) or 'no host'}",
                "hosts or groups of the inventory",
                "give -e patching_hosts=…",
            )
        store = housekeeping.require_evidence(root)
        found = housekeeping.places(store, arguments["hosts"], task_vars["hostvars"])
        awaited, unread = housekeeping.expected(root, found.by_host, task_vars["groups"]["all"], self.clock.stamp())
        now_id = new_id(self.clock.now())
        if not self._task.check_mode:
            self._record(root, now_id, "begin", started_by=opening.asker(), hosts=len(found.by_host), drop=drop)
        facts = {
            "housekeeping": now_id,
            "evidence_dir": arguments["evidence_dir"],
            "hosts": list(found.by_host),
            "places": found.by_host,
            "drop": drop,
            "expected": awaited,
            "problems": [*found.problems, *unread],
        }
        return {"changed": False, "ansible_facts": {"patching_run": facts}}

    def _judge(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        host, asked, listed = task_vars["inventory_hostname"], plain(arguments["place"]), plain(arguments["listed"])
        if "snapshots" not in listed:
            why = " ".join(str(listed.get("msg") or "no answer").split())
            error = PatchingError(
                f"host {host}",
                f"its restore points could not be listed by {asked['provider']} on {asked['on']}: {why}",
                "a list of them",
                "correct what it names, then run housekeeping.yml again; nothing was deleted there",
            )
            result = housekeeping.result_of(host, asked, [], [], listed=False)
            return {"changed": False, "delete": [], "result": {**result, "problems": [str(error)]}}
        known = settings.effective(host, task_vars["hostvars"][host], also_known=RUN_VARIABLES)
        drop = frozenset(housekeeping.ids_of(arguments["drop"]))
        # The earlier of both clocks: one that is wrong makes nothing old.
        now = min(self.clock.now(), read_stamp(listed["time"]))
        wanted = Wanted(now, drop, known.snapshot_verified_keep_s)
        ledgers = housekeeping.Ledgers(housekeeping.require_evidence(Path(arguments["evidence_dir"])))
        verdicts = housekeeping.judge(ledgers, host, asked, listed["snapshots"], plain(arguments["journal"]), wanted)
        limits = Limits(known.snapshot_room_low_percent, known.snapshot_room_critical_percent)
        result = housekeeping.result_of(host, asked, verdicts, _rooms(asked, listed, limits))
        stays = [one for one in verdicts if one.id in drop and not one.delete]
        result["problems"] = [str(housekeeping.needed(host, one)) for one in stays]
        return {"changed": False, "delete": [vars(one) for one in verdicts if one.delete], "result": result}

    def _close(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        opened = plain(task_vars["hostvars"]["localhost"]["ansible_facts"]["patching_run"])
        judged: list[dict[str, Any]] = []
        removed: list[dict[str, Any]] = []
        for host, asked in opened["places"].items():
            came = plain(task_vars["hostvars"][host].get("__housekeeping_told") or [])
            judged += [one["judged"] for one in came]
            removed += [one for each in came for one in each["removed"]]
            if len(came) != len(asked):
                judged.append(_not_come_to(host, asked, len(came)))
        check = bool(self._task.check_mode)
        problems = [*opened["problems"], *housekeeping.missing(judged, opened["expected"])]
        told = housekeeping.summary(judged, removed, opened["drop"], problems, check)
        deleted = [one["id"] for one in removed if one["changed"]]
        if not check:
            root = Path(arguments["evidence_dir"])
            self._record(root, opened["housekeeping"], "done", deleted=deleted, bad=told.bad)
        return {"changed": False, "text": told.lines, "bad": " ".join(told.bad), "deleted": deleted}

    def _record(self, root: Path, run_id: str, event: str, **detail: Any) -> None:
        ledger = Ledger(housekeeping.ledger_path(root), clock=self.clock)
        ledger.append(run_id, "record", event, detail=detail)


def _rooms(asked: Mapping[str, Any], listed: Mapping[str, Any], limits: Limits) -> list[RoomLeft]:
    found = [room_left(asked["on"], room, limits) for room in listed.get("rooms") or []]
    problem = listed.get("rooms_problem")
    if problem:
        found.append(RoomLeft(asked["on"], asked["provider"], "room", "unknown", str(problem)))
    return found


def _not_come_to(host: str, asked: list[dict[str, Any]], number: int) -> dict[str, Any]:
    error = PatchingError(
        f"host {host}",
        f"its housekeeping came to {number} of {len(asked)} places",
        "all of them",
        "look at the first failed task of this host, then run housekeeping.yml again",
    )
    return {**housekeeping.result_of(host, asked[0], [], [], listed=False), "problems": [str(error)]}
