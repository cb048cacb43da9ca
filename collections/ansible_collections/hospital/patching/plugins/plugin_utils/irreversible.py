# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates that cannot be taken back are never planned: a schema that migrates, a format that changes.

``patching_irreversible`` names them (DESIGN.md, invariant 6). Nothing here can run
and test a dump and its restore yet, so that there is no exemption: whoever has
dumped by hand and takes it upon himself removes the entry.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.blocks import Block, Hit, left
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion


def applied(fleet: Mapping[str, Candidate]) -> tuple[dict[str, Candidate], dict[str, list[Hit]]]:
    """Return the candidates without updates that cannot go back, and what was left out of each."""
    found: dict[str, list[Hit]] = {}
    return {host: _applied(host, one, found) for host, one in fleet.items()}, found


def _applied(host: str, candidate: Candidate, found: dict[str, list[Hit]]) -> Candidate:
    rules = candidate.settings.irreversible
    if not rules or candidate.assessment is None or candidate.why_not is not None:
        return candidate
    updates: list[Mapping[str, Any]] = list(candidate.assessment["updates"])
    hits = [hit for update in updates if (hit := _hit(update, rules)) is not None]
    if not hits:
        return candidate
    found[host] = hits
    kept = replace(candidate, assessment={**candidate.assessment, "updates": left(updates, hits)})
    if kept.assessment and kept.assessment["updates"]:
        return kept
    return replace(kept, why_not=Exclusion("refused", str(_refusal(host, hits[0]))))


def _hit(update: Mapping[str, Any], rules: tuple[Mapping[str, Any], ...]) -> Hit | None:
    """Return the rule that an update falls under; a new package has nothing that could not go back."""
    if update["kind"] != "upgrade":
        return None
    for rule in rules:
        if fnmatch.fnmatchcase(update["name"], rule["name"]) and rule.get("to", update["to"]) == update["to"]:
            return Hit(update["name"], update["arch"], update["to"], Block(rule["name"], rule["reason"]))
    return None


def _refusal(host: str, hit: Hit) -> PatchingError:
    return PatchingError(
        f"host {host}",
        f"{hit.name} {hit.to} cannot be taken back (reversible: no): {hit.block.reason}",
        "an update with a way back, or a tested dump and restore, which this release cannot run",
        "dump its data, have the restore tested, and install it by hand; or correct patching_irreversible",
    )


def notes(found: Mapping[str, list[Hit]]) -> list[str]:
    """Say what was left out on which hosts."""
    return [
        f"Left out on {host}, because it cannot be taken back (reversible: no): {hit.name} {hit.to}: {hit.block.reason}"
        for host, hits in found.items()
        for hit in hits
    ]
