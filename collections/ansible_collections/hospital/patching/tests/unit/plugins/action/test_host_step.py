# SPDX-License-Identifier: GPL-3.0-or-later
"""The one action plugin through which hosts are reached."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action.host_step import ActionModule
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import lost
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW, PLAN_ID

HOSTVARS = {
    "portal1": {"patching_device_segments": ["10.9.0.0/16"]},
    "pump1": {"patching_device_segments": ["10.9.0.0/16"], "patching_policy": "vendor_locked"},
}


class Connection(SimpleNamespace):
    """A connection that only knows where it would go."""

    def get_option(self, name: str) -> str:
        assert name == "host"
        return self.address


@pytest.fixture
def step(tmp_path):
    """Return a function that runs the plugin for a task against an address."""

    def run(address="10.1.0.1", delegate_to=None, transport="ssh", answer=None, check=False, recorded=None, **args):
        task = SimpleNamespace(
            action="hospital.patching.update_install",
            args={"run_id": "r1", "evidence_dir": str(tmp_path), "step": "install", **args},
            delegate_to=delegate_to,
            check_mode=check,
        )
        plugin = ActionModule.__new__(ActionModule)
        plugin._task = task
        plugin._connection = Connection(transport=transport, address=address)
        plugin._shared_loader_obj = mock.Mock()
        plugin._shared_loader_obj.action_loader.has_plugin.return_value = False
        side_effect = answer if isinstance(answer, Exception) else None
        plugin._execute_module = mock.Mock(return_value=answer or {"changed": True}, side_effect=side_effect)
        with (
            mock.patch.object(ActionBase, "run", return_value={}),
            mock.patch("ansible_collections.hospital.patching.plugins.action.host_step.Run") as runs,
        ):
            runs.return_value.record = mock.MagicMock(side_effect=recorded)
            result = plugin.run(task_vars={"inventory_hostname": "portal1", "hostvars": HOSTVARS})
        return result, plugin._execute_module, runs.return_value.record

    return run


def test_the_result_is_mirrored_in_the_ledger(step):
    result, execute, record = step()
    assert result["changed"] is True
    execute.assert_called_once()
    assert record.call_args.args == ("portal1", "install", "done")
    assert record.call_args.kwargs["on"] == "portal1"


def test_a_lost_host_is_never_connected_to(step, tmp_path):
    report = lost.Report("portal1", "stolen", "Ada", "2026-11-22T07:00:00Z")
    lost.record(tmp_path, report, "ada", NOW)
    result, execute, _record = step()
    assert result["failed"] is True
    assert "reported stolen by Ada" in result["msg"]
    execute.assert_not_called()
    found = lost.Report("portal1", "found", "Ada", "2026-11-22T07:30:00Z", reason="in the cupboard")
    lost.record(tmp_path, found, "ada", NOW)
    result, execute, _record = step()
    assert result["changed"] is True


def test_a_host_that_drains_another_is_not_connected_to_when_it_is_lost(step, tmp_path):
    lost.record(tmp_path, lost.Report("lb1", "lost", "Ada", "2026-11-22T07:00:00Z"), "ada", NOW)
    with mock.patch.dict(HOSTVARS, lb1=HOSTVARS["portal1"]):
        result, execute, _record = step(delegate_to="lb1")
    assert "host lb1: reported lost" in result["msg"]
    execute.assert_not_called()


def test_an_address_in_a_device_segment_is_never_connected_to(step):
    result, execute, record = step(address="10.9.1.1")
    assert result["failed"] is True
    assert "10.9.1.1" in result["msg"]
    execute.assert_not_called()
    assert record.call_args.args[2] == "failed"


@pytest.mark.parametrize("target", ["pump1", "unknown-balancer"])
def test_delegation_is_checked_like_any_connection(step, target):
    result, execute, _record = step(delegate_to=target)
    assert result["failed"] is True
    assert target in result["msg"]
    execute.assert_not_called()


def test_the_controller_itself_needs_no_segment(step):
    result, execute, _record = step(delegate_to="localhost", transport="local")
    assert "failed" not in result
    execute.assert_called_once()


@pytest.mark.parametrize(
    "answer", [AnsibleConnectionFailure("Connection timed out"), {"unreachable": True, "msg": "Connection timed out"}]
)
def test_a_lost_connection_is_a_failed_result_that_rescue_can_see(step, answer):
    result, _execute, record = step(answer=answer)
    assert result["failed"] is True
    assert result["lost_connection"] is True
    assert "unreachable" not in result
    assert "portal1" in result["msg"]
    assert record.call_args.args[2] == "failed"


def test_a_snapshot_is_announced_in_the_ledger_before_the_host_is_told(step):
    told = {"changed": True, "record": {"event": "snapshot_pending"}}
    _result, execute, record = step(answer=told, step="snapshot", state="snapshot_pending", detail={"provider": "p"})
    announced, done = record.call_args_list
    assert announced.args == ("portal1", "snapshot", "begin")
    assert done.args == ("portal1", "snapshot", "done")
    assert done.kwargs["record"] == told["record"]
    detail = execute.call_args.kwargs["module_args"]["detail"]
    assert detail == {"provider": "p", "ledger": record.return_value["hash"]}


def test_a_snapshot_whose_announcement_cannot_be_written_is_not_begun(step):
    refusal = PatchingError("ledger", "no space", "a ledger that can be written", "make room")
    result, execute, record = step(step="snapshot", state="snapshot_pending", recorded=[refusal, None])
    assert result["failed"] is True
    assert "no space" in result["msg"]
    execute.assert_not_called()
    assert record.call_args.args[2] == "failed"


def test_check_mode_announces_nothing(step):
    _result, execute, record = step(check=True, step="snapshot", state="snapshot_pending")
    record.assert_not_called()
    assert execute.call_args.kwargs["module_args"]["detail"] == {}


@pytest.mark.parametrize(
    ("given", "check", "shown"),
    [
        ({"run_id": PLAN_ID, "evidence_dir": True}, False, True),
        ({"run_id": PLAN_ID, "evidence_dir": True}, True, False),
        ({"run_id": PLAN_ID}, False, False),
        ({}, False, False),
    ],
)
def test_a_step_of_a_run_shows_a_sign_of_life_while_it_works(tmp_path, given, check, shown):
    (tmp_path / PLAN_ID).mkdir()
    arguments = {key: str(tmp_path) if value is True else value for key, value in given.items()}
    seen = []

    def work(**_arguments):
        seen.append((tmp_path / PLAN_ID / "alive").exists())
        return {"changed": False}

    plugin = ActionModule.__new__(ActionModule)
    plugin._task = SimpleNamespace(
        action="hospital.patching.update_install", args=arguments, delegate_to=None, check_mode=check
    )
    plugin._connection = Connection(transport="local", address="")
    plugin._shared_loader_obj = mock.Mock()
    plugin._shared_loader_obj.action_loader.has_plugin.return_value = False
    plugin._execute_module = work
    with mock.patch.object(ActionBase, "run", return_value={}):
        plugin.run(task_vars={"inventory_hostname": "portal1", "hostvars": HOSTVARS})
    assert seen == [shown]
