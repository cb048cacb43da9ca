# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks: what a site does of its own before and after a step of a host's journey, within a time limit of its own.

Each names the step, ``before`` or ``after``, and one thing to do:

* ``{run: [WORD, ...]}``: a command, without a shell;
* ``{script: PATH}``: a file of the controller, copied to the host and run there;
* ``{tasks: PATH}``: a file of tasks of the controller;
* ``{module: NAME, arguments: {...}}``: one module.

``on`` is the host where it is done, ``timeout_s`` how long it may take, ``means``
what its failure means to whoever reads of it at night, ``undoes`` the name of the
hook whose counterpart it is. Plans and reports show all of it: no secret may be
in a hook.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import setting_types as types
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain

Hook = dict[str, Any]

STEPS = ("stage", "drain", "snapshot", "install", "restart", "verify", "return")
TIMES = ("before", "after")
KINDS = ("run", "script", "tasks", "module")
#: Kinds whose content is a file of the controller, sealed by its hash when the host is planned.
FILES = ("script", "tasks")
TIMEOUT_S, LONGEST_S = 60, 3600
#: Nothing shows that the run lives while tasks of the site's own are at work, and recovery begins after two minutes.
LONGEST_TASKS_S = 90
#: For how long a command may clean up, and its answer may be on its way, before Ansible itself gives it up.
KILL_AFTER_S, GRACE_S = 10, 30
#: What is done again on the way back; a host that was never drained again has nothing to do before and after these.
WAY_BACK = ("restart", "verify", "return")
#: Failures of these do not stop the way back: the same probes decide whether the host is as it was.
TOLD_ONLY = ("restart", "verify")
#: Where the counterpart of a hook may be, by the hook's place: what is done whatever becomes of the host. Behind the
#: drain it is done on the way back like any other; before it, and at the stage, it is done when the host is refused.
COUNTERPARTS = {
    ("stage", "before"): (("stage", "after"),),
    **{
        (step, when): tuple((at, then) for at in ("verify", "return") for then in TIMES)
        for step in ("drain", "snapshot", "install")
        for when in TIMES
    },
}
#: The controller itself, where no connection is made.
CONTROLLER = "localhost"
_MODULE = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_SECRET = re.compile(r"passw|secret|token|api_?key|private_?key|credential", re.IGNORECASE)
_SAYS = (
    "hooks like {step: drain, when: before, run: [COMMAND, …]}, each with one of run, script, tasks and module,"
    " and on, timeout_s, name, means and undoes if need be"
)


def read(value: object) -> tuple[Hook, ...]:
    """Return the hooks of a setting, in their order.

    Raises:
        ValueError: saying what was expected.
    """
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"a list of {_SAYS}")
    found: list[Hook] = []
    for one in value:
        hook = _read(one)
        if hook in found:
            raise ValueError("hooks that differ: of two that are the same only the first would be done")
        found.append(hook)
    return tuple(found)


def _read(value: object) -> Hook:
    if not isinstance(value, Mapping):
        raise ValueError(_SAYS)
    # YAML reads an unquoted on as true.
    given: Hook = plain({"on" if key is True else key: item for key, item in value.items()})
    kinds = [kind for kind in KINDS if kind in given]
    known = {
        "step",
        "when",
        "on",
        "timeout_s",
        "name",
        "means",
        "undoes",
        *kinds,
        *(["arguments"] if "module" in given else []),
    }
    if len(kinds) != 1 or not {"step", "when"} <= set(given) <= known:
        raise ValueError(_SAYS)
    kind = kinds[0]
    if given["step"] not in STEPS:
        raise ValueError(f"a step of {', '.join(STEPS)} in each hook")
    if given["when"] not in TIMES:
        raise ValueError("when: before or when: after in each hook")
    found: Hook = {"step": given["step"], "when": given["when"], kind: _READERS[kind](given[kind])}
    if kind == "module":
        found["arguments"] = _arguments(given.get("arguments", {}))
    if "on" in given:
        found["on"] = types.name(given["on"])
    longest = LONGEST_TASKS_S if kind == "tasks" else LONGEST_S
    found["timeout_s"] = _timeout(given.get("timeout_s", min(TIMEOUT_S, longest)), longest, kind)
    found.update({key: types.text(given[key]) for key in ("name", "means", "undoes") if key in given})
    return found


def _timeout(value: object, longest: int, kind: str) -> int:
    try:
        return types.whole(1, longest)(value)
    except ValueError as error:
        why = "; longer work belongs in run or script" if kind == "tasks" else ""
        raise ValueError(f"a timeout_s of 1 to {longest} in a hook with {kind}{why}") from error


def _command(value: object) -> list[str]:
    words = list(types.texts(value))
    if not words:
        raise ValueError("a command after run, as a list of words")
    return words


def _module(value: object) -> str:
    if not isinstance(value, str) or not _MODULE.fullmatch(value):
        raise ValueError("a module with its full name, as in ansible.builtin.systemd_service")
    return str(value)


