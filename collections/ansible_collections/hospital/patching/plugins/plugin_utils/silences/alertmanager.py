# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' Alertmanager, by its API v2 (api/v2/openapi.yaml of its sources).

A silence matches alerts by one label that names the host, ``instance`` unless
stated, with or without a port: ``portal1``, ``portal1:9100``. Alertmanager
anchors regular expressions at both ends, so ``portal10`` is not meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import (
    CREATED_BY,
    Access,
    SilenceProvider,
    Wanted,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.json_api import JsonApi, problem, read_url
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp

API = "/api/v2"
LABEL = "instance"
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Of an ended silence; it stays listed for days.
EXPIRED = "expired"


class Alertmanager(SilenceProvider):
    """``{alertmanager: URL}`` with ``label`` and ``names`` where an alert names the host otherwise."""

    NAME = "alertmanager"

    def __init__(self, options: Mapping[str, Any], access: Access) -> None:
        super().__init__(options, access)
        self.api = JsonApi(options["url"], access)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> dict[str, Any]:
        if not set(value) <= {"alertmanager", "label", "names"}:
            raise ValueError("{alertmanager: URL} with label and names where alerts name the host otherwise")
        found = {"url": read_url(value["alertmanager"]), "label": value.get("label", LABEL)}
        if not isinstance(found["label"], str) or not _LABEL.fullmatch(found["label"]):
            raise ValueError("a label's name after label, such as instance")
        if "names" in value:
            names = value["names"]
            if not isinstance(names, (list, tuple)) or not names or not all(_is_name(name) for name in names):
                raise ValueError("names as a list of how alerts call this one host, without their port")
            found["names"] = sorted({str(name) for name in names})
        return found

    @classmethod
    def covers(cls, options: Mapping[str, Any], host: str) -> tuple[str, ...]:
        place = f"{options['url']} {options['label']}"
        return tuple(f"{place}={name}" for name in options.get("names") or [host])

    def problem(self) -> str | None:
        return problem(self.options["url"], self.access)

    def matchers(self, host: str) -> list[dict[str, Any]]:
        """Return what only this host's alerts have."""
        names = "|".join(re.escape(name) for name in self.options.get("names") or [host])
        value = f"(?:{names})(?::[0-9]+)?"
        return [{"name": self.options["label"], "value": value, "isRegex": True, "isEqual": True}]

    def own(self, run_id: str, host: str) -> list[str]:
        # Its filter does not find matchers that are regular expressions, so all are read.
        status, listed = self.api.ask("GET", f"{API}/silences")
        if status != 200 or not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise self._answered("GET", "/silences", status, listed)
        return [str(one.get("id")) for one in listed if _is_of(one, run_id, host) and _state(one) != EXPIRED]

    def make(self, wanted: Wanted) -> str:
        asked = {
            "matchers": self.matchers(wanted.host),
            "startsAt": stamp(wanted.starts),
            "endsAt": stamp(wanted.ends),
            "createdBy": CREATED_BY,
            "comment": comment(wanted.run_id, wanted.host),
        }
        status, answer = self.api.ask("POST", f"{API}/silences", asked)
        made = answer.get("silenceID") if isinstance(answer, dict) else None
        if status != 200 or not isinstance(made, str) or not made:
            raise self._answered("POST", "/silences", status, answer)
        found = self._get(made)
        if found is None or _state(found) != "active" or not _is_of(found, wanted.run_id, wanted.host):
            raise self.refused(
                f"silence {made}", f"it is {_state(found) if found else 'not there'} once made", "an active silence"
            )
        if _plain_matchers(found) != _plain_matchers(asked) or str(found.get("endsAt"))[:19] != asked["endsAt"][:19]:
            self.lift(made, wanted.run_id, wanted.host)
            seen = f"it matches {_plain_matchers(found)} until {found.get('endsAt')}"
            raise self.refused(f"silence {made}", seen, f"{_plain_matchers(asked)} until {asked['endsAt']}")
        return made

    def lift(self, silence_id: str, run_id: str, host: str) -> bool:
        found = self._get(silence_id)
        if found is None or _state(found) == EXPIRED:
            return False
        if not _is_of(found, run_id, host):
            raise self.refused(
                f"silence {silence_id}",
                f"it was made by {str(found.get('createdBy'))[:80]}: {str(found.get('comment'))[:80]}",
                f"one of run {run_id} and host {host}",
                "it was left alone; whoever made it ends it",
            )
        status, answer = self.api.ask("DELETE", f"{API}/silence/{quote(silence_id, safe='')}")
        # Whoever was quicker has ended it; releases before 0.27 answer an unknown one by 500.
        if status == 200 or self._is_over(silence_id):
            return True
        raise self._answered("DELETE", f"/silence/{silence_id}", status, answer)

    def _is_over(self, silence_id: str) -> bool:
        found = self._get(silence_id)
        return found is None or _state(found) == EXPIRED

    def _get(self, silence_id: str) -> dict[str, Any] | None:
        """Return a silence; None for one that is not known, as when it ended days ago."""
        path = f"/silence/{quote(silence_id, safe='')}"
        status, answer = self.api.ask("GET", f"{API}{path}")
        if status == 404:
            return None
        if status != 200 or not isinstance(answer, dict):
            raise self._answered("GET", path, status, answer)
        return answer

    def _answered(self, method: str, path: str, status: int, answer: object) -> Exception:
        return self.api.failed(method, f"{API}{path}", f"status {status}: {answer if answer else 'nothing'}")


def comment(run_id: str, host: str) -> str:
    """Return by which text people and this project know a silence."""
    return f"run {run_id}: host {host} is being patched"


def _is_of(silence: Mapping[str, Any], run_id: str, host: str) -> bool:
    return silence.get("createdBy") == CREATED_BY and silence.get("comment") == comment(run_id, host)


def _state(silence: Mapping[str, Any]) -> str:
    status = silence.get("status")
    return str(status.get("state")) if isinstance(status, dict) else "without a state"


def _plain_matchers(silence: Mapping[str, Any]) -> list[str]:
    """Return matchers as Alertmanager writes them; ``isEqual`` is true where it is left out."""
    found = silence.get("matchers")
    signs = {(True, False): "=", (True, True): "=~", (False, False): "!=", (False, True): "!~"}
    return sorted(
        f"{one.get('name')}{signs[bool(one.get('isEqual', True)), bool(one.get('isRegex'))]}{one.get('value')}"
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict)
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value) is not None
