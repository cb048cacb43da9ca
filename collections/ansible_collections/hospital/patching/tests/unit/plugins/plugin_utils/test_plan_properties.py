# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of every plan, on random fleets, and broken planners that each property must catch."""

from __future__ import annotations

import copy
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import batch, precedence, services, waves
from ansible_collections.hospital.patching.plugins.plugin_utils import members as members_module
from ansible_collections.hospital.patching.plugins.plugin_utils import plan as planner
from ansible_collections.hospital.patching.plugins.plugin_utils.emergency import Emergency
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import plan_digest, verify_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.schedule import Schedule
from ansible_collections.hospital.patching.plugins.plugin_utils.services import Service
from ansible_collections.hospital.patching.plugins.plugin_utils.waves import Cut, Limits
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    FACTS,
    NOW,
    OPEN,
    candidate,
    endpoint,
    lost,
    pending,
    planned,
    server,
    update,
)

#: A whole fleet is a long text; without this, its length is told instead of what it broke.
pytestmark = pytest.mark.filterwarnings("ignore:.*overly large repr:hypothesis.errors.HypothesisWarning")

RINGS = ("canary", "early", "broad")
SERVICES = ("ehr", "viewer", "pacs", "portal")
ANY = (*SERVICES, *(f"{service}{number}" for service in SERVICES for number in (1, 2, 3)), "ws1", "nobody")
WINDOWS = (
    OPEN,
    "Sun 01:00, 3 h, America/Chicago",
    "Sun 08:00, 2 h, UTC",
    "Tue 01:00, 4 h, UTC",
    "Sun 08:00, 70 min, UTC",
)

#: Freezes as a setting states them, and what they mean, in UTC.
FREEZES = {
    "2026-11-22 08:30 to 2026-11-22 09:15, UTC": ("2026-11-22T08:30", "2026-11-22T09:15"),
    "2026-11-22 03:00 to 2026-11-22 03:30, America/Chicago": ("2026-11-22T09:00", "2026-11-22T09:30"),
    "2026-11-24 00:00 to 2026-11-25 00:00, UTC": ("2026-11-24T00:00", "2026-11-25T00:00"),
}


@st.composite
def whole_fleets(draw: st.DrawFn) -> dict[str, Candidate]:
    """Draw a fleet without contradictions, most of whose hosts are planned beside others."""
    fleet: dict[str, Candidate] = {}
    window = draw(st.sampled_from((OPEN, "Sun 00:00, 30 h, UTC", "Sun 08:00, 8 h, UTC")))
    names = draw(st.permutations(SERVICES))[: draw(st.integers(1, 4))]
    for position, service in enumerate(names):
        size = draw(st.integers(2, 8))
        # Only those that came before, so that nobody waits for himself through others.
        others = [*names[:position], *(f"{name}1" for name in names[:position])]
        common: dict[str, Any] = {
            "tier": draw(st.integers(1, 4)),
            "window": draw(st.sampled_from([window, window, window, "Sun 09:00, 9 h, UTC"])),
            "freezes": draw(st.sampled_from([[], [], [], *([text] for text in FREEZES)])),
            "allowed_signers": "files/approvers",
            "min_healthy": draw(st.integers(0, size - 1)),
            "soak_s": draw(st.sampled_from([0, 600])),
            "drain": draw(st.sampled_from(["none", "none", {"haproxy": "lb1", "backend": service}])),
            "after": draw(st.lists(st.sampled_from(others), max_size=1)) if others else [],
        }
        if position and draw(st.integers(0, 1)):
            common[draw(st.sampled_from(["never_with", "depends_on"]))] = [draw(st.sampled_from(names[:position]))]
        roles = draw(st.sampled_from([(), ("primary", "replica", "replica")]))
        for number in range(1, size + 1):
            own: dict[str, Any] = {"estimate_s": draw(st.sampled_from([600, 1200])), "way_back_s": 600}
            own["ring"] = draw(st.sampled_from([None, None, None, "early"]))
            own["exposed"] = draw(st.integers(0, 3)) == 0
            own["role"] = roles[number - 1] if number <= len(roles) else None
            wanted = [update("libc")] + [update("libd", after="2")] * draw(st.integers(0, 1))
            host = f"{service}{number}"
            fleet[host] = server(host, service, pending(*wanted), **{**common, **own})
            if draw(st.integers(0, 15)) == 0:
                fleet[host] = lost(fleet[host])
    fleet["lb1"] = candidate("lb1", {})
    return fleet | {f"ws{n}": endpoint(f"ws{n}", exposed=n == 1) for n in range(draw(st.integers(0, 4)))}


