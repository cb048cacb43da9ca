# SPDX-License-Identifier: GPL-3.0-or-later
"""Small fleets that several tests plan for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Loaded, write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import HostState
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import Planned, build_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import Contact
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import effective
from ansible_collections.hospital.patching.plugins.plugin_utils.watchers import Machine, Watch, path_of

PLAN_ID = "20261122T080000Z-ab12cd34"
#: Sunday 02:00 in Chicago, one hour into the window of the smallest configuration.
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SHA = "a" * 64

#: DESIGN.md, "Smallest configuration", word for word.
ALL_HOSTS: dict[str, Any] = {"patching_device_segments": ["10.9.0.0/16"]}
PORTAL: dict[str, Any] = {
    "patching_service": "portal",
    "patching_window": "Sun 01:00, 3 h, America/Chicago",
    "patching_probe_url": "https://{{ ansible_host }}/health",
    "patching_drain": {"haproxy": "lb1", "backend": "portal"},
}
AWX: dict[str, Any] = {"patching_evidence_url": "s3://patch-evidence"}
CRITICAL: dict[str, Any] = {"patching_allowed_signers": "files/approvers"}

FACTS = {"id": "debian", "version_id": "12", "architecture": "amd64"}
OPEN = "daily 00:00, 24 h, UTC"


def update(name: str = "openssl", before: str | None = "3.0.15-1", after: str | None = "3.0.17-1", **more: Any) -> Any:
    kind = "removal" if after is None else "new_install" if before is None else "upgrade"
    return {
        "name": name,
        "arch": "amd64",
        "from": before,
        "to": after,
        "kind": kind,
        "origin": "Debian-Security:12/oldstable-security",
        "class": "os",
        "security": True,
        "advisories": [],
        "cves": None,
        "download_bytes": 1000,
        "installed_bytes": 0,
        "sha256": None if after is None else SHA,
        "automatic": False,
        "source": name,
        "source_from": before,
        "source_to": after,
        "published": None,
        "published_by": None,
    } | more


def pending(*updates: Any, facts: Any = None) -> dict[str, Any]:
    return {"manager": "apt", "updates": list(updates), "facts": facts or FACTS}


def candidate(
    host: str, variables: dict[str, Any], assessment: Any = "one", why_not: Exclusion | None = None
) -> Candidate:
    found = pending(update()) if assessment == "one" else assessment
    # As if assess had found out that nothing on the host makes restore points.
    known = effective(host, {**ALL_HOSTS, "patching_snapshot": "preserved", **variables})
    return Candidate(known, None, found, why_not)


def server(host: str, service: str, assessment: Any = "one", **settings: Any) -> Candidate:
    """Return a managed server that may be planned; ``settings`` without their prefix."""
    variables = {"service": service, "window": OPEN, "drain": "none", **settings}
    return candidate(
        host, {f"patching_{key}": value for key, value in variables.items() if value is not None}, assessment
    )


def endpoint(host: str, **settings: Any) -> Candidate:
    variables = {"kind": "endpoint", "policy": "managed", **settings}
    return candidate(host, {f"patching_{key}": value for key, value in variables.items()})


def lost(one: Candidate) -> Candidate:
    """Return the host as it is when nobody could reach it."""
    return Candidate(one.settings, one.address, None, Exclusion("unreachable", "no answer on port 22"))


def planned(candidates: dict[str, Candidate], now: datetime = NOW, **more: Any) -> Planned:
    return build_plan(PLAN_ID, now, candidates, **more)


def loaded(made: Planned) -> Loaded:
    """Return a plan as it is read from the evidence directory."""
    return Loaded(made.plan, made.manifests, Path("plan.json"))


def portal_pair() -> dict[str, Candidate]:
    """Return the smallest configuration: two portal hosts behind a load balancer that is only observed."""
    return {
        "lb1": candidate("lb1", {}),
        "portal1": candidate("portal1", PORTAL),
        "portal2": candidate("portal2", PORTAL),
    }


def hosts_of(plan: dict[str, Any]) -> list[list[str]]:
    return [wave["hosts"] for wave in plan["waves"]]


ALLOWED = Contact(True, ("10.1.0.1",), "outside the device segments")


def patched(ago_s: int, now: datetime = NOW) -> HostState:
    return HostState("patched", now - timedelta(seconds=ago_s), out=False)


def state(outcome: str | None, out: bool) -> HostState:
    return HostState(outcome, NOW - timedelta(hours=1), out)


HERE = Machine("00000000-0000-4000-8000-000000000000", "control1")
OTHER_BOOT = "11111111-1111-4111-8111-111111111111"


def watch(**change: Any) -> Watch:
    """Return a watcher on a second machine that has looked just now and saw the run."""
    known: dict[str, Any] = {
        "boot": OTHER_BOOT,
        "machine": "watch2",
        "time": NOW,
        "pages_by": ("command",),
        "silent_s": 600,
        "every_s": 60,
        "open_runs": (PLAN_ID,),
    }
    return Watch(**known | change)


def leave_mark(root: Path, **change: Any) -> Path:
    """Leave its mark in an evidence directory."""
    mark = watch(**change)
    write_json(path_of(root, mark.boot), mark.document())
    return path_of(root, mark.boot)
