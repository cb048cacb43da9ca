# SPDX-License-Identifier: GPL-3.0-or-later
"""Services: the hosts that carry them, and how many of those may be out at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import answers
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key


@dataclass(frozen=True)
class Service:
    """A clinical service. ``out`` are the members whose health nobody could see when the plan was made.

    ``depends_on`` are the services without which this one does not serve.
    """

    name: str
    tier: int
    hosts: tuple[str, ...]
    min_healthy: int
    never_with: tuple[str, ...]
    out: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    #: Services that are not disrupted in one wave with this one: ``never_with``, and those on which one of two depends.
    apart: frozenset[str] = frozenset()
    #: The first of its hosts that is to go after the service, if any.
    after_itself: str | None = None
    #: Who answers for it, and how to reach him.
    owner: str | None = None

    @property
    def allowance(self) -> int:
        """How many further hosts may be out; zero or less means that none may."""
        return len(self.hosts) - self.min_healthy - len(self.out)

    def as_dict(self) -> dict[str, Any]:
        return {
            "tier": self.tier,
            "owner": self.owner,
            "hosts": list(self.hosts),
            "min_healthy": self.min_healthy,
            "never_with": list(self.never_with),
            "depends_on": list(self.depends_on),
            "out": list(self.out),
        }


def services_of(candidates: Mapping[str, Candidate]) -> tuple[dict[str, Service], dict[str, str]]:
    """Return all services by name, and for those that contradict themselves the reason.

    Every host that names a service is a member, whatever its policy: one that
    is never patched still serves.
    """
    members: dict[str, list[str]] = {}
    for host in sorted(candidates, key=natural_key):
        name = candidates[host].settings.service
        if name is not None:
            members.setdefault(name, []).append(host)
    never_with, needs = _never_with(members, candidates), _depends_on(members, candidates)
    apart = {name: set(never_with[name]) | needs[name] for name in members}
    for name, needed in needs.items():
        for other in needed & set(members):
            apart[other].add(name)
    services, problems = {}, {}
    for name in sorted(members, key=natural_key):
        hosts = {host: candidates[host] for host in members[name]}
        service = Service(
            name=name,
            tier=min(one.settings.tier for one in hosts.values()),
            hosts=tuple(hosts),
            min_healthy=_min_healthy(hosts),
            never_with=tuple(sorted(never_with[name], key=natural_key)),
            out=tuple(host for host, one in hosts.items() if _is_out(one)),
            depends_on=tuple(sorted(needs[name], key=natural_key)),
            apart=frozenset(apart[name]),
            after_itself=next((host for host, one in hosts.items() if name in one.settings.after), None),
            owner=_owner(hosts.values()),
        )
        services[name] = service
        problem = (
            _contradiction(hosts)
            or _impossible(service, hosts)
            or _quorum(service, hosts)
            or _unknown_partner(service, members)
        )
        if problem:
            problems[name] = str(PatchingError(f"service {name}", *problem))
    return services, problems


def _is_out(candidate: Candidate) -> bool:
    """A member that could not be assessed counts as out: unknown never means healthy."""
    return candidate.assessment is None


def _never_with(members: Mapping[str, list[str]], candidates: Mapping[str, Candidate]) -> dict[str, set[str]]:
    """Return service → partners, both ways, whichever of the two says it."""
    apart: dict[str, set[str]] = {name: set() for name in members}
    for name, hosts in members.items():
        for host in hosts:
            for partner in candidates[host].settings.never_with:
                apart[name].add(partner)
                apart.setdefault(partner, set()).add(name)
    return apart


def _depends_on(members: Mapping[str, list[str]], candidates: Mapping[str, Candidate]) -> dict[str, set[str]]:
    return {
        name: {needed for host in hosts for needed in candidates[host].settings.depends_on}
        for name, hosts in members.items()
    }


def _owner(hosts: Iterable[Candidate]) -> str | None:
    """Return the owners that the hosts name, each with how to reach him."""
    settings = [one.settings for one in hosts if one.settings.owner or one.settings.contact]
    named = (" ".join(filter(None, (one.owner, f"({one.contact})" if one.contact else ""))) for one in settings)
    return ", ".join(dict.fromkeys(named)) or None


def _min_healthy(hosts: Mapping[str, Candidate]) -> int:
    stated = [one.settings.min_healthy for one in hosts.values() if one.settings.min_healthy is not None]
    if stated:
        return max(stated)
    if len(hosts) == 1:
        (single,) = hosts.values()
        return 1 if single.settings.downtime_s is None else 0
    return len(hosts) - 1


#: What was seen, what was expected, what to do next.
Problem = tuple[str, str, str]


def _quorum(service: Service, hosts: Mapping[str, Candidate]) -> Problem | None:
    """A cluster that has lost its majority stops, however many hosts are said to be enough."""
    voters = [host for host, one in hosts.items() if one.settings.role == "quorum"]
    majority = len(voters) // 2 + 1
    if not voters or len(voters) - (len(hosts) - service.min_healthy) >= majority:
        return None
    seen = f"patching_min_healthy is {service.min_healthy}, so that {len(hosts) - service.min_healthy} hosts may be out"
    expected = (
        f"at most {len(voters) - majority}: of the {len(voters)} with patching_role quorum, {majority} are a majority"
    )
    return seen, expected, "raise patching_min_healthy"


def _contradiction(hosts: Mapping[str, Candidate]) -> Problem | None:
    for setting in ("tier", "min_healthy"):
        values = {host: getattr(one.settings, setting) for host, one in hosts.items()}
        if len(set(values.values())) > 1:
            seen = ", ".join(f"{value} on {host}" for host, value in values.items())
            return f"patching_{setting} is {seen}", "one value for the service", "set it once for all of its hosts"
    asked = {host: answers.stated(one.settings) for host, one in hosts.items() if one.settings.managed}
    other = next((host for host, one in asked.items() if one != next(iter(asked.values()))), None)
    if other is not None:
        seen = f"patching_probes asks people otherwise on {other} than on {next(iter(asked))}"
        return seen, "the same questions for the service", "set probes of type person once for all of its hosts"
    primaries = [host for host, one in hosts.items() if one.settings.role == "primary"]
    if len(primaries) > 1:
        return f"patching_role is primary on {', '.join(primaries)}", "one primary", "leave it to one of them"
    return None


def _impossible(service: Service, hosts: Mapping[str, Candidate]) -> Problem | None:
    size = len(service.hosts)
    if service.min_healthy < size:
        return None
    if size == 1 and all(one.settings.min_healthy is None for one in hosts.values()):
        return (
            f"{service.hosts[0]} carries it alone and states no downtime that it accepts",
            "a downtime that its users accept",
            "set patching_downtime_s, or patching_min_healthy to 0",
        )
    seen = f"patching_min_healthy is {service.min_healthy} of {size} hosts, so none may ever be out"
    return seen, f"at most {size - 1}", "lower it, or add a host to the service"


def _unknown_partner(service: Service, members: Mapping[str, list[str]]) -> Problem | None:
    if service.after_itself:
        return f"patching_after of {service.after_itself} names the service itself", "others", "name its hosts instead"
    for setting, named in (("never_with", service.never_with), ("depends_on", service.depends_on)):
        if service.name in named:
            return f"patching_{setting} names the service itself", "another service", "name that one"
        unknown = [partner for partner in named if partner not in members]
        if unknown:
            seen = f"patching_{setting} names {', '.join(unknown)}, which no host carries"
            return seen, f"one of {', '.join(members)}", "correct the name, or set patching_service on its hosts"
    return None
