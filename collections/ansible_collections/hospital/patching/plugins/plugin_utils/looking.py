# SPDX-License-Identifier: GPL-3.0-or-later
"""The look that follows an intent: whom to look at, by which probes, and what was seen (``exclusion`` decides)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.plugin_utils.exclusion import (
    BackOff,
    Intent,
    PeerReading,
    decide,
    look_at,
)

#: What two runs have to agree about before one may be out beside the other.
AGREED = ("hosts", "min_healthy", "never_with")
#: Stands between a host and the name of its probe.
OF = ": "
#: How often a run looks again: while others hold hosts, and while hosts just do not answer.
LOOKS, LOOKS_AT_SILENCE = 60, 3


def catalogue_digest(plan: Mapping[str, Any]) -> str:
    """Return the digest of the site's services, equal for every plan that is made from the same catalogue."""
    return digest({name: {key: one[key] for key in AGREED} for name, one in plan["services"].items()})


def intent_of(plan: Mapping[str, Any], run_id: str, host: str) -> Intent:
    """Return what the run writes into the host's journal before it looks."""
    service = plan["hosts"][host]["service"]
    return Intent(run_id, host, (service,) if service else (), catalogue_digest(plan))


def record_of(intent: Intent) -> dict[str, Any]:
    """Return an intent as the ``held`` record carries it; the run's id is the record's own."""
    return {"host": intent.host, "services": list(intent.services), "catalogue_digest": intent.catalogue_digest}


def peers(plan: Mapping[str, Any], intent: Intent) -> list[str]:
    """Return the hosts to look at."""
    return look_at(intent, plan["services"])


def probes(plan: Mapping[str, Any], hosts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the probes by which users' view of these hosts is read, each named after its host."""
    found = []
    for host in hosts:
        for service in plan["services"].values():
            for probe in service["probes"].get(host, ()):
                found.append({**probe, "name": host + OF + probe["name"]})
    return found


def readings(looks: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]]) -> list[PeerReading]:
    """Return what was seen of each host.

    Args:
        looks: what ``run_look`` returned: of each ``peer`` its records and holder, ``no_journal``, or ``msg``.
        seen: results of :func:`probes`.
    """
    return [_reading(look, [probe for probe in seen if probe["name"].startswith(look["peer"] + OF)]) for look in looks]


def gives_up(own: Intent, found: Sequence[PeerReading], services: Mapping[str, Any], looks: int) -> str | None:
    """Return why no further look is taken, or None while one may help.

    Who holds a host for a while gives it back; a host that does not answer is not worth waiting for all night.
    """
    if looks >= LOOKS:
        return f"{looks} looks did not help"
    alone = decide(own, [replace(one, intent=None) for one in found], services)
    if isinstance(alone, BackOff) and looks >= LOOKS_AT_SILENCE:
        return f"{looks} looks did not help, and nobody works on it"
    return None


def seen(looks: Sequence[Mapping[str, Any]], probes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the ledger keeps of a look: of each host its probes."""
    return [
        {"host": look["peer"], "probes": [probe for probe in probes if probe["name"].startswith(look["peer"] + OF)]}
        for look in looks
    ]


def _reading(look: Mapping[str, Any], seen: Sequence[Mapping[str, Any]]) -> PeerReading:
    host = look["peer"]
    if look.get("no_journal"):
        return PeerReading(host, probes_ok=bool(seen) and _ill(seen) is None)
    if look.get("msg") or "records" not in look:
        return PeerReading(host, unreadable=f"cannot be read: {look.get('msg') or 'no answer'}")
    holder = look.get("holder")
    if holder:
        detail = holder["detail"]
        digest_shown = str(detail.get("catalogue_digest") or "")
        return PeerReading(
            host, intent=Intent(holder["run_id"], host, tuple(detail.get("services") or ()), digest_shown)
        )
    return PeerReading(host, out=_given_up(look["records"]) or _ill(seen))


def _given_up(records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return as what the last run gave the host up, when that was not as a serving one."""
    released = [record for record in records if record["event"] == "released"]
    out = released[-1]["detail"].get("out") if released else None
    return str(out) if out else None


def _ill(seen: Sequence[Mapping[str, Any]]) -> str | None:
    ill = [f"{probe['name']} is {probe['verdict']}" for probe in seen if probe["verdict"] != "ok"]
    return ", ".join(ill) or None
