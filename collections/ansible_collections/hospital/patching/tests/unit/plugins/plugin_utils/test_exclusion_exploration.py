# SPDX-License-Identifier: GPL-3.0-or-later
"""Every interleaving of the protocol of mutual exclusion, with the real ``decide``; no clock and no chance.

The model takes the steps that runs and people really take, each as atomic as
it is: an append under the journal's lock, one peer's reading of a look whose
readings come in any order, one command to a load balancer. A controller dies
at any step and is resumed or not, a look does not reach a peer, a disk is
reverted, a verification is inconclusive, a person breaks a dead run's intent.

In every state: no service has more hosts out than it may, ``never_with``
partners are not out together, no host is held by two runs. From every state
the runs can all come to their end. Of every rule there is a mutant that lacks
it, and the exploration finds what then goes wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.exclusion import BackOff, Go, Intent, PeerReading

# Where a claim (one run's wish for one host) stands. A dead one is what a controller's death leaves of it.
IDLE, LOOKING, CLEARING, GOING, OUT, REVERTED, RETURNED, DONE, DEAD, PEEKING, PEEKED = range(11)
HOLDING = (LOOKING, CLEARING, GOING, OUT, REVERTED, RETURNED)
NOBODY, PERSON = -1, 9
IN_SERVICE, DRAINED, UNVERIFIED = range(3)
UNREADABLE = "?"
CRASH, UNREACHABLE, REVERT, INCONCLUSIVE = range(4)
FREE = (NOBODY, IN_SERVICE, False)


@dataclass(frozen=True)
class Rules:
    """The protocol's rules; a mutant lacks one of them."""

    decide: Callable[..., Go | BackOff] = exclusion.decide
    intent_first: bool = True
    one_holder: bool = True
    expires: bool = False
    resume_looks_again: bool = True
    break_hands_over: bool = True
    snapshot_has_intent: bool = True
    unverified_is_journalled: bool = True
    retries: bool = True
    looks_at: Callable[..., list[str]] = exclusion.look_at


@dataclass(frozen=True)
class Faults:
    """How many of each may happen in one history; in the order of CRASH, UNREACHABLE, REVERT, INCONCLUSIVE."""

    crash: int = 0
    unreachable: int = 0
    revert: int = 0
    inconclusive: int = 0


@dataclass(frozen=True)
class Scenario:
    """``runs``: of each run its waves of hosts; ``catalogues``: of each run, when not ``services`` for all."""

    runs: tuple[tuple[tuple[str, ...], ...], ...]
    services: dict[str, Any]
    faults: Faults = field(default_factory=Faults)
    catalogues: tuple[dict[str, Any], ...] = ()


class Violation(AssertionError):
    """An invariant does not hold; the message tells the history that led there."""


# A state: of every claim (where it stands, what it saw); of every host (who holds it, whether it is out, whether its
# journal says that it is unverified); how many faults are left.
State = tuple[tuple[tuple[int, Any], ...], tuple[tuple[int, int, bool], ...], tuple[int, ...]]
#: What happens, whether the protocol's progress may count on it, and the state after it.
Step = tuple[str, bool, State]


