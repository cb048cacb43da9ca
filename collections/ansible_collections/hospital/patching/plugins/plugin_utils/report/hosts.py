# SPDX-License-Identifier: GPL-3.0-or-later
"""One host's section of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.report import availability, looks, timeline
from ansible_collections.hospital.patching.plugins.plugin_utils.report.failures import failures_of
from ansible_collections.hospital.patching.plugins.plugin_utils.report.health import health_section
from ansible_collections.hospital.patching.plugins.plugin_utils.report.updates import cves_of, updates_section

Document = dict[str, Any]


def planned_host(
    name: str,
    plan: Mapping[str, Any],
    stage: Mapping[str, Any],
    parts: Sequence[timeline.Part],
    outcome: str | None,
    reason: str,
    ended: datetime | None,
    asked: Document | None = None,
    reverted: Document | None = None,
) -> Document:
    """Return the section of a host that the plan names; what was not measured is null.

    Args:
        asked: who asked for its rollback, and why; None unless a person did.
        reverted: what is known of its disk revert; None where there was none.
    """
    entry = plan["hosts"][name]
    steps = {step: _details(parts, step) for step in timeline.NIGHT}
    done = steps["install"].get("installed") or []
    updates = updates_section(entry.get("updates") or [], stage, done, _undone(parts))
    put_back = [update for update in updates if update["state"] == "put_back"]
    installed = [update for update in updates if update["state"] == "installed"]
    return {
        **_identity(name, entry),
        "wave": next((wave["number"] for wave in plan.get("waves") or [] if name in wave["hosts"]), None),
        "window": entry.get("window"),
        "outcome": outcome,
        "reason": reason,
        "asked": asked,
        "failures": failures_of(name, parts),
        "listed": _integer(stage.get("listed")),
        "installed": len(installed) if steps["install"] or outcome else None,
        "put_back": len(put_back),
        "updates": updates,
        "cves": cves_of(updates),
        "not_preserved": _named(stage.get("not_preserved")),
        "marks_equal": _boolean(steps["install"].get("marks_equal")),
        "holds_equal": _boolean(steps["install"].get("holds_equal")),
        "conffile_proposals": [str(path) for path in steps["install"].get("conffile_proposals") or []],
        "conffile_merge": _merges(steps["install"].get("conffile_merge")),
        **_restart(steps["restart"], *_boots(parts)),
        "health": health_section(parts),
        "drain": _drain(entry, steps["drain"], parts),
        "out_ms": _out_ms(parts, ended),
        "unavailable": _unavailable(entry, parts, ended),
        "returned": _returned(parts),
        "snapshot": _snapshot(entry, steps["snapshot"]),
        **({"disk_revert": reverted} if reverted else {}),
        "steps": timeline.seconds_by_step(parts),
    }


def other_host(name: str, entry: Mapping[str, Any]) -> Document:
    """Return the section of a host that the plan leaves out; it was not touched, so most of it is empty."""
    return {
        **_identity(name, entry),
        "wave": None,
        "window": None,
        "outcome": entry["outcome"],
        "reason": str(entry.get("reason") or ""),
        "asked": None,
        "failures": [],
        "listed": None,
        "installed": None,
        "put_back": 0,
        "updates": [],
        "cves": [],
        "not_preserved": [],
        "marks_equal": None,
        "holds_equal": None,
        "conffile_proposals": [],
        "conffile_merge": [],
        **_restart({}),
        "health": health_section([]),
        "drain": None,
        "out_ms": None,
        "unavailable": None,
        "returned": None,
        "snapshot": None,
        "steps": [],
    }


def _identity(name: str, entry: Mapping[str, Any]) -> Document:
    return {"host": name, **{key: entry.get(key) for key in ("kind", "policy", "service", "tier", "ring", "owner")}}


def _details(parts: Iterable[timeline.Part], step: str) -> Document:
    return timeline.merged(part.detail for part in parts if part.step == step)


def _undone(parts: Sequence[timeline.Part]) -> list[Document]:
    """Return what a finished rollback put back; one that names nothing put everything back."""
    done = [part for part in parts if part.step == "rollback" and part.status == "done"]
    if not done:
        return []
    detail = timeline.merged(part.detail for part in done)
    installed = _details(parts, "install").get("installed") or []
    names = {one.get("name") for one in installed}
    # What an earlier attempt had put back is found at its old version.
    before = [one for one in detail.get("already") or [] if one.get("name") in names]
    return [*detail["installed"], *before] if detail.get("installed") else list(installed)


def _boots(parts: Sequence[timeline.Part]) -> tuple[str | None, str | None]:
    """Return which start of the host it was when the night began with it, and which when it ended."""
    told = [detail.get("boot") for part in parts if part.work == 0 for detail in part.details]
    found = [_text(boot.get("boot_id")) for boot in told if isinstance(boot, Mapping)]
    return (found[0], found[-1]) if found else (None, None)


def _restart(detail: Mapping[str, Any], boot_before: str | None = None, boot_after: str | None = None) -> Document:
    reboot = detail.get("reboot_required") or {}
    rebooted = _boolean(detail.get("rebooted"))
    if boot_before != boot_after:
        rebooted = True  # by the run or by itself: it is another start of the host
    if rebooted is None and str(detail.get("module") or "").endswith(".reboot"):
        rebooted = True
    return {
        "restarted": _once(
            {"unit": str(one.get("unit")), "how": _text(one.get("how")), "reason": _text(one.get("reason"))}
            for one in _mappings(detail.get("restarted"))
        ),
        "owed": _once(
            {"unit": _text(one.get("unit")), "pid": _integer(one.get("pid")), "reason": _text(one.get("reason"))}
            for one in _mappings(detail.get("owed"))
        ),
        "restart_failed": _once(
            {"unit": str(one.get("unit")), "reason": _text(one.get("reason"))}
            for one in _mappings(detail.get("failed_units") or detail.get("failed"))
        ),
        "reboot": {
            "required": _boolean(reboot.get("required")),
            "reasons": [str(reason) for reason in reboot.get("reasons") or []],
            "rebooted": rebooted,
            "boot_before": boot_before or _text(detail.get("boot_before")),
            "boot_after": boot_after or _text(detail.get("boot_after")),
        },
    }


def _once(found: Iterable[Document]) -> list[Document]:
    """Return each unit once, a process without one by its number: on the way back the same ones are restarted again."""
    return list({one["unit"] or one.get("pid"): one for one in found}.values())


def _drain(entry: Mapping[str, Any], detail: Mapping[str, Any], parts: Sequence[timeline.Part]) -> Document | None:
    """Return where the host is drained; ``certain`` is false when its last drain failed, null when none was tried."""
    planned = entry.get("drain") or {}
    if not planned and not detail:
        return None
    return {
        "type": str(detail.get("type") or planned.get("type") or "unknown"),
        "at": _text(detail.get("host") or planned.get("host")),
        "reason": _text(planned.get("reason")),
        "certain": next((one.sure for one in reversed(timeline.absences(parts))), None),
    }


def _snapshot(entry: Mapping[str, Any], detail: Mapping[str, Any]) -> Document | None:
    planned = entry.get("snapshot") or {}
    made = detail.get("snapshot") if isinstance(detail.get("snapshot"), Mapping) else detail
    if not planned and not made:
        return None
    made = made or {}
    return {
        "provider": str(made.get("provider") or planned.get("provider") or "unknown"),
        "id": _text(made.get("id")),
        "reason": _text(made.get("reason") or planned.get("reason")),
        "expires": _text(made.get("expires")),
    }


def _out_ms(parts: Sequence[timeline.Part], ended: datetime | None) -> int | None:
    """Return for how long the host was drained, all times taken together."""
    lengths = [timeline.milliseconds(one, ended) for one in timeline.absences(parts)]
    known = [length for length in lengths if length is not None]
    return sum(known) if known else None


def _unavailable(entry: Mapping[str, Any], parts: Sequence[timeline.Part], ended: datetime | None) -> Document | None:
    """Return for how long the host's probes were not ok, null for one that was not touched or never seen to be ok."""
    names = looks.probes_that_count(entry)
    found = availability.unavailable(parts, names)
    if ended is None or found is None or not found.maybe:
        return None
    return {**availability.together([found], ended), "probes": names}


def _returned(parts: Sequence[timeline.Part]) -> bool | None:
    out = timeline.absences(parts)
    return out[-1].end is not None if out else None


def _named(entries: Any) -> list[Document]:
    return [
        {"name": str(one.get("name")), "version": _text(one.get("version")), "reason": _text(one.get("reason"))}
        if isinstance(one, Mapping)
        else {"name": str(one), "version": None, "reason": None}
        for one in entries or []
    ]


def _merges(entries: Any) -> list[Document]:
    return [
        {
            "file": str(one.get("file")),
            "proposal": str(one.get("proposal")),
            "format": _text(one.get("format")),
            "changes": [
                {
                    "key": _text(change.get("key")),
                    "change": str(change.get("change")),
                    "line": _integer(change.get("line")),
                    "proposed_line": _integer(change.get("proposed_line")),
                }
                for change in _mappings(one.get("changes"))
            ],
            "more": _integer(one.get("more")) or 0,
            "note": _text(one.get("note")),
        }
        for one in _mappings(entries)
    ]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    # In Ansible's own results the key `failed` is a boolean.
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
