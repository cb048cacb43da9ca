# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs have installed, and by which of them it is taken back."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import block_text, installs, rollback, taking_back
from ansible_collections.hospital.patching.plugins.plugin_utils.blocks import Block
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import build_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.transaction import build_transaction
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    loaded,
    pending,
    server,
    update,
)

FIRST, SECOND = "20261115T080000Z-aaaaaaaa", "20261122T080000Z-bbbbbbbb"
OPENSSL = update("openssl", "1", "2", advisories=["DSA-1-1"], cves=["CVE-2026-1"])
NEWER = update("openssl", "2", "3")
CURL = update("curl", "7", "8")


def night(root, run_id, hosts, outcome="patched"):
    """Keep a run that has installed on each host what is named."""
    fleet = {host: server(host, "a", pending(*updates), min_healthy=1) for host, updates in hosts.items()}
    fleet["spare"] = server("spare", "a", pending(), min_healthy=1)
    run = Run(str(root), run_id)
    run.evidence.start_run(run_id, loaded(build_plan(run_id, NOW, fleet)))
    for host, updates in hosts.items():
        run.save_stage(host, {"transaction": build_transaction(host, "apt", updates, None), "cves": {}})
        done(run, host, "update_install", [one["name"] for one in updates])
        run.record(host, "record", "outcome", outcome=outcome, reason="")
    return run


def done(run, host, module, names):
    listed = [{"name": name, "arch": "amd64", "from": "", "to": ""} for name in names]
    run.record(host, "install", "done", module=f"hospital.patching.{module}", changed=True, installed=listed)


def standing(root, run_id=FIRST):
    return {host: [one["name"] for one in rows] for host, rows in installs.read(Evidence(root), run_id).hosts.items()}


def test_what_was_taken_back_stands_no_longer(tmp_path):
    run = night(tmp_path, FIRST, {"web1": [OPENSSL, CURL], "web2": [OPENSSL]})
    assert standing(tmp_path) == {"web1": ["curl", "openssl"], "web2": ["openssl"]}
    done(run, "web1", "update_rollback", ["openssl"])
    done(run, "web2", "update_rollback", ["openssl"])
    assert standing(tmp_path) == {"web1": ["curl"]}


def test_what_is_not_certain_stands(tmp_path):
    run = night(tmp_path, FIRST, {"web1": [OPENSSL, CURL]}, outcome="rolled_back")
    done(run, "web1", "update_rollback", ["openssl", "curl"])
    assert standing(tmp_path) == {}
    run.record("web1", "install", "failed", module="hospital.patching.update_install", msg="it hangs")
    assert standing(tmp_path) == {"web1": ["curl", "openssl"]}


def test_a_run_that_was_killed_before_it_could_say_so_has_installed_what_was_proven(tmp_path):
    run = night(tmp_path, FIRST, {"web1": [OPENSSL]})
    done(run, "web1", "update_rollback", ["openssl"])
    run.record("web1", "record", "outcome", outcome="rolled_back", reason="")
    assert standing(tmp_path) == {}
    run.record("web1", "record", "outcome", outcome="patched", reason="found at its target")
    assert standing(tmp_path) == {"web1": ["openssl"]}


@pytest.mark.parametrize("item", ["openssl", "openssl=2", "DSA-1-1", "CVE-2026-1"])
def test_each_host_goes_back_by_its_own_transaction_the_newest_run_first(tmp_path, item):
    night(tmp_path, FIRST, {"web1": [OPENSSL, CURL], "web2": [OPENSSL]})
    night(tmp_path, SECOND, {"web3": [OPENSSL], "web2": [CURL]})
    found = taking_back.find(taking_back.read(Evidence(tmp_path)), ["all"], [item])
    assert [(way.run_id, way.host, way.names) for way in found.ways] == [
        (SECOND, "web3", ("openssl",)),
        (FIRST, "web2", ("openssl",)),
        (FIRST, "web1", ("openssl",)),
    ]
    assert found.runs() == [SECOND, FIRST]
    (only,) = taking_back.find(taking_back.read(Evidence(tmp_path)), ["web1"], [item]).ways
    assert only.host == "web1"


def test_what_a_later_run_has_built_upon_is_left_and_the_way_is_named(tmp_path):
    night(tmp_path, FIRST, {"web1": [OPENSSL], "web2": [OPENSSL]})
    later = night(tmp_path, SECOND, {"web1": [NEWER]})
    found = taking_back.find(taking_back.read(Evidence(tmp_path)), [], ["openssl=2"])
    assert [way.host for way in found.ways] == ["web2"]
    assert f"run {SECOND} has brought openssl from 2 to 3" in found.left["web1"]
    assert f"patching_run_id={SECOND} -e rollback_hosts=web1 -e rollback_updates=openssl" in found.left["web1"]
    with pytest.raises(PatchingError, match="has brought openssl from 2 to 3"):
        taking_back.find(taking_back.read(Evidence(tmp_path), FIRST), ["web1"], ["DSA-1-1"], FIRST)

    done(later, "web1", "update_rollback", ["openssl"])
    assert len(taking_back.find(taking_back.read(Evidence(tmp_path)), [], ["openssl=2"]).ways) == 2


def test_by_name_the_newest_goes_back_and_the_older_is_told(tmp_path):
    night(tmp_path, FIRST, {"web1": [OPENSSL]})
    night(tmp_path, SECOND, {"web1": [NEWER]})
    found = taking_back.find(taking_back.read(Evidence(tmp_path)), ["all"], ["openssl"])
    assert [(way.run_id, way.host) for way in found.ways] == [(SECOND, "web1")]
    assert found.notes == [f"web1 has an older version of it from run {FIRST}, which is not taken back"]


