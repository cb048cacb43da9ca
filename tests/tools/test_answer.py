# SPDX-License-Identifier: GPL-3.0-or-later
"""answer.yml and explain.yml, as the people use them who are asked before the broad ring."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.hospital.patching.plugins.plugin_utils import answers
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID, planned, server

ROOT = Path(__file__).resolve().parents[2]
LABEL = {"name": "label print", "type": "person", "ask": "Print a label", "who": ["Ada O'Neil"]}


def play(root: Path, book: str, *options: str) -> tuple[int, str]:
    command = ["ansible-playbook", "-i", str(root / "hosts.json"), f"playbooks/{book}.yml", *options]
    command += ["-e", f"patching_evidence_dir={root / 'evidence'}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=False)
    # Ansible shows YAML, which doubles single quotes.
    return done.returncode, " ".join((done.stdout + done.stderr).split()).replace("''", "'")


def test_who_is_asked_finds_out_how_and_answers(tmp_path):
    variables = {"patching_device_segments": [], "patching_service": "portal", "patching_probes": [LABEL]}
    (tmp_path / "hosts.json").write_text(
        json.dumps({"all": {"hosts": {name: dict(variables) for name in ("portal1", "portal2")}}})
    )
    fleet = {name: server(name, "portal", probes=[LABEL]) for name in ("portal1", "portal2")}
    Run(str(tmp_path / "evidence"), PLAN_ID).evidence.save_plan(planned(fleet, now=datetime.now(UTC)))
    run = Run.start(str(tmp_path / "evidence"), PLAN_ID)
    run.record(None, "gate", "begin", plan_digest=run.plan()["digest"])
    run.record("portal1", "record", "outcome", outcome="patched", reason="")

    code, said = play(tmp_path, "explain", "-e", "patching_hosts=portal2")
    assert code == 0
    assert "portal: label print (Print a label) is asked of Ada O'Neil, until " in said
    code, said = play(tmp_path, "answer", "-e", f"patching_run_id={PLAN_ID}")
    assert code == 0
    assert "portal: label print (Print a label) is asked of Ada O'Neil, until " in said

    named = ["-e", f"patching_run_id={PLAN_ID}", "-e", "answer_name='Carol'", "-e", "answer_is=yes"]
    code, said = play(tmp_path, "answer", *named)
    assert code != 0
    assert "Carol is not asked; expected Ada O'Neil" in said

    before = run.ledger.read()
    shell = f"ansible-playbook -i {tmp_path}/hosts.json playbooks/answer.yml -e patching_run_id={PLAN_ID}"
    shell += f" -e patching_evidence_dir={tmp_path}/evidence "
    (asking,) = answers.askings(run.plan())
    told = asking.command().removeprefix("answer.yml")
    subprocess.run(f"{shell} --check {told}", shell=True, cwd=ROOT, capture_output=True, check=True)
    assert run.ledger.read() == before
    subprocess.run(f"{shell} {told}", shell=True, cwd=ROOT, capture_output=True, check=True)
    detail = run.ledger.read()[-1]["detail"]
    assert (detail["answer"], detail["by"], detail["claimed"]) == ("yes", "Ada O'Neil", True)
