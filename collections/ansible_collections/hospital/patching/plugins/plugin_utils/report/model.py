# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run as one JSON document; page and text show nothing that is not in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import (
    answers,
    break_glass,
    disk_revert,
    outcomes,
    schedule,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.report import timeline, works
from ansible_collections.hospital.patching.plugins.plugin_utils.report.hosts import other_host, planned_host
from ansible_collections.hospital.patching.plugins.plugin_utils.report.needs_you import needs_you
from ansible_collections.hospital.patching.plugins.plugin_utils.report.restore_points import restore_points_section
from ansible_collections.hospital.patching.plugins.plugin_utils.report.services import (
    devices_section,
    services_section,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

SCHEMA = 1
#: What the same records become may differ from version to version; the second number rises when the document changes.
MADE_BY = "hospital.patching 0.1.0, report 4"
#: Outcomes after which a host has everything that was approved for it.
UP_TO_DATE = ("patched", "nothing_to_do")
Document = dict[str, Any]


def schema_path() -> Path:
    """Return the JSON Schema that every report obeys."""
    return Path(__file__).parent.parent / "schemas" / "report.json"


def build_report(
    plan: Mapping[str, Any],
    ledger_records: Sequence[Mapping[str, Any]],
    stages: Mapping[str, Mapping[str, Any]],
    traffic: Mapping[str, Any] | None = None,
    findings: Sequence[str] | None = None,
    seal: Mapping[str, Any] | None = None,
) -> Document:
    """Return the report of a run (schema: ``schemas/report.json``; whole numbers only).

    It depends on nothing but the arguments, so that it can be made again and compared.

    Args:
        plan: the run's plan.
        ledger_records: the run's ledger, oldest first; may be unfinished or empty.
        stages: host to what its staging returned; hosts may be missing.
        traffic: what requests and devices counted during the run, if anything was counted:
            ``{"services": {name: {"requests", "failed", "downtime_ms", "longest_ms", "per_second"}},
            "devices": {host: {"connections"}}}``.
        findings: what a check of the ledger found; empty when it is whole, None when nobody checked.
        seal: ``{"sealed": bool, "signed_by": str|None}``, None when unknown.
    """
    counted = traffic or {}
    pieces = works.works_of(ledger_records, _window_end(plan))
    parts = works.parts_of(pieces)
    started, ended, last = _span(pieces, parts)
    asked = works.asked_for(pieces)
    found = outcomes.by_host(plan, ledger_records)
    reasons = outcomes.reasons(plan, ledger_records)
    reverts = disk_revert.reverts(ledger_records)
    hosts = [
        planned_host(
            name,
            plan,
            stages.get(name) or {},
            parts.get(name, ()),
            found.get(name),
            reasons.get(name, ""),
            last,
            asked.get(name),
            reverts.get(name),
        )
        for name in _in_plan_order(plan)
    ]
    hosts += [other_host(name, plan["not_planned"][name]) for name in sorted(plan["not_planned"], key=natural_key)]
    services = services_section(plan, parts, found, counted, last, works.seen_by_others(pieces))
    devices = devices_section(counted)
    window = _window(plan, ended)
    run_id = _run_id(plan, ledger_records)
    return {
        "schema": SCHEMA,
        "made_by": MADE_BY,
        "run_id": run_id,
        "plan_id": plan.get("plan_id"),
        "plan_digest": plan["digest"],
        "plan_created": plan.get("created"),
        **({"emergency": plan["emergency"]} if plan.get("emergency") else {}),
        "opened": _opened(ledger_records),
        "started": started and stamp(started),
        "ended": ended and stamp(ended),
        "took_s": int((ended - started).total_seconds()) if started and ended else None,
        "finished": works.closed(pieces),
        "later": works.later_section(pieces, _in_plan_order(plan)),
        "window": window,
        "needs_you": needs_you(run_id, hosts, services, devices, findings, break_glass.told(plan)),
        "coverage": _coverage(hosts),
        "totals": _totals(hosts, parts, last),
        "timeline": _timeline(hosts, parts),
        "services": services,
        "devices": devices,
        "restore_points": restore_points_section(plan, ledger_records),
        "hosts": hosts,
        "remarks": _remarks(ledger_records),
        "evidence": _evidence(plan, ledger_records, hosts, findings, seal),
    }


def _run_id(plan: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    return str(records[0]["run_id"]) if records else str(plan.get("plan_id") or "unknown")


def _in_plan_order(plan: Mapping[str, Any]) -> list[str]:
    in_waves = [host for wave in plan.get("waves") or [] for host in wave["hosts"] if host in plan["hosts"]]
    rest = sorted(set(plan["hosts"]) - set(in_waves), key=natural_key)
    return list(dict.fromkeys(in_waves)) + rest


def _span(
    pieces: Sequence[works.Work], parts: Mapping[str, Sequence[timeline.Part]]
) -> tuple[datetime | None, datetime | None, datetime | None]:
    """Return when the night began and ended, and when all work ended that followed it.

    A plan may have been staged days before: that is not part of the night.
    """
    before = ("assess", "prioritise", "plan", "stage")
    records = (record for record in pieces[0].records if record["step"] not in before)
    # People may have been asked, and have answered, days before as well.
    night = [record for record in records if not answers.is_answering(record)]
    if not night:
        return None, None, None
    whole = timeline.bounds(part for those in parts.values() for part in timeline.night(those))
    first = read_stamp(night[0]["time"])
    opened = night[0].get("host") is None
    started = first if opened or whole is None else min(first, whole[0])
    return started, pieces[0].end, max(piece.end for piece in pieces if piece.end)


def _opened(records: Sequence[Mapping[str, Any]]) -> Document:
    opened: Mapping[str, Any] = {}
    for record in records:
        if record.get("host") is None and record["step"] == "gate" and record["event"] == "begin":
            opened = record.get("detail") or {}
            break
    found = {key: opened.get(key) for key in ("approval", "controller", "started_by")}
    if opened.get("claimed"):
        found["approval"] = f"{found['approval']}; claimed, not signed: {opened['claimed']}"
    return {**found, "signed_by": _signed_by(records)}


def _signed_by(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return whose approvals counted when hosts were begun, each once; none where no tier asked for any."""
    gates = (record.get("detail") or {} for record in records if record["step"] == "gate" and record["event"] == "done")
    signed = [one for detail in gates for one in (detail.get("approved") or {}).get("signed", ())]
    return list(dict.fromkeys(f"{one['by']}{_how(one)}" for one in signed))


def _how(signed: Mapping[str, Any]) -> str:
    if signed.get("second"):
        return " (of the list for broken glass)"
    source = str(signed.get("source") or "ssh")
    return "" if source == "ssh" else f" (in AWX, {source})"


def _window_end(plan: Mapping[str, Any]) -> str | None:
    return max((str(entry["window"]["end"]) for entry in plan["hosts"].values() if entry.get("window")), default=None)


def _window(plan: Mapping[str, Any], ended: datetime | None) -> Document | None:
    """Return the span of all hosts' windows and how much of it was left when the run ended."""
    windows = [entry["window"] for entry in plan["hosts"].values() if entry.get("window")]
    if not windows:
        return None
    texts = sorted({str(window["text"]) for window in windows if window.get("text")})
    end = str(_window_end(plan))
    return {
        "start": min(window["start"] for window in windows),
        "end": end,
        "texts": texts,
        "time_zone": next((zone for text in texts if (zone := schedule.zone(text))), "UTC"),
        "left_s": None if ended is None else int((read_stamp(end) - ended).total_seconds()),
    }


def _coverage(hosts: Sequence[Mapping[str, Any]]) -> Document:
    """Return how many of all known hosts are up to date; excluded and unseen ones count as not."""
    by_outcome = Counter(str(host["outcome"] or "no outcome") for host in hosts)
    up_to_date = sum(by_outcome[outcome] for outcome in UP_TO_DATE)
    return {
        "hosts": len(hosts),
        "up_to_date": up_to_date,
        # Rounded down: a fleet with one host missing is never 100 %.
        "percent": 100 * up_to_date // len(hosts) if hosts else None,
        "by_outcome": dict(sorted(by_outcome.items())),
    }


def _totals(
    hosts: Sequence[Mapping[str, Any]], parts: Mapping[str, Sequence[timeline.Part]], last: datetime | None
) -> Document:
    done = [update for host in hosts for update in host["updates"] if update["state"] == "installed"]
    listed = [host["listed"] for host in hosts if host["listed"] is not None]
    absent = [timeline.milliseconds(one, last) for those in parts.values() for one in timeline.absences(those)]
    return {
        "listed": sum(listed) if listed else None,
        "installed": len(done),
        "put_back": sum(host["put_back"] for host in hosts),
        "security": sum(update["security"] for update in done),
        "cves": len({cve for host in hosts for cve in host["cves"]}),
        "restarted": sum(len(host["restarted"]) for host in hosts),
        "rebooted": sum(host["reboot"]["rebooted"] is True for host in hosts),
        "longest_out_ms": max((one for one in absent if one is not None), default=None),
    }


def _timeline(hosts: Sequence[Mapping[str, Any]], parts: Mapping[str, Sequence[timeline.Part]]) -> list[Document]:
    rows = []
    for host in hosts:
        night = timeline.night(parts.get(host["host"], ()))
        if not night:
            continue
        rows.append(
            {
                "host": host["host"],
                "wave": host["wave"],
                "outcome": host["outcome"],
                "out": [
                    {"start": stamp(one.start), "end": one.end and stamp(one.end)} for one in timeline.absences(night)
                ],
                "parts": [part.to_json() for part in night],
            }
        )
    return rows


def _remarks(records: Sequence[Mapping[str, Any]]) -> list[Document]:
    found = []
    for record in records:
        detail = record.get("detail") or {}
        # Of an answer the text says whose reason it is.
        text = detail.get("text") or detail.get("reason")
        if record["event"] == "note" and text:
            found.append({"time": record["time"], "host": record.get("host"), "text": str(text)})
    return found


def _evidence(
    plan: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    hosts: Sequence[Mapping[str, Any]],
    findings: Sequence[str] | None,
    seal: Mapping[str, Any] | None,
) -> Document:
    manifests = sorted({str(entry["manifest"]) for entry in plan["hosts"].values() if entry.get("manifest")})
    chain = "not checked" if findings is None else ("broken" if findings else "verified")
    return {
        "records": len(records),
        "head": records[-1].get("hash") if records else None,
        "chain": chain,
        "findings": [str(finding) for finding in findings or []],
        "sealed": None if seal is None else bool(seal.get("sealed")),
        "signed_by": None if seal is None else seal.get("signed_by"),
        "anchored": "not anchored",
        "manifests": manifests,
        "evidence_for": _evidence_for(hosts, records, chain),
    }


def _evidence_for(hosts: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]], chain: str) -> list[str]:
    """Say what the records are evidence for; whether that satisfies a rule is for an auditor to judge."""
    if not records:
        return []
    touched = [host for host in hosts if host["health"]["verdicts"]["after"] is not None]
    exact = [host for host in touched if host["marks_equal"] and host["holds_equal"]]
    safe = [host for host in touched if host["snapshot"] is not None]
    lines = ["which updates each host received, from which version to which, at what time, under which approved plan"]
    if touched:
        lines.append(f"health measured before and after on {len(touched)} of {len(hosts)} hosts")
        lines.append(f"package marks and holds unchanged on {len(exact)} of the {len(touched)} hosts that were patched")
        lines.append(f"a way back prepared before the install on {len(safe)} of them")
    if chain == "verified":
        lines.append("no record of this run having been changed, dropped or reordered since it was written")
    return lines
