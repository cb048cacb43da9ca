# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest configuration, exactly as the README and the design write it, on the two portal hosts.

The window is on Sunday night in Chicago and the second host waits for ten minutes' soak: the controller's clock is
moved there, and runs ten times as fast, by faketime. Nothing in the project knows of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from tests.support import lab
from tests.support.night import Night
from tests.support.playbook import ROOT

PORTALS = ("portal1", "portal2")
DESIGN = ROOT.parent / "shared" / "DESIGN.md"
FILE = re.compile(r"^# (group_vars/\S+)", re.MULTILINE)
SPEED = 10


def smallest_configuration(document: Path) -> dict[str, str]:
    """Return the files of the document's example: everything that is not for AWX or tiers 1 and 2."""
    block = next(text for text in document.read_text(encoding="utf-8").split("```") if "# group_vars/all.yml" in text)
    block = block.split("# AWX adds")[0].removeprefix("yaml\n")
    parts = FILE.split(block)
    return dict(zip(parts[1::2], (f"#{part}" for part in parts[2::2]), strict=True))


@pytest.fixture
def site(tmp_path):
    """Write the inventory of a site that has only the two portal hosts and their balancer."""
    for name, text in smallest_configuration(ROOT / "README.md").items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    lab_dir = Path(os.environ.get("HOSPITAL_LAB_DIR", "/var/lib/hospital-patching-lab"))
    connection = {
        "ansible_user": "patch",
        "ansible_become": True,
        "ansible_ssh_private_key_file": str(lab_dir / "ssh/id_ed25519"),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={lab_dir}/ssh/known_hosts",
    }
    addresses = {"portal1": "10.77.10.21", "portal2": "10.77.10.22", "lb1": "10.77.10.10"}
    portal = {name: {"ansible_host": addresses[name], **connection} for name in PORTALS}
    hosts = {
        "hospital": {
            "children": {
                "portal": {"hosts": portal},
                "lb": {"hosts": {"lb1": {"ansible_host": addresses["lb1"], **connection}}},
            }
        }
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    lab.publish()
    lab.reset(PORTALS)
    return tmp_path


def sunday_in_the_window() -> str:
    """Return the next Sunday 01:05 in Chicago, in UTC, as faketime takes it."""
    now = datetime.now(ZoneInfo("America/Chicago"))
    day = now + timedelta(days=(6 - now.weekday()) % 7 or 7)
    return day.replace(hour=1, minute=5, second=0).astimezone(UTC).strftime("@%Y-%m-%d %H:%M:%S")


def in_the_window(site: Path, playbook: str, *options: str) -> str:
    """Run one playbook as an engineer would on that Sunday night, and return its output."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "SSL_CERT_FILE": str(Path(os.environ.get("HOSPITAL_LAB_DIR", "/var/lib/hospital-patching-lab")) / "ca.pem"),
        "TZ": "UTC",
        # Time limits run ten times as fast too.
        "ANSIBLE_TIMEOUT": str(30 * SPEED),
    }
    command = [
        "faketime",
        "-f",
        f"{sunday_in_the_window()} x{SPEED}",
        "ansible-playbook",
        "-i",
        str(site / "hosts.yml"),
    ]
    command += [f"playbooks/{playbook}.yml", "-e", f"patching_evidence_dir={site}/evidence", *options]
    # Only because the controller's clock is moved: a run refuses hosts that do not agree with it about the time.
    command += ["-e", json.dumps({"patching_clock_limit_s": 10**9})]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_readme_and_the_design_write_the_same():
    if not DESIGN.exists():
        pytest.skip("the design document is not beside the project")
    readme, design = (smallest_configuration(path) for path in (ROOT / "README.md", DESIGN))
    assert {name: yaml.safe_load(text) for name, text in readme.items()} == {
        name: yaml.safe_load(text) for name, text in design.items()
    }


@pytest.mark.slow
def test_five_lines_patch_a_pair_safely(site):
    listed = {
        host: set(re.findall(r"^Inst (\S+)", lab.exec(host, "apt-get -s dist-upgrade"), re.MULTILINE))
        for host in PORTALS
    }
    shown = in_the_window(site, "prepare")
    digest = re.search(r"sha256:[0-9a-f]{64}", shown)
    assert digest, shown
    plan = ["-e", f"patching_plan={digest.group()}"]
    in_the_window(site, "stage", *plan)
    in_the_window(site, "patch", *plan)

    night = Night(site / "evidence")
    night.plan = {"plan_id": max(path.name for path in (site / "evidence").iterdir() if path.name.startswith("20"))}
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
    installed = {
        host: {item["name"] for item in record["detail"]["installed"]}
        for host in PORTALS
        for record in night.records(host)
        if record["step"] == "install" and record["event"] == "done"
    }
    # Security updates only, by default: the portal's own new version has to wait.
    assert installed == {host: listed[host] - {"ehr-portal"} for host in PORTALS}

    times = {
        (record["host"], record["step"]): datetime.fromisoformat(record["time"])
        for record in night.records()
        if record["event"] == "done"
    }
    soak = times["portal2", "lock"] - times["portal1", "return"]
    assert soak >= timedelta(minutes=10)

    # The dry run that compares the host with its transaction is a round trip too, and is no step.
    trips = {host: sum(one["detail"].get("on") == host for one in night.records(host)) for host in PORTALS}
    staged = {
        host: sum(one["step"] == "stage" and one["detail"].get("on") == host for one in night.records(host))
        for host in PORTALS
    }
    assert max(trips[host] - staged[host] + 1 for host in PORTALS) <= 8
