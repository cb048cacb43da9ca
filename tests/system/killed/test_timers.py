# SPDX-License-Identifier: GPL-3.0-or-later
"""The second machine: systemd timers page for a run whose controller was killed, and secure its hosts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import lab
from tests.support.killing import Controller
from tests.support.night import PORTALS, as_found
from tests.support.playbook import LAB_INVENTORY, ROOT

WATCHER = "watch1"
#: The timers start the recovery every two minutes, and it waits until the run has been silent for two.
PATIENCE_S = 600


@pytest.fixture
def watcher(staged) -> Iterator[Path]:
    """Start a machine that shares this checkout and the evidence; return the file that it pages into."""
    pages = staged.evidence.parent / "pages"
    pages.mkdir()
    shared = [f"{path}:{path}:ro" for path in (ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix), lab.folder())]
    writable = [f"{path}:{path}" for path in (staged.evidence, pages)]
    with lab.extra_host(WATCHER, [*shared, *writable]):
        yield pages / "page"


@pytest.mark.slow
def test_the_second_machine_pages_and_secures(staged, watcher):
    playbook = Path(sys.prefix) / "bin/ansible-playbook"
    settings = {
        "patching_evidence_dir": str(staged.evidence),
        "watch_user": "root",
        "watch_inventory": str(LAB_INVENTORY),
        "watch_silent_s": 30,
        "watch_page_command": ["sh", "-c", f"cat >> {watcher}"],
    }
    lab.write(WATCHER, "/run/settings.json", json.dumps(settings))
    words = f"{playbook} -i {LAB_INVENTORY} playbooks/watch_install.yml -e @/run/settings.json"
    for _again in range(2):
        told = lab.exec(WATCHER, f"cd {ROOT} && LC_ALL=C.UTF-8 {words} 2>&1", check=False)
        assert "failed=0" in told, told
    assert "changed=0" in told, "a second run changes nothing"
    timers = "hospital-patching-watch.timer hospital-patching-recover.timer"
    assert lab.exec(WATCHER, f"systemctl is-active {timers}").split() == ["active", "active"]
    assert lab.exec(WATCHER, f"systemctl is-enabled {timers}").split() == ["enabled", "enabled"]

    controller = Controller(staged)
    assert controller.until(controller.recorded("portal1", "drain"))
    controller.kill()
    assert not lab.in_service("portal1")

    deadline = time.monotonic() + PATIENCE_S
    while not (watcher.exists() and lab.in_service("portal1") and len(staged.outcomes()) == len(PORTALS)):
        assert time.monotonic() < deadline, lab.exec(WATCHER, "journalctl --no-pager -u 'hospital-patching-*'")
        time.sleep(2)
    assert staged.plan["plan_id"] in watcher.read_text(encoding="utf-8")
    assert "portal1" in watcher.read_text(encoding="utf-8")
    assert staged.outcomes() == dict.fromkeys(PORTALS, "not_started")
    assert "held 0 times" in as_found("portal1")
