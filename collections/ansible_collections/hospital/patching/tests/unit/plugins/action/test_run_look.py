# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at many hosts at once: each through host_step, and one that fails spoils no other."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action.run_look import ActionModule
from ansible_collections.hospital.patching.plugins.plugin_utils import lost
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import NOW, PLAN_ID

HOSTVARS = {
    "portal1": {"ansible_become": True, "ansible_host": "10.1.0.1", "patching_device_segments": []},
    "portal2": {"ansible_become": "no", "patching_device_segments": []},
    "pump1": {"patching_policy": "vendor_locked"},
}


class Undefined(dict):
    """Variables of a host one of which cannot be templated."""

    def get(self, *_args):
        raise AnsibleError("'site' is undefined")


@pytest.fixture
def look(tmp_path):
    """Return a function that looks at hosts whose answers are given by name."""

    def run(answers, hostvars=None):
        plugin = ActionModule.__new__(ActionModule)
        plugin._task = SimpleNamespace(
            copy=SimpleNamespace,
            check_mode=True,
            connection="ssh",
            dump_attrs=dict,
            become=False,
            become_method="sudo",
            args={},
        )
        plugin._play_context = SimpleNamespace(
            copy=mock.Mock, connection="ssh", timeout=60, password="", become_pass=""
        )
        plugin._loader = plugin._templar = None
        loaders = plugin._shared_loader_obj = mock.Mock()
        loaders.connection_loader.get.side_effect = lambda *_args: mock.Mock(_load_name="ssh", become=None)

        def act(task_vars):
            answer = answers[task_vars["inventory_hostname"]]
            if isinstance(answer, Exception):
                raise answer
            return answer() if callable(answer) else answer

        loaders.action_loader.get.side_effect = lambda name, **_parts: mock.Mock(run=act, name=name)
        plugin.validate_argument_spec = lambda spec: (
            None,
            {"peers": list(answers), "run_id": PLAN_ID, "evidence_dir": str(tmp_path)},
        )
        with mock.patch.object(ActionBase, "run", return_value={}):
            return plugin.run(task_vars={"hostvars": hostvars or HOSTVARS})["looks"], loaders

    return run


def test_each_host_is_read_through_the_one_action_plugin(look):
    looks, loaders = look({"portal1": {"records": [], "holder": None, "boot": {}}, "portal2": {"records": [1]}})
    assert looks == [{"peer": "portal1", "records": [], "holder": None}, {"peer": "portal2", "records": [1]}]
    assert {call.args[0] for call in loaders.action_loader.get.call_args_list} == {"hospital.patching.host_step"}
    assert [call.args for call in loaders.become_loader.get.call_args_list] == [("sudo",)], "only portal1 becomes"


def test_all_are_looked_at_at_the_same_time(look):
    """Each waits for the other, so one after the other would never end."""
    together = threading.Barrier(2, timeout=20)

    def answer():
        together.wait()
        return {"records": []}

    looks, _loaders = look({"portal1": answer, "portal2": answer})
    assert [one["records"] for one in looks] == [[], []]


def test_one_that_fails_spoils_no_other(look):
    looks, _loaders = look({"portal1": OSError("no route"), "portal2": {"msg": "lost", "lost_connection": True}})
    assert looks == [
        {"peer": "portal1", "msg": "OSError: no route"},
        {"peer": "portal2", "msg": "lost", "lost_connection": True},
    ]


def test_a_locked_device_is_not_connected_to(look):
    looks, loaders = look({"pump1": AssertionError("it was contacted")})
    assert looks == [{"peer": "pump1", "no_journal": "vendor_locked: it is never contacted"}]
    loaders.connection_loader.get.assert_not_called()


def test_a_stolen_host_is_not_connected_to_and_counts_as_not_read(look, tmp_path):
    lost.record(tmp_path, lost.Report("portal2", "stolen", "Ada", "2026-11-22T07:00:00Z"), "ada", NOW)
    looks, loaders = look({"portal2": AssertionError("it was contacted")})
    (one,) = looks
    assert one["msg"].startswith("reported stolen by Ada")
    loaders.connection_loader.get.assert_not_called()


def test_variables_that_cannot_be_read_are_no_reading(look):
    looks, _loaders = look({"portal1": {}}, {"portal1": Undefined(a=1)})
    assert looks == [{"peer": "portal1", "msg": "'site' is undefined"}]
