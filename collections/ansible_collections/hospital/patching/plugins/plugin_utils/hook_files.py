# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of hooks, sealed when a host is planned: what is approved is what is run."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import hooks
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion

#: What a file of tasks may not hold. Other files are outside what is approved, and ``on`` says where tasks are done:
#: every address is held against the device segments before anything begins.
#: ``meta`` could end the host's journey in the middle. Hosts go one by one, each as it is ready: ``run_once`` would
#: leave the task out on all hosts but one, and ``any_errors_fatal`` would end the journeys of others in the middle.
FORBIDDEN = frozenset(
    {"delegate_to", "connection", "local_action", "add_host", "meta", "import_playbook"}
    | {"run_once", "any_errors_fatal"}
    | {"include", "include_tasks", "import_tasks", "include_role", "import_role"}
)
#: Ansible's own modules have these names too.
BUILTIN = ("ansible.builtin.", "ansible.legacy.")
#: Variables with this prefix say how and where a host is reached.
RESERVED = "ansible_"
TEMPLATE = "{"
#: What a file uses that it may not, and on which line.
Used = tuple[str, int | None]


class _Key(str):
    """A key of a mapping, which knows its line; copies of it do not."""

    __slots__ = ("line",)
    line: int


class _Tasks(yaml.SafeLoader):
    """Reads tags of Ansible's, such as !unsafe, as what they stand before: Ansible may do it as well."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        found = super().construct_mapping(node, deep)
        lines = {key.value: key.start_mark.line + 1 for key, _value in node.value if isinstance(key, yaml.ScalarNode)}
        return {_with_line(key, lines.get(key)): value for key, value in found.items()}


def _with_line(key: Hashable, line: int | None) -> Hashable:
    if not isinstance(key, str) or line is None:
        return key
    known = _Key(key)
    known.line = line
    return known


def _untagged(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_Tasks.add_multi_constructor("!", _untagged)


def sealed(candidates: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """Return the candidates with the content of their hooks' files sealed; one whose file cannot be used is refused."""
    return {host: _sealed(host, candidate) for host, candidate in candidates.items()}


def _sealed(host: str, candidate: Candidate) -> Candidate:
    settings = candidate.settings
    if candidate.why_not is not None or not (settings.hooks or settings.host_hooks):
        return candidate
    try:
        hooks.require_counterparts(host, (*settings.hooks, *settings.host_hooks))
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
    try:
        used, line = next(chain(_outside(found), _variables(found)), ("", None))
    except RecursionError:
        used, line = "an alias within its own anchor", None
    if used:
        raise _refused(
            host,
            hook,
            f"{_path(hook)}{f':{line}' if line else ''} uses {used}",
            "tasks of this one file, done for this host alone and where the hook's on says",
            "write those tasks into the file without it, or make hooks of their own with on",
        )


def _outside(tasks: list[dict[object, Any]]) -> Iterator[Used]:
    """Yield what leads to other files and hosts, or may do so, in blocks too."""
    for task in tasks:
        for key, said, name, value in _words(task):
            if name in FORBIDDEN or TEMPLATE in name:
                yield said, _line(key)
            elif name == "set_fact" and any(isinstance(one, str) and one for one in (value, task.get("args"))):
                yield f"{said} with text, which may name any variable", _line(key)
            elif name == "include_vars" and not _name_of(value, task.get("args")):
                yield f"{said} without name, so that the file may set any variable", _line(key)
            elif name in ("block", "rescue", "always") and isinstance(value, list):
                yield from _outside([one for one in value if isinstance(one, dict)])


def _line(key: object) -> int | None:
    return key.line if isinstance(key, _Key) else None


def _words(task: Mapping[object, Any]) -> Iterator[tuple[object, str, str, Any]]:
    """Yield the keywords and modules of a task: key, as they stand, without a prefix, and what is said of them."""
    for key, value in task.items():
        if key != "action":
            yield key, str(key), _plain(str(key)), value
            continue
        given = value if isinstance(value, Mapping) else {"module": value}
        word, *texts = str(given.get("module")).split(None, 1) or [""]
        texts += [given["args"]] if isinstance(given.get("args"), str) else []
        yield key, f"action: {word}", _plain(word), " ".join(texts) or given


def _plain(name: str) -> str:
    for prefix in BUILTIN:
        name = name.removeprefix(prefix)
    return name


def _name_of(*given: object) -> str:
    """Return the variable that keeps all that include_vars reads."""
    names = [str(one["name"]) for one in given if isinstance(one, Mapping) and one.get("name")]
    return "" if any(_is_reserved(name) for name in names) else "".join(names[:1])


def _variables(value: object) -> Iterator[Used]:
    """Yield the variables that say where a host is, or may do so, wherever they are set."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if _is_reserved(str(key)):
                yield f"the variable {key}", _line(key)
            elif key in ("register", "loop_var", "index_var") and isinstance(item, str) and _is_reserved(item):
                yield f"{key}: {item}", _line(key)
            yield from _variables(item)
    elif isinstance(value, list):
        for item in value:
            yield from _variables(item)


def _is_reserved(name: str) -> bool:
    return name.startswith(RESERVED) or TEMPLATE in name


def _refused(host: str, hook: Mapping[str, Any], seen: str, expected: str, next_step: str) -> PatchingError:
    return PatchingError(f"hook {hooks.title(hook)!r} of host {host}", seen, expected, next_step)
