# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said below a plan's table: what stands against it now, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import broken_freezes, halt_files
from ansible_collections.hospital.patching.plugins.plugin_utils.break_glass import of_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate


def frozen_now(plan: Mapping[str, Any], evidence_dir: Path) -> list[str]:
    """Say which freeze files are there now: the gate will begin nobody while they are."""
    files = {entry["freeze_file"] or str(evidence_dir / halt_files.FREEZE) for entry in plan["hosts"].values()}
    closed = [path for path in map(Path, sorted(files)) if not broken_freezes.is_broken(of_plan(plan), path)]
    told = [one for path in closed if (one := halt_files.told_by(path)) is not None]
    return [f"Frozen now, no host begins until that ends: {one}" for one in told]


def next_steps(plan: Mapping[str, Any]) -> list[str]:
    """Say who has to approve the plan and how it is started."""
    if not plan["hosts"]:
        return []
    digest = plan["digest"]
    needed = max(entry["approvals"] for entry in plan["hosts"].values())
    people = "1 person has" if needed == 1 else f"{needed} people have"
    approve = [f"Before it begins {people} to approve it: approve.yml -e patching_plan={digest}"] if needed else []
    return [*approve, f"Next: stage.yml, then patch.yml, each with -e patching_plan={digest}"]


def too_few_forks(plan: Mapping[str, Any], forks: int) -> list[str]:
    """Say that waves will take longer than planned; the run may have other forks."""
    widest = max((len(wave["hosts"]) for wave in plan["waves"]), default=0)
    if widest <= forks:
        return []
    seen = f"The widest wave has {widest} hosts, and Ansible works at {forks} at a time here (forks)"
    return [f"{seen}: the night would take longer than planned. Raise forks, or plan with plan_parallel: {forks}."]


def waiting(fleet: Mapping[str, Candidate]) -> list[str]:
    """Say which updates are not promoted yet."""
    hosts = {host: one.waiting for host, one in fleet.items() if one.waiting}
    if not hosts:
        return []
    told = ", ".join(f"{host} {count}" for host, count in hosts.items())
    return [f"Updates that wait until they have run well on earlier rings: {told}"]


def held_to(fleet: Mapping[str, Candidate]) -> list[str]:
    """Say which updates are held to the version that earlier rings have proven."""
    hosts: dict[str, list[str]] = {}
    for host, one in fleet.items():
        for told in one.held_to:
            hosts.setdefault(told, []).append(host)
    if not hosts:
        return []
    named = "; ".join(f"{told} on {', '.join(names)}" for told, names in hosts.items())
    lost = "a repository that has lost one refuses the host at stage; plan_from with plan_drop_updates leaves it out"
    return [f"As earlier rings have proven it: {named} ({lost})"]
