# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible does not promise about batches, and what the run does about it."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.support import lab
from tests.support.night import Night
from tests.support.playbook import LAB_INVENTORY, play

PORTALS = ("portal1", "portal2")


@pytest.fixture
def untouched():
    """Hold the hosts' packages and journals against what they were."""

    def look() -> list[str]:
        return [lab.exec(host, "dpkg-query -W; ls -A /var/lib/hospital-patching 2>&1 || true") for host in PORTALS]

    before = look()
    yield
    assert look() == before


def inventory(tmp_path, change):
    """Return a copy of the lab's inventory with ``change`` applied to its hosts."""
    hosts = yaml.safe_load(LAB_INVENTORY.read_text(encoding="utf-8"))
    change(hosts["hospital"]["children"])
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump(hosts), encoding="utf-8")
    (tmp_path / "group_vars").symlink_to(LAB_INVENTORY.parent / "group_vars")
    return path


def refused(night, **arguments) -> str:
    extra = {**night.settings, "patching_plan": night.plan["digest"], **arguments.pop("extra", {})}
    played = play("playbooks/patch.yml", extra=extra, **arguments)
    assert played.rc != 0
    assert not any(record["step"] == "install" for record in ledger(night))
    return " ".join(played.messages())


def ledger(night):
    return night.records() if (night.run / "ledger.jsonl").exists() else []


def test_limit_is_refused_because_it_shifts_every_later_batch(planned, untouched):
    assert "--limit portal2" in refused(planned, options="--limit portal2,localhost")


def test_a_host_that_the_inventory_does_not_know_is_refused(planned, untouched, tmp_path):
    path = inventory(tmp_path, lambda groups: groups["portal"]["hosts"].pop("portal2"))
    assert "portal2" in refused(planned, inventory=path)


def test_a_host_that_is_named_like_a_group_is_refused(planned, untouched, tmp_path):
    path = inventory(tmp_path, lambda groups: groups.update(portal2={"hosts": {"ws1": {}}}))
    assert "portal2" in refused(planned, inventory=path)


def test_an_edited_plan_is_refused(planned, untouched):
    path = planned.evidence / "plans" / planned.plan["plan_id"] / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["waves"] = [{**plan["waves"][0], "hosts": list(PORTALS)}]
    kept = path.read_text(encoding="utf-8")
    path.write_text(json.dumps(plan), encoding="utf-8")
    try:
        message = refused(planned)
    finally:
        path.write_text(kept, encoding="utf-8")
    assert planned.plan["plan_id"] in message
    assert "new plan" in message


def test_a_digest_that_no_plan_has_is_refused(planned, untouched):
    wrong = "sha256:" + "0" * 64
    assert wrong in refused(planned, extra={"patching_plan": wrong})


def test_a_host_that_was_not_staged_is_refused(planned, untouched):
    message = refused(planned)
    assert "stage.yml" in message
    assert planned.outcomes() == {"portal1": "refused", "portal2": "refused"}
    assert (planned.run / "report.html").exists(), "the run ended before its report"


def test_a_batch_that_is_not_the_wave_stops_the_run(planned, untouched, tmp_path):
    """The run's own check, with a play whose batch was made to differ from the plan."""
    book = tmp_path / "shifted.yml"
    book.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "portal1:portal2",
                    "gather_facts": False,
                    "tasks": [
                        {
                            "hospital.patching.run_wave": {
                                "run_id": planned.plan["plan_id"],
                                "evidence_dir": str(planned.evidence),
                            }
                        }
                    ],
                }
            ]
        ),
        encoding="utf-8",
    )
    played = play(str(book), extra=planned.settings)
    assert played.rc != 0
    assert "Ansible's batch is portal1, portal2" in played.messages()[0]


def test_an_empty_plan_touches_no_host(tmp_path):
    """An empty serial list would mean all remaining hosts at once."""
    night = Night(tmp_path / "evidence", hosts="devices")
    night.prepare()
    played = night.play("patch")
    assert played.rc == 0, played.stdout
    assert {record["host"] for record in night.records()} == {None}


@pytest.fixture
def three():
    """Three hosts as they were built: two with one small update, and a workstation with many."""
    hosts = (*PORTALS, "ws1")
    lab.publish()
    lab.reset(hosts)
    for host in PORTALS:
        lab.exec(host, "rm /etc/apt/sources.list.d/debian-security.sources")
    yield hosts
    lab.reset(hosts)


@pytest.mark.slow
def test_a_finished_host_does_not_wait_for_its_slow_neighbour(three, tmp_path):
    """The strategy is host_pinned: under linear the first would stay out until the second has caught up."""
    endpoints = {"patching_kind": "endpoint", "patching_service": None, "patching_policy": "managed"}
    endpoints |= {"patching_drain": "none", "patching_snapshot": "preserved"}
    large = {"patching_update_exclude": ["firefox*", "openjdk*"]}
    night = Night(tmp_path / "evidence", hosts=":".join(three), **endpoints, **large)
    plan = night.ready()
    # The first host of the manifest goes alone.
    assert [wave["hosts"] for wave in plan["waves"]] == [["portal1"], ["portal2", "ws1"]]
    assert night.play("patch").rc == 0
    done = {(record["host"], record["step"]): record["seq"] for record in night.records() if record["event"] == "done"}
    assert done["portal2", "return"] < done["ws1", "install"]
