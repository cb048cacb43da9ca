# SPDX-License-Identifier: GPL-3.0-or-later
"""A person has one host's disk put back to the restore point that the run made before it patched."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.journal import tail_digest
from tests.support import lab
from tests.support.expect import four_parts, version
from tests.support.night import PORTALS, Night, as_found
from tests.support.traffic import Traffic


@pytest.fixture
def patched(staged) -> Iterator[Night]:
    """Return a night that has patched both portals; what reverts set aside is removed with the hosts afterwards."""
    assert staged.play("patch").rc == 0
    yield staged
    lab.reset(PORTALS)


def restore_point(night: Night, host: str) -> str:
    """The id of the restore point that the run made of a host, from its ledger."""
    made = [one["detail"]["snapshot"] for one in night.records(host) if one["detail"].get("snapshot")]
    return str(made[0]["id"])


def asked(night: Night) -> dict[str, str]:
    return {
        "patching_run_id": night.plan["plan_id"],
        "revert_host": "portal1",
        "revert_snapshot": restore_point(night, "portal1"),
        "revert_reason": "it does not start since the update",
    }


def journal(host: str) -> list[dict[str, object]]:
    lines = lab.exec(host, "cat /var/lib/hospital-patching/journal.jsonl").splitlines()
    return [json.loads(line) for line in lines]


def require_put_back(night: Night) -> None:
    assert version("portal1") == "1.0.0"
    assert version("portal2") == "1.1.0"
    assert night.outcomes() == {"portal1": "rolled_back", "portal2": "patched"}
    assert lab.in_service("portal1")
    assert "held 0 times" in as_found("portal1")
    records = journal("portal1")
    place = next(number for number, one in enumerate(records) if one["event"] == "reverted")
    assert records[place - 1]["event"] == "snapshot_pending", "the revert is journalled first of all"
    (kept,) = night.run.glob("reverts/portal1-*.json")
    tail = json.loads(kept.read_text(encoding="utf-8"))["records"]
    assert records[place]["detail"]["tail_digest"] == tail_digest(tail)
    assert "install" in {one["step"] for one in tail}, "what was done to the host is not forgotten with its disk"
    checked = night.play("verify", patching_run_id=night.plan["plan_id"])
    assert checked.rc == 0, checked.stdout


def test_a_host_that_was_destroyed_comes_back_as_it_was_and_the_other_one_serves(patched):
    night = patched
    before = lab.exec("portal1", "cat /etc/ehr-portal/portal.ini")
    lab.exec("portal1", "rm -r /usr/lib/ehr-portal /etc/ehr-portal /usr/bin/apt*; systemctl kill -s KILL ehr-portal")
    untouched = as_found("portal2")
    with Traffic(lab.url("lb1")) as traffic:
        reverted = night.play("revert", **asked(night))
    assert reverted.rc == 0, reverted.stdout
    require_put_back(night)
    assert lab.exec("portal1", "cat /etc/ehr-portal/portal.ini") == before
    assert as_found("portal2") == untouched
    assert [answer for answer in traffic.answers if not answer.ok] == []


@pytest.mark.slow
def test_a_host_that_does_not_start_is_put_back_from_outside(patched):
    night = patched
    lab.stop("portal1")
    reverted = night.play("revert", **asked(night))
    assert reverted.rc == 0, reverted.stdout
    require_put_back(night)


@pytest.mark.slow
def test_a_request_that_is_wrong_changes_nothing(patched):
    night = patched
    found = {host: as_found(host) for host in PORTALS}
    for wrong, said in (
        ({"revert_snapshot": "before the night"}, "made no restore point"),
        ({"revert_reason": ""}, "no reason"),
        ({"revert_host": "portal9"}, "does not name it"),
        ({"patching_stateful": True}, "-e revert_loses_data=portal1"),
    ):
        refused = night.play("revert", **{**asked(night), **wrong})
        assert refused.rc != 0
        message = " ".join(refused.messages())
        assert said in message
        four_parts(message)
    checked = night.play("revert", "--check", **asked(night))
    assert checked.rc == 0, checked.stdout
    lab.stop("portal2")
    alone = night.play("revert", **asked(night))
    assert alone.rc != 0
    assert "portal2" in " ".join(alone.messages()), "the last serving host would have been taken away"
    lab.start("portal2")
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
    assert as_found("portal1") == found["portal1"]


@pytest.mark.slow
def test_where_packages_cannot_be_put_back_the_sites_policy_may_allow_the_disk(night):
    """What was preserved is lost after the stage, so only the restore point has the portal in good health."""
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "unhealthy"))
    night.settings.update(patching_settle_s=6, patching_disk_revert=True)
    plan = night.ready()
    assert plan["hosts"]["portal1"]["disk_revert"] is True
    lab.exec("portal1", "rm /var/lib/hospital-patching/preserved/*/debs/*.deb")
    untouched = as_found("portal2")
    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes() == {"portal1": "rolled_back", "portal2": "not_started"}
    assert "Its disk was put back to sha256:" in night.reason("portal1")
    assert version("portal1") == "1.0.0"
    assert lab.in_service("portal1")
    assert "held 0 times" in as_found("portal1")
    assert "reverted" in {one["event"] for one in journal("portal1")}
    assert as_found("portal2") == untouched
    assert [answer for answer in traffic.answers if not answer.ok] == []
