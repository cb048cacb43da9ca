# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaves the mark that somebody has looked at all runs; whoever could not page leaves none."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schema, watching
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import json_text, replacing
from ansible_collections.hospital.patching.plugins.plugin_utils.paging import Pager, Ready
from ansible_collections.hospital.patching.plugins.plugin_utils.watchers import Machine, Watch, path_of


def leave(evidence_dir: str, pager: Pager, reached: bool, silent_s: int, every_s: int, now: datetime) -> dict[str, Any]:
    """Leave the mark of a look that has just ended, in place of this machine's one before.

    Args:
        reached: False when a page was due and nobody took it.
        silent_s: how long a run may be silent.
        every_s: after how many seconds the next look comes; 0 when that is not known.

    Returns:
        For the task's result: ``mark``, or None and in ``no_mark`` why; what a person should know as ``warnings``.
    """
    ready = pager.ready()
    mark, why_not = None, _cannot_page(pager, ready, reached)
    if why_not is None:
        try:
            mark = _write(evidence_dir, ready.ways, silent_s, every_s, now)
        except PatchingError as error:
            why_not = f"the mark cannot be left: {error.subject}: {error.seen}"
    told = [*ready.problems, *([f"no watcher for tier 1: {why_not}"] if why_not else [])]
    return {"mark": mark, "no_mark": why_not, **({"warnings": told} if told else {})}


def _cannot_page(pager: Pager, ready: Ready, reached: bool) -> str | None:
    if not pager:
        return "neither watch_page_command nor watch_page_url is set"
    if not ready.ways:
        return "no way of paging can be used"
    return None if reached else "the page that was due reached nobody"


def _write(evidence_dir: str, ways: tuple[str, ...], silent_s: int, every_s: int, now: datetime) -> dict[str, Any]:
    here = Machine.here()
    watch = Watch(
        boot=str(here.boot),
        machine=here.name,
        time=now,
        pages_by=ways,
        silent_s=silent_s,
        every_s=every_s if every_s > 0 else None,
        open_runs=tuple(watching.open_runs(evidence_dir)),
    )
    path, document = path_of(Path(evidence_dir), watch.boot), watch.document()
    schema.validate("watcher", document, str(path))
    with replacing(path) as handle:
        # Whoever patches may be another user; there is nothing secret in it.
        os.fchmod(handle.fileno(), 0o644)
        handle.write(json_text(document))
    return document
