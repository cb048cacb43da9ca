# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration: a real patch night on the lab hospital and a bad patch, told as they happen."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp
from tests.support import lab
from tests.support.playbook import ROOT, Played, play
from tests.support.traffic import Answer, Traffic, downtime_ms

console = Console(highlight=False, soft_wrap=True)
#: The lab's managed Debian hosts: each must end with every update that apt had listed.
PATCHED = ("portal1", "portal2", "lb1", "db1", "ws1")
PORTALS = ("portal1", "portal2")
PER_SECOND = 10


class DemoFailedError(Exception):
    """Something the demonstration promises did not hold."""


@dataclass(frozen=True)
class Marks:
    """What apt knows of a host beside versions, read with apt's own tools."""

    listed: int
    manual: str
    held: str
    installed: str

    @classmethod
    def of(cls, host: str) -> Marks:
        """Ask the host itself, not the collection."""
        return cls(
            int(lab.exec(host, "apt-get update -qq && (apt-get -s dist-upgrade | grep -c ^Inst || true)")),
            lab.exec(host, "apt-mark showmanual"),
            lab.exec(host, "apt-mark showhold"),
            lab.exec(host, "dpkg-query -W"),
        )


def main() -> int:
    """Play both scenes; return 0 when all that the demonstration promises held."""
    begun = time.monotonic()
    try:
        _night()
        _bad_patch()
    except DemoFailedError as error:
        console.print(f"[bold red]The demonstration failed:[/] {error}")
        return 1
    console.print(f"\nThe whole demonstration took {int(time.monotonic() - begun)} s.")
    return 0


def _night() -> None:
    _scene("One patch night, end to end")
    _say("The lab's hosts start from their images: real security updates are pending")
    lab.reset(PATCHED)
    before = {host: Marks.of(host) for host in PATCHED}
    console.print("apt-get -s dist-upgrade lists " + ", ".join(f"{n.listed} on {host}" for host, n in before.items()))

    _say("Check mode: the whole plan is shown, nothing changes")
    checked = _play("playbooks/prepare.yml", options="--check")
    console.print("\n".join(checked.results("Make the plan")[0]["text"]))
    _require(not checked.changed(), f"check mode changed something: {checked.changed()}")
    for host in PATCHED:
        _require(Marks.of(host) == before[host], f"check mode changed packages on {host}")

    _say("Assess and plan")
    plan = _play("playbooks/prepare.yml").results("Make the plan")[0]
    approved = {"patching_plan": plan["digest"]}
    console.print(f"plan {plan['plan_id']}, digest {plan['digest']}")

    _say("Stage: download the transactions and keep the way back, disrupting nothing")
    _play("playbooks/stage.yml", extra=approved)

    _say(f"Patch, wave by wave, while {PER_SECOND} requests a second go through lb1")
    with Traffic(lab.url("lb1"), PER_SECOND) as traffic:
        _play("playbooks/patch.yml", extra=approved)
    run = ROOT / "evidence" / plan["plan_id"]
    portal = _between(run, PORTALS, traffic)
    console.print("\n".join(_report(run, portal)))

    _say("What the demonstration promises, asked of the hosts themselves")
    _check_packages(before)
    _require_all_answered(portal)
    others = len(traffic.answers) - len(portal)
    console.print(f"requests through lb1 during the rest of the night (lb1 and db1 are single hosts): {others}")
    connections = lab.pump_connections()
    console.print(f"connections that pump1 recorded: {len(connections)}")
    _require(not connections, f"pump1 was contacted: {connections[:3]}")

    _say("The same night again, at once: nothing is to do")
    again = _play("playbooks/prepare.yml").results("Make the plan")[0]["plan"]
    _require(not again["waves"], f"there is something left to do: {again['waves']}")
    idle = {name for name, entry in again["not_planned"].items() if entry["outcome"] == "nothing_to_do"}
    console.print("nothing_to_do: " + ", ".join(sorted(idle)))
    _require(idle >= set(PATCHED), f"{set(PATCHED) - idle} are not nothing_to_do")
    repeated = _play("playbooks/patch.yml", extra=approved)
    console.print(f"patch.yml with the same plan: {len(repeated.changed())} changes")
    _require(not repeated.changed(), f"the second run changed {repeated.changed()}")
    console.print(f"\nReport: {run / 'report.html'}")


def _bad_patch() -> None:
    _scene("A bad patch, caught and undone")
    _say("The hospital's repository offers ehr-portal 1.2.0: its unit stays active, its pages fail")
    lab.publish(*(lab.PortalVersion(*one) for one in (("1.0.0",), ("1.1.0",), ("1.2.0", "unhealthy"))))
    try:
        _caught_and_undone()
    finally:
        lab.publish()