def fleets() -> st.SearchStrategy[dict[str, Candidate]]:
    """Draw mostly whole fleets, and some that contradict themselves wherever a fleet can."""
    return st.one_of(whole_fleets(), whole_fleets(), whole_fleets(), wild_fleets())


@st.composite
def wild_fleets(draw: st.DrawFn) -> dict[str, Candidate]:
    """Draw a fleet of up to four services and some hosts of none, however little sense it makes."""
    fleet: dict[str, Candidate] = {}
    partners = draw(st.dictionaries(st.sampled_from(SERVICES), st.sampled_from(SERVICES), max_size=2))
    for service in draw(st.lists(st.sampled_from(SERVICES), unique=True, max_size=4)):
        size = draw(st.integers(1, 6))
        common: dict[str, Any] = {
            "tier": draw(st.integers(1, 4)),
            "window": draw(st.sampled_from(WINDOWS)),
            "freezes": draw(st.lists(st.sampled_from(list(FREEZES)), unique=True, max_size=2)),
            "allowed_signers": draw(st.sampled_from([None, "files/approvers"])),
            "min_healthy": draw(st.one_of(st.none(), st.integers(0, size))),
            "downtime_s": draw(st.sampled_from([None, 300])),
            "soak_s": draw(st.sampled_from([0, 600, 3600])),
            "drain": draw(st.sampled_from(["none", {"haproxy": "ehr1", "backend": service}])),
        }
        common["depends_on"] = draw(st.lists(st.sampled_from(SERVICES), max_size=1))
        common["after"] = draw(st.lists(st.sampled_from([*SERVICES, "ehr1", "pacs2"]), unique=True, max_size=2))
        if service in partners:
            common["never_with"] = [partners[service]]
        for number in range(1, size + 1):
            host = f"{service}{number}"
            own = {"ring": draw(st.sampled_from([None, None, None, "canary", "early"]))}
            if draw(st.integers(0, 3)) == 0:
                own["after"] = draw(st.lists(st.sampled_from(ANY), unique=True, max_size=2))
            if draw(st.integers(0, 4)) == 0:
                own["window"] = draw(st.sampled_from(WINDOWS))
            own["role"] = draw(st.sampled_from([None, None, "replica", "primary"]))
            own["estimate_s"] = draw(st.sampled_from([600, 1800, 5400]))
            kind = draw(st.sampled_from(["server"] * 5 + ["endpoint"]))
            updates = draw(st.lists(st.sampled_from("abc"), unique=True, max_size=2))
            system = draw(st.sampled_from([FACTS, FACTS, {**FACTS, "version_id": "11"}]))
            wanted = [update(f"lib{name}", after=draw(st.sampled_from("12"))) for name in updates]
            assessment = pending(*wanted, facts=system)
            fleet[host] = server(host, service, assessment, **{**common, **own}, kind=kind)
            if draw(st.integers(0, 9)) == 0:
                fleet[host] = lost(fleet[host])
    fleet |= {f"ws{n}": endpoint(f"ws{n}") for n in range(draw(st.integers(0, 4)))}
    fleet |= {f"old{n}": candidate(f"old{n}", {}) for n in range(draw(st.integers(0, 2)))}
    return fleet


