# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose revert is rehearsed, what refuses that, whom it holds back, and what is known of it afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import rehearsal, rehearsal_request
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.gate import decide
from ansible_collections.hospital.patching.plugins.plugin_utils.rehearsal import Rehearsals
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALLOWED,
    NOW,
    endpoint,
    planned,
    server,
    state,
)

FIT = {"disk_revert": True, "snapshot": {"provider": "container"}}
RUN, OLDER = "20261122T080000Z-ab12cd34", "20261115T080000Z-aaaaaaaa"
PROOF = {"provider": "container", "snapshot": "sha256:0c1d", "took_s": 41}


def pair(service, **settings):
    return {f"{service}{n}": server(f"{service}{n}", service, **{**FIT, **settings}) for n in (1, 2)}


def plan_of(*services):
    return planned({host: one for service in services for host, one in service.items()}).plan


def record(host, step, event, time=NOW, run_id=RUN, **detail):
    return {"host": host, "step": step, "event": event, "time": stamp(time), "run_id": run_id, "detail": detail}


def started(*hosts, **detail):
    return record(None, "gate", "begin", **({"rehearse": list(hosts)} if hosts else {}), **detail)


def proof(host, provider="container", time=NOW, run_id=RUN, took_s=41):
    return record(host, "snapshot", "note", time, run_id, rehearsal={**PROOF, "provider": provider, "took_s": took_s})


def require(plan, *hosts, records=(), tier=3, moves_on=""):
    return rehearsal_request.require_fit(plan, list(records), hosts, lambda host: (tier, moves_on))


def refused(plan, *hosts, **more):
    with pytest.raises(PatchingError) as caught:
        require(plan, *hosts, **more)
    assert caught.value.subject == f"rehearsal of a revert on {', '.join(hosts)}"
    assert caught.value.expected
    assert caught.value.next_step
    return caught.value.seen


WEB = plan_of(pair("web"))


# --- the request


def test_a_canary_that_is_fit_is_taken_once():
    assert require(WEB, "web1", "web1") == ("web1",)
    assert require(WEB) == ()
    assert require(WEB, "web1", tier=4) == ("web1",)


@pytest.mark.parametrize(
    ("settings", "look", "why"),
    [
        ({}, {"tier": 2}, "it is of tier 2"),
        ({}, {"tier": 1}, "it is of tier 1"),
        ({}, {"moves_on": "it has postgresql-15"}, "its data moves on: it has postgresql-15"),
        ({"disk_revert": None}, {}, "patching_disk_revert does not allow it"),
        ({"snapshot": None}, {}, "patching_snapshot is preserved, which holds no disk"),
        ({"snapshot": {"provider": "none", "reason": "a test"}}, {}, "patching_snapshot is none, which holds no disk"),
        (
            {"hooks": [{"step": "snapshot", "when": "before", "run": ["/bin/true"]}]},
            {},
            "it has hooks before snapshot, whose work the revert undoes",
        ),
        (
            {"hooks": [{"step": "drain", "when": "after", "run": ["/bin/true"]}]},
            {},
            "it has hooks after drain, whose work the revert undoes",
        ),
    ],
)
def test_a_host_that_is_not_fit_is_refused_with_the_reason(settings, look, why):
    assert refused(plan_of(pair("web", **settings)), "web1", **look) == f"web1: {why}"


def test_an_endpoint_on_which_somebody_may_be_working_is_refused():
    entry = planned({"ws1": endpoint("ws1", **FIT)}).plan["hosts"]["ws1"]
    assert "somebody may be working" in rehearsal_request.why_not({**entry, "ring": "canary"}, 4, "")


@pytest.mark.parametrize("ring", ["early", "broad"])
def test_a_host_of_a_later_ring_is_refused(ring):
    web = pair("web", ring="canary")
    web["web2"] = server("web2", "web", ring=ring, **FIT)
    assert refused(plan_of(web), "web2") == f"web2: it is of ring {ring}"


def test_hooks_elsewhere_do_not_matter():
    hooks = [{"step": "verify", "when": "before", "run": ["/bin/true"]}]
    assert require(plan_of(pair("web", hooks=hooks)), "web1") == ("web1",)


def test_all_that_are_not_fit_are_named_at_once():
    assert refused(WEB, "web1", "web2", tier=2) == "web1: it is of tier 2; web2: it is of ring broad"


def test_a_host_that_the_plan_does_not_name_is_refused():
    assert refused(WEB, "web9") == "the plan does not name them"


def test_a_canary_that_comes_after_a_later_ring_of_its_provider_proves_nothing_in_time():
    """The least critical tier goes first, so a canary of tier 3 comes too late for a host of tier 4."""
    both = plan_of(pair("web", tier=3), pair("desk", tier=4))
    assert refused(both, "web1") == "desk2 (ring broad, container as well) goes in wave 2, and web1 in wave 3"
    assert require(both, "desk1") == ("desk1",)
    other = plan_of(pair("web", tier=3), pair("desk", tier=4, snapshot={"provider": "btrfs", "subvolumes": ["/srv"]}))
    assert require(other, "web1") == ("web1",)


