# SPDX-License-Identifier: GPL-3.0-or-later
"""The thin modules over package managers, restarts and software: arguments in, result out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING, PendingRequest
from ansible_collections.hospital.patching.plugins.modules import (
    pending_updates_info,
    software_facts,
    update_install,
    update_restart,
    update_rollback,
    update_stage,
    update_verify,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import SETTINGS

RUN = {"run_id": "20261122T010000Z-aaaaaaaa", "step": "install", "evidence_dir": "evidence"}
REFUSAL = PatchingError("openssl", "3.0.21", "3.0.20", "stage again")


class Manager:
    """Records what it is asked; answers or refuses."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.refusal: PatchingError | None = None

    def files(self, _entries: Any) -> dict[str, list[str]]:
        return {}

    def _answer(self, *arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        if self.refusal:
            raise self.refusal
        reads = isinstance(arguments[0], dict | PendingRequest)
        return {"verdict": "ok"} if reads else {"changed": True, "verdict": "ok"}

    pending = stage = install = rollback = verify = _answer


@pytest.fixture
def manager(monkeypatch):
    double = Manager()
    for module in (pending_updates_info, update_stage):
        monkeypatch.setattr(module, "select", lambda _name, _host, *_software, **_logins: double)
    for module in (update_install, update_rollback, update_verify):
        monkeypatch.setattr(module, "select_for", lambda _transaction, _name, _host: double)
    return double


@pytest.fixture
def call(capsys):
    def run(module: Any, **arguments: Any) -> dict[str, Any]:
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run


CALLS = [
    (pending_updates_info, {}),
    (update_stage, dict(RUN, host="h1", updates=[])),
    (update_install, dict(RUN, transaction={})),
    (update_rollback, dict(RUN, transaction={}, names=["a"])),
    (update_verify, dict(RUN, transaction={}, expect="from", names=["a"])),
]


@pytest.mark.parametrize(("module", "arguments"), CALLS)
def test_a_refusal_fails_with_its_parts(call, manager, module, arguments):
    manager.refusal = REFUSAL
    result = call(module, **arguments)
    assert result["failed"] is True
    assert (result["subject"], result["seen"], result["expected"]) == ("openssl", "3.0.21", "3.0.20")
    assert result["next_step"] in result["msg"]


@pytest.mark.parametrize(("module", "arguments"), CALLS)
def test_an_answer_is_returned(call, manager, module, arguments):
    result = call(module, **arguments)
    assert not result.get("failed")
    assert result["verdict"] == "ok"
    assert result["changed"] is (module not in (pending_updates_info, update_verify))


def test_check_mode_reaches_the_package_manager(call, manager):
    call(update_install, **RUN, transaction={}, _ansible_check_mode=True)
    call(update_stage, **RUN, host="h1", updates=[], _ansible_check_mode=True)
    assert [arguments[0].check for arguments in manager.asked] == [True, True]


def test_filters_reach_the_package_manager(call, manager):
    denied = {"item": "curl", "reason": "breaks PACS"}
    call(pending_updates_info, classes=["os"], min_age_days=14, deny=[denied, {"item": "a"}], first_seen={"a:b=1": "x"})
    assert manager.asked == [
        (
            EVERYTHING._replace(
                classes=["os"],
                include=[],
                exclude=[],
                allow=[],
                min_age_days=14,
                deny=[{**denied, "fleet": False}, {"item": "a", "reason": "", "fleet": False}],
                first_seen={"a:b=1": "x"},
            ),
        )
    ]
    assert "classes" in call(pending_updates_info, classes=["kernel"])["msg"]


def test_a_transaction_is_needed(call):
    assert "transaction" in call(update_install, **RUN)["msg"]


def test_units_that_did_not_come_back_fail_the_restart_with_all_that_was_done(call, monkeypatch):
    answer = {
        "changed": True,
        "restarted": [{"unit": "b.service"}],
        "failed_units": [{"unit": "a.service", "reason": "it is failed"}],
        "owed": [],
        "reboot_required": {"required": False, "reasons": []},
        "note": None,
    }
    monkeypatch.setattr(update_restart.Restarts, "run", lambda *_arguments: answer)
    result = call(update_restart, **RUN, transaction={})
    assert result["failed"] is True
    assert result["subject"] == "a.service"
    assert result["restarted"] == [{"unit": "b.service"}]
    answer["failed_units"] = []
    manager = mock.Mock(**{"verify.return_value": {"verdict": "ok", "problems": []}})
    monkeypatch.setattr(update_restart, "select_for", lambda *_arguments: manager)
    good = call(update_restart, **RUN, transaction={}, expect="from")
    assert good["changed"] is True
    assert good["verified"]["verdict"] == "ok"
    manager.verify.assert_called_once_with({}, "from", [])


def test_a_part_of_the_transaction_reaches_all_of_the_way_back(call, manager, monkeypatch):
    answer = {"changed": True, "failed_units": [], "reboot_required": {"required": False, "reasons": []}}
    restart = mock.Mock(return_value=answer)
    monkeypatch.setattr(update_restart, "Restarts", mock.Mock(return_value=mock.Mock(run=restart)))
    monkeypatch.setattr(update_restart, "select_for", lambda *_arguments: manager)
    given = dict(RUN, transaction={"digest": "whole"}, names=["a"])
    call(update_rollback, **given)
    call(update_restart, **given, expect="from", reload=["b.service"], order=["c.service"], boots_unattended=True)
    call(update_verify, **given, expect="from")
    asked = [RUN["run_id"], {"digest": "whole"}, ["a"], ["b.service"], False, ["c.service"], True]
    restart.assert_called_once_with(*asked)
    assert manager.asked[0][1] == ["a"]
    assert manager.asked[1:] == [({"digest": "whole"}, "from", ["a"])] * 2


def test_a_restart_without_a_transaction_is_refused(call):
    result = call(update_restart, **RUN, transaction={"schema": 9})
    assert "schema 9" in result["msg"]


def test_software_facts_are_facts(call, monkeypatch):
    monkeypatch.setattr(software_facts, "collect", lambda _host: {"errors": {}})
    assert call(software_facts)["ansible_facts"] == {"patching_software": {"errors": {}}}


def test_a_manifest_of_another_architecture_is_refused_before_anything_is_resolved(manager, call):
    result = call(update_stage, **RUN, host="h1", updates=[], manifest={"group": "debian-12-sparc", "entries": []})
    assert result["failed"]
    assert "and the manifest is for debian-12-sparc" in result["msg"]
    assert manager.asked == []


def test_who_owns_data_reaches_the_way_back(call, manager):
    pair = {"name": "pacsd", "from": "2.1", "to": "2.0"}
    call(update_rollback, **RUN, transaction={}, data_owners=["pacs*"], downgrade_safe=[pair])
    call(update_install, **RUN, transaction={})
    assert [arguments[0].data_rules for arguments in manager.asked] == [(["pacs*"], [pair]), ([], [])]


def test_a_stage_says_what_was_removed_of_older_ones_also_where_it_is_refused(call, manager, monkeypatch):
    """Nothing but what it says changed the host then, and the space was counted after it."""
    told = {"removed": [{"path": "/a", "transaction": "0" * 12, "freed_bytes": 7}], "freed_bytes": 7, "kept": []}
    asked: list[Any] = []

    def apply(_host: Any, wanted: Any) -> dict[str, Any]:
        asked.append((wanted, len(manager.asked)))
        return told

    monkeypatch.setattr(update_stage.retention, "apply", apply)
    given = {**RUN, "host": "h1", "updates": [], "preserved_keep_days": 9, "controller_time": "2026-11-22T01:00:00Z"}
    monkeypatch.setattr(manager, "stage", lambda request: manager.asked.append((request,)) or {"changed": False})
    result = call(update_stage, **given, window_end="2026-11-22T04:00:00Z")
    assert (result["retention"], result["changed"]) == (told, True)
    assert asked == [((RUN["run_id"], 9, "2026-11-22T01:00:00Z", False), 0)]
    assert manager.asked[0][0].window_end == "2026-11-22T04:00:00Z"
    manager.refusal = REFUSAL
    monkeypatch.setattr(manager, "stage", manager._answer)
    refused = call(update_stage, **given, _ansible_check_mode=True)
    assert (refused["failed"], refused["retention"]) == (True, told)
    assert asked[1][0].check is True


def test_what_is_kept_has_one_default():
    role = Path(__file__).parents[4] / "roles/stage/defaults/main.yml"
    setting = next(one for one in SETTINGS if one.name == "patching_preserved_keep_days")
    assert setting.default == update_stage.retention.KEEP_DAYS
    assert f"patching_preserved_keep_days | default({setting.default})" in role.read_text(encoding="utf-8")
