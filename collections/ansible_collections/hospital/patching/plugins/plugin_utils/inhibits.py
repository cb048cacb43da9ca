# SPDX-License-Identifier: GPL-3.0-or-later
"""Inhibits: live reasons not to start, such as a theatre list that runs late or a hospital on diversion.

Each is asked on the controller, right before a host would be disrupted:

* ``{file: PATH}``: no-go while the file is there; its first line says why.
* ``{url: URL}``: go when the answer has status 200 and its first line is ``go``, or ``go:`` and why.
* ``{command: [WORD, ...]}``: go when it exits 0; the first line that it prints says why not.

``timeout_s`` bounds URL and command. An error or no answer in time is no-go.
Plans and reports show them: no secret may be in a URL or command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import ProbeContext
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner, without_logins
from ansible_collections.hospital.patching.plugins.plugin_utils import halt_files
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain

KINDS = ("file", "url", "command")
TIMEOUT_S = 10
LONGEST_S = 60
#: A host that waits at the gate asks again every few seconds; an answer counts for this long.
KEPT_S = 15


def read(value: object) -> tuple[dict[str, Any], ...]:
    """Return the inhibits of a setting, each as ``{KIND: ..., "timeout_s": ...}``.

    Raises:
        ValueError: saying what was expected.
        PatchingError: an URL cannot be asked; naming it.
    """
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of inhibits, each {file: PATH}, {url: URL} or {command: [WORD, ...]}")
    return tuple(_read(one) for one in value)


def _read(value: object) -> dict[str, Any]:
    given: Any = plain(value)
    kinds = [kind for kind in KINDS if isinstance(given, Mapping) and kind in given]
    if len(kinds) != 1 or not set(given) <= {kinds[0], "timeout_s"}:
        raise ValueError("one of file, url and command in each inhibit, and timeout_s if need be")
    kind, timeout_s = kinds[0], given.get("timeout_s", TIMEOUT_S)
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int) or not 1 <= timeout_s <= LONGEST_S:
        raise ValueError(f"a timeout_s of 1 to {LONGEST_S}")
    found = {kind: given[kind], "timeout_s": timeout_s}
    if kind == "command":
        if not isinstance(given[kind], list) or not given[kind] or not all(_is_text(word) for word in given[kind]):
            raise ValueError("a command as a list of words")
    elif not _is_text(given[kind]):
        raise ValueError(f"a {kind} as text")
    elif kind == "file" and not Path(given[kind]).is_absolute():
        raise ValueError("an absolute path, because another one would depend on where the run is started")
    elif kind == "url":
        if "?" in given[kind]:
            raise ValueError("a url without a query, which may hold a token: plans and reports show it")
        registry.check(_probe(found))
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _probe(inhibit: Mapping[str, Any]) -> dict[str, Any]:
    # The word alone, or before a colon or the end of a line: "go-live: do not patch" says no.
    go = r"(?i)\A\s*go[ \t]*(?:[:\r\n]|\Z)"
    url, timeout_s = inhibit["url"], inhibit["timeout_s"]
    return {"name": "inhibit", "type": "http", "url": url, "text_regexp": go, "timeout_s": timeout_s}


class Inhibits:
    """The inhibits of one host."""

    def __init__(
        self,
        inhibits: Sequence[Mapping[str, Any]],
        segments: Sequence[str] | None,
        clock: Clock | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.inhibits = inhibits
        self.clock, self.runner = clock or Clock(), runner or Runner()
        self.connector = Connector(None if segments is None else list(segments), self.clock)

    def no_go(self) -> str | None:
        """Return the first reason not to start, or None."""
        return next((reason for inhibit in self.inhibits if (reason := self._ask(inhibit)) is not None), None)

    def _ask(self, inhibit: Mapping[str, Any]) -> str | None:
        if "file" in inhibit:
            return halt_files.told_by(Path(inhibit["file"]))
        if "url" in inhibit:
            context = ProbeContext(self.runner, self.clock, self.connector, "/proc")
            result = registry.build(_probe(inhibit), context).read()
            return None if result["verdict"] == "ok" else f"{result['target']} does not say go: {result['detail']}"
        return self._command(inhibit["command"], inhibit["timeout_s"])

    def _command(self, words: Sequence[str], timeout_s: int) -> str | None:
        name = Path(words[0]).name
        try:
            result = self.runner.run(list(words), timeout_s=timeout_s, check=False)
        except PatchingError as error:
            return f"{name} gives no answer: {error.seen}"
        if result.rc == 0:
            return None
        said = halt_files.first_line(without_logins(result.stdout or result.stderr))
        return f"{name} says: {said or f'exit {result.rc}'}"