@pytest.mark.parametrize(
    "records",
    [
        [record("web1", "record", "outcome", outcome="patched", reason="")],
        [
            record("web1", "health_before", "done", verdict="ok", probes=[]),
            record("web1", "install", "done", changed=True),
        ],
    ],
)
def test_once_packages_are_changed_it_is_too_late_unless_it_was_proven_before(records):
    assert refused(WEB, "web1", records=records) == "this run has changed its packages already"
    assert require(WEB, "web1", records=[proof("web1"), *records]) == ("web1",)


def test_one_that_failed_may_be_rehearsed_again():
    failed = record("web1", "record", "outcome", outcome="refused", reason="the rehearsal of its revert failed")
    assert require(WEB, "web1", records=[failed]) == ("web1",)


# --- what the ledger says


def test_the_newest_start_counts_and_a_proof_stands():
    records = [started("web1", "web2"), proof("web1"), started("web1")]
    known = Rehearsals.read(records)
    assert (known.asked, known.missing(), known.due("web1"), known.due("web2")) == (("web1",), [], False, False)
    assert Rehearsals.read(records[:2]).missing() == ["web2"]
    assert Rehearsals.read([*records[:1], started()]).missing() == [], "the request is withdrawn"


def test_a_recovery_or_a_persons_revert_withdraws_nothing():
    records = [started("web1"), started(recovering=["web1"]), started(rollback={"hosts": ["web2"]})]
    assert Rehearsals.read(records).missing() == ["web1"]


def test_the_newest_proof_of_each_provider_is_known():
    earlier = {"host": "app1", "run_id": OLDER, "time": stamp(NOW - timedelta(days=7)), "took_s": 9}
    records = [started(proven={"container": earlier, "lvm": {**earlier, "host": "db1"}}), proof("web1")]
    found = rehearsal.last_proven(records)
    assert found["lvm"]["host"] == "db1"
    assert found["container"] == {"host": "web1", "run_id": RUN, "time": stamp(NOW), "took_s": 41}


def test_what_runs_have_proven_is_handed_on_and_a_damaged_ledger_proves_nothing(tmp_path):
    store = Evidence(tmp_path)
    assert rehearsal_request.known_proofs(store) == {}
    for run_id in (OLDER, RUN):
        made = Run(str(tmp_path), run_id)
        made.evidence.run_dir(run_id).mkdir(parents=True)
        made.record("web1", "snapshot", "note", rehearsal={**PROOF, "took_s": 1 if run_id == OLDER else 2})
    assert rehearsal_request.known_proofs(store)["container"]["took_s"] == 2
    path = store.ledger_path(RUN)
    path.write_text(path.read_text().replace("web1", "web2") + "{}\n")
    assert rehearsal_request.known_proofs(store)["container"]["run_id"] == OLDER


# --- the gate


def gate(host, known, states=None, plan=None, now=NOW, **more):
    return decide(plan or WEB, host, now, states or {}, ALLOWED, None, None, rehearsals=known, **more)


#: A canary of another service, which is more critical and so comes later.
APP = plan_of(pair("web", tier=4), {"app1": server("app1", "app", tier=3, downtime_s=60)})
ASKED, DONE = Rehearsals(("web1",)), Rehearsals(("web1",), {"web1": PROOF})


def test_a_later_wave_waits_for_the_rehearsal_and_goes_once_it_is_proven():
    patched = {"web1": state("patched", out=False)}
    answer = gate("app1", ASKED, {"web1": state(None, out=True)}, APP)
    assert (answer.decision, answer.reason) == ("wait", "the revert of web1 is being rehearsed")
    assert gate("app1", DONE, {"web1": state(None, out=True)}, APP).decision == "go"
    assert gate("web2", DONE, patched).decision == "go"
    assert gate("web2", Rehearsals(), patched).decision == "go"


@pytest.mark.parametrize("outcome", ["refused", "nothing_to_do", "patched", "not_started"])
def test_a_rehearsal_that_was_not_proven_stops_the_run_whatever_the_service(outcome):
    for host in ("web2", "app1"):
        answer = gate(host, ASKED, {"web1": state(outcome, out=False)}, APP)
        assert answer.decision == "stop"
        told = "the revert of web1 was to be rehearsed and is not proven: it is " + outcome.replace("_", " ")
        assert told in answer.reason
        assert "start again without rehearse_hosts" in answer.reason


def test_the_canary_itself_and_a_host_that_is_out_already_are_not_held_back():
    assert gate("web1", ASKED).decision == "go"
    refused_before = {"web1": state("refused", out=False)}
    assert gate("web1", ASKED, refused_before).decision == "go", "it is tried again"
    assert gate("app1", ASKED, refused_before, APP, taken=True).decision == "go"


def test_a_rehearsal_needs_the_way_back_once_more_before_the_window_ends():
    entry = WEB["hosts"]["web1"]
    end, once = entry["window"]["end"], entry["estimate_s"] + entry["way_back_s"]
    last = read_stamp(end) - timedelta(seconds=once)
    assert gate("web1", DONE, now=last).decision == "go"
    assert gate("web1", ASKED, now=last).decision == "stop"
    assert gate("web1", ASKED, now=last - timedelta(seconds=entry["way_back_s"])).decision == "go"
