# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run had come with a host when it was interrupted: it is taken up there, and nowhere before.

A host that the run has changed, or was about to, is measured against the
health from before; a new reading would call a patch's damage "broken before".
One whose patch had failed is on its way back, and stays on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import hook_records

Records = Sequence[Mapping[str, Any]]

#: A failure of these means that the host is put back.
WORK = frozenset({"drain", "snapshot", "install", "restart", "verify"})


@dataclass(frozen=True)
class Taken:
    """A host whose health before was judged, and that has neither an outcome nor been released since.

    ``baseline`` are the probes' readings from before, ``installed`` says whether
    packages were changed, forward or back, and ``failed`` why it is on its way
    back; None while it is not.
    """

    baseline: list[dict[str, Any]]
    installed: bool = False
    failed: str | None = None


def taken(records: Records, host: str) -> Taken | None:
    """Return how far the run has come with ``host``; None when it disrupts nothing there.

    Drains are recorded after they are made, so a host counts as taken from its
    judged health before on.
    """
    found: Taken | None = None
    for record in records:
        if record["host"] != host:
            continue
        step, event, detail = record["step"], record["event"], record["detail"]
        if event == "outcome" or _released(record):
            found = None
        elif (step, event) == ("health_before", "done") and "verdict" in detail:
            found = found or Taken([dict(probe) for probe in detail.get("probes") or []])
        elif found is not None:
            installed = found.installed or (step == "install" and _may_have_installed(event, detail))
            found = Taken(found.baseline, installed, found.failed or _failure(record))
    return found


def _may_have_installed(event: str, detail: Mapping[str, Any]) -> bool:
    """A failed installation counts: what it changed may have been put back since, by a step that was not recorded."""
    return event == "failed" or (event == "done" and bool(detail.get("changed") or detail.get("already")))


def unsaid(records: Records, host: str) -> dict[str, str] | None:
    """Return outcome and reason of a host that was changed, proven and released, and of which nothing was said yet.

    Between the release and the outcome the controller may be killed. Without
    this a patched host would have had nothing to do, and a failed patch would
    be installed again.
    """
    since: list[Mapping[str, Any]] = []
    journey: list[Mapping[str, Any]] = []  # the last one that ended with a release
    for record in records:
        if record["host"] != host:
            continue
        if record["event"] == "outcome":
            since, journey = [], []
        elif _released(record):
            since, journey = [], since
        else:
            since.append(record)
            if record["step"] in WORK | {"lock"}:
                journey = []
    found = taken(journey, host)
    return _outcome_of(journey, found) if found is not None and found.installed else None


def _outcome_of(journey: Records, found: Taken) -> dict[str, str]:
    installs = [one["detail"] for one in journey if (one["step"], one["event"]) == ("install", "done")]
    back = bool(installs) and str(installs[-1].get("module", "")).endswith("update_rollback")
    if found.failed or back:
        return {"outcome": "rolled_back", "reason": found.failed or "it was put back and returned"}
    number = sum(len(installs[-1].get(key) or ()) for key in ("installed", "already"))
    return {"outcome": "patched", "reason": f"{number} updates installed and proven"}


def held_only(records: Records, host: str) -> bool:
    """Say whether the run has held ``host`` since it was released last, and nothing more: it may just be released."""
    held = False
    for record in records:
        if record["host"] != host:
            continue
        if _released(record) or (record["step"] in WORK and record["event"] != "note"):
            held = False
        elif record["step"] == "lock" and record["event"] in ("done", "failed"):
            held = True
    return held


def _released(record: Mapping[str, Any]) -> bool:
    """The host's own journal was told; before that it was only returned to its load balancer."""
    module = str(record["detail"].get("module", ""))
    return (record["step"], record["event"]) == ("return", "done") and module.endswith("host_journal")


def _failure(record: Mapping[str, Any]) -> str | None:
    detail = record["detail"]
    if record["step"] == hook_records.STEP:
        return hook_records.failure(record)
    if record["event"] == "failed" and record["step"] in WORK:
        return str(detail.get("msg") or f"{record['step']} failed")
    if (record["step"], record["event"]) == ("gate", "refused") and detail.get("before") == "reboot":
        return str(detail.get("reason") or "the reboot was not begun")
    return None


def restarted(records: Records, host: str) -> bool:
    """Say whether what needed it was restarted, or rebooted, after packages were changed for the last time."""
    done = False
    for record in records:
        if record["host"] != host or record["event"] != "done":
            continue
        detail = record["detail"]
        if record["step"] == "install":
            done = False
        elif record["step"] == "restart":
            # Where a reboot is needed nothing is restarted: the reboot, a record of its own, restarts everything.
            done = not (detail.get("reboot_required") or {}).get("required", False)
    return done
