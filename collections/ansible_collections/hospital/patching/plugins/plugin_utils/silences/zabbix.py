# SPDX-License-Identifier: GPL-3.0-or-later
"""Zabbix 6.4 and later, by its JSON-RPC API: a maintenance of one host, with data collection.

Sources: zabbix.com/documentation/7.0/en/manual/api, of ``host.get`` and
``maintenance.create``, ``get`` and ``delete``. Times are whole minutes there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import (
    CREATED_BY,
    Access,
    SilenceProvider,
    Wanted,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.json_api import JsonApi, problem, read_url

ENDPOINT = "/api_jsonrpc.php"
#: A maintenance's name is unique, and at most so long.
LONGEST_NAME = 128
#: The database's text of a moment; the shortest period that the API takes.
MINUTE_S, SHORTEST_S = 60, 300
_WHOLE = {"output": "extend", "selectHosts": ["hostid", "host"], "selectHostGroups": ["groupid"]}


class Zabbix(SilenceProvider):
    """``{zabbix: URL}`` of the frontend, with ``name`` where Zabbix calls the host otherwise (its technical name)."""

    NAME = "zabbix"

    def __init__(self, options: Mapping[str, Any], access: Access) -> None:
        super().__init__(options, access)
        self.api = JsonApi(options["url"], access)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> dict[str, Any]:
        if not set(value) <= {"zabbix", "name"}:
            raise ValueError("{zabbix: URL} with name where Zabbix calls the host otherwise")
        found = {"url": read_url(value["zabbix"]).removesuffix(ENDPOINT)}
        if "name" in value:
            if not isinstance(value["name"], str) or value["name"].strip() != value["name"] or not value["name"]:
                raise ValueError("a host's technical name in Zabbix after name")
            found["name"] = str(value["name"])
        return found

    @classmethod
    def covers(cls, options: Mapping[str, Any], host: str) -> tuple[str, ...]:
        return (f"{options['url']} host {options.get('name') or host}",)

    def problem(self) -> str | None:
        if not self.access.login.token:
            return "Zabbix needs an API token, which patching_silence_login does not have as {token: TOKEN}"
        return problem(self.options["url"], self.access)

    def own(self, run_id: str, host: str) -> list[str]:
        found = self._get({"filter": {"name": [maintenance_name(run_id, host)]}})
        return [str(one["maintenanceid"]) for one in found if _is_of(one, run_id, host)]

    def make(self, wanted: Wanted) -> str:
        # Its name is unique, so the one that an interrupted run has left is ended first.
        for left in self.own(wanted.run_id, wanted.host):
            self.lift(left, wanted.run_id, wanted.host)
        host_id = self._host_id(wanted.host)
        since = int(wanted.starts.timestamp()) // MINUTE_S * MINUTE_S
        until = -(-int(wanted.ends.timestamp()) // MINUTE_S) * MINUTE_S
        period = max(SHORTEST_S, until - since)
        answer = self._call(
            "maintenance.create",
            {
                "name": maintenance_name(wanted.run_id, wanted.host),
                "description": description(wanted.run_id, wanted.host),
                "active_since": since,
                "active_till": until,
                "maintenance_type": 0,
                "hosts": [{"hostid": host_id}],
                "timeperiods": [{"timeperiod_type": 0, "start_date": since, "period": period}],
            },
        )
        made = _ids(answer, "maintenanceids")
        if len(made) != 1:
            raise self._lied("maintenance.create", answer, "the id of one maintenance")
        found = self._get({"maintenanceids": made})
        if not found or not _is_of(found[0], wanted.run_id, wanted.host):
            raise self.refused(f"maintenance {made[0]}", "it is not there once made", "the maintenance of this run")
        hosts, groups = _listed(found[0], "hosts", "hostid"), _listed(found[0], "hostgroups", "groupid")
        if (hosts, groups, str(found[0].get("active_till"))) != ([host_id], [], str(until)):
            self.lift(made[0], wanted.run_id, wanted.host)
            seen = f"it is of hosts {hosts} and groups {groups} until {found[0].get('active_till')}"
            raise self.refused(f"maintenance {made[0]}", seen, f"host {host_id} alone, until {until}")
        return made[0]

    def lift(self, silence_id: str, run_id: str, host: str) -> bool:
        found = self._get({"maintenanceids": [silence_id]})
        if not found:
            return False
        if not _is_of(found[0], run_id, host):
            raise self.refused(
                f"maintenance {silence_id}",
                f"it is called {str(found[0].get('name'))[:120]!r}",
                f"one of run {run_id} and host {host}",
                "it was left alone; whoever made it ends it",
            )
        try:
            self._call("maintenance.delete", [silence_id])
        except PatchingError:
            # Whoever was quicker has ended it.
            if self._get({"maintenanceids": [silence_id]}):
                raise
            return False
        return True

    def _host_id(self, host: str) -> str:
        name = self.options.get("name") or host
        answer = self._call("host.get", {"filter": {"host": [name]}, "output": ["hostid", "host"]})
        found = [one for one in answer if isinstance(one, dict)] if isinstance(answer, list) else []
        if len(found) != 1 or found[0].get("host") != name:
            seen = f"{len(found)} hosts that the token's user may see"
            raise self.refused(f"host {name}", seen, "one host with this technical name", "correct patching_silence")
        return str(found[0].get("hostid"))

    def _get(self, which: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = self._call("maintenance.get", {**_WHOLE, **which})
        if not isinstance(answer, list) or not all(isinstance(one, dict) and "maintenanceid" in one for one in answer):
            raise self._lied("maintenance.get", answer, "a list of maintenances")
        return answer

    def _call(self, method: str, params: object) -> Any:
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        status, answer = self.api.ask("POST", ENDPOINT, body)
        if status != 200 or not isinstance(answer, dict):
            raise self.api.failed(method, "", f"status {status}: {answer if answer else 'nothing'}")
        if "error" in answer or "result" not in answer:
            error = answer.get("error")
            told = (
                f"{error.get('message')} {error.get('data')}" if isinstance(error, dict) else "neither result nor error"
            )
            raise self.api.failed(method, "", told)
        return answer["result"]

    def _lied(self, method: str, answer: object, expected: str) -> PatchingError:
        return self.refused(method, self.access.login.masked(str(answer))[:200], expected)


def maintenance_name(run_id: str, host: str) -> str:
    """Return the unique name of a maintenance; of a long one the end is a digest."""
    name = f"{CREATED_BY} {run_id} {host}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]} {hashlib.sha256(name.encode()).hexdigest()[:16]}"


def description(run_id: str, host: str) -> str:
    """Return by which text people and this project know a maintenance."""
    return f"run {run_id}: host {host} is being patched"


def _is_of(found: Mapping[str, Any], run_id: str, host: str) -> bool:
    return (found.get("name"), found.get("description")) == (
        maintenance_name(run_id, host),
        description(run_id, host),
    )


def _ids(answer: object, key: str) -> list[str]:
    ids = answer.get(key) if isinstance(answer, dict) else None
    return [str(one) for one in ids] if isinstance(ids, list) else []


def _listed(found: Mapping[str, Any], key: str, name: str) -> list[str]:
    rows = found.get(key)
    return sorted(str(row.get(name)) for row in rows if isinstance(row, dict)) if isinstance(rows, list) else []
