# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each effective setting comes from, for ``explain.yml``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import answers, watching
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import CATALOGUE_GROUP, Explained
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp


def places(layers: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Return, per variable, the last layer that sets it; layers go from weak to strong."""
    return {name: label for label, variables in layers for name in variables}


def label(group: str) -> str:
    """Return how the place of a group's variables is called."""
    return "the service catalogue" if group.startswith(CATALOGUE_GROUP) else f"group {group}"


def rows(explained: Iterable[Explained], found: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one row a setting: name, value, source and meaning.

    A setting that is set in no inventory layer was set by the playbook or by ``-e``.
    """
    return [
        {
            "name": item.name,
            "value": item.value,
            "source": found.get(item.name, "playbook or -e") if item.origin == "set" else item.origin,
            "meaning": item.meaning,
        }
        for item in explained
    ]


def text(host: str, table: list[dict[str, Any]]) -> str:
    """Return the rows as an aligned table under the host's name."""
    names = max(len(row["name"]) for row in table)
    sources = max(len(row["source"]) for row in table)
    lines = [f"{row['name']:<{names}}  {row['source']:<{sources}}  {_short(row['value'])}" for row in table]
    return "\n".join([f"Effective settings of {host}", *lines])


def asked(host: str, evidence_dir: str, now: datetime) -> list[str]:
    """Return for what a host waits, or its service does, that people are asked in runs which go on."""
    told = []
    try:
        for run in (Run(evidence_dir, run_id) for run_id in watching.open_runs(evidence_dir)):
            told += [f"Run {run.run_id}, {answers.told(one)}" for one in _standings(run, host, now)]
    except PatchingError:
        return []  # no evidence directory yet, or one that cannot be read: the settings are explained all the same
    return told


def _standings(run: Run, host: str, now: datetime) -> Iterable[answers.Standing]:
    try:
        plan, records = run.plan(), run.ledger.read()
    except (PatchingError, OSError):
        return []
    entry = plan["hosts"].get(host)
    # A run that was staged and never begun stays open for ever.
    if entry is None or (entry["window"] and read_stamp(entry["window"]["end"]) < now):
        return []
    return answers.standings(plan, entry["service"], records).values()


def _short(value: Any) -> str:
    """Return a value as an inventory would state it."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