def _caught_and_undone() -> None:
    before = {host: _touched(host) for host in PORTALS}
    plan = _play("playbooks/prepare.yml").results("Make the plan")[0]
    approved = {"patching_plan": plan["digest"]}
    _play("playbooks/stage.yml", extra=approved)

    _say(f"Patch, while {PER_SECOND} requests a second go through lb1")
    with Traffic(lab.url("lb1"), PER_SECOND) as traffic:
        _play("playbooks/patch.yml", extra=approved, stopped=True)
    run = ROOT / "evidence" / plan["plan_id"]
    text = _report(run, traffic.answers)
    console.print("\n".join(text))

    _say("What the demonstration promises, asked of the hosts themselves")
    outcomes = {record["host"]: record["detail"]["outcome"] for record in _records(run) if record["event"] == "outcome"}
    console.print(f"outcomes: {outcomes}")
    _require(outcomes == {"portal1": "rolled_back", "portal2": "not_started"}, f"other outcomes: {outcomes}")
    for host in PORTALS:
        after = _touched(host)
        _require(after.packages == before[host].packages, f"{host} has other packages than before")
        _require(after.booted == before[host].booted, f"{host} was started again")
        _require(after.healthy, f"{host} is not healthy")
        _require(lab.in_service(host), f"lb1 sends no users to {host}")
    console.print("portal1: packages as before, healthy, in service; portal2: never touched")
    _require(_touched("portal2").portal_since == before["portal2"].portal_since, "portal2's service was restarted")
    _require_all_answered(traffic.answers)
    first = json.loads((run / "report.json").read_text(encoding="utf-8"))["needs_you"][0]
    _require("portal1" in first["hosts"] and bool(first["why"]), f"the report's first line does not say why: {first}")
    _play("playbooks/verify.yml", extra={"patching_run_id": plan["plan_id"]})
    console.print(f"\nReport: {run / 'report.html'}")


@dataclass(frozen=True)
class Touched:
    """What a patch would have changed on a portal host."""

    packages: str
    booted: str
    portal_since: str
    healthy: bool


def _touched(host: str) -> Touched:
    return Touched(
        lab.exec(host, "dpkg-query -W"),
        lab.exec(host, "stat -c %Y /proc/1"),
        lab.exec(host, "systemctl show --property ActiveEnterTimestamp ehr-portal"),
        "ok"
        in lab.exec(
            host, "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://localhost/health\").read())'"
        ),
    )


def _require_all_answered(answers: list[Answer]) -> None:
    failed = [answer for answer in answers if not answer.ok]
    console.print(f"requests through lb1 while the portals were patched: {len(answers)}, failed: {len(failed)}")
    _require(bool(answers) and not failed, f"requests failed: {[answer.detail for answer in failed[:3]]}")


def _report(run: Path, portal: list[Answer]) -> list[str]:
    """Add what the requests measured to the run's report, and return the report as the terminal shows it."""
    _write_traffic(run, portal)
    reported = _play("playbooks/report.yml", extra={"patching_run_id": run.name})
    return list(reported.results("Write the report")[0]["text"])


def _records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]


def _check_packages(before: dict[str, Marks]) -> None:
    for host, earlier in before.items():
        now = Marks.of(host)
        installed = len(set(now.installed.splitlines()) - set(earlier.installed.splitlines()))
        marks = "as before" if now.manual == earlier.manual else "CHANGED"
        holds = "as before" if now.held == earlier.held else "CHANGED"
        console.print(f"{host:8} listed {earlier.listed:3}, installed {installed:3}, manual {marks}, holds {holds}")
        _require(installed == earlier.listed, f"{host}: {installed} installed, {earlier.listed} were listed")
        _require(marks == holds == "as before", f"{host}: apt's marks changed")


def _between(run: Path, hosts: tuple[str, ...], traffic: Traffic) -> list[Answer]:
    """Return the requests from the first to the last record of each of these hosts.

    Others may have their turns in between, among them the load balancer, a single host: while its own HAProxy is
    restarted, nobody reaches a portal.
    """
    walked = [record for record in _records(run) if record["step"] not in ("stage", "gate")]
    found = []
    for host in hosts:
        times = [read_stamp(record["time"]) for record in walked if record["host"] == host]
        found += traffic.between(min(times), max(times))
    return sorted(found, key=lambda answer: answer.time)


def _write_traffic(run: Path, portal: list[Answer]) -> None:
    measured: dict[str, Any] = {
        "services": {
            "portal": {
                "requests": len(portal),
                "failed": sum(not answer.ok for answer in portal),
                "downtime_ms": downtime_ms(portal, PER_SECOND),
                "longest_ms": max((answer.took_ms for answer in portal), default=0),
                "per_second": PER_SECOND,
            }
        },
        "devices": {"pump1": {"connections": len(lab.pump_connections())}},
    }
    (run / "traffic.json").write_text(json.dumps(measured), encoding="utf-8")


def _play(playbook: str, *, stopped: bool = False, **arguments: Any) -> Played:
    """Play a playbook, which has to exit 0, or, when it has to stop, with something else."""
    begun = time.monotonic()
    played = play(playbook, **arguments)
    console.print(f"[dim]ansible-playbook {playbook}: exit {played.rc}, {time.monotonic() - begun:.0f} s[/]")
    if bool(played.rc) != stopped:
        console.print(played.stdout[-6000:])
    _require(bool(played.rc) == stopped, f"{playbook}: exit {played.rc}; {'; '.join(played.messages())}")
    return played


def _scene(title: str) -> None:
    console.rule(f"[bold]{title}")


def _say(sentence: str) -> None:
    console.print(f"\n[bold]{sentence}[/]")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailedError(otherwise)


if __name__ == "__main__":
    sys.exit(main())
