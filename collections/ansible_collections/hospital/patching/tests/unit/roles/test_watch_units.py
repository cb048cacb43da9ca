# SPDX-License-Identifier: GPL-3.0-or-later
"""The timer units of the role `watch`, as systemd reads them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles/watch"
UNITS = [f"hospital-patching-{work}.{kind}" for work in ("watch", "recover") for kind in ("service", "timer")]


@pytest.fixture
def units(tmp_path):
    """Return the folder with the rendered units; a variable that the role does not have is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    for name in UNITS:
        text = environment.get_template(f"{name}.j2").render(
            watch_user="root",
            watch_project_dir="/",
            watch_inventory="/srv/inventory/hosts.yml",
            watch_ansible_playbook=sys.executable,  # systemd wants a program that is there
            watch_settings_file="/etc/hospital-patching/watch.json",
        )
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_systemd_finds_nothing_wrong_with_them(units):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine")
    command = ["systemd-analyze", "verify", "--man=no", *(str(units / name) for name in UNITS)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    # It exits 0 for settings that it ignores, and says so.
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_all_of_them_are_installed_and_both_timers_are_started():
    tasks = yaml.safe_load((ROLE / "tasks/install.yml").read_text(encoding="utf-8"))
    loops = [task["loop"] for task in tasks if "loop" in task]
    assert sorted(loops[0]) == sorted(UNITS)
    assert sorted(loops[1]) == sorted(name for name in UNITS if name.endswith(".timer"))


def test_no_secret_is_in_a_unit(units):
    assert all("page" not in (units / name).read_text(encoding="utf-8").replace("Page a person", "") for name in UNITS)


def test_the_watcher_says_how_often_its_timer_makes_it_look(units):
    assert "OnCalendar=*-*-* *:*:00" in (units / "hospital-patching-watch.timer").read_text(encoding="utf-8")
    template = (ROLE / "templates/settings.json.j2").read_text(encoding="utf-8")
    assert "'watch_every_s': 60," in template


def test_recover_starts_within_five_minutes(units):
    """A run counts as dead after 120 s (recover.yml); the timer fires every 120 s, at most 5 s late."""
    timer = (units / "hospital-patching-recover.timer").read_text(encoding="utf-8")
    assert "OnCalendar=*-*-* *:0/2:" in timer
    assert "AccuracySec=5s" in timer
    assert 120 + 120 + 5 < 300
