# SPDX-License-Identifier: GPL-3.0-or-later
"""One patch night in a test: its evidence directory and the playbooks of the journey."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import lab
from tests.support.playbook import LAB_INVENTORY, Played, play

PORTALS = ("portal1", "portal2")


def portals_as_built() -> None:
    """Start the portal hosts from their images, with one small update pending on each."""
    lab.publish()
    lab.reset(PORTALS)
    for host in PORTALS:
        lab.exec(host, "rm /etc/apt/sources.list.d/debian-security.sources")


def as_found(host: str) -> str:
    """Return a host's packages with their marks, its services with the time of their start, and who holds it."""
    services = "systemctl show --property Id,ActiveState,ActiveEnterTimestamp ehr-portal nginx ssh"
    staged = "find /var/lib/hospital-patching -name '*.deb' 2>/dev/null | sort"
    found = lab.exec(host, f"dpkg-query -W; apt-mark showmanual; apt-mark showhold; {services}; {staged}; true")
    journal = lab.exec(host, "cat /var/lib/hospital-patching/journal.jsonl 2>/dev/null; true")
    events = [json.loads(line)["event"] for line in journal.splitlines()]
    others = [event for event in events if event not in ("held", "released")]
    return f"{found}journal {others}, held {events.count('held') - events.count('released')} times"


class Night:
    """Plays the journey's playbooks with one evidence directory; remembers the plan."""

    def __init__(self, evidence: Path, hosts: str = "portal", **settings: Any) -> None:
        self.evidence = evidence
        self.settings: dict[str, Any] = {"patching_hosts": hosts, "patching_evidence_dir": str(evidence), **settings}
        self.plan: dict[str, Any] = {}
        self.inventory: Path | Sequence[Path] = LAB_INVENTORY

    def play(self, playbook: str, options: str = "", **extra: Any) -> Played:
        """Play one of the landscapes with this night's settings."""
        approved = {"patching_plan": self.plan["digest"]} if self.plan else {}
        given = {**self.settings, **approved, **extra}
        return play(f"playbooks/{playbook}.yml", inventory=self.inventory, extra=given, options=options)

    def prepare(self, **extra: Any) -> dict[str, Any]:
        """Assess and plan; return the plan."""
        played = self.play("prepare", **extra)
        assert played.rc == 0, played.stdout
        self.plan = played.results("Make the plan")[0]["plan"]
        return self.plan

    def ready(self, **extra: Any) -> dict[str, Any]:
        """Assess, plan and stage; return the plan."""
        plan = self.prepare(**extra)
        staged = self.play("stage")
        assert staged.rc == 0, staged.stdout
        return plan

    @property
    def run(self) -> Path:
        """The run's directory."""
        return self.evidence / str(self.plan["plan_id"])

    def records(self, host: str | None = None) -> list[dict[str, Any]]:
        """Return the run's ledger records, of one host or of all."""
        lines = (self.run / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        return [record for record in map(json.loads, lines) if host in (None, record["host"])]

    def outcomes(self) -> dict[str, str]:
        """Return the last outcome that the ledger has of each host."""
        return {
            record["host"]: record["detail"]["outcome"] for record in self.records() if record["event"] == "outcome"
        }

    def reason(self, host: str) -> str:
        """Return the reason of a host's last outcome."""
        outcomes = [record for record in self.records(host) if record["event"] == "outcome"]
        return str(outcomes[-1]["detail"]["reason"])
