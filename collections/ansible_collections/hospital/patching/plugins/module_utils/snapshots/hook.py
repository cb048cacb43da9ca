# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``hook``: a site's own commands make, list, put back and delete restore points.

Each command is a list of words, run without a shell, and prints one JSON document on its standard output. What it is
asked for is in its environment, so that a shell script needs no parser: see :data:`VARIABLES`. The site's system keeps
run, host, reason and expiry with each restore point and tells them again: nothing is remembered here, because a disk
that is put back would forget it. What it tells without a run is somebody else's, and is never listed or deleted.
"""

import json
import re
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import (
    NO_SUCH,
    Loss,
    Room,
    Snapshot,
    SnapshotProvider,
)

#: Before each name stands PATCHING_SNAPSHOT_. ACTION, HOST always; RUN_ID, REASON, CREATED, EXPIRES to create;
#: ID to revert and delete.
VARIABLES = ("ACTION", "HOST", "RUN_ID", "REASON", "CREATED", "EXPIRES", "ID")
PREFIX = "PATCHING_SNAPSHOT_"
#: A command that prints more than this does not print a document of ours.
LIMIT_BYTES = 1024 * 1024
LONGEST_S = 3600
#: What the system has to tell of each restore point that is ours.
OURS = ("id", "run_id", "host", "created", "expires")
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")


class HookProvider(SnapshotProvider):
    """Runs on the host itself, unless ``on`` in patching_snapshot names the machine that reaches the site's system."""

    NAME = "hook"
    MAKES = True
    OPTIONS = {
        "create": {"type": "list", "elements": "str", "required": True},
        "info": {"type": "list", "elements": "str", "required": True},
        "delete": {"type": "list", "elements": "str", "required": True},
        "revert": {"type": "list", "elements": "str", "default": []},
        "timeout_s": {"type": "int", "default": 600},
        "info_timeout_s": {"type": "int", "default": 60},
        "min_free_bytes": {"type": "int", "default": 0},
    }

    def __init__(self, options: Dict[str, Any], runner: Runner, clock: Clock) -> None:
        super().__init__(options, runner, clock)
        for key in ("create", "info", "delete"):
            if not self.options[key] or not all(self.options[key]):
                raise _bad_option(key, self.options[key], "a command, as a list of words")
        for key in ("timeout_s", "info_timeout_s"):
            if not 1 <= self.options[key] <= LONGEST_S:
                raise _bad_option(key, self.options[key], "1 to {} seconds".format(LONGEST_S))

    def available(self, host: str) -> Optional[str]:
        """What the site's system says against it (``refusal``), or too little room where it tells of any."""
        told = self._info(host)
        refusal = told.get("refusal")
        if refusal is not None and not isinstance(refusal, str):
            raise self._bad("info", "refusal is {!r}".format(refusal), "text, or null")
        if refusal:
            return refusal
        for room in self._rooms(told):
            if room.free_bytes < self.options["min_free_bytes"]:
                return "{} {} has {} bytes free, the snapshot needs {}".format(
                    room.kind, room.name, room.free_bytes, self.options["min_free_bytes"]
                )
        return None

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        """Make one, and prove that the site's system lists it as this run's; one that it does not list is deleted."""
        refusal = self.available(host)
        if refusal:
            raise PatchingError(
                "host {}".format(host),
                refusal,
                "a host of which a restore point can be made",
                "correct that, or patching_snapshot",
            )
        asked = {"RUN_ID": run_id, "REASON": reason, "CREATED": self.clock.stamp(), "EXPIRES": expires}
        try:
            made = self._document("create", host, asked)
            identity = self._field("create", made, "id")
            self._moment("create", made, "created")
            self._size("create", made, "size_bytes")
        except PatchingError as error:
            raise self._left_nothing(run_id, host, error)
        found = [one for one in self.list(run_id, host) if one.id == identity]
        if not found:
            lost = PatchingError(
                "restore point {} of host {}".format(identity, host),
                "info does not list it as one of run {}".format(run_id),
                "what create made, with its run_id and host",
                "have create keep {0}RUN_ID and {0}HOST, and info print them".format(PREFIX),
            )
            raise self._undone(identity, host, lost)
        return found[0]

    def _left_nothing(self, run_id: str, host: str, error: PatchingError) -> PatchingError:
        """Delete what a failed command has left: the next call would take it for a whole restore point."""
        try:
            left = self.list(run_id, host)
        except PatchingError as second:
            return PatchingError(
                error.subject,
                "{}; what it has left is not known ({})".format(error.seen, second.seen),
                error.expected,
                "{}; look for what it has left and delete that by hand".format(error.next_step),
            )
        for one in left:
            error = self._undone(one.id, host, error)
        return error

    def _undone(self, identity: str, host: str, error: PatchingError) -> PatchingError:
        """Delete what cannot be used, and say so where that fails as well."""
        try:
            self._document("delete", host, {"ID": identity}, of=identity)
        except PatchingError as second:
            return PatchingError(
                error.subject,
                "{}; it could not be deleted ({})".format(error.seen, second.seen),
                error.expected,
                "{}; delete {} by hand".format(error.next_step, identity),
            )
        return error

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        told = self._info(host or "")
        entries = told.get("snapshots")
        if not isinstance(entries, list):
            raise self._bad("info", "snapshots is {}".format(type(entries).__name__), "a list")
        found = [self._snapshot(entry) for entry in entries if self._is_ours(entry)]
        ids = [one.id for one in found]
        twice = sorted({identity for identity in ids if ids.count(identity) > 1})
        if twice:
            raise self._bad("info", "the id {} is there twice".format(", ".join(twice)), "an id of its own for each")
        return sorted(
            [one for one in found if run_id in (None, one.run_id) and host in (None, one.host)],
            key=lambda one: (one.created, one.id),
        )

    def rooms(self) -> List[Room]:
        return self._rooms(self._info(""))

    def loss(self, snapshot_id: str, host: str) -> Loss:
        """What the site's system tells as ``changed_bytes`` of the restore point, where it does."""
        found = [one for one in self.list(None, host) if one.id == snapshot_id]
        if not found:
            return NO_SUCH
        if found[0].detail.get("changed_bytes") is None:
            return Loss(None, "the command info tells no changed_bytes of it")
        return Loss(self._size("info", found[0].detail, "changed_bytes"), None)

    def delete(self, snapshot_id: str) -> bool:
        """Delete it, and prove that it is gone."""
        mine = [one for one in self.list() if one.id == snapshot_id]
        if not mine:
            return False
        self._document("delete", mine[0].host, {"ID": snapshot_id}, of=snapshot_id)
        if [one for one in self.list() if one.id == snapshot_id]:
            raise PatchingError(
                "restore point {}".format(snapshot_id),
                "info lists it although delete exited with 0",
                "one that is gone",
                "look at it in the site's system, and correct the command",
            )
        return True

    def revert(self, snapshot_id: str, host: str) -> Dict[str, Any]:
        """Put the host back.

        With ``reboot`` true that is left to the caller. ``detail`` is what else the command has printed.
        """
        if not self.options["revert"]:
            raise PatchingError(
                "snapshot provider hook",
                "asked to revert {} without a command for it".format(host),
                "revert in patching_snapshot",
                "give one, put the host back by hand, or roll the packages back by update_rollback",
            )
        if not [one for one in self.list(None, host) if one.id == snapshot_id]:
            raise PatchingError(
                "restore point {}".format(snapshot_id),
                "info does not list it for host {}".format(host),
                "a restore point of that host",
                "take the id from the run's ledger, step snapshot; nothing was put back",
            )
        told = self._document("revert", host, {"ID": snapshot_id}, of=snapshot_id)
        reboot = told.get("reboot", False)
        if not isinstance(reboot, bool):
            raise self._bad("revert", "reboot is {!r}".format(reboot), "true or false; look at what runs on the host")
        detail = {key: value for key, value in told.items() if key not in ("id", "reboot")}
        return {"snapshot": snapshot_id, "reboot": reboot, "detail": detail}

    # --- what commands print ---------------------------------------------------

    def _info(self, host: str) -> Dict[str, Any]:
        return self._document("info", host, {})

    def _document(self, action: str, host: str, asked: Dict[str, str], of: Optional[str] = None) -> Dict[str, Any]:
        """Run a command and return its document; with ``of`` proven to be about that restore point."""
        environment = {PREFIX + name: "" for name in VARIABLES}
        environment.update({PREFIX + name: value for name, value in dict(asked, ACTION=action, HOST=host).items()})
        if any("\0" in value for value in environment.values()):
            raise self._bad(action, "a NUL character in what it is asked for", "text", "correct the reason")
        limit = self.options["info_timeout_s" if action == "info" else "timeout_s"]
        printed = self.runner.run(list(self.options[action]), timeout_s=limit, env=environment).stdout
        if len(printed) > LIMIT_BYTES:
            raise self._bad(action, "it prints more than {} bytes".format(LIMIT_BYTES), "a short JSON document")
        try:
            found = json.loads(printed)
            canonical_json(found)  # what the ledger could not keep is refused here, not after the restore point is made
        except TypeError as error:
            raise self._bad(action, str(error), "text, whole numbers, lists and objects")
        except (ValueError, RecursionError):
            # Not shown: nobody knows what it printed.
            raise self._bad(action, "it prints no JSON document ({} bytes)".format(len(printed)), "one JSON document")
        if not isinstance(found, dict):
            raise self._bad(action, "it prints {}".format(type(found).__name__), "a JSON object")
        if of is not None and self._field(action, found, "id") != of:
            raise self._bad(action, "it answers for {}".format(found["id"]), of)
        return found

    def _is_ours(self, entry: Any) -> bool:
        if not isinstance(entry, dict):
            raise self._bad("info", "an entry of snapshots is {}".format(type(entry).__name__), "a JSON object each")
        return bool(entry.get("run_id"))

    def _snapshot(self, entry: Dict[str, Any]) -> Snapshot:
        for key in OURS:
            self._field("info", entry, key)
        for key in ("created", "expires"):
            self._moment("info", entry, key)
        known = OURS + ("reason", "size_bytes")
        detail = {key: value for key, value in entry.items() if key not in known}
        if entry.get("size_bytes") is not None:
            detail["size_bytes"] = self._size("info", entry, "size_bytes")
        return Snapshot(
            id=entry["id"],
            provider=self.NAME,
            run_id=entry["run_id"],
            host=entry["host"],
            reason=str(entry.get("reason") or ""),
            created=entry["created"],
            expires=entry["expires"],
            detail=detail,
        )

    def _rooms(self, told: Dict[str, Any]) -> List[Room]:
        entries = told.get("rooms") or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._bad("info", "rooms is no list of JSON objects", "a list of them, or none")
        return [
            Room(
                self._field("info", entry, "kind"),
                self._field("info", entry, "name"),
                self._size("info", entry, "size_bytes"),
                self._size("info", entry, "free_bytes"),
            )
            for entry in entries
        ]

    def _field(self, action: str, told: Dict[str, Any], key: str) -> str:
        value = told.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self._bad(action, "{} is {!r}".format(key, value), "{} as text".format(key))
        return value

    def _moment(self, action: str, told: Dict[str, Any], key: str) -> None:
        if not _STAMP.match(self._field(action, told, key)):
            raise self._bad(action, "{} is {!r}".format(key, told[key]), "UTC like 2026-11-25T01:00:00Z")

    def _size(self, action: str, told: Dict[str, Any], key: str) -> int:
        value = told.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._bad(action, "{} is {!r}".format(key, value), "whole bytes, from 0")
        return value

    def _bad(self, action: str, seen: str, expected: str, next_step: str = "") -> PatchingError:
        return PatchingError(
            "the command {} of snapshot provider hook ({})".format(action, self.options[action][0]),
            seen,
            expected,
            next_step or "run it by hand with {}ACTION={} and correct what it prints".format(PREFIX, action),
        )


def _bad_option(key: str, seen: Any, expected: str) -> PatchingError:
    return PatchingError(
        "snapshot provider hook", "{} is {!r}".format(key, seen), expected, "correct patching_snapshot"
    )
