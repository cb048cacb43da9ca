# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a host is not planned: asked in order, the first answer counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import answers, hooks
from ansible_collections.hospital.patching.plugins.plugin_utils.assessed import Assessed
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.names import name_problem
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import outside
from ansible_collections.hospital.patching.plugins.plugin_utils.services import Service
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import login as silence_login
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import registry as silences
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import Access

#: Signatures over the plan's digest that a tier needs; tiers 3 and 4 are approved by starting with the digest.
APPROVALS = {1: 2, 2: 1, 3: 0, 4: 0}


@dataclass(frozen=True)
class Fleet:
    """What the answers are drawn from."""

    candidates: Mapping[str, Candidate]
    assessed: Mapping[str, Assessed | Exclusion]
    services: Mapping[str, Service]
    service_problems: Mapping[str, str]
    groups: Collection[str]
    #: True, or what was seen instead of a watcher.
    watched: Literal[True] | str

    @cached_property
    def silenced(self) -> dict[str, set[str]]:
        """Return for each name at a monitor the hosts whose alerts it would silence."""
        found: dict[str, set[str]] = {}
        for host, candidate in self.candidates.items():
            for name in silences.covers(candidate.settings.silence, host):
                found.setdefault(name, set()).add(host)
        return found


@dataclass(frozen=True)
class Case:
    """One host, and all that is known around it."""

    host: str
    candidate: Candidate
    fleet: Fleet


def exclusion(host: str, fleet: Fleet) -> Exclusion | None:
    """Return why ``host`` is not planned, or None when it may be."""
    case = Case(host, fleet.candidates[host], fleet)
    for check in CHECKS:
        answer = check(case)
        if answer is not None:
            return answer
    return None


def _refused(case: Case, seen: str, expected: str, next_step: str) -> Exclusion:
    return Exclusion("refused", str(PatchingError(f"host {case.host}", seen, expected, next_step)))


def _missing(case: Case) -> Exclusion | None:
    return case.candidate.missing


def _not_asked_for(case: Case) -> Exclusion | None:
    return case.candidate.why_not if case.candidate.assessment is not None else None


def _policy(case: Case) -> Exclusion | None:
    if case.candidate.settings.policy == "vendor_locked":
        return Exclusion("excluded", "vendor_locked: a medical device is never contacted")
    if case.candidate.settings.policy == "observed" and _is_in_device_network(case.candidate):
        return Exclusion("excluded", "in a network of medical devices: never contacted")
    if case.candidate.settings.policy == "observed":
        return Exclusion("excluded", "observed: assessed, never changed; patching_service makes it managed")
    return None


def _is_in_device_network(candidate: Candidate) -> bool:
    return bool(candidate.address) and not outside([str(candidate.address)], candidate.settings.device_segments or ())


def _name(case: Case) -> Exclusion | None:
    problem = name_problem(case.host, case.fleet.groups)
    if problem is None:
        return None
    return _refused(case, problem, "a name that a wave can carry", "rename the host or the group, and plan again")


def _assessed(case: Case) -> Exclusion | None:
    found = case.fleet.assessed[case.host]
    return found if isinstance(found, Exclusion) else None


def _validated(case: Case) -> Exclusion | None:
    if case.candidate.settings.policy == "vendor_validated":
        return _refused(
            case,
            "policy vendor_validated, and this release reads no list of versions that the vendor allows",
            "policy managed or observed",
            "leave its patching to the vendor until lists can be read",
        )
    return None


def _stated(case: Case) -> Exclusion | None:
    if case.candidate.settings.kind == "endpoint":
        return None
    for setting in ("service", "window", "drain"):
        if getattr(case.candidate.settings, setting) is None:
            return _refused(
                case,
                f"patching_{setting} is not set",
                "service, window and drain, which a managed server needs",
                f"set patching_{setting} for it, or for its group",
            )
    return None


def _drain_host(case: Case) -> Exclusion | None:
    balancer = (case.candidate.settings.drain or {}).get("host")
    if balancer is None:
        return None
    if balancer == case.host:
        return _refused(
            case,
            "patching_drain names the host itself",
            "another host, or no on: for a hook that runs on the host itself",
            "name its load balancer, or leave on: out",
        )
    known = case.fleet.candidates.get(balancer)
    if known is None:
        seen = f"patching_drain names {balancer}, which the inventory does not know"
        return _refused(case, seen, "a host of the inventory", "correct the name, or add the host")
    if known.settings.policy == "vendor_locked":
        seen = f"patching_drain names {balancer}, a medical device"
        return _refused(
            case, seen, "a host that may be contacted", "name another one, or have the device's vendor do it"
        )
    # One that the plan was not asked for is left alone, so the gate's own checks are enough for it.
    left_alone = known.missing is None and known.why_not is not None and known.why_not.outcome == "excluded"
    if known.assessment is None and not left_alone:
        seen = f"{balancer}, which drains it, could not be assessed"
        return _refused(case, seen, "a load balancer that answers", f"find out why {balancer} does not")
    return None


