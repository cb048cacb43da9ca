# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planner takes of a host's assessment: read once, held against its contracts, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schema
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import group_of
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain

Update = Mapping[str, Any]
_TEXT = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True)
class Assessed:
    """The pending updates, which hosts share and nobody changes, the package manager, and the group of manifests."""

    updates: tuple[Update, ...]
    manager: str
    group: str


def read(host: str, candidate: Candidate) -> Assessed | Exclusion:
    """Return what is to be done on ``host``, or why nothing is."""
    found = candidate.assessment
    if found is None:
        return candidate.why_not or Exclusion("unreachable", "it was not assessed; run assess for it")
    try:
        updates = tuple(_update(_TEXT.encode(plain(update))) for update in found["updates"])
        assessed = Assessed(updates, str(found["manager"]), group_of(found["facts"]))
    except PatchingError as error:
        return Exclusion("refused", f"host {host}: its assessment cannot be used: {error}")
    except (KeyError, TypeError) as error:
        seen = f"an assessment that cannot be used ({type(error).__name__} {error})"
        refusal = PatchingError(
            f"host {host}", seen, "one that assess has written", "run assess for it, and plan again"
        )
        return Exclusion("refused", str(refusal))
    return assessed if updates else Exclusion("nothing_to_do", "no update is pending")


@lru_cache(maxsize=65536)
def _update(text: str) -> Update:
    """Return an update that fits its contract; kept, because hosts share most of their updates."""
    update: dict[str, Any] = json.loads(text)
    schema.validate("update", update, f"update {update['name']}")
    canonical_json(update)
    return update
