# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's own commands, on the controller: for a monitor that no provider here knows.

They are told in their environment what is meant: ``PATCHING_HOST``,
``PATCHING_RUN_ID`` and ``PATCHING_UNTIL`` (UTC); the one that ends a silence also
gets ``PATCHING_SILENCE``, the first line that the other one has printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import setting_types as types
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import SilenceProvider, Wanted
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp

TIMEOUT_S, LONGEST_S = 30, 300
#: What may be an id: it is kept in the ledger, and handed back.
_ID = re.compile(r"[\x21-\x7e]{1,200}")
#: A command that prints nothing is known by this.
UNNAMED = "hook"


class Hook(SilenceProvider):
    """``{hook: [WORD, …], back: [WORD, …]}``, each within ``timeout_s``; both have to be repeatable."""

    NAME = "hook"
    UNTOLD = UNNAMED

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> dict[str, Any]:
        if not {"hook", "back"} <= set(value) <= {"hook", "back", "timeout_s"}:
            raise ValueError("{hook: [COMMAND, …], back: [COMMAND, …]} with timeout_s if need be")
        found = {key: list(types.texts(value[key])) for key in ("hook", "back")}
        if not all(found.values()):
            raise ValueError("a command after hook: and one after back:, which ends the silence")
        return {**found, "timeout_s": types.whole(1, LONGEST_S)(value.get("timeout_s", TIMEOUT_S))}

    def own(self, run_id: str, host: str) -> list[str]:
        del run_id, host
        return []

    def make(self, wanted: Wanted) -> str:
        given = _environment(wanted.run_id, wanted.host, PATCHING_UNTIL=stamp(wanted.ends))
        said = self._run("hook", given).strip().splitlines()
        if not said:
            return UNNAMED
        if not _ID.fullmatch(said[0].strip()):
            raise self.refused("silence", "a first line that is no id", "an id of visible characters, or no output")
        return said[0].strip()

    def lift(self, silence_id: str, run_id: str, host: str) -> bool:
        self._run("back", _environment(run_id, host, PATCHING_SILENCE=silence_id))
        return True

    def _run(self, which: str, given: dict[str, str]) -> str:
        words, limit_s = list(self.options[which]), int(self.options["timeout_s"])
        return self.access.runner.run(words, timeout_s=limit_s, env=given).stdout


def _environment(run_id: str, host: str, **more: str) -> dict[str, str]:
    return {"PATCHING_RUN_ID": run_id, "PATCHING_HOST": host, **more}
