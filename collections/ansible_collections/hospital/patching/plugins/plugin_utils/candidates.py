# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planner is told of one host: settings, address, and what assess learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils import competing_updaters
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import fleet, settings
from ansible_collections.hospital.patching.plugins.plugin_utils.contacts import RUN_VARIABLES
from ansible_collections.hospital.patching.plugins.plugin_utils.cve_feed import CveFeed
from ansible_collections.hospital.patching.plugins.plugin_utils.lost import Mark
from ansible_collections.hospital.patching.plugins.plugin_utils.restore_point import found_out

#: Outcome of a host whose assessment says it could not be assessed.
OUTCOME_OF = {"unreachable": "unreachable", "failed": "refused", "not_contacted": "excluded"}


def bystander(
    host: str,
    variables: Mapping[str, Any],
    assessment: Mapping[str, Any] | None,
    missing: Mark | None = None,
    cves: CveFeed | None = None,
) -> fleet.Candidate:
    """Return a host that the plan was not asked for.

    It still counts in its service: as serving when assess found it well, which
    the run's look at the service's hosts has to confirm; else as out.
    """
    found = candidate(host, variables, assessment, missing, cves)
    why_not = fleet.Exclusion("excluded", "the plan was not asked for this host")
    return replace(found, why_not=why_not)


def candidate(
    host: str,
    variables: Mapping[str, Any],
    assessment: Mapping[str, Any] | None,
    missing: Mark | None = None,
    cves: CveFeed | None = None,
) -> fleet.Candidate:
    """Return the host as the planner takes it; one that is marked lost or stolen is in no plan.

    ``assessment`` is the newest document that assess kept of the host; a fact of
    the same play goes before it, so that check mode can plan without a file.
    """
    known = settings.effective(host, variables, also_known=RUN_VARIABLES)
    address = str(variables.get("ansible_host") or host)
    if missing is not None:
        why_not = fleet.Exclusion("excluded", missing.reason)
        return fleet.Candidate(known, address, None, why_not, missing=why_not)
    document = variables.get("ansible_facts", {}).get("patching_assessment") or assessment
    wanted, why = found_out(known.snapshot, (document or {}).get("restore_points"))
    known = replace(known, snapshot=wanted)
    if document is None:
        why_not = fleet.Exclusion("refused", "it was never assessed: run assess.yml first")
        return fleet.Candidate(known, address, None, why_not)
    holder = document.get("holder")
    if holder:
        held = f"held by run {holder['run_id']} since {holder['time']}: finish that run, or return the host, first"
        return fleet.Candidate(known, address, None, fleet.Exclusion("refused", held))
    if document["status"] == "assessed":
        competing = _refusal_of_updaters(host, known.competing_updaters, document)
        pending = (cves or CveFeed()).named(document["pending"], known.debian_tracker)
        owed = tuple(((document.get("software") or {}).get("reboot_required") or {}).get("reasons") or ())
        young = bool(document.get("shortened"))
        return fleet.Candidate(known, address, pending, competing, is_young=young, reboot_owed=owed, snapshot_found=why)
    if document["status"] == "lost":
        found_since = "it was marked as missing when assess ran last: run assess.yml again"
        return fleet.Candidate(known, address, None, fleet.Exclusion("refused", found_since))
    outcome = OUTCOME_OF[document["status"]]
    if outcome == "excluded" and known.managed:
        # Somebody expects it to be patched, so that it may not be contacted is no quiet exclusion.
        outcome = "refused"
    why_not = fleet.Exclusion(outcome, document["reason"])
    return fleet.Candidate(known, address, None, why_not)


def _refusal_of_updaters(host: str, policy: str, document: Mapping[str, Any]) -> fleet.Exclusion | None:
    """Return that a host is not planned because others may update it, as far as assess knows of them."""
    found = (document.get("software") or {}).get("competing_updaters") or []
    if policy != "refuse":
        return None
    try:
        competing_updaters.refuse_active(list(found))
    except PatchingError as error:
        return fleet.Exclusion("refused", f"host {host}: {error}")
    return None