def test_packages_of_two_runs_on_one_host_are_not_taken_for_one(tmp_path):
    night(tmp_path, FIRST, {"web1": [CURL], "web2": [CURL]})
    later = night(tmp_path, SECOND, {"web1": [OPENSSL]})
    found = taking_back.find(taking_back.read(Evidence(tmp_path)), ["all"], ["openssl", "curl"])
    assert [(way.run_id, way.host, way.names) for way in found.ways] == [
        (SECOND, "web1", ("openssl",)),
        (FIRST, "web2", ("curl",)),
    ]
    assert list(found.left) == ["web1 (curl)"]
    again = f"patching_run_id={FIRST} -e rollback_hosts=web1 -e rollback_updates=curl"
    assert again in found.left["web1 (curl)"]
    assert found.notes == []

    # That the host is recorded as taken back does not hide it.
    asked = {"hosts": ["web1"], "updates": ["openssl"], "reason": "bad", "left": found.left}
    later.record(None, "gate", "begin", rollback=asked)
    later.record("web1", "record", "outcome", outcome="rolled_back", reason="")
    assert list(rollback.not_taken_back(later.ledger.read())) == ["web1 (curl)"]


def test_what_one_run_has_built_upon_does_not_keep_another_package_of_the_host(tmp_path):
    night(tmp_path, FIRST, {"web1": [CURL]})
    night(tmp_path, "20261116T080000Z-cccccccc", {"web1": [OPENSSL]})
    night(tmp_path, SECOND, {"web1": [NEWER]})
    found = taking_back.find(taking_back.read(Evidence(tmp_path)), ["web1"], ["openssl=2", "curl"])
    assert [(way.run_id, way.names) for way in found.ways] == [(FIRST, ("curl",))]
    assert "has brought openssl from 2 to 3" in found.left["web1 (openssl)"]


@pytest.mark.parametrize(
    ("hosts", "items", "run_id", "message"),
    [
        (["all"], [], "all", "no update and no advisory is named"),
        (["all"], ["nginx"], "all", "rollback of nginx on all hosts: no run that counts has installed it"),
        (["web9"], ["openssl"], "all", "rollback of openssl on web9: no run .* installed, on web1"),
        (["all"], ["openssl"], SECOND, "no run that counts has installed it"),
    ],
)
def test_what_nobody_has_installed_is_refused(tmp_path, hosts, items, run_id, message):
    night(tmp_path, FIRST, {"web1": [OPENSSL]})
    with pytest.raises(PatchingError, match=message):
        taking_back.find(taking_back.read(Evidence(tmp_path)), hosts, items, run_id)


def test_a_host_that_is_no_longer_in_the_inventory_does_not_keep_the_others(tmp_path):
    night(tmp_path, FIRST, {"web1": [OPENSSL], "web2": [OPENSSL]})
    found = taking_back.find(taking_back.read(Evidence(tmp_path)), ["all"], ["openssl"])
    kept = taking_back.within(found, ["web2"])
    assert [way.host for way in kept.ways] == ["web2"]
    assert kept.left == {"web1": "the inventory does not know it"}
    with pytest.raises(PatchingError, match="the inventory knows none of web2, web1"):
        taking_back.within(found, [])


def test_a_run_that_cannot_be_read_may_have_built_upon_it(tmp_path):
    night(tmp_path, FIRST, {"web1": [OPENSSL]})
    (night(tmp_path, SECOND, {"web1": [CURL]}).evidence.run_dir(SECOND) / "plan.json").write_text("{", encoding="utf-8")
    with pytest.raises(PatchingError, match=f"run {SECOND}: what it has installed cannot be read"):
        taking_back.read(Evidence(tmp_path))


def test_whoever_blocks_an_update_is_told_where_it_is_and_how_to_take_it_back(tmp_path):
    night(tmp_path, FIRST, {"web1": [OPENSSL]})
    store, block = Evidence(tmp_path), Block("openssl=2", "labels fail")
    store.save_assessment("web2", {"pending": pending(OPENSSL)})
    told = "\n".join(block_text.blocked(store, block, changed=True))
    assert "Pending on web2" in told
    assert "Installed on web1; to take it back there:" in told
    assert "ansible-playbook -i INVENTORY playbooks/rollback.yml -e patching_run_id=all" in told
    assert "-e patching_run_id=all -e rollback_updates=openssl=2 -e 'rollback_reason=" in told
    unknown = block_text.blocked(store, Block("opensll", "labels fail"), changed=True)
    assert "is it spelt as plans show it?" in unknown[-1]


def test_of_a_block_for_some_hosts_only_these_are_told_and_taken_back(tmp_path):
    night(tmp_path, FIRST, {"web1": [OPENSSL], "web2": [OPENSSL], "db1": [OPENSSL]})
    told = block_text.blocked(Evidence(tmp_path), Block("openssl=2", "labels fail", hosts=("web*",)), changed=True)
    (installed,) = [line for line in told if line.startswith("Installed on ")]
    assert installed == "Installed on web1, web2; to take it back there:"
    assert "-e rollback_updates=openssl=2 -e rollback_hosts=web1,web2 -e 'rollback_reason=" in told[-1]
    nowhere = block_text.blocked(Evidence(tmp_path), Block("openssl=2", "labels fail", hosts=("lb1",)), changed=True)
    assert not any("rollback.yml" in line or "is it spelt" in line for line in nowhere)
