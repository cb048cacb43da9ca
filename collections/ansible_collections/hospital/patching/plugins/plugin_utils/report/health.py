# SPDX-License-Identifier: GPL-3.0-or-later
"""Health before, after, and after a rollback, as the ledger's records tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.report.failures import finding_text
from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import Part

#: Worst first.
VERDICTS = ("failed", "inconclusive", "ok")
MOMENTS = ("before", "after", "after_rollback")


def health_section(parts: Sequence[Part]) -> dict[str, Any]:
    """Return ``{"verdicts": {moment: verdict|None}, "probes": [...], "findings": [...], "figures": [...]}``.

    Each probe carries one reading a moment, or null where it was not read. The
    figures are those of the patch, not of the way back: what it changed.
    """
    moments = {moment: _detail(part) for moment, part in _moments(parts).items()}
    readings = {moment: _readings(detail) for moment, detail in moments.items()}
    names = list(dict.fromkeys(name for found in readings.values() for name in found))
    return {
        "verdicts": {moment: _verdict(detail, readings[moment]) for moment, detail in moments.items()},
        "probes": [_probe(name, readings) for name in names],
        "findings": [
            {"moment": moment, **finding} for moment, detail in moments.items() for finding in _findings(detail)
        ],
        # Ledgers of before have none.
        "figures": [dict(figure) for figure in moments["after"].get("figures") or []],
    }


def _moments(parts: Sequence[Part]) -> dict[str, Part | None]:
    found: dict[str, Part | None] = dict.fromkeys(MOMENTS)
    put_back = False
    for part in parts:
        if part.step == "rollback":
            put_back = True
        elif part.step == "health_before":
            found["before"] = part
        elif part.step == "verify":
            found["after_rollback" if put_back else "after"] = part
    return found


def _detail(part: Part | None) -> dict[str, Any]:
    return {} if part is None else part.detail


def _readings(detail: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the last reading of each probe; the judge's list and the probes' own are the same readings."""
    results = [*(detail.get("results") or []), *(detail.get("probes") or [])]
    return {str(result.get("name", "unnamed")): dict(result) for result in results if isinstance(result, Mapping)}


def _verdict(detail: Mapping[str, Any], readings: Mapping[str, Mapping[str, Any]]) -> str | None:
    if detail.get("verdict") in VERDICTS:
        return str(detail["verdict"])
    seen = {reading.get("verdict") for reading in readings.values()}
    return next((verdict for verdict in VERDICTS if verdict in seen), None)


def _probe(name: str, readings: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "type": None, "target": None}
    for moment in MOMENTS:
        reading = readings[moment].get(name)
        row[moment] = None
        if reading is None:
            continue
        row["type"] = row["type"] or _text(reading.get("type"))
        row["target"] = row["target"] or _text(reading.get("target"))
        took = reading.get("seconds_ms")
        row[moment] = {
            "verdict": _known(reading.get("verdict")),
            "detail": _text(reading.get("detail")),
            "took_ms": took if isinstance(took, int) else None,
        }
    return row


def _findings(detail: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield each finding once: what the check of versions found, the judge repeats."""
    seen: set[tuple[str | None, str]] = set()
    problems = [
        {"subject": None, "finding": p, **(p if isinstance(p, Mapping) else {}), "verdict": "failed"}
        for p in detail.get("problems") or []
    ]
    for finding in [*(detail.get("findings") or []), *problems]:
        one: Mapping[str, Any] = finding if isinstance(finding, Mapping) else {"finding": finding}
        row = {"probe": _text(one.get("probe")), "finding": finding_text(one), "verdict": _known(one.get("verdict"))}
        if (row["probe"], str(row["finding"])) not in seen:
            seen.add((row["probe"], str(row["finding"])))
            yield row


def _known(verdict: Any) -> str | None:
    return verdict if verdict in VERDICTS else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
