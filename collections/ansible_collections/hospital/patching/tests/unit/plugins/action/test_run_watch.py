# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that watches, and the one that asks a run to stop."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import run_stop, run_watch
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import records as silences
from ansible_collections.hospital.patching.plugins.plugin_utils.watchers import Machine, Watch, proof
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    HERE,
    NOW,
    PLAN_ID,
    planned,
    portal_pair,
)


@pytest.fixture
def run(tmp_path):
    """Return a run whose controller dies right after it was begun."""
    evidence_dir = str(tmp_path / "evidence")
    Run(evidence_dir, PLAN_ID).evidence.save_plan(planned(portal_pair()))
    opened = Run.start(evidence_dir, PLAN_ID)
    opened.record(None, "gate", "begin", plan_digest=opened.plan()["digest"])
    return opened


def act(module, arguments, now, check=False):
    plugin = module.ActionModule.__new__(module.ActionModule)
    plugin._task = SimpleNamespace(check_mode=check)
    plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
    plugin.clock = mock.Mock()
    plugin.clock.now.return_value = now
    with mock.patch.object(ActionBase, "run", return_value={}):
        return plugin.run(task_vars={})


@pytest.fixture
def watch(run, tmp_path):
    """Return a function that watches some seconds after the run's last sign, and the file that pages go to."""
    page = tmp_path / "pages"

    def look(after_s, command=("/bin/sh", "-c", f"cat >> {page}"), evidence_dir=None, check=False, every_s=60):
        arguments = {
            "evidence_dir": evidence_dir or str(run.evidence.root),
            "silent_s": 600,
            "every_s": every_s,
            "page_command": list(command),
            "page_url": "",
        }
        return act(run_watch, arguments, run.last_sign() + timedelta(seconds=after_s), check)

    return SimpleNamespace(look=look, pages=lambda: page.read_text(encoding="utf-8") if page.exists() else "")


def test_a_run_that_lives_fails_nothing_and_pages_nobody(watch):
    result = watch.look(1)
    assert result.pop("mark")["pages_by"] == ["command"]
    assert result == {
        "changed": False,
        "silent": [],
        "silences_ended": [],
        "paged": [],
        "problems": [],
        "no_mark": None,
    }
    assert watch.pages() == ""


def test_a_silent_run_fails_the_task_at_every_look_and_is_paged_once(watch):
    first, second, later = watch.look(601), watch.look(661), watch.look(601 + 3600)
    assert [result["failed"] for result in (first, second, later)] == [True] * 3
    assert [result["paged"] for result in (first, second, later)] == [[PLAN_ID], [], [PLAN_ID]]
    assert f"recover.yml -e patching_run_id={PLAN_ID}" in second["msg"]
    assert watch.pages().count(PLAN_ID) == 2 * 2  # its name and the command, in two pages


def test_a_page_that_failed_is_said_and_sent_again_at_the_next_look(watch):
    failed = watch.look(601, command=["/no/such/pager"])
    assert failed["paged"] == []
    assert "Paging: the page command /no/such/pager failed" in failed["msg"]
    assert watch.look(661)["paged"] == [PLAN_ID]


def test_without_a_way_of_paging_only_the_task_fails(watch):
    result = watch.look(601, command=())
    assert (result["failed"], result["paged"], result["problems"]) == (True, [], [])
    assert watch.look(661)["paged"] == [PLAN_ID]


def test_a_silence_of_alerts_that_ended_while_its_host_is_out_fails_the_task_and_is_paged_once(watch, run):
    run.record("portal1", "silence", "begin", provider="zabbix", until="2026-11-22T08:16:00Z")
    run.record("portal1", "drain", "done")
    silences.mark(run, "portal1", "2026-11-22T08:16:00Z")
    first, second = watch.look(1), watch.look(2)
    assert first["failed"] is True
    assert [one["host"] for one in first["silences_ended"]] == ["portal1"]
    assert "its alerts are silenced no longer" in watch.pages()
    assert "failed" not in second
    assert second["silences_ended"] == []


def test_check_mode_pages_nobody_and_remembers_nothing(watch, run):
    assert watch.look(601, check=True)["failed"] is True
    assert watch.pages() == ""
    assert not (run.evidence.run_dir(PLAN_ID) / "paged.json").exists()