class World:
    """All that can happen in a scenario."""

    def __init__(self, scenario: Scenario, rules: Rules) -> None:
        self.rules = rules
        self.catalogues = scenario.catalogues or (scenario.services,) * len(scenario.runs)
        self.names = sorted(
            {host for catalogue in self.catalogues for one in catalogue.values() for host in one["hosts"]}
        )
        self.claims = [
            (run, number, self.names.index(host))
            for run, waves in enumerate(scenario.runs)
            for number, wave in enumerate(waves)
            for host in wave
        ]
        self.earlier = [
            [other for other, claim in enumerate(self.claims) if claim[0] == run and claim[1] < wave]
            for run, wave, _host in self.claims
        ]
        self.intents = [self._intent(run, host) for run, _wave, host in self.claims]
        self.peers = [
            [self.names.index(peer) for peer in rules.looks_at(self.intents[number], self.catalogues[run])]
            for number, (run, _wave, _host) in enumerate(self.claims)
        ]
        self.answers: dict[Any, tuple[int, Any]] = {}
        self.start: State = (
            ((IDLE, None),) * len(self.claims),
            (FREE,) * len(self.names),
            astuple(scenario.faults),
        )

    def _intent(self, run: int, host: int) -> Intent:
        catalogue = self.catalogues[0 if run == PERSON else run]
        services = tuple(name for name, one in catalogue.items() if self.names[host] in one["hosts"])
        return Intent(f"run-{run}", self.names[host], services, f"catalogue-{self.catalogues.index(catalogue)}")

    def steps(self, state: State) -> Iterator[Step]:
        claims, hosts, faults = state
        for number, (place, seen) in enumerate(claims):
            if place not in (DONE, DEAD):
                yield from self._step(state, number, place, seen)
        for run in range(len(self.catalogues)):
            yield from self._dying(state, run)
        for host, (holder, out, marked) in enumerate(hosts):
            name = self.names[host]
            if holder == PERSON and out:
                yield f"a person returns {name}", True, (claims, _set(hosts, host, (PERSON, IN_SERVICE, False)), faults)
            elif holder == PERSON:
                yield f"a person releases {name}", True, (claims, _set(hosts, host, FREE), faults)
            elif holder == NOBODY and marked:
                yield f"a person proves {name}", True, (claims, _set(hosts, host, FREE), faults)
            elif holder != NOBODY and self._dead(claims, holder, host):
                after = (PERSON, out, marked) if self.rules.break_hands_over else (NOBODY, out, marked)
                yield f"a person breaks run {holder} on {name}", False, (claims, _set(hosts, host, after), faults)
            if self.rules.expires and holder not in (NOBODY, PERSON):
                yield f"time clears {name}", False, (claims, _set(hosts, host, (NOBODY, out, marked)), faults)

    def _step(self, state: State, number: int, place: int, seen: Any) -> Iterator[Step]:
        if place in (LOOKING, PEEKING):
            return self._reads(state, number, place, seen)
        if place in (IDLE, PEEKED):
            return self._intends(state, number, place)
        return self._works(state, number, place, seen)

    def _intends(self, state: State, number: int, place: int) -> Iterator[Step]:
        claims, hosts, _faults = state
        run, _wave, host = self.claims[number]
        holder, out, marked = hosts[host]
        unseen = (None,) * len(self.peers[number])
        if place == IDLE and any(claims[other][0] != DONE for other in self.earlier[number]):
            return
        if place == IDLE and not self.rules.intent_first:
            yield f"run {run} looks for {self.names[host]}", True, _to(state, number, PEEKING, unseen)
        elif holder in (NOBODY, run) or not self.rules.one_holder:
            after = self._look(number, GOING if place == PEEKED else LOOKING, unseen)
            yield (
                f"run {run} writes its intent on {self.names[host]}",
                True,
                self._at(state, number, after, (run, out, marked)),
            )

    def _reads(self, state: State, number: int, place: int, seen: tuple[Any, ...]) -> Iterator[Step]:
        _claims, hosts, faults = state
        run, _wave, host = self.claims[number]
        for index, peer in enumerate(self.peers[number]):
            if seen[index] is None:
                what = f"run {run} for {self.names[host]} reads {self.names[peer]}"
                reading = (hosts[peer][0], hosts[peer][2])
                after = self._look(number, place, _set(seen, index, reading))
                yield f"{what}: {reading}", True, _to(state, number, *after)
                if faults[UNREACHABLE]:
                    after = self._look(number, place, _set(seen, index, UNREADABLE))
                    yield f"{what}: no answer", False, _to(state, number, *after, used=UNREACHABLE)

    def _works(self, state: State, number: int, place: int, seen: Any) -> Iterator[Step]:
        _claims, hosts, faults = state
        run, _wave, host = self.claims[number]
        holder, out, marked = hosts[host]
        who, name, freed = f"run {run}", self.names[host], NOBODY if holder == run else holder
        if place == CLEARING:
            after = (seen, None) if self.rules.retries and seen == IDLE else (DONE, "given up")
            yield f"{who} clears its intent on {name}", True, self._at(state, number, after, (freed, out, marked))
        elif place == GOING:
            yield f"{who} drains {name}", True, self._at(state, number, (OUT, None), (holder, DRAINED, marked))
        elif place == REVERTED:
            yield f"{who} writes `reverted` on {name}", True, self._at(state, number, (OUT, None), (run, out, marked))
        elif place == RETURNED:
            mark = seen == UNVERIFIED and self.rules.unverified_is_journalled
            yield f"{who} is done with {name}", True, self._at(state, number, (DONE, None), (freed, out, mark))
        else:
            at = (holder, IN_SERVICE, marked)
            yield f"{who} returns {name}", True, self._at(state, number, (RETURNED, IN_SERVICE), at)
            if faults[REVERT]:
                at = (run if self.rules.snapshot_has_intent else NOBODY, out, marked)
                yield (
                    f"{who} reverts the disk of {name}",
                    False,
                    self._at(state, number, (REVERTED, None), at, REVERT),
                )
            if faults[INCONCLUSIVE]:
                at = (holder, UNVERIFIED, marked)
                what = f"{who} returns {name} unverified"
                yield what, False, self._at(state, number, (RETURNED, UNVERIFIED), at, INCONCLUSIVE)

    def _at(self, state: State, number: int, claim: Any, host: Any, used: int | None = None) -> State:
        """Return the state in which a claim, and the host that it is for, have changed."""
        claims, hosts, faults = _to(state, number, *claim, used=used)
        return claims, _set(hosts, self.claims[number][2], host), faults

    def _look(self, number: int, place: int, seen: tuple[Any, ...]) -> tuple[int, Any]:
        """Return where a claim stands after a reading; the last one is decided upon, which nobody else sees."""
        if place == GOING or None in seen:
            return place, None if place == GOING else seen
        key = (number, place, seen)
        if key not in self.answers:
            run = self.claims[number][0]
            readings = [self._reading(peer, what) for peer, what in zip(self.peers[number], seen, strict=True)]
            answer = self.rules.decide(self.intents[number], readings, self.catalogues[run])
            self.answers[key] = _after(answer, place, (None,) * len(seen))
        return self.answers[key]

    def _reading(self, peer: int, what: Any) -> PeerReading:
        if what == UNREADABLE:
            return PeerReading(self.names[peer], unreadable="no answer")
        holder, marked = what
        intent = None if holder == NOBODY else self._intent(holder, peer)
        return PeerReading(self.names[peer], intent=intent, out="unverified" if marked else None)

    def _dead(self, claims: Any, run: int, host: int) -> bool:
        return any(claims[n][0] == DEAD and claim[0] == run and claim[2] == host for n, claim in enumerate(self.claims))

    def _dying(self, state: State, run: int) -> Iterator[Step]:
        """A controller dies with all that it knows, and is started again; the journal tells what it had."""
        claims, hosts, faults = state
        mine = [number for number, claim in enumerate(self.claims) if claim[0] == run]
        places = [claims[number][0] for number in mine]
        if DEAD in places:
            after = list(claims)
            for number in mine:
                if claims[number][0] == DEAD:
                    after[number] = self._resumed(number, hosts, claims[number][1])
            yield f"run {run} is resumed", True, (tuple(after), hosts, faults)
        elif faults[CRASH] and any(place in HOLDING for place in places):
            after = list(claims)
            for number in mine:
                if claims[number][0] != DONE:
                    after[number] = (DEAD, None if self.rules.resume_looks_again else claims[number])
            yield f"run {run} dies", False, (tuple(after), hosts, _set(faults, CRASH, faults[CRASH] - 1))

    def _resumed(self, number: int, hosts: Any, memory: Any) -> tuple[int, Any]:
        run, _wave, host = self.claims[number]
        holder, out, _marked = hosts[host]
        if memory is not None:
            return tuple(memory)
        if holder != run:
            return IDLE, None
        return (OUT, None) if out else self._look(number, LOOKING, (None,) * len(self.peers[number]))

    def wrong(self, state: State) -> str | None:
        """Return which invariant the state violates, or None."""
        claims, hosts, _faults = state
        if not self.rules.retries and all(claim == (DONE, "given up") for claim in claims):
            return "nobody goes on"
        out = {self.names[number] for number, host in enumerate(hosts) if host[1]}
        for catalogue in self._binding(hosts) if len(out) > 1 else ():
            for name, service in catalogue.items():
                members = out.intersection(service["hosts"])
                if len(members) > len(service["hosts"]) - service["min_healthy"]:
                    return f"availability: {sorted(members)} of {name} are out"
                for partner in service["never_with"]:
                    if members and out.intersection(catalogue[partner]["hosts"]):
                        return f"never_with: {name} and {partner} are out together"
        holders = [self.claims[number][2] for number, (place, _seen) in enumerate(claims) if place in HOLDING]
        return None if len(holders) == len(set(holders)) else "two holders of one host"

    def _binding(self, hosts: Any) -> list[dict[str, Any]]:
        """Return the catalogues to hold the state against: one that all have, else those of who holds a host now."""
        if all(catalogue == self.catalogues[0] for catalogue in self.catalogues):
            return [self.catalogues[0]]
        return [
            self.catalogues[0 if holder == PERSON else holder] for holder, _out, _marked in hosts if holder != NOBODY
        ]


