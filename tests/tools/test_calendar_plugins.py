# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter and the lookup of windows in a playbook, as anybody uses them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LOOKUP = "query('hospital.patching.maintenance_calendar', {}, begin='2026-11-20T00:00:00Z')"
EXPRESSIONS = {
    "next": "'Sun 01:00, 3 h, UTC' | hospital.patching.window_next(at='2026-11-20T00:00:00Z')",
    "several": LOOKUP.format("'Sun 01:00, 3 h, UTC', 'Sat 01:00, 3 h, UTC', days=8"),
    "frozen": LOOKUP.format("'Sun 01:00, 3 h, UTC', days=8, freezes=['2026-11-22 02:00 to 2026-11-22 03:00, UTC']"),
    "wrong window": LOOKUP.format("'always'"),
    "wrong days": LOOKUP.format("'Sun 01:00, 3 h, UTC', days=401"),
    "wrong calendar": LOOKUP.format("'ics /nowhere/x.ics'"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Return what one play says to each expression: the value, or the error's text."""
    folder = tmp_path_factory.mktemp("play")
    tasks = [
        {"name": name, "ansible.builtin.debug": {"msg": "{{ " + text + " }}"}, "ignore_errors": True}
        for name, text in EXPRESSIONS.items()
    ]
    play = [{"name": "Ask", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    (folder / "play.yml").write_text(yaml.safe_dump(play))
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(folder / "play.yml")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **settings}, cwd=folder, check=False
    )
    tasks = json.loads(done.stdout[done.stdout.index("{") :])["plays"][0]["tasks"]
    return {task["task"]["name"]: task["hosts"]["localhost"]["msg"] for task in tasks}


def test_the_filter(answers):
    assert answers["next"] == {"start": "2026-11-22T01:00:00Z", "end": "2026-11-22T04:00:00Z", "open": False}


def test_the_lookup_lists_the_times_of_several_windows_in_order(answers):
    assert answers["several"] == [
        {"start": "2026-11-21T01:00:00Z", "end": "2026-11-21T04:00:00Z", "window": "Sat 01:00, 3 h, UTC"},
        {"start": "2026-11-22T01:00:00Z", "end": "2026-11-22T04:00:00Z", "window": "Sun 01:00, 3 h, UTC"},
    ]


def test_the_lookup_leaves_freezes_out(answers):
    assert [(one["start"][11:16], one["end"][11:16]) for one in answers["frozen"]] == [
        ("01:00", "02:00"),
        ("03:00", "04:00"),
    ]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("wrong window", "window 'always'"),
        ("wrong days", "days is 401; expected 1 to 400"),
        ("wrong calendar", "/nowhere/x.ics is not there"),
    ],
)
def test_what_cannot_be_read_is_an_error(answers, name, seen):
    assert seen in answers[name]
