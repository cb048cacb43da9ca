# SPDX-License-Identifier: GPL-3.0-or-later
"""The request to rehearse a revert: a canary's disk is really put back once, before anything is installed on it.

Refused is what would lose data, harm a critical host, or come too late to be a proof.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import disk_revert, plan, rehearsal, resumption
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import Ledger
from ansible_collections.hospital.patching.plugins.plugin_utils.past_runs import RUNS
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS

Record = Mapping[str, Any]

#: What hooks of these have done is undone with the disk, or by its boot, and no hook is done twice.
UNDONE_HOOKS = ("drain", "snapshot")
#: The least critical tiers; whoever starts a run by its plan's digest approves them.
TIERS = (3, 4)


def why_not(entry: Mapping[str, Any], tier: int, moves_on: str) -> str:
    """Return why a host's revert is not rehearsed, or nothing.

    Args:
        entry: the plan's entry of the host.
        tier: the plan's, or the inventory's by now if that is stricter.
        moves_on: why its data moves on, or nothing.
    """
    told = [f"{one['when']} {one['step']}" for one in entry.get("hooks") or [] if one["step"] in UNDONE_HOOKS]
    if entry["kind"] != "server":
        return f"it is an {entry['kind']}, on which somebody may be working"
    if entry["ring"] != RINGS[0]:
        return f"it is of ring {entry['ring']}"
    if tier not in TIERS:
        return f"it is of tier {tier}"
    if told:
        return f"it has hooks {' and '.join(dict.fromkeys(told))}, whose work the revert undoes"
    return str(disk_revert.allowed(entry, moves_on)["why_not"])


def require_fit(
    approved: Mapping[str, Any],
    records: Sequence[Record],
    hosts: Iterable[str],
    look: Callable[[str], tuple[int, str]],
) -> tuple[str, ...]:
    """Return the hosts that are asked for, each once.

    Args:
        records: the run's ledger, empty when it was never begun.
        look: host to ``tier`` and ``moves_on`` as :func:`why_not` takes them.

    Raises:
        PatchingError: one of them is not fit, is planned too late, or the run has begun to change it; all are named.
    """
    asked = tuple(dict.fromkeys(hosts))
    unknown = [host for host in asked if host not in approved["hosts"]]
    if unknown:
        raise _refusal(unknown, "the plan does not name them", "hosts of the plan", "correct rehearse_hosts")
    unfit = {host: why for host in asked if (why := why_not(approved["hosts"][host], *look(host)))}
    if unfit:
        raise _refusal(
            unfit,
            "; ".join(f"{host}: {why}" for host, why in unfit.items()),
            "canaries of tier 3 or 4 whose data does not move on, with patching_disk_revert and a provider that "
            "makes restore points of their disks",
            "leave them out of rehearse_hosts, or set that in the inventory and plan again",
        )
    known = rehearsal.Rehearsals.read(records)
    for host in asked:
        if host not in known.proven:
            _require_in_time(approved, records, host)
    return asked


def _require_in_time(approved: Mapping[str, Any], records: Sequence[Record], host: str) -> None:
    """Refuse a rehearsal after the fact: packages are changed already, or others would not have waited for it."""
    taken = resumption.taken(records, host)
    ended = [one for one in records if one["host"] == host and one["event"] == "outcome"]
    if (taken and taken.installed) or (ended and ended[-1]["detail"]["outcome"] in ("patched", "rolled_back")):
        raise _refusal(
            [host],
            "this run has changed its packages already",
            "a host on which nothing is installed yet",
            "start again without rehearse_hosts, and rehearse with the next plan",
        )
    number, provider = _wave(approved, host), approved["hosts"][host]["snapshot"]["provider"]
    for other, entry in approved["hosts"].items():
        later = RINGS.index(entry["ring"]) > 0 and entry["snapshot"]["provider"] == provider
        if later and _wave(approved, other) <= number:
            raise _refusal(
                [host],
                f"{other} (ring {entry['ring']}, {provider} as well) goes in wave {_wave(approved, other)}, "
                f"and {host} in wave {number}",
                f"a canary that goes before every host of a later ring whose restore point {provider} makes",
                "name such a canary, or plan the services one by one",
            )


def _wave(approved: Mapping[str, Any], host: str) -> int:
    return int(plan.wave_of(dict(approved), host)["number"])


def _refusal(hosts: Iterable[str], seen: str, expected: str, next_step: str) -> PatchingError:
    return PatchingError(f"rehearsal of a revert on {', '.join(hosts)}", seen, expected, next_step)


def known_proofs(store: Evidence) -> dict[str, dict[str, Any]]:
    """Return the same of the newest runs; each hands on what those before it knew."""
    found: dict[str, dict[str, Any]] = {}
    for run_id in store.runs()[-RUNS:]:
        # What cannot be read proves nothing; the planner and verify.yml tell of it.
        with contextlib.suppress(PatchingError):
            rehearsal.keep_newest(found, rehearsal.last_proven(Ledger(store.ledger_path(run_id)).read()))
    return found
