# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that reads what an earlier assessment kept."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import host_assessment, host_assessment_info
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence


def read(folder):
    plugin = host_assessment_info.ActionModule.__new__(host_assessment_info.ActionModule)
    plugin._task = SimpleNamespace(check_mode=False)
    plugin.validate_argument_spec = mock.Mock(return_value=(None, {"evidence_dir": str(folder)}))
    with mock.patch.object(ActionBase, "run", return_value={}):
        return plugin.run(task_vars={"inventory_hostname": "ws1"})


def test_a_host_that_was_never_assessed(tmp_path):
    found = read(tmp_path)
    assert (found["time"], found["status"], found["first_seen"]) == (None, None, {})


def test_since_when_a_version_is_known(tmp_path):
    update = {"name": "a", "arch": "all", "to": "2", "published": "2026-11-01T00:00:00Z"}
    document = {"host": "ws1", "time": "2026-11-22T01:00:03Z", "status": "assessed", "pending": {"updates": [update]}}
    Evidence(tmp_path).save_assessment("ws1", document)
    found = read(tmp_path)
    assert found["first_seen"] == {"a:all=2": "2026-11-01T00:00:00Z"}
    assert (found["time"], found["status"]) == ("2026-11-22T01:00:03Z", "assessed")


def test_what_was_known_before_an_outage_is_read_from_its_own_key(tmp_path):
    document = {"host": "ws1", "time": "2026-11-22T01:00:03Z", "status": "unreachable", "pending": None}
    Evidence(tmp_path).save_assessment("ws1", {**document, "first_seen": {"a:all=2": "2026-11-01T00:00:00Z"}})
    assert read(tmp_path)["first_seen"] == {"a:all=2": "2026-11-01T00:00:00Z"}


def test_the_fact_of_an_assessment_has_of_the_software_what_a_plan_needs(tmp_path):
    software = {"reboot_required": {"required": True, "reasons": ["flag"]}, "competing_updaters": [], "packages": ["a"]}
    arguments = dict.fromkeys(host_assessment.KEPT)
    arguments.update(evidence_dir=str(tmp_path), status="assessed", reason="", software=software, addresses=[])
    plugin = host_assessment.ActionModule.__new__(host_assessment.ActionModule)
    plugin._task = SimpleNamespace(check_mode=True)
    plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
    with mock.patch.object(ActionBase, "run", return_value={}):
        fact = plugin.run(task_vars={"inventory_hostname": "ws1"})["ansible_facts"]["patching_assessment"]
    assert fact["software"] == {key: software[key] for key in ("competing_updaters", "reboot_required")}
