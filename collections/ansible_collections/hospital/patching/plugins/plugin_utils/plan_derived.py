# SPDX-License-Identifier: GPL-3.0-or-later
"""Derives a plan that only leaves hosts or updates out of an approved one, and so needs no new approval.

Nothing is planned anew: windows, services, limits and the order of the waves
are those that were approved. A wave is only ever split, where somebody who has
to go alone has lost the host that went before: the next host of a service
becomes its canary in the place of one that is dropped, and the next host of a
manifest its first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.pending_filters import matches
from ansible_collections.hospital.patching.plugins.plugin_utils import plan_drops
from ansible_collections.hospital.patching.plugins.plugin_utils.break_glass import over_since
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Loaded
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import Target, manifest_digest, verify_manifest
from ansible_collections.hospital.patching.plugins.plugin_utils.members import Member
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import Planned, plan_digest, verify_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.timeline import timeline
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp
from ansible_collections.hospital.patching.plugins.plugin_utils.wave_check import wave_problems
from ansible_collections.hospital.patching.plugins.plugin_utils.waves import soak_times

#: One version of one package: what is dropped is dropped on every host, so that no manifest still allows it.
Version = tuple[Target, str | None]
Entries = dict[str, dict[str, Any]]
#: Of a host's entry: what says when its next ring may begin.
_MEMBER = ("service", "kind", "tier", "ring", "soak_s", "estimate_s", "group")


def derive(loaded: Loaded, plan_id: str, now: datetime, hosts: Collection[str], updates: Collection[str]) -> Planned:
    """Return the approved plan without ``hosts`` and ``updates``, and its narrower manifests.

    Args:
        hosts: names of planned hosts.
        updates: each NAME, NAME=VERSION or the id of an advisory, as ``patching_update_deny`` takes them.

    Raises:
        PatchingError: the plan has none such, nothing would be left, or what is left is more than something dropped.
    """
    approved = loaded.plan
    _require_planned(approved, hosts)
    versions = _versions(approved, updates)
    narrowed = {before: _narrowed(manifest, versions, now) for before, manifest in loaded.manifests.items()}
    entries, left_out = _entries(approved, hosts, versions, narrowed)
    if not entries:
        raise _refused(approved, "every host is dropped", "a host that is left", "do not start that plan: nobody is")
    _name_canaries(approved, entries)
    waves = _waves(approved, entries)
    plan = {
        **approved,
        "plan_id": plan_id,
        "created": stamp(now),
        "derived_from": str(approved["plan_id"]),
        "failure_budget": _budget(approved["failure_budget"], entries.values()),
        "hosts": entries,
        "waves": waves,
        "not_planned": dict(sorted({**approved["not_planned"], **left_out}.items(), key=_by_name)),
    }
    plan["digest"] = plan_digest(plan)
    used = {entry["manifest"] for entry in entries.values()}
    planned = Planned(plan, {one["digest"]: one for one in narrowed.values() if one["digest"] in used})
    _require_no_more(loaded, planned)
    return planned


def late(plan: Mapping[str, Any]) -> list[str]:
    """Return the hosts whose work and way back no longer fit into their windows by estimate; the gate stops them.

    And those whose turn comes when the plan's break-glass is over.
    """
    return [
        host
        for span in timeline(plan)
        for host, end in span.ends.items()
        if over_since(plan, span.start) is not None
        or (
            (entry := plan["hosts"][host])["window"] is not None
            and end + timedelta(seconds=entry["way_back_s"]) > read_stamp(entry["window"]["end"])
        )
    ]


def _require_planned(approved: Mapping[str, Any], hosts: Collection[str]) -> None:
    for host in hosts:
        if host in approved["not_planned"]:
            reason = approved["not_planned"][host]["reason"]
            raise _refused(approved, f"it does not patch {host} anyway: {reason}", "hosts of its waves", "leave it out")
        if host not in approved["hosts"]:
            seen = f"it does not know {host}"
            raise _refused(approved, seen, "hosts of its waves, by name", "correct the name; a group's name is none")


def _versions(approved: Mapping[str, Any], items: Collection[str]) -> set[Version]:
    """Return what the items are about, whichever host says so: another may not know the advisory."""
    found: set[Version] = set()
    for item in items:
        matched = {
            _version(update)
            for entry in approved["hosts"].values()
            for update in entry["updates"]
            if matches(update, item)
        }
        if not matched:
            expected = "NAME, NAME=VERSION (the new one) or an advisory's id of one of its updates"
            raise _refused(approved, f"no host of it gets {item!r}", expected, "correct it: the plan lists its updates")
        found |= matched
    return found


def _version(update: Mapping[str, Any], key: str = "to") -> Version:
    return (update["name"], update["arch"]), update[key]


def _narrowed(manifest: Mapping[str, Any], versions: Collection[Version], now: datetime) -> dict[str, Any]:
    """Return the manifest without ``versions``, so that none comes back as what another update needs."""
    entries = [entry for entry in manifest["entries"] if _version(entry, "version") not in versions]
    if entries == manifest["entries"]:
        return dict(manifest)
    left = {**manifest, "entries": entries, "created": stamp(now)}
    return {**left, "digest": manifest_digest(left)}


def _entries(
    approved: Mapping[str, Any],
    hosts: Collection[str],
    versions: Collection[Version],
    narrowed: Mapping[str, Mapping[str, Any]],
) -> tuple[Entries, dict[str, dict[str, str]]]:
    """Return the hosts that are left, and those that are not with the reason."""
    entries: Entries = {}
    left_out = {}
    for host, entry in approved["hosts"].items():
        updates = [update for update in entry["updates"] if _version(update) not in versions]
        if host in hosts or not updates:
            what = "it was" if host in hosts else "all its updates were"
            left_out[host] = {"outcome": "excluded", "reason": f"{what} dropped from plan {approved['plan_id']}"}
        else:
            entries[host] = {**entry, "updates": updates, "manifest": narrowed[entry["manifest"]]["digest"]}
    return entries, left_out


def _name_canaries(approved: Mapping[str, Any], entries: Entries) -> None:
    """Let the next server of a service that has lost its canaries be the canary: the others still wait for one."""
    led = {entry["service"] for entry in entries.values() if _leads(entry)}
    for wave in approved["waves"]:
        for host in wave["hosts"]:
            entry = entries.get(host)
            if entry is not None and entry["kind"] == "server" and entry["service"] not in led:
                entry["ring"] = "canary"
                led.add(entry["service"])


def _leads(entry: Mapping[str, Any]) -> bool:
    return bool(entry["kind"] == "server" and entry["ring"] == "canary")


def _waves(approved: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the approved waves as far as they are left, each split where a host has to go alone before the others."""
    parts: list[tuple[str, list[str]]] = []
    begun: set[str] = set()
    for wave in approved["waves"]:
        rest = [host for host in wave["hosts"] if host in entries]
        while rest:
            lone = _lone(rest, approved["hosts"], entries, begun)
            part = [lone] if lone else rest
            parts.append((wave["kind"], part))
            begun |= {entries[host]["group"] for host in part}
            rest = [host for host in rest if host not in part]
    soaks = soak_times([[_member(host, entries[host]) for host in part] for _kind, part in parts])
    return [
        {"number": number, "hosts": part, "soak_s": soak_s, "kind": kind}
        for number, ((kind, part), soak_s) in enumerate(zip(parts, soaks, strict=True), 1)
    ]