def _after(answer: Go | BackOff, place: int, unseen: tuple[None, ...]) -> tuple[int, Any]:
    if place == PEEKING:
        return (PEEKED, None) if isinstance(answer, Go) else (IDLE, None)
    if isinstance(answer, Go):
        return GOING, None
    if not answer.clear:
        return LOOKING, unseen
    return CLEARING, IDLE if answer.retry else DONE


def _to(state: State, number: int, place: int, seen: Any = None, used: int | None = None) -> State:
    """Return the state in which a claim has changed, and one of a kind of faults is used up."""
    claims, hosts, faults = state
    left = faults if used is None else _set(faults, used, faults[used] - 1)
    return _set(claims, number, (place, seen)), hosts, left


def _set(values: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*values[:index], value, *values[index + 1 :])


@dataclass(frozen=True)
class Explored:
    """How many states there are, and the most hosts that were out at once in one of them."""

    states: int
    most_out: int


def explore(scenario: Scenario, rules: Rules | None = None, limit: int = 3_000_000) -> Explored:
    """Visit every reachable state, the nearest first.

    Raises:
        Violation: an invariant does not hold in a state, or the runs cannot come to their end from one.
    """
    world = World(scenario, rules or Rules())
    ids: dict[State, int] = {world.start: 0}
    cause: list[tuple[int, str]] = [(0, "")]
    comes_from: list[list[int]] = [[]]
    ended: list[int] = []
    most_out = 0
    queue = deque([world.start])
    while queue:
        state = queue.popleft()
        number = ids[state]
        wrong = world.wrong(state)
        if wrong is not None:
            raise Violation(f"{wrong}: {_history(cause, number)}")
        most_out = max(most_out, sum(1 for host in state[1] if host[1]))
        if all(place == DONE for place, _seen in state[0]):
            ended.append(number)
        for what, progress, after in world.steps(state):
            known = ids.get(after)
            if known is None:
                known = ids[after] = len(cause)
                assert known < limit, "the scenario is too large"
                cause.append((number, what))
                comes_from.append([])
                queue.append(after)
            if progress:
                comes_from[known].append(number)
    stuck = _cannot_reach(ended, comes_from)
    if stuck is not None:
        raise Violation(f"for ever: {_history(cause, stuck)}")
    return Explored(len(cause), most_out)


