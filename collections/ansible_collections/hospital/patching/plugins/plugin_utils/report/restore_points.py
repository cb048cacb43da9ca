# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's section on restore points: when a revert by each provider was last really done and proven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import PROVIDERS
from ansible_collections.hospital.patching.plugins.plugin_utils import rehearsal
from ansible_collections.hospital.patching.plugins.plugin_utils.report import words


def restore_points_section(plan: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each provider that makes restore points of the plan's hosts, how many, and its newest proof or None.

    What was proven before the run stands in the record of its start, so the section depends on its ledger alone.
    """
    hosts: dict[str, int] = {}
    for entry in plan["hosts"].values():
        provider = str((entry.get("snapshot") or {}).get("provider"))
        if provider in PROVIDERS and PROVIDERS[provider].MAKES:
            hosts[provider] = hosts.get(provider, 0) + 1
    proofs = rehearsal.last_proven(records)
    return [{"provider": name, "hosts": hosts[name], "proven": proofs.get(name)} for name in sorted(hosts)]


def told(point: Mapping[str, Any], where: tzinfo) -> str:
    """Return one provider's line."""
    name = f"{point['provider']} ({words.count(point['hosts'], 'host')})"
    proof = point["proven"]
    if proof is None:
        return f"{name}: a revert was never rehearsed"
    when = f"{words.day(proof['time'], where)}, {words.moment(proof['time'], where)}"
    return (
        f"{name}: a revert was last proven on {when}, on {proof['host']} in {words.duration(proof['took_s'] * 1000)}, "
        f"by run {proof['run_id']}"
    )