def broken_promises(plan: dict[str, Any], fleet: dict[str, Candidate], now: datetime) -> list[str]:
    """Judge a plan from the fleet alone, sharing no code with the planner."""
    return (
        _forgotten(plan, fleet)
        + _too_many(plan, fleet)
        + _partners_together(plan, fleet)
        + _together_with_what_it_needs(plan, fleet)
        + _no_lone_canary(plan, fleet)
        + _manifest_on_several_at_first(plan)
        + _out_of_order(plan, fleet)
        + _at_a_wrong_time(plan, fleet, now)
        + _wrong_order(plan, fleet)
    )


def _forgotten(plan: dict[str, Any], fleet: dict[str, Candidate]) -> list[str]:
    placed = Counter(host for wave in plan["waves"] for host in wave["hosts"])
    found = [f"forgotten or doubled: {h}" for h in fleet if placed[h] + (h in plan["not_planned"]) != 1]
    found += [f"without a reason: {h}" for h, entry in plan["not_planned"].items() if not entry["reason"]]
    return found + ["an empty wave" for wave in plan["waves"] if not wave["hosts"]]


def _members(fleet: dict[str, Candidate], service: str | None) -> list[str]:
    return [host for host, one in fleet.items() if service and one.settings.service == service]


def _floor(fleet: dict[str, Candidate], service: str) -> int:
    members = [fleet[host].settings for host in _members(fleet, service)]
    stated = [one.min_healthy for one in members if one.min_healthy is not None]
    if stated:
        return stated[0]
    return 0 if len(members) == 1 and members[0].downtime_s else max(1, len(members) - 1)


def _too_many(plan: dict[str, Any], fleet: dict[str, Candidate]) -> list[str]:
    found = []
    for wave in plan["waves"]:
        for service in {fleet[host].settings.service for host in wave["hosts"]} - {None}:
            members = _members(fleet, service)
            down = {h for h in members if h in wave["hosts"] or fleet[h].assessment is None}
            if len(members) - len(down) < _floor(fleet, service):
                found.append(f"below min_healthy: {service} in wave {wave['number']}")
    return found


def _partners_together(plan: dict[str, Any], fleet: dict[str, Candidate]) -> list[str]:
    pairs = {(one.settings.service, partner) for one in fleet.values() for partner in one.settings.never_with}
    found = []
    for wave in plan["waves"]:
        services = {fleet[host].settings.service for host in wave["hosts"]}
        found += [f"together: {a} and {b}" for a, b in pairs if a in services and b in services]
        for host in wave["hosts"]:
            if (fleet[host].settings.drain or {}).get("host") in wave["hosts"]:
                found.append(f"together with its load balancer: {host}")
    return found


def _together_with_what_it_needs(plan: dict[str, Any], fleet: dict[str, Candidate]) -> list[str]:
    found = []
    for wave in plan["waves"]:
        services = {fleet[host].settings.service for host in wave["hosts"]}
        needed = {
            name for one in fleet.values() if one.settings.service in services for name in one.settings.depends_on
        }
        found += [f"with what it needs: {name} in wave {wave['number']}" for name in needed & services]
    return found


def _no_lone_canary(plan: dict[str, Any], fleet: dict[str, Candidate]) -> list[str]:
    seen: set[str] = set()
    found = []
    for wave in plan["waves"]:
        servers = [h for h in wave["hosts"] if fleet[h].settings.kind == "server"]
        new = {str(fleet[h].settings.service) for h in servers} - seen
        allowed = plan["limits"]["canaries"]
        if len(new) > allowed or (new and allowed == 1 and len(wave["hosts"]) > 1):
            found.append(f"first of {new} not alone")
        seen |= new
    return found


def _manifest_on_several_at_first(plan: dict[str, Any]) -> list[str]:
    seen: set[str] = set()
    found = []
    for wave in plan["waves"]:
        new = {plan["hosts"][host]["manifest"] for host in wave["hosts"]} - seen
        if new and len(wave["hosts"]) > 1:
            found.append(f"a new manifest for several: wave {wave['number']}")
        seen |= new
    return found