def _lone(
    rest: Sequence[str],
    before: Mapping[str, Mapping[str, Any]],
    entries: Mapping[str, Mapping[str, Any]],
    begun: Collection[str],
) -> str | None:
    """Return who of ``rest`` goes alone and first: a new canary, or the first host of its manifest."""
    canaries = (host for host in rest if entries[host]["ring"] != before[host]["ring"])
    firsts = (host for host in rest if entries[host]["group"] not in begun)
    return next(canaries, None) or next(firsts, None)


def _member(host: str, entry: Mapping[str, Any]) -> Member:
    return Member(host, **{key: entry[key] for key in _MEMBER})


def _budget(approved: Mapping[str, Any], entries: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the approved numbers of failed hosts, of the rings and services that are left."""
    rings, services = {entry["ring"] for entry in entries}, {entry["service"] for entry in entries}
    return {
        "run": approved["run"],
        "rings": {ring: number for ring, number in approved["rings"].items() if ring in rings},
        "services": {name: number for name, number in approved["services"].items() if name in services},
    }


def _by_name(item: tuple[str, object]) -> tuple[object, ...]:
    return natural_key(item[0])


def _require_no_more(loaded: Loaded, planned: Planned) -> None:
    """Hold what was derived against the promises of every plan, and against what was approved."""
    plan = planned.plan
    problems = wave_problems(plan)
    more = problems[0] if problems else plan_drops.difference(loaded, Loaded(plan, planned.manifests, loaded.path))
    if more:
        next_step = "drop that host too, or plan again without them, which needs a new approval"
        raise _refused(loaded.plan, f"without these, {more}", "waves that stay as they were approved", next_step)
    if set(late(plan)) == set(plan["hosts"]):
        seen = "by estimate none of the hosts that are left fits into its window now"
        raise _refused(loaded.plan, seen, "a window with time for work and way back", "plan again for the next window")
    verify_plan(plan)
    for manifest in planned.manifests.values():
        verify_manifest(manifest)


def _refused(approved: Mapping[str, Any], seen: str, expected: str, next_step: str) -> PatchingError:
    return PatchingError(f"plan {approved['plan_id']}, from which to drop", seen, expected, next_step)
