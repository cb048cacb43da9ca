# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is refused before its drain or at its stage: its hooks' counterparts are done, in a real play."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.hospital.patching.plugins.plugin_utils import hook_files, hooks
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, server

HOST = "db1"
ROLES = Path(__file__).resolve().parents[3] / "roles"
COLLECTIONS = Path(__file__).resolve().parents[6]
PLAY = """
- hosts: db1
  gather_facts: false
  strategy: ansible.builtin.host_pinned
  vars: {stage_run_id: "%(run_id)s", stage_evidence_dir: "%(evidence)s"}
  module_defaults:
    group/hospital.patching.run: {run_id: "%(run_id)s", evidence_dir: "%(evidence)s"}
  tasks:
    - block:
        - ansible.builtin.import_role: {name: hospital.patching.stage}
      rescue:
        - ansible.builtin.debug: {msg: "It is not staged: {{ ansible_failed_result.msg }}"}
    - block:
        - block:
            - hospital.patching.run_host: {part: manifest}
              register: __patch_plan
            - ansible.builtin.import_role: {name: hospital.patching.patch, tasks_from: before_drain}
          rescue:
            - ansible.builtin.import_role: {name: hospital.patching.patch, tasks_from: refuse}
"""


def site_hooks(said):
    """Return hooks that write what they do: the last before stage and before drain fail, and so does one undo."""

    def says(step, when, word, ends=0, **more):
        return {"step": step, "when": when, "run": ["sh", "-c", f"echo {word} >>{said}; exit {ends}"], **more}

    return hooks.read(
        [
            says("stage", "before", "pause", name="pause"),
            says("stage", "before", "refuse-stage", 1),
            says("stage", "after", "resume", undoes="pause"),
            says("drain", "before", "close", name="close"),
            says("drain", "before", "quiesce", 1, name="quiesce"),
            says("return", "before", "wake", 1, undoes="quiesce"),
            says("return", "after", "open", undoes="close"),
        ]
    )


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Refuse the host once, before its drain and in its stage."""
    folder = tmp_path_factory.mktemp("hooks")
    fleet = {HOST: server(HOST, "db", min_healthy=0, downtime_s=60, hooks=site_hooks(folder / "said"))}
    store = Run(str(folder / "evidence"), PLAN_ID)
    store.evidence.save_plan(planned(hook_files.sealed(fleet)))
    run = Run.start(str(folder / "evidence"), PLAN_ID)
    (folder / "play.yml").write_text(PLAY % {"run_id": PLAN_ID, "evidence": folder / "evidence"})
    known = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_host": "127.0.0.1"}
    known.update({"patching_policy": "managed", "patching_device_segments": []})
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {HOST: known}}}))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(folder / "hosts.json"), str(folder / "play.yml")]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_HOME": str(folder / "home")}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    said = (folder / "said").read_text().split() if (folder / "said").exists() else []
    return run, said, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("patch/tasks/refuse.yml", "release_refused.yml"),
        ("patch/tasks/rollback_refuse.yml", "release_refused.yml"),
        ("stage/tasks/main.yml", "ansible.builtin.fail"),
    ],
)
def test_hooks_are_undone_before_the_host_is_given_up(path, last):
    text = (ROLES / path).read_text(encoding="utf-8")
    undone = text.index("undo.yml") if "undo.yml" in text else text.index("tasks_from: undo")
    assert text.index("__patch_plan.counterparts" if "patch/" in path else "__stage_plan.counterparts") > undone
    assert text.index(last) > undone


@pytest.mark.parametrize("path", ["patch/tasks/refuse.yml", "patch/tasks/rollback_refuse.yml"])
def test_alerts_come_back_once_hooks_are_undone_and_not_while_the_host_is_held_for_a_person(path):
    tasks = yaml.safe_load((ROLES / path).read_text(encoding="utf-8"))
    flat = [one for task in tasks for one in task.get("block", [task])]
    names = [one.get("ansible.builtin.include_tasks") for one in flat]
    assert names.index("undo.yml") < names.index("lift_silence.yml")
    assert "__patch_not_undone is not defined" in str(flat[names.index("lift_silence.yml")]["when"])


@pytest.mark.slow
def test_before_the_drain_what_was_begun_is_undone_the_last_first_also_after_one_that_fails(played):
    _run, said, output = played
    assert said[3:] == ["close", "quiesce", "wake", "open"], output


@pytest.mark.slow
def test_a_host_that_is_not_as_it_was_is_left_to_a_person(played):
    run, _said, output = played
    state = run.states()[HOST]
    assert (state.outcome, state.out) == ("stuck", True), output
    assert "before drain of host db1: exit 1" in state.reason
    assert "Not undone: hook" in state.reason


@pytest.mark.slow
def test_a_stage_that_is_refused_is_undone_too_and_refused_all_the_same(played):
    _run, said, output = played
    assert said[:3] == ["pause", "refuse-stage", "resume"], output
    assert re.search(r'It is not staged: hook \\?"sh -c', output)  # as JSON or as YAML
