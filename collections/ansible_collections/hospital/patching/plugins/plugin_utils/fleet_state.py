# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of the fleet are missing, and which are where and as they should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import segments
from ansible_collections.hospital.patching.plugins.plugin_utils.lost import Mark
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import Settings
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

#: What a host can be, the worst first. Only ``assessed`` can be up to date.
STATES = (
    "stolen",
    "lost",
    "outside_segment",
    "unseen",
    "unreachable",
    "failed",
    "never_assessed",
    "not_contacted",
    "assessed",
)


#: By how much the clocks of two controllers may differ before a time counts as one of the future.
CLOCKS = timedelta(minutes=5)


@dataclass(frozen=True)
class Member:
    """One host of the inventory: its settings (None when they are refused), its last assessment, and its mark."""

    host: str
    address: str
    settings: Settings | None
    assessment: Mapping[str, Any] | None
    mark: Mark | None = None
    #: Why settings or assessment could not be read.
    problem: str = ""


@dataclass(frozen=True)
class State:
    """What a host is (one of :data:`STATES`), why, and when it was last assessed."""

    name: str
    reason: str
    seen: str | None


def state_of(member: Member, now: datetime) -> State:
    """Return what a host is: a mark goes before everything that assess saw."""
    document = member.assessment or {}
    stated = document.get("seen") or (document.get("time") if document.get("status") == "assessed" else None)
    moment, doubt = _moment(stated), ""
    if moment is None and (stated or document.get("status") == "assessed"):
        doubt = f"when it was assessed cannot be read: {str(stated)[:40]!r}"
    elif moment is not None and moment - now > CLOCKS:
        doubt = f"it is said to have been assessed in the future, at {stated}"
    seen = None if doubt else stated
    if member.mark is not None:
        return State("stolen" if member.mark.state == "stolen" else "lost", member.mark.reason, seen)
    if member.problem:
        return State("failed", member.problem, seen)
    status, reason = str(document.get("status") or "never_assessed"), str(document.get("reason") or "")
    if status not in ("assessed", "unreachable", "failed", "not_contacted", "lost"):
        return State("never_assessed", "it was never assessed: run assess.yml", None)
    if status == "lost":
        # The mark was taken back since; what the host has now is not known.
        status, reason = "unreachable", "it was marked as missing when assess ran last: run assess.yml"
    days = member.settings.unseen_days if member.settings else 30
    if status != "not_contacted" and doubt:
        return State("unseen", f"{doubt}; {reason}".rstrip("; "), None)
    if status != "not_contacted" and moment is not None and now - moment > timedelta(days=days):
        return State("unseen", f"not assessed since {seen}, longer than {days} days; {reason}".rstrip("; "), seen)
    if moment is None and status in ("unreachable", "failed"):
        reason = f"{reason}; it was never assessed".lstrip("; ")
    wrong = _outside(member, document)
    if status == "assessed" and wrong:
        return State("outside_segment", f"it answers from {', '.join(wrong)}, outside {_belongs(member)}", seen)
    return State(status, reason, seen)


def _outside(member: Member, document: Mapping[str, Any]) -> list[str]:
    if member.settings is None or member.settings.segment is None:
        return []
    return segments.outside([str(address) for address in document.get("addresses") or ()], member.settings.segment)


def _belongs(member: Member) -> str:
    return ", ".join((member.settings and member.settings.segment) or ())


def _moment(value: object) -> datetime | None:
    try:
        return read_stamp(str(value)) if value else None
    except PatchingError:
        return None