def _goes_before(plan: dict[str, Any], fleet: dict[str, Candidate], other: str, host: str) -> bool:
    """Whether the fleet says that ``other`` goes before ``host``."""
    if other == host:
        return False
    one, two = fleet[other].settings, fleet[host].settings
    same = one.service is not None and one.service == two.service
    return (
        other in two.after
        or one.service in two.after
        or (same and (one.role, two.role) == ("replica", "primary"))
        or (same and one.kind == two.kind and RINGS.index(_ring(plan, other)) < RINGS.index(_ring(plan, host)))
    )


def _ring(plan: dict[str, Any], host: str) -> str:
    return str(plan["hosts"][host]["ring"])


def _out_of_order(plan: dict[str, Any], fleet: dict[str, Candidate]) -> list[str]:
    number_of = {host: wave["number"] for wave in plan["waves"] for host in wave["hosts"]}
    return [
        f"out of order: {host} in wave {number_of[host]}, {other} in {number_of[other]}"
        for host in number_of
        for other in number_of
        if number_of[other] >= number_of[host] and _goes_before(plan, fleet, other, host)
    ]


def _at_a_wrong_time(plan: dict[str, Any], fleet: dict[str, Candidate], now: datetime) -> list[str]:
    """Walk through the night as the gate will let it go: does any host end after its window, or work in a freeze?"""
    found, clock = [], now
    finished: dict[str, datetime] = {}
    for wave in plan["waves"]:
        entries = {h: plan["hosts"][h] for h in wave["hosts"]}
        for entry in entries.values():
            if entry["window"]:
                clock = max(clock, datetime.fromisoformat(entry["window"]["start"]))
            for host, end in finished.items():
                other = plan["hosts"][host]
                same = entry["service"] and (other["service"], other["kind"]) == (entry["service"], entry["kind"])
                if same and RINGS.index(other["ring"]) < RINGS.index(entry["ring"]):
                    clock = max(clock, end + timedelta(seconds=entry["soak_s"]))
        for host, entry in entries.items():
            end = clock + timedelta(seconds=entry["estimate_s"] + entry["way_back_s"])
            if entry["window"] and end > datetime.fromisoformat(entry["window"]["end"]):
                found.append(f"ends too late: {host}")
            frozen = [tuple(datetime.fromisoformat(f"{at}Z") for at in FREEZES[text]) for text in entry["freezes"]]
            if entry["window"] and any(clock < last and first < end for first, last in frozen):
                found.append(f"in a freeze: {host}")
        clock += timedelta(seconds=max(entry["estimate_s"] for entry in entries.values()))
        finished |= dict.fromkeys(entries, clock)
    return found


def _wrong_order(plan: dict[str, Any], fleet: dict[str, Candidate]) -> list[str]:
    """Tiers descend, but whoever waits for a more critical host goes with that one's tier."""
    hosts = [host for wave in plan["waves"] for host in wave["hosts"]]
    first = _begins_with(plan, fleet)
    turns: dict[str, tuple[object, ...]] = {
        host: (fleet[host].settings.kind == "endpoint", host not in first, -fleet[host].settings.tier) for host in hosts
    }
    for _round in hosts:
        for host in hosts:
            earlier = [turns[other] for other in hosts if _goes_before(plan, fleet, other, host)]
            turns[host] = max([turns[host], *earlier])
    found = [turns[host] for host in hosts]
    return [] if found == sorted(found) else ["wrong order"]


def _begins_with(plan: dict[str, Any], fleet: dict[str, Candidate]) -> set[str]:
    """Exposed hosts of an emergency whose windows open as early as any, and all for whom they wait."""
    if not plan.get("emergency"):
        return set()
    windows = {host: entry["window"] for host, entry in plan["hosts"].items()}
    opens = {host: max(plan["created"], one["start"]) if one else plan["created"] for host, one in windows.items()}
    found = {host for host in windows if fleet[host].settings.exposed and opens[host] == min(opens.values())}
    for _round in windows:
        found |= {other for other in windows for host in found if _goes_before(plan, fleet, other, host)}
    return found


