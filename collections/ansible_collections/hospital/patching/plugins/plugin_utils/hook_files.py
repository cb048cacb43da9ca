# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of hooks, sealed when a host is planned: what is approved is what is run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import hooks
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion

#: What a file of tasks may not hold. Other files are outside what is approved, and ``on`` says where tasks are done:
#: every address is held against the device segments before anything begins.
FORBIDDEN = ("delegate_to", "connection", "add_host", "include_tasks", "import_tasks", "include_role", "import_role")
FORBIDDEN_MODULES = frozenset({*FORBIDDEN, *(f"ansible.builtin.{name}" for name in FORBIDDEN)})


class _Tasks(yaml.SafeLoader):
    """Reads tags of Ansible's, such as !vault, as nothing: only the keys are looked at."""


_Tasks.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def sealed(candidates: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """Return the candidates with the content of their hooks' files sealed; one whose file cannot be used is refused."""
    return {host: _sealed(host, candidate) for host, candidate in candidates.items()}


def _sealed(host: str, candidate: Candidate) -> Candidate:
    settings = candidate.settings
    if candidate.why_not is not None or not (settings.hooks or settings.host_hooks):
        return candidate
    try:
        found = tuple(_seal(host, hook) for hook in (*settings.hooks, *settings.host_hooks))
    except PatchingError as error:
        return replace(candidate, why_not=Exclusion("refused", str(error)))
    return replace(candidate, settings=replace(settings, hooks=found, host_hooks=()))


def _seal(host: str, hook: Mapping[str, Any]) -> dict[str, Any]:
    kind = hooks.kind_of(hook)
    if kind not in hooks.FILES:
        return dict(hook)
    content = _content(host, hook)
    if kind == "tasks":
        _require_tasks(host, hook, content)
    return {**hook, "sha256": hashlib.sha256(content).hexdigest()}


def require_unchanged(host: str, hook: Mapping[str, Any]) -> None:
    """Refuse a hook whose file is not what the plan was approved with.

    Raises:
        PatchingError: naming the hook and its file.
    """
    if hooks.kind_of(hook) not in hooks.FILES:
        return
    found = hashlib.sha256(_content(host, hook)).hexdigest()
    if found != hook["sha256"]:
        raise _refused(
            host,
            hook,
            f"{_path(hook)} has SHA-256 {found}",
            f"{hook['sha256']}, with which it was planned",
            "put the file back as it was, or plan again and have that approved",
        )


def _path(hook: Mapping[str, Any]) -> str:
    return str(hook[hooks.kind_of(hook)])


def _content(host: str, hook: Mapping[str, Any]) -> bytes:
    try:
        return Path(_path(hook)).read_bytes()
    except OSError as error:
        seen = f"{_path(hook)} cannot be read ({error.strerror})"
        raise _refused(
            host, hook, seen, "a file of the controller", "correct the path, or put the file there"
        ) from error


def _require_tasks(host: str, hook: Mapping[str, Any], content: bytes) -> None:
    try:
        found = yaml.load(content, Loader=_Tasks)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _refused(
            host,
            hook,
            f"{_path(hook)} is no YAML ({' '.join(str(error).split())[:200]})",
            "a list of tasks",
            "correct the file",
        ) from error
    if not isinstance(found, list) or not found or not all(isinstance(task, dict) for task in found):
        raise _refused(host, hook, f"{_path(hook)} holds no tasks", "a list of tasks", "correct the file")
    for key in _keys(found):
        if key in FORBIDDEN_MODULES:
            raise _refused(
                host,
                hook,
                f"{_path(hook)} uses {key}",
                "tasks of this one file, done where the hook's on says",
                "write those tasks into the file, or make hooks of their own with on",
            )


def _keys(tasks: list[dict[object, Any]]) -> Iterator[str]:
    """Yield the keywords and modules of tasks, those of blocks included."""
    for task in tasks:
        for key, value in task.items():
            yield str(key)
            if key in ("block", "rescue", "always") and isinstance(value, list):
                yield from _keys([one for one in value if isinstance(one, dict)])


def _refused(host: str, hook: Mapping[str, Any], seen: str, expected: str, next_step: str) -> PatchingError:
    return PatchingError(f"hook {hooks.title(hook)!r} of host {host}", seen, expected, next_step)
