# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger says of hooks, and what a failed one means for the host.

A hook's records have the step ``hook``, so that whoever reads the journey's own
steps does not take them for one; ``at`` and ``when`` say where it belongs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.plugin_utils import hooks

STEP = "hook"
Records = Sequence[Mapping[str, Any]]
#: What timeout(1) exits with when it has ended a command, and what is left of one that it had to kill.
ENDED = (124, 137)
LINE_WIDTH = 300


def detail_of(host: str, hook: Mapping[str, Any], way_back: bool) -> dict[str, Any]:
    """Return what each record of a hook says."""
    return {
        "hook": hooks.title(hook),
        "id": hooks.identity(hook),
        "at": hook["step"],
        "when": hook["when"],
        "on": hook.get("on") or host,
        "way_back": way_back,
    }


def is_done(records: Records, host: str, hook: Mapping[str, Any], way_back: bool) -> bool:
    """Say whether the hook has been done since the host's journey began, forward or on the way back.

    A host may be staged again, with its hooks.
    """
    wanted, done = hooks.identity(hook), False
    for record in records:
        if record["host"] != host or hook["step"] == "stage":
            continue
        detail = record["detail"]
        if record["event"] == "outcome" or _released(record):
            done = False
        elif record["step"] == STEP and detail.get("id") == wanted and detail.get("way_back") is way_back:
            done = record["event"] == "done"
    return done


def is_owed(records: Records, host: str, hook: Mapping[str, Any], counterpart: Mapping[str, Any]) -> bool:
    """Say whether ``hook`` was begun in this journey, whatever became of it, and its counterpart not done since.

    A stage is no part of the journey: what one left behind the next one undoes.
    """
    wanted, undone, owed = hooks.identity(hook), hooks.identity(counterpart), False
    for record in records:
        if record["host"] != host:
            continue
        detail = record["detail"]
        if hook["step"] != "stage" and (record["event"] == "outcome" or _released(record)):
            owed = False
        elif record["step"] == STEP and detail.get("id") == wanted and record["event"] == "begin":
            owed = True
        elif record["step"] == STEP and detail.get("id") == undone and record["event"] == "done":
            owed = False
    return owed


def _released(record: Mapping[str, Any]) -> bool:
    module = str(record["detail"].get("module", ""))
    return (record["step"], record["event"]) == ("return", "done") and module.endswith("host_journal")


def failure(record: Mapping[str, Any]) -> str | None:
    """Return why a record of a hook means that its host is put back; None when it does not.

    Before the drain nothing is disrupted, so the host is refused; what fails at
    the return leaves a host that is proven.
    """
    detail = record["detail"]
    if (record["step"], record["event"]) != (STEP, "failed") or detail.get("way_back"):
        return None
    if detail.get("at") in ("stage", "return") or (detail.get("at"), detail.get("when")) == ("drain", "before"):
        return None
    return str(detail.get("msg") or f"hook {detail.get('hook')} failed")


def is_told_only(hook: Mapping[str, Any], way_back: bool, undo: bool = False) -> bool:
    """Say whether the journey goes on although the hook failed; where it undoes one, no probe decides afterwards."""
    return way_back and not undo and hook["step"] in hooks.TOLD_ONLY


def error_of(host: str, hook: Mapping[str, Any], result: Mapping[str, Any], took_ms: int) -> PatchingError:
    """Return what a failed hook is told as: how it ended and its last line, for all else may hold secrets."""
    where = f" on {hook['on']}" if hook.get("on") else ""
    subject = f"hook {hooks.title(hook)!r} {hook['when']} {hook['step']} of host {host}{where}"
    if timed_out(hook, result, took_ms):
        seen = f"no end after {hook['timeout_s']} s"
    else:
        said = _last_line(result)
        code = f"exit {result['rc']}" if result.get("rc") is not None else "it failed"
        seen = f"{code}: {said}" if said else code
    next_step = "correct what it names, or the hook, then run again"
    if hook.get("means"):
        next_step = f"{hook['means'].rstrip('.')}; {next_step}"
    return PatchingError(subject, seen, f"success within {hook['timeout_s']} s", next_step)


def timed_out(hook: Mapping[str, Any], result: Mapping[str, Any], took_ms: int) -> bool:
    """Say whether a hook was ended at its limit, by timeout(1) on the host or by Ansible.

    One that ended before its time was killed by something else, such as a host without memory, or has a meaning of
    its own for the code.
    """
    if result.get("timedout"):
        return True
    ended = hooks.kind_of(hook) in ("run", "script") and result.get("rc") in ENDED
    return ended and took_ms >= hook["timeout_s"] * 1000


def _last_line(result: Mapping[str, Any]) -> str:
    for key in ("stderr", "stdout", "msg"):
        lines = [line.strip() for line in without_logins(str(result.get(key) or "")).splitlines() if line.strip()]
        if lines:
            return lines[-1][-LINE_WIDTH:]
    return ""