def _arguments(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("arguments: {OPTION: value, …} beside module")
    secrets = sorted(key for key in _keys(value) if _SECRET.search(key))
    if secrets:
        raise ValueError(
            f"arguments without {', '.join(secrets)}: plans and reports show them; use a file of tasks that reads"
            " the secret where the site keeps it"
        )
    found: dict[str, Any] = plain(value)
    return found


def _keys(value: object) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _keys(item)


_READERS = {"run": _command, "script": types.absolute_path, "tasks": types.absolute_path, "module": _module}


def require_counterparts(host: str, hooks: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a counterpart of nothing, of several, or one that would not be done whatever becomes of the host.

    Raises:
        PatchingError: naming the hook.
    """
    for hook in hooks:
        if "undoes" not in hook:
            continue
        subject, name = f"hook {title(hook)!r} of host {host}", hook["undoes"]
        named = [one for one in hooks if one.get("name") == name]
        if len(named) != 1:
            seen = f"it undoes {name!r}, a name that {len(named)} of its hooks have"
            raise PatchingError(subject, seen, "the name of one hook", "correct undoes, or give that hook the name")
        if (hook["step"], hook["when"]) not in COUNTERPARTS.get((named[0]["step"], named[0]["when"]), ()):
            raise PatchingError(
                subject,
                f"it stands {hook['when']} {hook['step']}, and {name!r} {named[0]['when']} {named[0]['step']}",
                "counterparts after stage of hooks before stage; and before or after verify or return of hooks of"
                " drain, snapshot and install",
                "move one of the two, or leave undoes out",
            )


# --- what a plan says of them ------------------------------------------------


def kind_of(hook: Mapping[str, Any]) -> str:
    """Return which of :data:`KINDS` a hook is."""
    return next(kind for kind in KINDS if kind in hook)


def identity(hook: Mapping[str, Any]) -> str:
    """Return what the ledger knows a hook by."""
    return digest(dict(hook))


def title(hook: Mapping[str, Any]) -> str:
    """Return how people are told of a hook: its name, else what it does."""
    if hook.get("name"):
        return str(hook["name"])
    kind = kind_of(hook)
    return shlex.join(hook["run"]) if kind == "run" else Path(hook[kind]).name


def told(hook: Mapping[str, Any]) -> str:
    """Return a hook as a plan shows it to whoever approves it."""
    what = shlex.join(hook["run"]) if "run" in hook else f"{kind_of(hook)} {hook[kind_of(hook)]}"
    named = f"{hook['name']} ({what})" if hook.get("name") else what
    where = f" on {hook['on']}" if hook.get("on") else ""
    undoes = f", undoes {hook['undoes']}" if hook.get("undoes") else ""
    return f"{hook['when']} {hook['step']}: {named}{where}, at most {hook['timeout_s']} s{undoes}"


def by_step(entry: Mapping[str, Any]) -> dict[str, dict[str, list[Hook]]]:
    """Return the hooks of a plan's host by step and time; every step is there, so that a role can loop over none."""
    hooks = entry.get("hooks") or []
    return {
        step: {when: [hook for hook in hooks if (hook["step"], hook["when"]) == (step, when)] for when in TIMES}
        for step in STEPS
    }


def counterparts(entry: Mapping[str, Any]) -> dict[str, list[Hook]]:
    """Return what undoes the hooks before the stage and before the drain of a plan's host, the last hook's first."""
    hooks = entry.get("hooks") or []
    return {
        step: [
            dict(one)
            for hook in reversed(hooks)
            if (hook["step"], hook["when"]) == (step, "before") and hook.get("name")
            for one in hooks
            if one.get("undoes") == hook["name"]
        ]
        for step in ("stage", "drain")
    }


def undone_by(entry: Mapping[str, Any], counterpart: Mapping[str, Any]) -> Hook | None:
    """Return the hook that a counterpart undoes, or None."""
    named = [one for one in entry.get("hooks") or [] if one.get("name") == counterpart.get("undoes")]
    return dict(named[0]) if counterpart.get("undoes") and named else None


def hosts_of(hooks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the other hosts on which hooks are done; no connection is made to the controller."""
    return list(dict.fromkeys(hook["on"] for hook in hooks if hook.get("on") not in (None, CONTROLLER)))


def longest_s(hooks: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return how much longer the journey and the way back may take with these hooks, at worst."""
    forward = sum(call(hook)["limit_s"] for hook in hooks if hook["step"] != "stage")
    return forward, sum(call(hook)["limit_s"] for hook in hooks if hook["step"] in WAY_BACK)


def call(hook: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``module``, ``arguments`` and ``limit_s`` for Ansible; a file of tasks has no module."""
    seconds, kind = hook["timeout_s"], kind_of(hook)
    ended = ["timeout", f"--kill-after={KILL_AFTER_S}", str(seconds)]
    if kind == "tasks":
        return {"module": "", "arguments": {}, "limit_s": seconds}
    if kind == "module":
        return {"module": hook["module"], "arguments": hook["arguments"], "limit_s": seconds}
    # The host ends it, so that nothing is left at work there; Ansible gives up only when the host does not answer.
    limit_s = seconds + KILL_AFTER_S + GRACE_S
    if kind == "run":
        return {"module": "ansible.builtin.command", "arguments": {"argv": ended + hook["run"]}, "limit_s": limit_s}
    arguments = {"cmd": shlex.quote(hook["script"]), "executable": shlex.join(ended)}
    return {"module": "ansible.builtin.script", "arguments": arguments, "limit_s": limit_s}
