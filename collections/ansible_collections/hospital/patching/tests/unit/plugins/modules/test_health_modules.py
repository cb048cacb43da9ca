# SPDX-License-Identifier: GPL-3.0-or-later
"""The thin modules over probes, journal and snapshots: arguments in, result out."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hospital.patching.plugins.module_utils import competing_updaters
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal, tail_digest
from ansible_collections.hospital.patching.plugins.modules import (
    app_health_info,
    host_journal,
    host_journal_info,
    host_snapshot,
    host_snapshot_info,
    host_snapshot_rollback,
    snapshot_provider_info,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.restore_point import FOUND_OUT
from ansible_collections.hospital.patching.plugins.plugin_utils.schema import validate
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

RUN = "20261122T010000Z-aaaaaaaa"


@pytest.fixture
def call(capsys, monkeypatch):
    """Run a module in this process and return its result."""
    # Never stop the timers of the machine that runs the tests.
    monkeypatch.setattr(competing_updaters, "SYSTEMD_MARKER", "/nonexistent")

    def run(module: Any, **arguments: Any) -> dict[str, Any]:
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run


def test_health_is_read(call):
    with socket.create_server(("127.0.0.1", 0)) as server:
        probe = {"name": "engine", "type": "tcp", "host": "127.0.0.1", "port": server.getsockname()[1]}
        result = call(app_health_info, probes=[probe], device_segments=["10.9.0.0/16"], _ansible_check_mode=True)
        assert (result["verdict"], result["changed"]) == ("ok", False)
        validate("probe_result", result["results"][0], "a result")
        assert call(app_health_info, probes=[probe])["verdict"] == "inconclusive"


def test_nothing_to_read_is_inconclusive(call):
    result = call(app_health_info)
    assert (result["results"], result["verdict"]) == ([], "inconclusive")


def test_a_bad_probe_fails_with_its_parts(call):
    result = call(app_health_info, probes=[{"name": "a", "type": "http"}])
    assert result["failed"] is True
    assert result["subject"] == "probe 'a'"
    assert result["next_step"]


def test_a_host_is_held_read_and_released(call, tmp_path):
    state = {"run_id": RUN, "state_dir": str(tmp_path / "state")}
    predicted = call(host_journal, state="held", _ansible_check_mode=True, **state)
    assert (predicted["changed"], predicted["holder"]) == (True, None)
    assert not (tmp_path / "state").exists()

    held = call(host_journal, state="held", controller="ctl1", detail={"services": ["portal"]}, **state)
    assert held["changed"] is True
    assert held["holder"]["detail"] == {"controller": "ctl1", "services": ["portal"], "suspended": []}
    assert held["boot"]["boot_id"]
    assert call(host_journal, state="held", **state)["changed"] is False

    other = call(host_journal, state="held", **{**state, "run_id": "another"})
    assert other["failed"] is True
    assert RUN in other["msg"]
    assert "ctl1" in other["msg"]

    seen = call(host_journal_info, state_dir=state["state_dir"])
    assert (len(seen["records"]), seen["torn"], seen["changed"]) == (1, False, False)
    assert seen["holder"] == held["holder"]
    assert call(host_journal_info, state_dir=state["state_dir"], run_id="another")["records"] == []

    assert call(host_journal, state="released", **state)["holder"] is None
    assert call(host_journal, state="released", **state)["changed"] is False


def test_a_snapshot_and_its_revert_are_journalled(call, tmp_path):
    state = {"run_id": RUN, "state_dir": str(tmp_path / "state")}
    refused = call(host_journal, state="snapshot_pending", **state)
    assert refused["failed"] is True
    assert refused["next_step"]
    call(host_journal, state="held", **state)
    assert call(host_journal_info, state_dir=state["state_dir"])["tail_digest"] is None

    predicted = call(host_journal, state="snapshot_pending", _ansible_check_mode=True, **state)
    assert (predicted["changed"], predicted["record"], len(predicted["records_tail"])) == (True, None, 1)
    pending = call(host_journal, state="snapshot_pending", detail={"ledger": "sha256:1"}, **state)
    assert (pending["changed"], pending["record"]["event"]) == (True, "snapshot_pending")
    validate("journal_record", pending["record"], "a record")
    again = call(host_journal, state="snapshot_pending", **state)
    assert (again["changed"], again["record"]) == (False, pending["record"])

    assert call(host_journal, state="held", **state)["seen"].count("does not mirror it") == 1
    mirror = {"pending": ["sha256:1"], "touched": [], "snapshot": None}
    held = call(host_journal, state="held", mirror=mirror, **state)
    assert (held["changed"], held["record"]) == (False, None)

    tail = call(host_journal_info, state_dir=state["state_dir"])["tail_digest"]
    assert "tail_digest" in call(host_journal, state="reverted", **state)["msg"]
    wanted = {"state": "reverted", "tail_digest": tail, "snapshot": "sha256:2", **state}
    assert call(host_journal, _ansible_check_mode=True, **wanted)["record"] is None
    reverted = call(host_journal, **wanted)
    assert reverted["record"]["detail"] == {"tail_digest": tail, "snapshot": "sha256:2"}
    validate("journal_record", reverted["record"], "a record")
    assert call(host_journal, **wanted)["changed"] is False
    seen = call(host_journal_info, state_dir=state["state_dir"], run_id="another")
    assert seen["tail_digest"] == tail_digest([reverted["record"]])


def test_a_person_holds_a_host_whose_journal_ends_in_a_snapshot(call, tmp_path):
    state = {"run_id": RUN, "state_dir": str(tmp_path / "state")}
    call(host_journal, state="held", **state)
    call(host_journal, state="snapshot_pending", **state)
    held = call(host_journal, state="held", decided="jane: compared", **state)
    assert held["records_tail"][-1]["detail"] == {"decided": "jane: compared", "suspended": []}


def test_a_damaged_journal_fails(call, tmp_path):
    (tmp_path / "journal.jsonl").write_text("nonsense\n")
    assert call(host_journal_info, state_dir=str(tmp_path))["failed"] is True
    assert call(host_journal, state="held", run_id=RUN, state_dir=str(tmp_path))["failed"] is True


def test_no_restore_point_needs_a_reason(call):
    point = {"provider": "none", "run_id": RUN, "host": "ws1"}
    assert call(host_snapshot, **point)["failed"] is True
    made = call(host_snapshot, reason="reinstalled within the hour", retention_s=3600, **point)
    assert (made["changed"], made["snapshot"]["id"]) == (False, "none")
    assert made["snapshot"]["created"] < made["snapshot"]["expires"]


def test_deleting_needs_an_id(call):
    assert call(host_snapshot, state="absent", provider="none", run_id=RUN, host="ws1")["failed"] is True


def test_providers_without_snapshots_list_none(call):
    listed = call(host_snapshot_info, provider="none")
    assert (listed["snapshots"], listed["rooms"], listed["rooms_problem"]) == ([], [], None)
    assert read_stamp(listed["time"])


def test_room_is_listed_and_what_keeps_it_from_being_read_hides_no_snapshot(call, tmp_path):
    room = {"kind": "pool", "name": "p0", "size_bytes": 100, "free_bytes": 40}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.write_text(json.dumps({"snapshots": [], "rooms": [room]}))
    broken.write_text(json.dumps({"snapshots": [], "rooms": [{**room, "free_bytes": "many"}]}))
    unused = {"create": ["false"], "delete": ["false"]}
    listed = call(host_snapshot_info, provider="hook", options={"info": ["cat", str(whole)], **unused})
    assert (listed["rooms"], listed["rooms_problem"]) == ([room], None)
    listed = call(host_snapshot_info, provider="hook", options={"info": ["cat", str(broken)], **unused})
    assert (listed["snapshots"], listed["rooms"]) == ([], [])
    assert "free_bytes is 'many'" in listed["rooms_problem"]


def test_the_journal_says_who_worked_and_how_the_host_was_given_up(call, tmp_path):
    state = {"run_id": RUN, "state_dir": str(tmp_path / "state")}
    seen = call(host_journal_info, state_dir=state["state_dir"])
    assert (seen["pending"], seen["released"], seen["worked"]) == (None, None, [])
    call(host_journal, state="held", **state)
    call(host_journal, state="snapshot_pending", **state)
    assert call(host_journal_info, state_dir=state["state_dir"])["pending"]["run_id"] == RUN
    Journal(state["state_dir"]).append(RUN, "install", "begin")
    call(host_journal, state="released", detail={"out": "stuck"}, **state)
    seen = call(host_journal_info, state_dir=state["state_dir"], run_id="another")
    assert (seen["pending"], seen["worked"], seen["records"]) == (None, [RUN], [])
    assert (seen["released"]["run_id"], seen["released"]["detail"]["out"]) == (RUN, "stuck")


def test_an_engine_that_is_missing_is_refused(call, monkeypatch):
    monkeypatch.setattr(Clock, "sleep", lambda _clock, _seconds: None)  # it is tried again, seconds apart
    options = {"engine": ["/nonexistent/podman"]}
    for module, more in ((host_snapshot_info, {}), (host_snapshot_rollback, {"id": "x", "run_id": RUN, "host": "a"})):
        result = call(module, provider="container", options=options, **more)
        assert result["failed"] is True
        assert result["subject"] == "/nonexistent/podman"


@pytest.mark.parametrize(
    ("wrong", "subject"),
    [
        ({"expires": "tomorrow"}, "expires of host a"),
        ({"expires": ""}, "expires of host a"),
        ({"retention_s": -5}, "retention_s of host a"),
        ({"run_id": ""}, "run_id of host a"),
        ({"run_id": "../../x y"}, "run_id of host a"),
    ],
)
def test_a_restore_point_that_nobody_would_ever_delete_is_not_made(call, wrong, subject):
    point = {"run_id": RUN, "host": "a", "provider": "container", "options": {"engine": ["/nonexistent"]}, **wrong}
    result = call(host_snapshot, **point)
    assert (result["failed"], result["subject"]) == (True, subject)


def test_what_makes_restore_points_of_this_host_is_found_out(call, monkeypatch):
    monkeypatch.setattr(snapshot_provider_info.os, "geteuid", lambda: 0)
    result = call(snapshot_provider_info, host="a", _ansible_check_mode=True)
    assert result["changed"] is False
    assert result["provider"] in FOUND_OUT
    assert result["why"]
    monkeypatch.setattr(snapshot_provider_info.os, "geteuid", lambda: 1000)
    result = call(snapshot_provider_info, host="a")
    assert (result["provider"], "not root" in result["why"]) == ("preserved", True)


def test_subvolumes_that_are_none_are_refused(call):
    options = {"subvolumes": ["/proc"]}
    point = {"run_id": RUN, "host": "a"}
    for module, more in (
        (host_snapshot, point),
        (host_snapshot_info, {}),
        (host_snapshot_rollback, {"id": "x", **point}),
    ):
        result = call(module, provider="btrfs", options=options, **more)
        assert result["failed"] is True
        assert (result["subject"], result["seen"]) == ("mount /proc", "it is proc")
