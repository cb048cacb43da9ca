# SPDX-License-Identifier: GPL-3.0-or-later
"""One host's part of the fleet's inventory: what it has, what it owes, and what speaks against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import end_of_life, installed
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet_state import Member, State, state_of
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import Settings


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
    against = _against(member, state, software, has, counts, pending)
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


def _against(
    member: Member,
    state: State,
    software: Mapping[str, Any] | None,
    has: installed.Installed,
    counts: Mapping[str, int | None],
    pending: Mapping[str, Any] | None,
) -> list[str]:
    """Return everything that speaks against the host being up to date."""
    found = [] if state.name == "assessed" else [f"{state.name}: {state.reason}".rstrip(": ")]
    if software is None:
        found.append("its software is not known")
    found += [f"not known: {part}" for part in has.unknown if software is not None]
    waiting = _pending(pending)
    if waiting is None:
        found.append("its pending updates are not known")
    elif waiting["security"]:
        found.append(f"{waiting['security']} security updates are pending")
    spoken = {
        "end_of_life_past": "past their end of life",
        "end_of_life_unknown": "whose end of life is not known",
        "vulnerable_jars": "vulnerable jar files",
        "reboot_owed": "reboot owed",
    }
    found += [f"{counts[key]} {words}" for key, words in spoken.items() if counts[key]]
    segment = member.settings.segment if member.settings else None
    if segment and state.name == "assessed" and not (member.assessment or {}).get("addresses"):
        found.append("the address from which it answers is not known")
    return found


def mapping(value: object) -> Mapping[str, Any]:
    """Return a part of a document, or an empty one for what is none."""
    return value if isinstance(value, Mapping) else {}
