# SPDX-License-Identifier: GPL-3.0-or-later
"""One host's part of the fleet's inventory: what it has, what it owes, and what speaks against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import end_of_life, installed
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet_state import Member, State, state_of
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import Settings

#: The longest sentence of what speaks against a host; all of it is under ``errors`` or in the assessment.
LONGEST = 300
#: What is said of held updates by whether they fix a security flaw, the worst first.
HELD = (
    (True, "security updates are held"),
    (None, "updates are held that may fix a security flaw"),
    (False, "other updates are held"),
)


@dataclass(frozen=True)
class Entry:
    """One host of the inventory: its state, what it has, and the summary of both."""

    state: State
    installed: installed.Installed
    findings: tuple[end_of_life.Finding, ...]
    summary: dict[str, Any]


def entry(member: Member, judge: end_of_life.Judge, now: datetime) -> Entry:
    """Return one host's part of the inventory."""
    document, state = member.assessment or {}, state_of(member, now)
    software = document.get("software") if isinstance(document.get("software"), Mapping) else None
    has = installed.read(software)
    identity = mapping((software or {}).get("os"))
    findings = tuple(judge.findings(identity, has.items))
    pending = document.get("pending") if isinstance(document.get("pending"), Mapping) else None
    counts = _counts(software or {}, has, findings)
    errors = {str(key): str(value) for key, value in mapping((software or {}).get("errors")).items()}
    if document.get("problems"):
        errors["assessment"] = "; ".join(map(str, document["problems"]))
    against = [
        *_of_state(member, state),
        *_of_software(software, has, counts),
        *_of_pending(pending),
        *(f"assessment: {problem}"[:LONGEST] for problem in document.get("problems") or ()),
    ]
    summary = {
        "state": state.name,
        "reason": state.reason,
        "seen": state.seen,
        "software_as_of": as_of(document),
        "address": member.address,
        "addresses": list(document.get("addresses") or []),
        "answered": document.get("answered"),
        "patient_data": member.mark.record.get("patient_data") if member.mark else None,
        "os": identity.get("pretty_name"),
        "up_to_date": not against,
        "against": against,
        "counts": counts,
        "pending": _pending(pending),
        "end_of_life": [one.result() for one in findings if one.state != "supported"],
        "unknown": list(has.unknown),
        "errors": errors,
        **_settings(member.settings),
    }
    return Entry(state, has, findings, summary)


def as_of(document: Mapping[str, Any]) -> str | None:
    """Return when the software that the document holds was collected."""
    if not document.get("software"):
        return None
    return document.get("software_time") or document.get("time")


def _settings(known: Settings | None) -> dict[str, Any]:
    keys = ("policy", "kind", "service", "tier")
    found = {key: getattr(known, key) if known else None for key in keys}
    return found | {"segment": list(known.segment) if known and known.segment else None}


def _counts(
    software: Mapping[str, Any], has: installed.Installed, findings: Iterable[end_of_life.Finding]
) -> dict[str, int | None]:
    """Count what there is; what is not known is null, not zero."""
    upstream: Counter[str] = Counter(one.state for one in findings if one.maintained_by == "upstream")
    owed = mapping(software.get("reboot_required")).get("required")
    failed = software.get("failed_units")
    return {
        "installed": len(has.items) if software else None,
        "end_of_life_past": upstream["past"] if software else None,
        "end_of_life_near": upstream["near"] if software else None,
        "end_of_life_unknown": upstream["unknown"] if software else None,
        "vulnerable_jars": sum(item.kind == "jar" for item in has.items)
        if isinstance(software.get("vulnerable_jars"), list)
        else None,
        "reboot_owed": int(owed) if isinstance(owed, bool) else None,
        "failed_units": len(failed) if isinstance(failed, list) else None,
    }


def _pending(pending: Mapping[str, Any] | None) -> dict[str, int] | None:
    if pending is None:
        return None
    updates = pending.get("updates") or []
    return {
        "updates": len(updates),
        "security": sum(update.get("security") is True for update in updates),
        "held": len(pending.get("held") or []),
    }


def _of_state(member: Member, state: State) -> Iterator[str]:
    """Yield what speaks against a host that is not where or as it should be."""
    if state.name != "assessed":
        yield f"{state.name}: {state.reason}".rstrip(": ")
    segment = member.settings.segment if member.settings else None
    if segment and state.name == "assessed" and not (member.assessment or {}).get("addresses"):
        yield "the address from which it answers is not known"


def _of_software(
    software: Mapping[str, Any] | None, has: installed.Installed, counts: Mapping[str, int | None]
) -> Iterator[str]:
    """Yield what speaks against what is installed and running, first of all what is not known of it."""
    if software is None:
        yield "its software is not known"
        return
    errors, replaced = mapping(software.get("errors")), software.get("replaced_libraries")
    yield from (f"not wholly known: {part}: {error}"[:LONGEST] for part, error in errors.items())
    unknown = list(has.unknown)
    unknown += ["replaced_libraries"] if not isinstance(replaced, list) else []
    unknown += ["reboot_required"] if counts["reboot_owed"] is None else []
    yield from (f"not known: {part}" for part in unknown if part not in errors)
    spoken = {
        "end_of_life_past": "past their end of life",
        "end_of_life_unknown": "whose end of life is not known",
        "vulnerable_jars": "vulnerable jar files",
        "reboot_owed": "reboot owed",
    }
    yield from (f"{counts[key]} {words}" for key, words in spoken.items() if counts[key])
    if isinstance(replaced, list) and replaced:
        yield f"{len(replaced)} processes run replaced libraries"


def _of_pending(pending: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield what speaks against what is pending or held back.

    An update that is known to fix no security flaw speaks against a host neither
    when it is pending nor when that alone holds it back.
    """
    waiting = _pending(pending)
    if pending is None or waiting is None:
        yield "its pending updates are not known"
        return
    yield from (f"pending updates: {problem}"[:LONGEST] for problem in pending.get("problems") or ())
    if waiting["security"]:
        yield f"{waiting['security']} security updates are pending"
    held = [
        item
        for item in map(mapping, pending.get("held") or ())
        if item.get("candidate") and (item.get("kind") != "not_security" or item.get("security") is not False)
    ]
    for security, words in HELD:
        kinds = Counter(str(item.get("kind")) for item in held if installed.flag(item.get("security")) is security)
        if kinds:
            named = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            yield f"{kinds.total()} {words}: {named}"


def mapping(value: object) -> Mapping[str, Any]:
    """Return a part of a document, or an empty one for what is none."""
    return value if isinstance(value, Mapping) else {}