def _silence(case: Case) -> Exclusion | None:
    settings = case.candidate.settings
    if settings.silence is None or settings.silence["provider"] == "none":
        return None
    access = Access(settings.device_segments, silence_login.of(settings.silence_login))
    problem = silences.build(settings.silence, access).problem()
    if problem:
        return _refused(case, f"patching_silence: {problem}", "a monitor that can be asked", "correct both settings")
    for name in silences.covers(settings.silence, case.host):
        others = sorted(case.fleet.silenced.get(name, set()) - {case.host})
        if others:
            return _refused(
                case,
                f"patching_silence would silence {', '.join(others[:3])} with it ({name})",
                "a name that no other host has",
                "correct names, name or label, so that alerts of this host alone are meant",
            )
    return None


def _hook_hosts(case: Case) -> Exclusion | None:
    for name in hooks.hosts_of(case.candidate.settings.hooks):
        known = case.fleet.candidates.get(name)
        if known is None:
            seen = f"a hook of it is done on {name}, which the inventory does not know"
            return _refused(case, seen, "a host of the inventory", "correct the name, or add the host")
        if known.settings.policy == "vendor_locked":
            seen = f"a hook of it is done on {name}, a medical device"
            return _refused(case, seen, "a host that may be contacted", "do it from another one")
    return None


def _service(case: Case) -> Exclusion | None:
    name = case.candidate.settings.service
    if name is None:
        return None
    if name in case.fleet.service_problems:
        return Exclusion("refused", case.fleet.service_problems[name])
    service = case.fleet.services[name]
    if service.allowance < 1:
        out = ", ".join(service.out)
        return _refused(
            case,
            f"of the {len(service.hosts)} hosts of service {name}, {out} could not be assessed and counts as out",
            f"{service.min_healthy} that stay healthy while one more is out",
            f"bring {out} back first",
        )
    for partner in service.never_with:
        if case.fleet.services[partner].out:
            out = ", ".join(case.fleet.services[partner].out)
            return _refused(
                case,
                f"service {partner} has {out} out",
                f"all of {partner} in service, which is never disrupted with {name}",
                f"bring {out} back first",
            )
    return None


def _order(case: Case) -> Exclusion | None:
    fleet = case.fleet
    unknown = [
        name for name in case.candidate.settings.after if name not in fleet.services and name not in fleet.candidates
    ]
    if unknown:
        seen = f"patching_after names {', '.join(unknown)}, which is no service and no host of the inventory"
        return _refused(case, seen, "services and hosts that there are", "correct the name, or remove it")
    return None


def _approval(case: Case) -> Exclusion | None:
    settings = case.candidate.settings
    tier, in_awx = settings.tier, settings.awx_url and settings.awx_workflow and settings.awx_approvers
    if APPROVALS[tier] and settings.allowed_signers is None and not in_awx:
        seen = f"tier {tier}, and patching_allowed_signers is not set"
        expected = f"{APPROVALS[tier]} signed approvals, and a list of who may sign"
        return _refused(case, seen, expected, "set patching_allowed_signers, or all of patching_awx_*")
    if tier == 1 and case.fleet.watched is not True:
        return _refused(
            case,
            f"tier 1, and no watcher on a second machine: {case.fleet.watched}",
            "one that has looked within ten minutes, and pages when a run goes silent",
            "run watch_install.yml with watch_page_command or watch_page_url on a second machine that shares this "
            "evidence directory (docs/approvals.md), and plan again",
        )
    return None


def _people(case: Case) -> Exclusion | None:
    settings = case.candidate.settings
    asks = answers.stated(settings)
    if not asks:
        return None
    if settings.kind == "endpoint":
        seen = f"the probe {asks[0]['name']} asks a person, and an endpoint is patched when it is seen"
        return _refused(case, seen, "probes of type person on servers only", "remove it from its patching_probes")
    signed = [one["name"] for one in asks if one["signed"]]
    if signed and settings.allowed_signers is None:
        seen = f"the probe {signed[0]} needs a signed answer, and patching_allowed_signers is not set"
        return _refused(case, seen, "a list of who may sign", "set patching_allowed_signers")
    return None


CHECKS: tuple[Callable[[Case], Exclusion | None], ...] = (
    _missing,
    _policy,
    _not_asked_for,
    _name,
    _assessed,
    _validated,
    _stated,
    _drain_host,
    _silence,
    _hook_hosts,
    _service,
    _order,
    _approval,
    _people,
)
