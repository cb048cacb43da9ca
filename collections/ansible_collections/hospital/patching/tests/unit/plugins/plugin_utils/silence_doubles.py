# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitors on loopback for tests: small HTTP servers that answer as the APIs of Alertmanager and Zabbix do.

Doubles: what Alertmanager 0.25 itself answers is held against the same tests by tests/tools/test_alertmanager.py;
Zabbix cannot run here, and its double follows the documentation of its API alone.
"""

from __future__ import annotations

import http.server
import json
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar


class Monitor:
    """A server whose ``silences`` can be looked at; ``broken`` makes it answer a status or text instead."""

    def __init__(self) -> None:
        self.silences: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, Any, str]] = []
        #: Status and text of every answer from now on, or how long each answer takes.
        self.broken: tuple[int, str] | None = None
        self.hangs_s = 0.0
        #: Changes a silence that is made: a monitor that lies.
        self.lie: dict[str, Any] = {}
        monitor = self

        class Handler(http.server.BaseHTTPRequestHandler):
            wbufsize = -1  # one packet an answer

            def _do(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(content) if content else None
                monitor.asked.append((self.command, self.path, body, self.headers.get("Authorization") or ""))
                time.sleep(monitor.hangs_s)
                status, answer = monitor.broken or monitor.answer(self.command, self.path, body)
                text = answer if isinstance(answer, str) else json.dumps(answer)
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(text.encode())))
                    self.end_headers()
                    self.wfile.write(text.encode())
                except OSError:
                    pass  # whoever asked has given it up

            def __getattr__(self, name: str) -> Any:
                if name in ("do_GET", "do_POST", "do_DELETE"):
                    return self._do
                raise AttributeError(name)

            def log_message(self, *_words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Any:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        raise NotImplementedError

    def standing(self) -> list[str]:
        """Return the ids of the silences that have not ended."""
        raise NotImplementedError


class AlertmanagerDouble(Monitor):
    """The part of API v2 that is used, with the statuses of release 0.25."""

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path == "/api/v2/silences" and method == "POST":
            made = str(uuid.uuid4())
            self.silences[made] = {**body, "id": made, "status": {"state": "active"}, **self.lie}
            return 200, {"silenceID": made}
        if path == "/api/v2/silences":
            return 200, list(self.silences.values())
        found = self.silences.get(path.rpartition("/")[2])
        if found is None:
            return (404, "") if method == "GET" else (500, '"silence not found"')
        if method == "DELETE":
            found["status"] = {"state": "expired"}
            return 200, ""
        return 200, found

    def standing(self) -> list[str]:
        return [name for name, one in self.silences.items() if one["status"]["state"] != "expired"]


class ZabbixDouble(Monitor):
    """The methods of the JSON-RPC API that are used; it knows the hosts portal1 and portal2."""

    token = "f2aa5d1e"
    hosts: ClassVar = {"portal1": "10084", "portal2": "10085"}

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if self.asked[-1][3] != f"Bearer {self.token}":
            return 200, self._error("Not authorized.")
        return 200, self._call(body["method"], body["params"])

    def _call(self, method: str, params: Any) -> dict[str, Any]:
        if method == "host.get":
            names = params["filter"]["host"]
            return self._result([{"host": name, "hostid": self.hosts[name]} for name in names if name in self.hosts])
        if method == "maintenance.create":
            if params["name"] in [one["name"] for one in self.silences.values()]:
                return self._error(f'Maintenance "{params["name"]}" already exists.')
            made = str(len(self.asked))
            self.silences[made] = {**params, "maintenanceid": made, "hostgroups": [], **self.lie}
            return self._result({"maintenanceids": [made]})
        if method == "maintenance.get":
            names, ids = params.get("filter", {}).get("name"), params.get("maintenanceids")
            found = [one for one in self.silences.values() if names is None or one["name"] in names]
            found = [one for one in found if ids is None or one["maintenanceid"] in ids]
            return self._result([{**one, "active_till": str(one["active_till"])} for one in found])
        for gone in params:
            if gone not in self.silences:
                return self._error("No permissions to referred object or it does not exist!")
            del self.silences[gone]
        return self._result({"maintenanceids": params})

    @staticmethod
    def _result(result: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "result": result, "id": 1}

    @staticmethod
    def _error(data: str) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "error": {"code": -32602, "message": "Invalid params.", "data": data}, "id": 1}

    def standing(self) -> list[str]:
        return list(self.silences)


def ends(silence: dict[str, Any]) -> datetime:
    """Return when a silence of either double ends."""
    given = silence.get("endsAt") or silence.get("active_till")
    if isinstance(given, str) and "T" in given:
        return datetime.strptime(given[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return datetime.fromtimestamp(int(given or 0), tz=UTC)
