# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary's disk is really put back once, and proven, before the other portal is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.journal import tail_digest
from tests.support import lab
from tests.support.expect import four_parts, version
from tests.support.night import PORTALS, Night, as_found
from tests.support.traffic import Traffic

STRAY = "/var/lib/written-after-the-restore-point"


@pytest.fixture
def canary(night) -> Iterator[Night]:
    """Return a staged night whose portals may be put back; what reverts set aside goes with the hosts afterwards."""
    night.settings.update(patching_disk_revert=True, patching_settle_s=6)
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0"))
    night.ready()
    yield night
    lab.reset(PORTALS)


def journal(host: str) -> list[dict[str, object]]:
    lines = lab.exec(host, "cat /var/lib/hospital-patching/journal.jsonl").splitlines()
    return [json.loads(line) for line in lines]


def place(night: Night, host: str, step: str, event: str) -> int:
    """Where in the whole ledger a host's first such record stands."""
    return next(
        number
        for number, one in enumerate(night.records())
        if (one["host"], one["step"], one["event"]) == (host, step, event)
    )


def proofs(night: Night) -> list[tuple[int, dict[str, object]]]:
    return [
        (number, one["detail"]["rehearsal"])
        for number, one in enumerate(night.records())
        if one["event"] == "note" and one["detail"].get("rehearsal")
    ]


def test_the_canary_is_put_back_and_proven_before_the_other_portal_starts_and_the_report_says_so(canary):
    night = canary
    boot = lab.exec("portal1", "stat --format %Z /proc/1")
    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch", rehearse_hosts="portal1")
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
    assert [version(host) for host in PORTALS] == ["1.1.0", "1.1.0"]
    assert [answer for answer in traffic.answers if not answer.ok] == []
    # It was really done: another container runs, and its journal has lost the note that was written after its image.
    assert lab.exec("portal1", "stat --format %Z /proc/1") != boot
    records = journal("portal1")
    events = [one["event"] for one in records]
    assert events.count("reverted") == 1
    assert events.count("snapshot_pending") == 1, "the restore point stands, and is announced once"
    assert "rehearsal" not in json.dumps(records)
    (kept,) = night.run.glob("reverts/portal1-*.json")
    tail = json.loads(kept.read_text(encoding="utf-8"))["records"]
    assert [one["detail"] for one in tail if one["event"] == "note"][-1] == {"rehearsal": True}
    assert records[events.index("reverted")]["detail"]["tail_digest"] == tail_digest(tail)
    # Before anything was installed, and before the other portal's turn.
    ((proven, proof),) = proofs(night)
    assert proof["provider"] == "container"
    assert proven < place(night, "portal1", "install", "done")
    assert proven < place(night, "portal2", "lock", "done")
    # The journal counts as it would have without.
    checked = night.play("verify", patching_run_id=night.plan["plan_id"])
    assert checked.rc == 0, checked.stdout
    report = json.loads((night.run / "report.json").read_text(encoding="utf-8"))
    (point,) = report["restore_points"]
    known = {"host": "portal1", "run_id": night.plan["plan_id"], "took_s": proof["took_s"]}
    assert {key: point["proven"][key] for key in known} == known
    assert "container (2 hosts): a revert was last proven on" in (night.run / "report.html").read_text(
        encoding="utf-8"
    ).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.slow
def test_after_a_rehearsal_the_disk_can_be_put_back_once_more(canary):
    night = canary
    assert night.play("patch", rehearse_hosts="portal1").rc == 0
    lab.exec("portal1", f"touch {STRAY}; rm -r /usr/lib/ehr-portal; systemctl kill -s KILL ehr-portal")
    made = [one["detail"]["snapshot"] for one in night.records("portal1") if one["detail"].get("snapshot")]
    reverted = night.play(
        "revert",
        patching_run_id=night.plan["plan_id"],
        revert_host="portal1",
        revert_snapshot=str(made[-1]["id"]),
        revert_reason="it does not start since the update",
    )
    assert reverted.rc == 0, reverted.stdout
    assert version("portal1") == "1.0.0"
    assert "gone" in lab.exec("portal1", f"test -e {STRAY} || echo gone")
    assert lab.in_service("portal1")
    events = [one["event"] for one in journal("portal1")]
    assert events.count("reverted") == 1, "the first one was written after the restore point, and went with the disk"


@pytest.mark.slow
def test_a_rehearsal_that_fails_installs_nothing_and_stops_the_run(canary):
    """The portal serves, but would not after a boot: its restore point brings no healthy host back."""
    night = canary
    lab.exec("portal1", "systemctl disable ehr-portal")
    untouched = as_found("portal2")
    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch", rehearse_hosts="portal1")
    assert patched.rc != 0
    assert night.outcomes() == {"portal1": "stuck", "portal2": "not_started"}
    assert night.reason("portal1").startswith("The rehearsal of its revert failed, before anything was installed.")
    assert proofs(night) == []
    assert version("portal1") == "1.0.0"
    assert not lab.in_service("portal1")
    assert as_found("portal2") == untouched
    assert [answer for answer in traffic.answers if not answer.ok] == []


@pytest.mark.slow
def test_what_is_not_fit_for_it_is_refused_before_anything_is_touched(canary):
    night = canary
    found = {host: as_found(host) for host in PORTALS}
    for wrong, said in (
        ({"rehearse_hosts": "portal2"}, "it is of ring broad"),
        ({"rehearse_hosts": "portal9"}, "the plan does not name them"),
        ({"rehearse_hosts": "portal1", "patching_stateful": True}, "patching_stateful says so"),
    ):
        refused = night.play("patch", **wrong)
        assert refused.rc != 0
        message = " ".join(refused.messages())
        assert said in message
        four_parts(message)
    assert {host: as_found(host) for host in PORTALS} == found