def _no_plan_breaks_a_promise(examples: int) -> Counter[str]:
    """Hold so many random plans against every promise; return how much of what could be broken they had."""
    had: Counter[str] = Counter()

    @settings(max_examples=examples)
    @given(fleets(), st.integers(0, 7 * 24 * 60), st.integers(1, 4), st.integers(1, 3), st.booleans())
    def holds(fleet, minutes, parallel, canaries, is_urgent):
        now = NOW + timedelta(minutes=minutes)
        urgent = Emergency("CVE-2026-1519") if is_urgent else None
        plan = planned(fleet, now, watched=True, limits=Limits(parallel, canaries), urgent=urgent).plan
        assert broken_promises(plan, fleet, now) == []
        services = {entry["service"] for entry in plan["hosts"].values()}
        had["plans"] += 1
        had["several at once"] += any(len(wave["hosts"]) > 1 for wave in plan["waves"] if wave["kind"] == "servers")
        had["never together"] += any(services & set(plan["services"][one]["never_with"]) for one in services - {None})
        had["in need"] += any(services & set(plan["services"][one]["depends_on"]) for one in services - {None})
        had["exposed first"] += bool(is_urgent and plan["emergency"]["first"])

    holds()
    return had


def _enough(had: Counter[str]) -> None:
    """A property that is asked of plans in which nothing could be broken proves nothing."""
    for what, percent in {"several at once": 25, "never together": 5, "in need": 5, "exposed first": 15}.items():
        assert had[what] * 100 >= percent * had["plans"], (what, had)


def test_no_plan_breaks_a_promise():
    _enough(_no_plan_breaks_a_promise(200))


@pytest.mark.slow
def test_no_plan_of_two_thousand_fleets_breaks_a_promise():
    _enough(_no_plan_breaks_a_promise(2000))


@given(fleets(), st.randoms(use_true_random=False))
def test_the_same_input_gives_the_same_plan_in_whatever_order_it_comes(fleet, shuffler):
    hosts = list(fleet)
    shuffler.shuffle(hosts)
    one, other = planned(fleet), planned({host: fleet[host] for host in hosts})
    assert one == other
    assert list(one.plan["hosts"]) == list(other.plan["hosts"])


@given(fleets(), st.data())
def test_whatever_an_edit_breaks_refuses_the_plan(fleet, data):
    """Two neighbouring waves are merged and the digest is made anew: the check agrees with the judge above."""
    plan = copy.deepcopy(planned(fleet, watched=True).plan)
    if len(plan["waves"]) < 2:
        return
    number = data.draw(st.integers(1, len(plan["waves"]) - 1))
    plan["waves"][number - 1]["hosts"] += plan["waves"].pop(number)["hosts"]
    for position, wave in enumerate(plan["waves"], 1):
        wave["number"] = position
    plan["digest"] = plan_digest(plan)
    # Estimates, and so the fit into the windows, are outside the digest: they are the gate's to judge.
    if any("too late" not in text for text in broken_promises(plan, fleet, NOW)):
        with pytest.raises(PatchingError):
            verify_plan(plan)


# --- broken planners: each of the properties above can fail -----------------------


def _take_everybody(self, member):
    if member.host in self.hosts:
        return False
    self.members.append(member)
    self.hosts.add(member.host)
    return True


def _allow_all(self):
    return len(self.hosts)


def _forget_last(members, *others, **more):
    return ORIGINAL_CUT(list(members)[:-1], *others, **more)


def _backwards(*arguments, **more):
    cut = ORIGINAL_CUT(*arguments, **more)
    return Cut(cut.waves[::-1], cut.late)


def _never_late(self, waiting, begin):
    return False


