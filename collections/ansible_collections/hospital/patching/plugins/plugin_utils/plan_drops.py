# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a plan is an approved one from which hosts or updates were dropped: that needs no new approval.

Whatever else differs does: a host or an update more, another window, probe,
drain or way back, a larger failure budget, two hosts together that were apart,
another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Loaded
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import allows
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import UNBOUND
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS

#: Of a host's entry: what is compared by itself, or follows from the updates.
_APART = frozenset({"updates", "manifest", "group", "ring"}) | UNBOUND
#: Of a service: hosts that are out now and were not then make a plan more careful.
_CAREFUL = frozenset({"out"})


def difference(approved: Loaded, current: Loaded) -> str:
    """Return the first difference of ``current`` that is more than something dropped, or empty text.

    Both are verified. Manifests count by themselves, because a stage may take from
    its manifest what an update turns out to need.
    """
    found = next(_differences(approved.plan, current.plan), "")
    return found or next(_of_manifests(approved, current), "")


def _of_manifests(approved: Loaded, current: Loaded) -> Iterator[str]:
    for host, entry in current.plan["hosts"].items():
        before = approved.manifests[approved.plan["hosts"][host]["manifest"]]
        if before["digest"] == entry["manifest"]:
            continue
        for target in current.manifests[entry["manifest"]]["entries"]:
            if not allows(before, {**target, "to": target["version"]}):
                yield f"the manifest of {host} allows {target['name']} {target['version'] or 'to be removed'}"


def _differences(approved: Mapping[str, Any], plan: Mapping[str, Any]) -> Iterator[str]:
    if plan["schema"] != approved["schema"]:
        yield "the plans are of two kinds"
    if plan["site"] != approved["site"]:
        yield "the device segments differ"
    if plan.get("emergency") != approved.get("emergency"):
        yield "it is for another emergency, or breaks the glass otherwise"
    if plan["shard"] != approved["shard"]:
        yield "it is for another shard"
    if any(number > approved["limits"][name] for name, number in plan["limits"].items()):
        yield "more hosts may go together"
    if not _is_within(approved["failure_budget"], plan["failure_budget"]):
        yield "more hosts may fail"
    for host, entry in plan["hosts"].items():
        if host not in approved["hosts"]:
            yield f"{host} is new"
        else:
            yield from _of_host(host, approved["hosts"][host], entry)
            yield from _of_ring(host, approved["hosts"], plan["hosts"])
    for name, service in plan["services"].items():
        yield from _of_service(name, approved["services"].get(name), service)
    yield from _of_waves(approved, plan)


def _of_host(host: str, before: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(set(before) | set(entry)):
        if key not in _APART and before.get(key) != entry.get(key):
            yield f"{key} of {host} differs"
    known = {_without_cves(update) for update in before["updates"]}
    for update in entry["updates"]:
        if _without_cves(update) not in known:
            yield f"{host} gets {update['name']} {update['to'] or 'removed'}"


def _of_ring(host: str, approved: Mapping[str, Any], planned: Mapping[str, Any]) -> Iterator[str]:
    """A host may become the canary of its service in the place of one that was dropped, and not to save the soak."""
    before, after = approved[host]["ring"], planned[host]["ring"]
    if before == after:
        return
    service = planned[host]["service"]
    beside = [
        other for other in planned if other != host and other in approved and planned[other]["service"] == service
    ]
    earlier = [other for other in beside if RINGS.index(approved[other]["ring"]) < RINGS.index(before)]
    others = [other for other in beside if other != host and planned[other]["ring"] == "canary"]
    if after != "canary" or earlier or others or service is None:
        yield f"{host} is in ring {after}"


def _without_cves(update: Mapping[str, Any]) -> bytes | str:
    """Which CVEs an update fixes is a feed's knowledge of the day, as in the plan's digest."""
    return canonical_json({**update, "cves": None})


def _of_service(name: str, before: Mapping[str, Any] | None, service: Mapping[str, Any]) -> Iterator[str]:
    if before is None:
        yield f"service {name} is new"
        return
    if any(before.get(key) != service.get(key) for key in set(before) | set(service) if key not in _CAREFUL):
        yield f"service {name} differs"
    if not set(before["out"]) <= set(service["out"]):
        yield f"of service {name} fewer hosts count as out"


def _of_waves(approved: Mapping[str, Any], plan: Mapping[str, Any]) -> Iterator[str]:
    number_of = {host: wave["number"] for wave in approved["waves"] for host in wave["hosts"]}
    reached = 0
    for wave in plan["waves"]:
        numbers = {number_of[host] for host in wave["hosts"] if host in number_of}
        if len(numbers) > 1:
            yield f"{', '.join(wave['hosts'])} are together"
        if numbers and min(numbers) < reached:
            yield f"{', '.join(wave['hosts'])} come later than they were approved"
        reached = max((reached, *numbers))


def _is_within(approved: Mapping[str, Any], budget: Mapping[str, Any]) -> bool:
    """A ring that was not there before is the canaries', and may have what the run may."""
    if budget["run"] > approved["run"]:
        return False
    rings = {**dict.fromkeys(budget["rings"], approved["run"]), **approved["rings"]}
    services = approved["services"]
    return all(number <= rings[ring] for ring, number in budget["rings"].items()) and all(
        number <= services.get(name, 0) for name, number in budget["services"].items()
    )
