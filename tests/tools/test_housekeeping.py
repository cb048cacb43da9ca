# SPDX-License-Identifier: GPL-3.0-or-later
"""housekeeping.yml as it is run every day: real playbook, real commands that keep restore points, real ledgers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import housekeeping, ledger
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.tests.unit.plugins.module_utils.snapshots.test_hook import San
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, server

ROOT = Path(__file__).resolve().parents[2]
KILLED, GONE = "20261122T090000Z-00000001", "20261121T080000Z-00000002"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Night:
    """Two hosts with restore points of a closed, a killed and a forgotten run, and a foreign one of the same name."""

    def __init__(self, root):
        self.root = root
        (root / "san").mkdir()
        self.san = San(root / "san")
        command = [str(self.san.script)]
        self.snapshot = {"provider": "hook", "create": command, "info": command, "delete": command}
        self.variables = {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "patching_device_segments": [],
            "patching_snapshot": self.snapshot,
        }
        self.inventory()
        self.evidence = root / "evidence"
        fleet = {name: server(name, "portal", probe_url="http://127.0.0.1/") for name in ("portal1", "portal2")}
        Run(str(self.evidence), PLAN_ID).evidence.save_plan(planned(fleet, now=NOW))
        self.closed = Run.start(str(self.evidence), PLAN_ID)
        self.closed.record(None, "gate", "begin", plan_digest=self.closed.plan()["digest"])
        self.closed.record("portal1", "snapshot", "done", snapshot={"id": "old"})
        self.closed.record("portal1", "install", "done")
        self.closed.record("portal1", "record", "outcome", outcome="patched", reason="proven")
        self.close(self.closed)
        self.killed = Run(str(self.evidence), KILLED)
        self.killed.evidence.run_dir(KILLED).mkdir()
        (self.killed.evidence.run_dir(KILLED) / "plan.json").write_text('{"hosts": {}}')
        self.killed.record(None, "gate", "begin", plan_digest="sha256:1")
        self.killed.record("portal2", "lock", "done")
        self.point("old", "portal1", PLAN_ID, -DAY)
        self.point("spare", "portal1", PLAN_ID, DAY)  # a killed call of the same run left it
        self.point("recent", "portal2", GONE, DAY)  # of a run that another controller may know
        self.point("forgotten", "portal2", GONE, -DAY)
        self.point("left", "portal2", KILLED, DAY)  # made, and then the controller was killed

    @staticmethod
    def close(run):
        with mock.patch.object(Run, "outcomes", return_value={}):
            run.record(None, "record", "done", outcomes={})

    def inventory(self, **more):
        hosts = {name: {**self.variables, **more} for name in ("portal1", "portal2")}
        (self.root / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))

    def point(self, identity, host, run_id, age):
        entry = {
            "id": identity,
            "run_id": run_id,
            "host": host,
            "reason": "before patching",
            "created": stamp(NOW - 2 * DAY),
            "expires": stamp(NOW + age),
            "size_bytes": 5,
        }
        (self.san.root / "points" / f"{identity}.json").write_text(json.dumps(entry))
        (self.san.root / "points" / f"{identity}.data").write_text("before")

    def points(self):
        return {name.removesuffix(".json") for name in self.san.points() if name.endswith(".json")}

    def play(self, *options):
        command = ["ansible-playbook", "-i", str(self.root / "hosts.json"), "playbooks/housekeeping.yml", *options]
        command += ["-e", f"patching_evidence_dir={self.evidence}", "-e", "patching_hosts=all"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=False)
        return done.returncode, " ".join((done.stdout + done.stderr).split()).replace("''", "'")


@pytest.fixture
def night(tmp_path):
    return Night(tmp_path)


def test_a_day(night):
    code, said = night.play()
    assert code == 0, said
    # The killed run has portal2 in hand: nothing of that host goes, however old.
    assert night.points() == {"recent", "forgotten", "left"}
    overdue = "Overdue: Stays: hook restore point forgotten of portal2: the host is out of service in run"
    assert f"{overdue} {KILLED}" in said
    assert f"Deleted: hook restore point old of portal1 (run {PLAN_ID}): its retention ended" in said
    assert f"Stays: hook restore point left of portal2: run {KILLED} is not closed" in said
    # The site's own, of the same name, is none of ours.
    asked = {**os.environ, "PATCHING_SNAPSHOT_ACTION": "info"}
    listed = subprocess.run([str(night.san.script)], env=asked, capture_output=True, text=True, check=True)
    assert '"id": "monthly"' in listed.stdout
    path = housekeeping.ledger_path(night.evidence)
    assert ledger.verify(path) == []
    records = ledger.Ledger(path).read()
    gone = [one["detail"]["snapshot"] for one in records if (one["step"], one["event"]) == ("snapshot", "done")]
    assert sorted(gone) == ["old", "spare"]
    assert sorted(records[-1]["detail"]["deleted"]) == sorted(gone)


@pytest.mark.slow
def test_the_next_day_once_the_killed_run_was_recovered(night):
    night.killed.record("portal2", "return", "done", module="hospital.patching.host_journal")
    night.killed.record("portal2", "record", "outcome", outcome="not_started", reason="killed before the installation")
    night.close(night.killed)
    code, said = night.play("--check")
    assert code == 0, said
    assert "Would delete: hook restore point old of portal1" in said
    assert night.points() == {"old", "spare", "recent", "forgotten", "left"}
    assert not housekeeping.ledger_path(night.evidence).exists()

    code, said = night.play("-e", "housekeeping_drop=recent")
    assert code == 0, said
    assert night.points() == set()
    assert f"hook restore point left of portal2 (run {KILLED}): its run is closed and has changed nothing" in said
    assert "hook restore point recent of portal2 (run 20261121T080000Z-00000002): it was asked for by its id" in said

    code, said = night.play()
    assert (code, "no host has a restore point" in said) == (0, True), said


@pytest.mark.slow
def test_what_a_person_has_to_do_fails_it_and_the_rest_is_done(night):
    night.inventory(patching_snapshot_room_low_percent=30)
    broken = ["/nonexistent/san"]
    hosts = json.loads((night.root / "hosts.json").read_text())
    hosts["all"]["hosts"]["portal2"]["patching_snapshot"] = {**night.snapshot, "info": broken}
    (night.root / "hosts.json").write_text(json.dumps(hosts))
    code, said = night.play("-e", '{"housekeeping_drop": ["old", "nowhere"]}')
    assert code != 0
    assert night.points() == {"recent", "forgotten", "left"}
    assert "Needs you: restore point nowhere: none of ours has that id" in said
    assert "host portal2: its restore points could not be listed by hook on portal2: /nonexistent/san" in said
    assert "Warning: pool san1/p0 on portal1: 25 % free (250 of 1000 bytes); expected 30 % or more" in said