def _needs_nothing(members, candidates):
    return {name: set() for name in members}


def _waits_for_rings_only(member, borne):
    return (wait for wait in ORIGINAL_WAITS(member, borne) if wait[0][0] == "ring")


def _all_groups_are_known(self, *arguments):
    ORIGINAL_NIGHT(self, *arguments)
    self.new_groups = set()


def _without_freezes(cls, window, freezes=(), segments=(), broken=None):
    return ORIGINAL_OF(window)


def _no_canaries(members):
    return sorted(members, key=members_module.order)


ORIGINAL_CUT = waves.cut_waves
ORIGINAL_OF = Schedule.of
ORIGINAL_WAITS = precedence.waits
ORIGINAL_NIGHT = waves._Night.__init__

BREAKS = {
    "together": [(batch.Batch, "take", _take_everybody)],
    "below min_healthy": [(Service, "allowance", property(_allow_all))],
    "forgotten": [(planner, "cut_waves", _forget_last)],
    "wrong order": [(planner, "cut_waves", _backwards)],
    "ends too late": [(waves._Night, "_leave_out_late", _never_late)],
    "with what it needs": [(services, "_depends_on", _needs_nothing)],
    "out of order": [(precedence, "waits", _waits_for_rings_only)],
    "a new manifest for several": [(waves._Night, "__init__", _all_groups_are_known)],
    "in a freeze": [(Schedule, "of", classmethod(_without_freezes))],
    "not alone": [(waves, "with_canaries", _no_canaries), (planner, "with_canaries", _no_canaries)],
}


def example_fleets() -> list[dict[str, Candidate]]:
    """Return a fixed set of fleets on which every break shows."""
    shuffler = random.Random(2)
    result = []
    for _fleet in range(20):
        fleet: dict[str, Candidate] = {}
        for service, partner in (("ehr", "viewer"), ("viewer", None), ("pacs", None)):
            common: dict[str, Any] = {"window": "Sun 08:00, 4 h, UTC", "soak_s": 600, "tier": shuffler.choice((3, 4))}
            common["min_healthy"] = shuffler.choice((1, 2))
            common["never_with"] = [partner] if partner else None
            common["depends_on"] = ["pacs"] if service == "viewer" else None
            common["after"] = ["viewer1", "ehr"] if service == "pacs" else None
            common["freezes"] = list(FREEZES)[:1] if service == "ehr" and len(result) % 2 else None
            for number in range(1, shuffler.randint(4, 6)):
                role = {2: "primary", 3: "replica", 4: "replica"}.get(number)
                other = pending(update(after="snowflake")) if number == 3 else pending(update())
                fleet[f"{service}{number}"] = server(f"{service}{number}", service, other, role=role, **common)
        fleet["pacs1"] = lost(fleet["pacs1"])
        result.append(fleet | {f"ws{n}": endpoint(f"ws{n}") for n in range(2)})
    return result


@pytest.mark.parametrize("promise", BREAKS)
def test_a_broken_planner_is_caught_by_the_property_and_by_the_planner_itself(promise, monkeypatch):
    for target, name, replacement in BREAKS[promise]:
        monkeypatch.setattr(target, name, replacement)
    monkeypatch.setattr(planner, "_check", lambda plan: None)
    caught: set[str] = set()
    refused = 0
    for fleet in example_fleets():
        plan = planned(fleet).plan
        caught |= {text for text in broken_promises(plan, fleet, NOW) if promise in text}
        try:
            verify_plan(plan)
        except PatchingError:
            refused += 1
    assert caught
    # Whether work fits depends on estimates, and freezes on calendars: the plan's own check leaves both to the gate.
    # What a service needs it knows from the plan alone.
    assert refused or promise in ("ends too late", "in a freeze", "with what it needs")


def test_the_unbroken_planner_keeps_every_promise_on_the_same_fleets():
    for fleet in example_fleets():
        assert broken_promises(planned(fleet).plan, fleet, NOW) == []