def test_an_evidence_directory_that_is_gone_is_paged(watch):
    result = watch.look(0, evidence_dir="/no/such/evidence")
    assert result["failed"] is True
    assert "no run is watched" in result["msg"]
    assert "no run is watched" in watch.pages()
    assert "/no/such/pager" in watch.look(0, evidence_dir="/no/such/evidence", command=["/no/such/pager"])["msg"]


def marks(run):
    return list((run.evidence.root / "watchers").glob("*"))


def test_each_look_leaves_a_mark_that_counts_on_another_machine(watch, run):
    for after_s in (1, 61):
        mark = watch.look(after_s)["mark"]
        (path,) = marks(run)
        assert json.loads(path.read_text(encoding="utf-8")) == mark
        assert path.stat().st_mode & 0o777 == 0o644, "whoever patches may be another user"
    now = run.last_sign() + timedelta(seconds=62)
    here = Machine.here()
    assert proof(run.evidence.root, now, HERE, PLAN_ID) == Watch(
        str(here.boot), here.name, now - timedelta(seconds=1), ("command",), 600, 60, (PLAN_ID,)
    )
    assert "on this very machine" in proof(run.evidence.root, now, here, PLAN_ID)
    assert watch.look(121, every_s=0)["mark"]["every_s"] is None


def test_a_look_that_finds_a_silent_run_and_pages_is_one_too(watch):
    first, second = watch.look(601), watch.look(661)
    assert first["failed"]
    assert first["mark"]["open_runs"] == second["mark"]["open_runs"] == [PLAN_ID]


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        ((), "neither watch_page_command nor watch_page_url is set"),
        (("/no/such/pager",), "no way of paging can be used"),
    ],
)
def test_whoever_cannot_page_leaves_no_mark(watch, run, command, seen):
    result = watch.look(1, command=command)
    assert (result["mark"], result["no_mark"]) == (None, seen)
    assert result["warnings"][-1] == f"no watcher for tier 1: {seen}"
    assert "failed" not in result
    assert marks(run) == []


def test_whose_page_reaches_nobody_leaves_no_mark(watch, run):
    assert watch.look(601, command=("/bin/false",))["no_mark"] == "the page that was due reached nobody"
    assert marks(run) == []


def test_check_mode_leaves_no_mark(watch, run):
    result = watch.look(1, check=True)
    assert (result["mark"], result["no_mark"]) == (None, None)
    assert marks(run) == []


def test_an_evidence_directory_that_cannot_be_looked_at_gets_no_mark(watch, run):
    with mock.patch.object(run_watch.watching, "silent_runs", side_effect=PatchingError("a", "b", "c", "d")):
        assert watch.look(1)["failed"] is True
    assert marks(run) == []


def test_a_mark_that_cannot_be_left_is_said(watch, run):
    (run.evidence.root / "watchers").write_text("in the way", encoding="utf-8")
    result = watch.look(1)
    assert result["mark"] is None
    assert result["no_mark"].startswith("the mark cannot be left")
    assert "failed" not in result


def test_a_machine_without_a_boot_id_leaves_no_mark(watch, run):
    with mock.patch.object(Machine, "here", return_value=Machine(None, "watch2")):
        assert "the mark cannot be left" in watch.look(1)["no_mark"]
    assert marks(run) == []


def test_a_mark_says_nothing_of_the_address(watch, run):
    mark = watch.look(1, command=("/bin/sh", "-c", "true", "secret"))["mark"]
    assert mark["pages_by"] == ["command"]
    assert "secret" not in marks(run)[0].read_text(encoding="utf-8")


def stop(run, check=False, **arguments):
    given = {"run_id": PLAN_ID, "evidence_dir": str(run.evidence.root), "reason": "", "state": "requested"}
    return act(run_stop, given | arguments, NOW, check)


def test_a_run_is_asked_to_stop_and_the_request_is_withdrawn(run):
    asked = stop(run, reason="theatre runs late")
    assert asked["changed"] is True
    assert run.stop_requested()
    assert asked["line"].startswith("2026-11-22T08:00:00Z ")
    assert asked["line"].endswith(": theatre runs late")
    assert stop(run, reason="again")["changed"] is False
    assert stop(run, state="withdrawn")["changed"] is True
    assert not run.stop_requested()
    assert stop(run, state="withdrawn")["changed"] is False


def test_in_check_mode_nobody_is_asked(run):
    assert stop(run, check=True)["changed"] is True
    assert not run.stop_requested()


def test_an_unknown_run_is_refused(run):
    result = stop(run, run_id="20261122T080000Z-ffffffff")
    assert result["failed"] is True
    assert "no such run" in result["msg"]
