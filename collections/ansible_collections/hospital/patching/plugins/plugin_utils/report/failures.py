# SPDX-License-Identifier: GPL-3.0-or-later
"""What failed on a host, in words that need no other page: the probe or the step, and what it said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import Part

#: Between what was seen and what to do in the message of a ``PatchingError``.
_NEXT = ". Next: "
_BUILT_IN = "builtin-"


def failures_of(host: str, parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Return ``{"step", "what"}`` for every part of the journey that failed, in order; null where it said nothing."""
    return [
        {"step": part.step, "what": _what(host, part)}
        for part in parts
        if part.status in ("failed", "inconclusive") and part.step != "gate"
    ]


def _what(host: str, part: Part) -> str | None:
    findings = [finding for finding in part.detail.get("findings") or [] if isinstance(finding, Mapping)]
    bad = [finding for finding in findings if finding.get("verdict") in ("failed", "inconclusive")]
    if not bad:
        return without_next(str(part.detail.get("msg") or ""), host) or None
    # What users would have met says more than what follows from it on the host.
    first = min(bad, key=lambda finding: str(finding.get("probe")).startswith(_BUILT_IN))
    more = f" (and {len(bad) - 1} more, below)" if len(bad) > 1 else ""
    return _told(first, part.detail.get("probes") or []) + more


def _told(finding: Mapping[str, Any], probes: Sequence[Any]) -> str:
    """Return a finding as a sentence; one of a probe names what the probe looks at."""
    name, text = finding.get("probe"), finding_text(finding)
    if name is None:
        return text
    reading: Mapping[str, Any] = next((p for p in probes if isinstance(p, Mapping) and p.get("name") == name), {})
    target = reading.get("target")
    return f"probe {name} ({target}) {text}" if target else f"probe {name} {text}"


def finding_text(finding: Mapping[str, Any]) -> str:
    """Return what was found: of a probe its own words, of a package or mark what was seen and expected."""
    if finding.get("subject") is not None:
        return f"{finding['subject']}: {finding.get('seen')}; expected {finding.get('expected')}"
    return str(finding.get("finding") or "no words")


def without_next(text: str, host: str) -> str:
    """Return a message without the host that a reader knows already, and without what was to be done at that time."""
    said = " ".join(text.split()).removeprefix(f"host {host}: ").removeprefix(f"{host}: ")
    return said.partition(_NEXT)[0].rstrip(".")
