# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: a digested value that says who is disrupted when, beside whom, with what.

It is a function of the time, the inventory's settings and the assessments: the
same input gives the same plan and the same digest. Anyone can read it before
the night; the run is held against it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.person import PersonProbe
from ansible_collections.hospital.patching.plugins.plugin_utils import answers, assessed, break_glass, schema
from ansible_collections.hospital.patching.plugins.plugin_utils.assessed import Assessed
from ansible_collections.hospital.patching.plugins.plugin_utils.batch import Limits
from ansible_collections.hospital.patching.plugins.plugin_utils.collecting import collecting_paused
from ansible_collections.hospital.patching.plugins.plugin_utils.emergency import Emergency, first_of
from ansible_collections.hospital.patching.plugins.plugin_utils.failure_budget import allowances
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion, declared_segments
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import (
    build_manifests,
    contradictions,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.members import Member, with_canaries
from ansible_collections.hospital.patching.plugins.plugin_utils.names import name_problem, natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.precedence import circle
from ansible_collections.hospital.patching.plugins.plugin_utils.refusals import APPROVALS, Fleet, exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.schedule import Broken
from ansible_collections.hospital.patching.plugins.plugin_utils.services import Service, services_of
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import LIMITS, Settings
from ansible_collections.hospital.patching.plugins.plugin_utils.shards import Shard, only
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.plugins.plugin_utils.timing import Slot, asked_for, other_nights, slot_of
from ansible_collections.hospital.patching.plugins.plugin_utils.wave_check import wave_problems
from ansible_collections.hospital.patching.plugins.plugin_utils.waves import Wave, cut_waves

SCHEMA = 1
DEFAULT_LIMITS, WHOLE = Limits(), Shard()
#: What the digest leaves out: names and times of making; and of a host estimates, which are learned later, and why its
#: way back was found out, which may tell how much was free that day.
OUTSIDE_DIGEST = frozenset({"digest", "plan_id", "created"})
UNBOUND = frozenset({"estimate_s", "way_back_s", "estimated_by", "estimated_steps_s", "snapshot_found"})


#: By host.
Manifests = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Planned:
    """A plan and its manifests by digest."""

    plan: dict[str, Any]
    manifests: dict[str, dict[str, Any]]


@collecting_paused()
def build_plan(
    plan_id: str,
    now: datetime,
    candidates: Mapping[str, Candidate],
    groups: Collection[str] = (),
    watched: Literal[True] | str = "nobody has looked for one",
    limits: Limits = DEFAULT_LIMITS,
    shard: Shard = WHOLE,
    urgent: Emergency | None = None,
    given: Sequence[str] = (),
    left_out: Sequence[str] = (),
) -> Planned:
    """Return the plan for ``candidates``: the inventory's hosts by name.

    Args:
        groups: names of the inventory's groups; a host of such a name is refused.
        watched: that a watcher runs on a second machine, or what was seen instead; tier 1 is refused without.
        limits: how many hosts a wave may have.
        shard: the part of the fleet that is planned.
        urgent: the emergency that the plan is for; ``candidates`` are as it has made them.
        given: settings that somebody gave on the command line; who reads the plan is to know.
        left_out: which updates were left out, where and why, because they are blocked or cannot be taken back.
    """
    candidates = only(candidates, shard)
    services, service_problems = services_of(candidates)
    read = {host: assessed.read(host, candidate) for host, candidate in candidates.items()}
    fleet = Fleet(candidates, read, services, service_problems, groups, watched)
    hosts = sorted(candidates, key=natural_key)
    not_planned = {host: why for host in hosts if (why := exclusion(host, fleet)) is not None}
    asked = [host for host in hosts if host not in not_planned]
    work = {host: one for host, one in read.items() if isinstance(one, Assessed)}
    slots = _slots(candidates, asked, now, not_planned, urgent.broken if urgent is not None else {})
    if urgent is not None:
        _leave_out(slots, urgent.over_before(slots), not_planned)
        slots = urgent.limited(slots)
    exposed = {host for host in slots if urgent is not None and candidates[host].settings.exposed}
    _leave_out(slots, other_nights(slots, now, exposed), not_planned)
    _leave_out(slots, _contradicting(work, slots), not_planned)
    waves, rings, manifests = _waves(candidates, work, services, slots, now, limits, not_planned, exposed)
    plan: dict[str, Any] = {
        "schema": SCHEMA,
        "plan_id": plan_id,
        "created": stamp(now),
        "site": {"segments": declared_segments(candidates)},
        "limits": {"parallel": limits.parallel, "canaries": limits.canaries},
        "shard": {"number": shard.number, "of": shard.of},
        "failure_budget": allowances({host: candidates[host].settings for host in slots}, rings),
        "hosts": {
            host: _host(host, candidates[host], work[host], slots[host], services, rings[host], manifests[host])
            for host in slots
        },
        "services": {name: _service(service, candidates) for name, service in services.items()},
        "waves": [
            {"number": number, "hosts": list(wave.hosts), "soak_s": wave.soak_s, "kind": wave.kind}
            for number, wave in enumerate(waves, 1)
        ],
        "not_planned": {
            host: {"outcome": not_planned[host].outcome, "reason": not_planned[host].reason}
            for host in hosts
            if host in not_planned
        },
    }
    if urgent is not None:
        plan["emergency"] = urgent.as_dict(exposed & set(slots), first_of(exposed, slots, now))
    if given:
        plan["given"] = sorted(given)
    if left_out:
        plan["left_out"] = list(left_out)
    plan["digest"] = plan_digest(plan)
    _check(plan)
    return Planned(plan, {manifest["digest"]: dict(manifest) for manifest in manifests.values()})


def _leave_out(slots: dict[str, Slot], answers: Mapping[str, Exclusion], left_out: dict[str, Exclusion]) -> None:
    for host, why in answers.items():
        left_out[host] = why
        del slots[host]


def _slots(
    candidates: Mapping[str, Candidate],
    hosts: Sequence[str],
    now: datetime,
    left_out: dict[str, Exclusion],
    broken: Broken,
) -> dict[str, Slot]:
    slots, segments = {}, declared_segments(candidates)
    known: dict[Hashable, Slot | Exclusion] = {}
    for host in hosts:
        settings = candidates[host].settings
        # Hosts of a service mostly share their window and their estimates.
        alike = asked_for(settings)
        if alike not in known:
            known[alike] = slot_of(settings, now, segments, broken)
        answer = known[alike]
        if isinstance(answer, Exclusion):
            left_out[host] = answer
        else:
            slots[host] = answer
    return slots


def _contradicting(work: Mapping[str, Assessed], slots: Mapping[str, Slot]) -> dict[str, Exclusion]:
    wanted = {host: work[host].updates for host in slots}
    return {host: Exclusion("refused", reason) for host, reason in contradictions(wanted).items()}


def _waves(
    candidates: Mapping[str, Candidate],
    work: Mapping[str, Assessed],
    services: Mapping[str, Service],
    slots: dict[str, Slot],
    now: datetime,
    limits: Limits,
    left_out: dict[str, Exclusion],
    exposed: Collection[str],
) -> tuple[list[Wave], dict[str, str], Manifests]:
    """Cut waves, leave out the hosts that come too late, and cut again until all fit.

    Returns:
        The waves, and of each host the ring and the manifest.
    """
    names = {host: work[host].group for host in slots}
    while True:
        _leave_out_circles(candidates, services, slots, left_out)
        manifests = build_manifests(names, {host: work[host].updates for host in slots}, now)
        members = with_canaries(_members(candidates, slots, manifests, first_of(exposed, slots, now)))
        rings = {member.host: member.ring for member in members}
        cut = cut_waves(members, services, now, limits)
        if not cut.late:
            return cut.waves, rings, manifests
        # Where the night is too short for all, more hosts may fit if the long ones do not come first.
        cut = min(cut, cut_waves(members, services, now, limits, shortest_first=True), key=lambda one: len(one.late))
        if not cut.late:
            return cut.waves, rings, manifests
        _leave_out(slots, {host: slots[host].late(start) for host, start in cut.late.items()}, left_out)


def _leave_out_circles(
    candidates: Mapping[str, Candidate],
    services: Mapping[str, Service],
    slots: dict[str, Slot],
    left_out: dict[str, Exclusion],
) -> None:
    while found := circle(with_canaries(_members(candidates, slots)), services):
        told = " before ".join(found.told)
        why = {
            host: PatchingError(
                f"host {host}",
                f"hosts that wait for each other: {told}",
                "an order without a circle",
                "correct patching_after, start_order, patching_role or patching_ring of these hosts",
            )
            for host in found.hosts
        }
        _leave_out(slots, {host: Exclusion("refused", str(error)) for host, error in why.items()}, left_out)


def _members(
    candidates: Mapping[str, Candidate],
    slots: Mapping[str, Slot],
    manifests: Manifests | None = None,
    first: Collection[str] = (),
) -> list[Member]:
    members = []
    for host in slots:
        settings, slot = candidates[host].settings, slots[host]
        members.append(
            Member(
                host=host,
                service=settings.service,
                kind=settings.kind,
                tier=settings.tier,
                ring=settings.ring or "broad",
                soak_s=settings.soak_s,
                estimate_s=settings.estimate_s,
                group=manifests[host]["group"] if manifests else "",
                drained_by=(settings.drain or {}).get("host"),
                opens=slot.occurrence.start if slot.occurrence is not None else None,
                latest=slot.latest,
                after=tuple(name for name in settings.after if name != host),
                role=settings.role,
                exposed=host in first,
            )
        )
    return members


def _host(
    host: str,
    candidate: Candidate,
    work: Assessed,
    slot: Slot,
    services: Mapping[str, Service],
    ring: str,
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    settings = candidate.settings
    window = None
    if slot.window is not None and slot.occurrence is not None:
        start, end = slot.occurrence.start, slot.occurrence.end
        window = {"text": slot.window.text, "start": stamp(start), "end": stamp(end)}
    return {
        "address": candidate.address or host,
        "kind": settings.kind,
        "policy": settings.policy,
        "tier": settings.tier,
        "service": settings.service,
        "ring": ring,
        "role": settings.role,
        "after": [name for name in settings.after if name != host],
        "approvals": APPROVALS[settings.tier],
        "window": window,
        **({"cut_off_s": settings.cut_off_s} if settings.cut_off_s and window else {}),
        "min_healthy": services[settings.service].min_healthy if settings.service else None,
        "drain": _drain(host, candidate),
        **_silence(settings.silence),
        "snapshot": settings.snapshot,
        **({"snapshot_found": candidate.snapshot_found} if candidate.snapshot_found else {}),
        **({"disk_revert": True} if settings.disk_revert else {}),
        "probes": _probes(candidate),
        **({"asks": asks} if (asks := answers.planned_asks(settings)) else {}),
        **_health(settings),
        "manager": work.manager,
        **({"reboot_owed": list(candidate.reboot_owed)} if candidate.reboot_owed else {}),
        "group": manifest["group"],
        "manifest": manifest["digest"],
        "updates": [_planned(update) for update in work.updates],
        "security_only": settings.security_only,
        **({"restart_order": list(settings.restart_order)} if settings.restart_order else {}),
        **({"boots_unattended": True} if settings.boots_unattended else {}),
        "restart_by_reload": list(settings.restart_by_reload),
        **_updaters(settings.competing_updaters),
        "limits": {name: getattr(settings, name) for name in LIMITS},
        "freeze_file": settings.freeze_file,
        "freezes": list(settings.freezes),
        "inhibits": [dict(one) for one in settings.inhibits],
        **({"hooks": [dict(one) for one in settings.hooks]} if settings.hooks else {}),
        "soak_s": settings.soak_s,
        "estimate_s": settings.estimate_s,
        "way_back_s": settings.way_back_s,
        "estimated_by": dict(candidate.estimated_by),
        "downtime_s": settings.downtime_s,
        **({"estimated_steps_s": dict(candidate.estimated_steps_s)} if candidate.estimated_steps_s else {}),
    }


def _health(settings: Settings) -> dict[str, Any]:
    """Return by what health is judged, where it is not what every host of the tier is judged by."""
    thresholds = (settings.thresholds or {}).get(str(settings.tier))
    return {
        **({"broken_before": list(settings.broken_before)} if settings.broken_before else {}),
        **({"thresholds": thresholds} if thresholds else {}),
        **({"health_soak_s": settings.health_soak_s} if settings.health_soak_s else {}),
    }


def _silence(silence: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the monitor in which alerts are silenced, where there is one."""
    return {} if silence is None or silence["provider"] == "none" else {"silence": silence}


def _updaters(policy: str) -> dict[str, str]:
    """Return what is done about competing updaters, where it is not what every host does."""
    return {} if policy == "suspend" else {"competing_updaters": policy}


def _planned(update: Mapping[str, Any]) -> dict[str, Any]:
    """Return an update without its date: an archive renews that, and the plan's digest must not change with it."""
    return {key: value for key, value in update.items() if key not in ("published", "published_by")}


def _service(service: Service, candidates: Mapping[str, Candidate]) -> dict[str, Any]:
    """Return a service with the probes by which each of its hosts is seen to serve, from where users are."""
    probes = {
        host: [probe for probe in _probes(candidates[host]) if probe["vantage"] == "controller"]
        for host in service.hosts
        if candidates[host].settings.policy != "vendor_locked"
    }
    return {**service.as_dict(), "probes": probes}


def _drain(host: str, candidate: Candidate) -> dict[str, Any]:
    drain = candidate.settings.drain
    if drain is None:
        return {"type": "none", "reason": "an endpoint has no users to move away"}
    return drain if drain["type"] == "none" else {"server": host, **drain}


def _probes(candidate: Candidate) -> list[dict[str, Any]]:
    """Return the probes of the service's pages, then the site's own but those that ask people.

    The built-in ones are added on the host.
    """
    pages: list[dict[str, Any]] = [
        {"name": f"url-{number}", "type": "http", "vantage": "controller", "url": url}
        for number, url in enumerate(candidate.settings.probe_url, 1)
    ]
    own = [probe for probe in candidate.settings.probes if probe["type"] != PersonProbe.NAME]
    return pages + [{**probe, "vantage": registry.vantage(probe)} for probe in own]


def plan_digest(plan: Mapping[str, Any]) -> str:
    """Return the digest that approval binds to: over all but names, times of making, what is UNBOUND, and CVEs.

    Which CVEs an update fixes is a feed's knowledge of the day; the update stays the same.

    Raises:
        PatchingError: a value has no canonical form, such as a number with a fraction.
    """
    body = {key: value for key, value in plan.items() if key not in OUTSIDE_DIGEST}
    body["hosts"] = {
        host: {
            **{key: value for key, value in entry.items() if key not in UNBOUND},
            "updates": [{**update, "cves": None} for update in entry["updates"]],
        }
        for host, entry in plan["hosts"].items()
    }
    try:
        return digest(body)
    except TypeError as error:
        raise PatchingError(
            f"plan {plan['plan_id']}", str(error), "text and whole numbers", "correct that value in the inventory"
        ) from error


def verify_plan(
    plan: Mapping[str, Any], known_hosts: Collection[str] | None = None, groups: Collection[str] = ()
) -> None:
    """Refuse a plan that is damaged, was edited, or whose waves break a promise.

    Args:
        known_hosts: the inventory's hosts, when a run is about to begin.
        groups: the inventory's groups; a host of such a name would expand to it.

    Raises:
        PatchingError: naming the first thing that is wrong.
    """
    schema.validate("plan", plan, "plan")
    found = plan_digest(plan)
    if found != plan["digest"]:
        raise PatchingError(
            f"plan {plan['plan_id']}",
            f"content with {found}",
            f"the digest it carries, {plan['digest']}",
            "make a new plan; never edit one",
        )
    _require_none(plan, _problems(plan) or _inventory_problems(plan, known_hosts, groups))


def _check(plan: Mapping[str, Any]) -> None:
    """Hold a plan that was just made against all that it promises.

    Its updates are those of the assessments, each of which was held against its contract before: one stands for all.
    """
    one: list[Any] = next((entry["updates"][:1] for entry in plan["hosts"].values()), [])
    hosts = {host: {**entry, "updates": one[: len(entry["updates"])]} for host, entry in plan["hosts"].items()}
    schema.validate("plan", {**plan, "hosts": hosts}, "plan")
    _require_none(plan, _problems(plan))


def _problems(plan: Mapping[str, Any]) -> list[str]:
    broken = break_glass.problem(plan)
    return wave_problems(plan) or _approval_problems(plan) or ([broken] if broken else [])


def _require_none(plan: Mapping[str, Any], problems: Sequence[str]) -> None:
    if problems:
        seen = "; ".join(problems[:5])
        raise PatchingError(f"plan {plan['plan_id']}", seen, "a plan as plan.yml makes it", "make a new plan")


def _approval_problems(plan: Mapping[str, Any]) -> list[str]:
    return [
        f"{host} of tier {entry['tier']} asks for {entry['approvals']} approvals instead of {APPROVALS[entry['tier']]}"
        for host, entry in plan["hosts"].items()
        if entry["approvals"] != APPROVALS[entry["tier"]]
    ]


def _inventory_problems(
    plan: Mapping[str, Any], known_hosts: Collection[str] | None, groups: Collection[str]
) -> list[str]:
    named = [problem for host in plan["hosts"] if (problem := name_problem(host, groups))]
    if known_hosts is not None:
        named += [f"the inventory does not know {host}" for host in plan["hosts"] if host not in known_hosts]
    return named


def order(plan: Mapping[str, Any]) -> list[str]:
    """Return the planned hosts in the order in which a play takes them."""
    return [host for wave in plan["waves"] for host in wave["hosts"]]


def serial(plan: Mapping[str, Any]) -> list[int]:
    """Return the sizes of the waves; empty for an empty plan, which Ansible would read as "all remaining hosts"."""
    return [len(wave["hosts"]) for wave in plan["waves"]]


def wave_of(plan: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return the wave of a planned host.

    Raises:
        PatchingError: no wave names the host.
    """
    for wave in plan["waves"]:
        if host in wave["hosts"]:
            return dict(wave)
    raise PatchingError(
        f"host {host}",
        f"plan {plan['plan_id']} has no wave for it",
        "a planned host",
        "make a new plan that includes it",
    )


def check_batch(plan: Mapping[str, Any], batch: Sequence[str], ended: Collection[str] = ()) -> None:
    """Refuse a batch of Ansible's that is not exactly one wave: a limit or an unknown host has shifted it.

    Ansible takes hosts whose journey has ended out of the batch; ``ended`` names
    them, and they may be missing.

    Raises:
        PatchingError: naming the batch and the wave.
    """
    wave: dict[str, Any] = wave_of(plan, batch[0]) if batch else {"number": 0, "hosts": []}
    left = [host for host in wave["hosts"] if host in batch or host not in ended]
    if not batch or list(batch) != left:
        raise PatchingError(
            f"wave {wave['number']} of plan {plan['plan_id']}",
            f"Ansible's batch is {', '.join(batch) or 'empty'}",
            f"{', '.join(wave['hosts'])}, in that order",
            "start the run without --limit and with the inventory the plan was made from",
        )
