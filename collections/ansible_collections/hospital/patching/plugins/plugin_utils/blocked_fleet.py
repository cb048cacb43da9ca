# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks as the planner takes them: each host without what is blocked, and with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import blocks
from ansible_collections.hospital.patching.plugins.plugin_utils.blocks import Block, Hit
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion


def applied(fleet: Mapping[str, Candidate], root: Path) -> tuple[dict[str, Candidate], dict[str, list[Hit]]]:
    """Return the candidates without blocked updates, and what was left out of each."""
    sources: dict[str, tuple[Block, ...] | PatchingError] = {}
    found: dict[str, list[Hit]] = {}
    return {host: _applied(host, one, root, sources, found) for host, one in fleet.items()}, found


def _applied(
    host: str,
    candidate: Candidate,
    root: Path,
    sources: dict[str, tuple[Block, ...] | PatchingError],
    found: dict[str, list[Hit]],
) -> Candidate:
    if candidate.assessment is None or candidate.why_not is not None:
        return candidate
    given = candidate.settings.blocks_file
    place = blocks.place_of(given, root)
    if place not in sources:
        # Before the first assessment there is no evidence directory at all, and nothing was ever blocked.
        sources[place] = () if given is None and not root.exists() else _read(place, named=given is not None)
    known = sources[place]
    if isinstance(known, PatchingError):
        return replace(candidate, why_not=Exclusion("refused", f"host {host}: {known}"))
    updates: list[Mapping[str, Any]] = list(candidate.assessment["updates"])
    hits = blocks.hits(known, host, updates)
    told = [*hits, *_held(known, candidate.assessment.get("held") or ())]
    if told:
        found[host] = told
    if not hits:
        return candidate
    left = blocks.left(updates, hits)
    kept = replace(candidate, assessment={**candidate.assessment, "updates": left})
    if left:
        return kept
    more = f" and {len(hits) - 1} more" if len(hits) > 1 else ""
    return replace(kept, why_not=Exclusion("excluded", f"nothing is left to install: {hits[0].told()}{more}"))


def _held(known: Sequence[Block], held: Iterable[Mapping[str, Any]]) -> list[Hit]:
    """Return what assess has held back on the host already, because of a block that still holds."""
    return [
        Hit(one["name"], one["arch"], one.get("candidate"), block)
        for one in held
        for block in known
        if block.holds and block.told() in str(one.get("reason"))
    ]


def _read(place: str, named: bool) -> tuple[Block, ...] | PatchingError:
    try:
        return blocks.read(place, named)
    except PatchingError as error:
        return error


def notes(found: Mapping[str, list[Hit]]) -> list[str]:
    """Say which blocks have left out what on which hosts."""
    hosts: dict[str, list[str]] = {}
    for host, hits in found.items():
        for block in dict.fromkeys(hit.block for hit in hits):
            hosts.setdefault(block.told(), []).append(host)
    return [f"Left out on {', '.join(names)}: {told}" for told, names in hosts.items()]
