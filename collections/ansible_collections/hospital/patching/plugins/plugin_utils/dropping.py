# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks to be left out of an approved plan, and of which plans that may be asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.approvals import RECENT
from ansible_collections.hospital.patching.plugins.plugin_utils.batch import Limits
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import DIGEST, ID
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import DISRUPTIVE_STEPS
from ansible_collections.hospital.patching.plugins.plugin_utils.shards import Shard

_LIMITS, _WHOLE = Limits(), Shard()
#: Options of the planner: their value where nobody gives one, and where the approved plan has its own.
_OPTIONS: dict[str, tuple[int, tuple[str, str]]] = {
    "parallel": (_LIMITS.parallel, ("limits", "parallel")),
    "canaries": (_LIMITS.canaries, ("limits", "canaries")),
    "shard": (0, ("shard", "number")),
    "shards": (_WHOLE.of, ("shard", "of")),
}


@dataclass(frozen=True)
class Drops:
    """The plan to drop from, by its digest or id; hosts and updates."""

    reference: str
    hosts: tuple[str, ...]
    updates: tuple[str, ...]


def read(reference: str, hosts: Iterable[str], updates: Iterable[str], cve: str = "") -> Drops | None:
    """Return what a person has asked for, or None for a plan of everything.

    Raises:
        PatchingError: one part of it is missing, or it goes together with a plan for one CVE.
    """
    found = Drops(reference.strip(), _names(hosts), _names(updates))
    asked = " and ".join(
        name for name, given in (("plan_drop", found.hosts), ("plan_drop_updates", found.updates)) if given
    )
    if not found.reference and not asked:
        return None
    if not found.reference:
        expected = "plan_from with the digest of the approved plan beside it"
        raise PatchingError(asked, "plan_from is not given", expected, "add -e plan_from=sha256:…")
    if not asked:
        next_step = "add what to drop, or start that plan as it is"
        raise PatchingError("plan_from", "nothing to drop", "plan_drop or plan_drop_updates beside it", next_step)
    if not (DIGEST.fullmatch(found.reference) or ID.fullmatch(found.reference)):
        seen, expected = repr(found.reference), "the digest or id of a kept plan"
        raise PatchingError("plan_from", seen, expected, "copy it from what plan.yml printed")
    if cve:
        seen = f"plan_cve is {cve}, which chooses updates anew"
        raise PatchingError("plan_from", seen, "one of the two", "name what to drop by plan_drop_updates")
    return found


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in given if name.strip()))


def require_current(approved: Mapping[str, Any], plans: Sequence[str], records: Iterable[Mapping[str, Any]]) -> None:
    """Refuse to drop from a plan whose approvals no longer count, or whose run has touched a host.

    Args:
        plans: the ids of all plans that somebody has approved, oldest first.
        records: the ledger of the plan's run; none when it has none.

    Raises:
        PatchingError: naming the plan.
    """
    subject = f"plan {approved['plan_id']}, from which to drop"
    if approved["plan_id"] in plans[:-RECENT]:
        seen = f"it is none of the newest {RECENT} approved plans, so its approvals count for no other plan"
        raise PatchingError(subject, seen, "a plan of these nights", "plan again, which needs a new approval")
    begun = [one for one in records if one["host"] and one["step"] in DISRUPTIVE_STEPS and one["event"] != "note"]
    touched = list(dict.fromkeys(str(one["host"]) for one in begun))
    if touched:
        seen = f"its run has begun with {', '.join(touched[:5])}{', …' if len(touched) > 5 else ''}"
        next_step = "start that plan again, which goes on where it stopped; or assess and plan again"
        raise PatchingError(subject, seen, "a plan that has touched no host", next_step)


def require_as_approved(approved: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Refuse options of the planner that are given and are not what the approved plan has.

    Raises:
        PatchingError: naming the option.
    """
    for name, (default, (part, key)) in _OPTIONS.items():
        if options[name] not in (default, approved[part][key]):
            raise PatchingError(
                f"plan_{name}",
                f"{options[name]} beside plan_from, where the approved plan has {approved[part][key]}",
                "the approved plan's, because nothing is planned anew",
                "leave it out, or plan again without plan_from",
            )


def require_all_asked_for(plan: Mapping[str, Any], asked_for: Collection[str]) -> None:
    """Refuse a derived plan of hosts that ``patching_hosts`` leaves out, or the inventory does not know.

    Raises:
        PatchingError: naming these hosts.
    """
    wanted = set(asked_for)
    beyond = [host for host in plan["hosts"] if host not in wanted]
    if beyond:
        raise PatchingError(
            f"the plan derived as {plan['plan_id']}",
            f"it keeps {', '.join(beyond[:5])}, which patching_hosts leaves out or the inventory does not know",
            "hosts that are asked for, or dropped by name",
            f"add them to plan_drop, or correct patching_hosts or -i: plan_drop={','.join(beyond)}",
        )


def told(approved: Mapping[str, Any], plan: Mapping[str, Any], late: Sequence[str]) -> list[str]:
    """Say where a derived plan comes from, how to go on, and who will not fit into the window."""
    source = f"plan {approved['plan_id']} ({approved['digest']})"
    lines = [
        f"Derived from {source}; needs no new approval: whoever approved that one has approved this.",
        f"Stage it, then start it with -e patching_plan={plan['digest']}",
    ]
    if late:
        hosts = ", ".join(late)
        lines.append(
            f"By estimate too late for work and way back in their windows, so the gate will stop them: {hosts}"
        )
    return lines
