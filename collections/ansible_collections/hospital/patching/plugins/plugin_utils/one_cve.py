# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan for one CVE: only the updates that fix it, on the hosts that have them pending."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


def read(text: str) -> str | None:
    """Return the CVE that a person has asked for, or None for a plan of everything.

    Raises:
        PatchingError: it is none.
    """
    if text and not _CVE.fullmatch(text):
        raise PatchingError("plan_cve", repr(text), "a name like CVE-2026-12345", "correct it")
    return text or None


def only(candidates: Mapping[str, Candidate], cve: str | None) -> dict[str, Candidate]:
    """Return the candidates with only the updates that fix ``cve``; None changes nothing.

    A host of which nobody knows what its updates fix is refused: that it has the
    flaw is as possible as that it has not.
    """
    if cve is None:
        return dict(candidates)
    return {host: _only(candidate, cve) for host, candidate in candidates.items()}


def _only(candidate: Candidate, cve: str) -> Candidate:
    if candidate.assessment is None or candidate.why_not is not None:
        return candidate
    updates = candidate.assessment["updates"]
    fixing = [update for update in updates if cve in (update["cves"] or ())]
    if fixing:
        return replace(candidate, assessment={**candidate.assessment, "updates": fixing})
    unknown = [update["name"] for update in updates if update["cves"] is None]
    if unknown:
        named = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        place = candidate.settings.debian_tracker
        next_step = "patching_debian_tracker does not know them" if place else "set patching_debian_tracker"
        seen = f"it is not known which CVEs its updates of {named} fix, {cve} perhaps"
        why = Exclusion("refused", f"{seen}: {next_step}, or patch the host as a whole")
    else:
        why = Exclusion("excluded", f"no update that is pending fixes {cve}")
    return replace(candidate, why_not=why)