def _cannot_reach(ended: list[int], comes_from: list[list[int]]) -> int | None:
    """Return the nearest state from which no step of the protocol leads to an end, or None."""
    can = bytearray(len(comes_from))
    pending = list(ended)
    for number in pending:
        can[number] = 1
    while pending:
        for before in comes_from[pending.pop()]:
            if not can[before]:
                can[before] = 1
                pending.append(before)
    found = can.find(0)
    return None if found < 0 else found


def _history(cause: list[tuple[int, str]], number: int) -> str:
    words: list[str] = []
    while number:
        number, what = cause[number]
        words.append(what)
    return "; ".join(reversed(words))


# --- scenarios -------------------------------------------------------------------------------------------------------


def service(hosts: str, min_healthy: int, *never_with: str) -> dict[str, Any]:
    return {"hosts": list(hosts), "min_healthy": min_healthy, "never_with": list(never_with)}


def runs(*orders: str) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Return runs from their waves: ``"a bc"`` patches a, then b and c together."""
    return tuple(tuple(tuple(wave) for wave in order.split()) for order in orders)


PAIR = {"web": service("ab", 1)}
TRIO = {"web": service("abc", 2)}
TWO_OF_TRIO = {"web": service("abc", 1)}
DOWNTIME = {"web": service("ab", 0)}
APART = {"ehr": service("a", 0, "viewer"), "viewer": service("bc", 0, "ehr")}
ALL = Faults(crash=1, unreachable=1, revert=1, inconclusive=1)
#: Who does not answer hides its catalogue too: see the limits at the end.
TWO_CATALOGUES = replace(ALL, unreachable=0)

#: The scenario, and the most hosts that may and at some moment must be out at once: no more, and not needlessly fewer.
SCENARIOS = {
    "two runs for the same host": (Scenario(runs("a", "a"), PAIR, ALL), 1),
    "two runs for one host each": (Scenario(runs("a", "b"), PAIR, ALL), 1),
    "two runs for both hosts": (Scenario(runs("a b", "b a"), PAIR, ALL), 1),
    "two runs for all of three hosts": (Scenario(runs("a b c", "c a b"), TRIO, ALL), 1),
    "two runs for three hosts, of which two may be out": (Scenario(runs("a b c", "c b a"), TWO_OF_TRIO, ALL), 2),
    "three runs for two hosts": (Scenario(runs("a b", "b", "a"), PAIR, ALL), 1),
    "three runs for one of three hosts each": (Scenario(runs("a", "b", "c"), TRIO, ALL), 1),
    "three runs for three hosts, of which two may be out": (Scenario(runs("a", "b", "c"), TWO_OF_TRIO, ALL), 2),
    "three runs for all of three hosts": (Scenario(runs("a b c", "b c a", "c a b"), TRIO, Faults(crash=1)), 1),
    "all hosts may be out": (Scenario(runs("a b", "b a"), DOWNTIME, ALL), 2),
    "two services that are never out together": (Scenario(runs("a", "b", "c"), APART, ALL), 2),
    "a wave of two hosts beside another run": (Scenario(runs("ab", "c"), TWO_OF_TRIO, ALL), 2),
    "a wave of more hosts than may be out": (Scenario(runs("ab", "b"), PAIR, ALL), 1),
    # Both may be out only once run 1, whose catalogue forbids it, holds nothing any more.
    "two catalogues": (Scenario(runs("a", "b"), DOWNTIME, TWO_CATALOGUES, (DOWNTIME, PAIR)), 2),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_invariants_hold_in_every_interleaving(name):
    scenario, most_out = SCENARIOS[name]
    explored = explore(scenario)
    assert explored.most_out == most_out
    assert explored.states > 300


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "most_out"),
    [
        (Scenario(runs("a b c", "b c a", "c a b"), TRIO, Faults(crash=1, unreachable=1, revert=1)), 1),
        (Scenario(runs("a", "b", "c"), TWO_OF_TRIO, Faults(crash=2, unreachable=2, revert=1, inconclusive=1)), 2),
    ],
    ids=["three runs for all of three hosts", "faults that come twice"],
)
def test_the_invariants_hold_in_larger_worlds(scenario, most_out):
    assert explore(scenario).most_out == most_out


@pytest.mark.parametrize("name", SCENARIOS)
def test_of_those_that_are_in_each_others_way_one_goes_on_without_any_retry(name):
    # No luck is needed: even when nobody who backs off ever comes back, somebody goes.
    explore(replace(SCENARIOS[name][0], faults=Faults()), Rules(retries=False))


# --- mutants ---------------------------------------------------------------------------------------------------------


def _deciding(see: Callable[[Intent, PeerReading], PeerReading]) -> Rules:
    """Return rules under which a run sees of each peer only what ``see`` returns."""
    return Rules(
        decide=lambda own, readings, services: exclusion.decide(own, [see(own, one) for one in readings], services)
    )


def _answering(change: Callable[[Intent, list[PeerReading], BackOff], Go | BackOff], **rules: bool) -> Rules:
    """Return rules under which a run that is to back off does what ``change`` returns."""

    def decide(own: Intent, readings: list[PeerReading], services: Any) -> Go | BackOff:
        answer = exclusion.decide(own, readings, services)
        return change(own, readings, answer) if isinstance(answer, BackOff) else answer

    return Rules(decide=decide, **rules)


def _nobody_apart(services: dict[str, Any]) -> dict[str, Any]:
    return {name: one | {"never_with": []} for name, one in services.items()}


ONE_EACH = Scenario(runs("a", "b"), PAIR)
A_CRASH = replace(ONE_EACH, faults=Faults(crash=1))
MUTANTS = {
    "looks before it writes its intent": (ONE_EACH, Rules(intent_first=False), "availability"),
    "counts a host that does not answer as serving": (
        replace(ONE_EACH, faults=Faults(unreachable=1)),
        _deciding(lambda own, one: replace(one, unreadable=None)),
        "availability",
    ),
    "goes with a kept intent without looking again": (
        ONE_EACH,
        _answering(lambda own, readings, answer: answer if answer.clear else Go()),
        "availability",
    ),
    "clears an intent by time": (ONE_EACH, Rules(expires=True), "availability"),
    "sees only other runs' intents": (
        Scenario(runs("ab", "c"), TWO_OF_TRIO),
        _deciding(
            lambda own, one: replace(one, intent=None) if one.intent and one.intent.run_id == own.run_id else one
        ),
        "availability",
    ),
    "counts an unverified host as serving": (
        replace(ONE_EACH, faults=Faults(inconclusive=1)),
        _deciding(lambda own, one: replace(one, out=None)),
        "availability",
    ),
    "gives an unverified host up without saying so": (
        replace(ONE_EACH, faults=Faults(inconclusive=1)),
        Rules(unverified_is_journalled=False),
        "availability",
    ),
    "forgets what is never out together": (
        Scenario(runs("a", "b"), APART),
        Rules(decide=lambda own, readings, services: exclusion.decide(own, readings, _nobody_apart(services))),
        "never_with",
    ),
    "does not look at what is never out together": (
        Scenario(runs("a", "b"), APART),
        Rules(
            decide=lambda own, readings, services: exclusion.decide(own, readings, _nobody_apart(services)),
            looks_at=lambda own, services: exclusion.look_at(own, _nobody_apart(services)),
        ),
        "never_with",
    ),
    "takes a host that another run holds": (Scenario(runs("a", "a"), PAIR), Rules(one_holder=False), "two holders"),
    "reverts to a restore point that is older than its intent": (
        replace(ONE_EACH, faults=Faults(revert=1)),
        Rules(snapshot_has_intent=False),
        "availability",
    ),
    "loses a host by such a revert": (
        Scenario(runs("a", "a"), PAIR, Faults(revert=1)),
        Rules(snapshot_has_intent=False),
        "two holders",
    ),
    "breaks a dead run's intent without taking its host over": (A_CRASH, Rules(break_hands_over=False), "availability"),
    "trusts after a resume what it saw before": (A_CRASH, Rules(resume_looks_again=False), "availability"),
    "only counts beside another catalogue": (
        SCENARIOS["two catalogues"][0],
        _deciding(
            lambda own, one: (
                replace(one, intent=replace(one.intent, catalogue_digest=own.catalogue_digest)) if one.intent else one
            )
        ),
        "availability",
    ),
    "never clears an intent": (
        ONE_EACH,
        _answering(lambda own, readings, answer: replace(answer, clear=False)),
        "for ever",
    ),
    "clears its intent whenever there is a conflict": (
        ONE_EACH,
        _answering(lambda own, readings, answer: replace(answer, clear=True), retries=False),
        "nobody goes on",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_protocol_without_one_of_its_rules_is_found_out(name):
    scenario, rules, wrong = MUTANTS[name]
    with pytest.raises(Violation, match=f"^{wrong}.*: run"):
        explore(scenario, rules)


def test_what_is_found_is_told_as_the_shortest_history():
    with pytest.raises(Violation) as found:
        explore(ONE_EACH, MUTANTS["looks before it writes its intent"][1])
    assert str(found.value).count("looks for") == 2
    assert str(found.value).endswith("run 1 drains b")


# --- limits: why a site has one catalogue ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scenario",
    [
        # Run 1's catalogue does not know host a, so run 1 never looks there.
        Scenario(runs("a", "b"), TRIO, catalogues=(TRIO, {"web": service("bc", 1)})),
        # By run 0's catalogue all may be out, so a peer that hides run 1's stricter one does not hold it.
        Scenario(runs("a", "b"), DOWNTIME, Faults(unreachable=1), (DOWNTIME, PAIR)),
    ],
    ids=["a host that one catalogue does not know", "a catalogue on a host that does not answer"],
)
def test_runs_of_two_catalogues_may_hide_from_each_other(scenario):
    with pytest.raises(Violation, match="availability"):
        explore(scenario)
