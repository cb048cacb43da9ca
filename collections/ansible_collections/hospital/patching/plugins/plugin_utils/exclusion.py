# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutual exclusion across runs without a lock server: write the intent, then look, then go or back off.

A run goes to a host only on a look that began after its intent stood in that
host's journal. Of too many hosts that are out at once, one wrote its intent
last; its look saw all the others, so it did not go. That needs no clock, and
the readings of a look may come in any order.

What the design leaves open is read as follows. The exploration in the unit
tests (test_exclusion_exploration.py) shows what goes wrong without each.

* Every open intent counts, the run's own on other hosts too.
* To keep an intent is not to go: who keeps it looks again. It is kept by who
  could go if all later turns (run id, then host) cleared theirs. So the last
  turn never waits with its intent open, and no circle of runs waits for ever.
* Only an open intent shows a catalogue. A closed one may be of last month; if
  it counted, two hosts would wait for each other after every edit. Nobody goes
  beside an open intent of another catalogue, whatever the allowance: the two
  runs disagree about it. What they hide from each other stays hidden, so a
  site has one catalogue.
* A restore point is made under the open intent of the run that may revert to
  it, so the reverted journal still shows it. An intent that is only held
  elsewhere is missed by who looks between the revert and ``reverted``.
* A break hands the host over to the intent of the person who breaks; that one
  is cleared once the host serves. A dead run's intent may be all that tells
  that its host is drained.
* A resumed run looks again, or writes a new intent where its own was broken.
* A host is given up as ``unverified`` by one record that says both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key

#: Services by name, as the plan has them: ``hosts``, ``min_healthy`` and ``never_with``.
Services = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Intent:
    """A run wants or has a host: open from its record in that host's journal until it is cleared there."""

    run_id: str
    host: str
    services: tuple[str, ...]
    catalogue_digest: str

    @property
    def turn(self) -> tuple[object, ...]:
        """On conflict the lower keeps its intent: the older run, within a run the first host."""
        return (self.run_id, natural_key(self.host))


@dataclass(frozen=True)
class PeerReading:
    """What one look saw of one host."""

    host: str
    #: Why its journal could not be read, or None when it was.
    unreadable: str | None = None
    intent: Intent | None = None
    #: Why it is out although no run holds it, such as ``unverified``.
    out: str | None = None
    #: Of a host that has no journal by policy: whether its clinical endpoint is ok; None for one with a journal.
    probes_ok: bool | None = None

    def why_out(self) -> str | None:
        """Return why this host counts as out, or None when it counts as serving."""
        if self.unreadable:
            return self.unreadable
        if self.intent:
            return f"held by run {self.intent.run_id}"
        return self.out or ("no journal, and its probes are not ok" if self.probes_ok is False else None)


@dataclass(frozen=True)
class Go:
    """The host may be disrupted for as long as the intent stays open."""


@dataclass(frozen=True)
class BackOff:
    """Not now. Without ``clear`` the intent stays and the run looks again; with ``retry`` it may come back later."""

    reason: str
    clear: bool
    retry: bool


def look_at(own: Intent, services: Services) -> list[str]:
    """Return the hosts to look at: all others of the host's services and of what is never out with those."""
    names = set(own.services).union(*(_partners(name, services) for name in own.services))
    hosts = {host for name in names for host in services.get(name, {}).get("hosts", ())}
    return sorted(hosts - {own.host}, key=natural_key)


def decide(own: Intent, readings: Iterable[PeerReading], services: Services) -> Go | BackOff:
    """Say whether the run goes on, after a look that began when ``own`` was already open.

    A host of :func:`look_at` that has no reading counts as out.
    """
    problem = _contradiction(own, services)
    if problem is not None:
        return BackOff(f"{problem}; correct the catalogue and plan again", clear=True, retry=False)
    seen = {reading.host: reading for reading in readings}
    peers = [seen.get(host, PeerReading(host, unreadable="not looked at")) for host in look_at(own, services)]
    conflict = _conflict(own, peers, services)
    if conflict is None:
        return Go()
    earlier = [replace(peer, intent=None) if peer.intent and peer.intent.turn > own.turn else peer for peer in peers]
    if _conflict(own, earlier, services) is None:
        return BackOff(f"{conflict}; it is this run's turn: it keeps {own.host} and looks again", False, True)
    lasting = [peer for peer in peers if peer.out and not peer.intent]
    if _conflict(own, lasting, services) is not None:
        return BackOff(f"{conflict}; return those that are out, then start the run again", True, False)
    return BackOff(f"{conflict}; {own.host} is given up and tried again later", True, True)


def _partners(name: str, services: Services) -> set[str]:
    """Return what is never out together with the service, whichever of the two says so."""
    said = set(services.get(name, {}).get("never_with", ()))
    return said | {other for other, service in services.items() if name in service["never_with"]}


def _contradiction(own: Intent, services: Services) -> str | None:
    for name in own.services:
        if own.host not in services.get(name, {}).get("hosts", ()):
            return f"the catalogue does not know {own.host} as a host of {name}"
        unknown = sorted(_partners(name, services) - set(services))
        if unknown:
            return f"{name} is never out together with {', '.join(unknown)}, which the catalogue does not know"
    return None


def _conflict(own: Intent, peers: Sequence[PeerReading], services: Services) -> str | None:
    """Return what forbids ``own.host`` to be out beside ``peers``, or None."""
    for peer in peers:
        if peer.intent and peer.intent.catalogue_digest != own.catalogue_digest:
            return f"{peer.host} is held by run {peer.intent.run_id}, which has another catalogue"
    out = {peer.host: f"{peer.host} ({why})" for peer in peers if (why := peer.why_out())}
    for name in own.services:
        hosts = services[name]["hosts"]
        allowance = len(hosts) - services[name]["min_healthy"]
        blocking = [out[host] for host in hosts if host in out]
        if len(blocking) >= allowance:
            return f"{name}: {allowance} of {len(hosts)} hosts may be out, and {', '.join(blocking) or 'none'} is"
        for partner in sorted(_partners(name, services)):
            blocking = [out[host] for host in services[partner]["hosts"] if host in out]
            if blocking:
                return f"{name} is never out together with {partner}, of which {', '.join(blocking)} is"
    return None
