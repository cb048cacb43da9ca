# SPDX-License-Identifier: GPL-3.0-or-later
"""How playbooks walk through a wave. tests/system/night/test_waves.py shows what it is for, in minutes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

PLAYBOOKS = Path(__file__).resolve().parents[2] / "collections/ansible_collections/hospital/patching/playbooks"


@pytest.mark.parametrize("name", ["patch", "recover"])
def test_a_finished_host_does_not_wait_for_its_slow_neighbour(name):
    plays = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8"))
    on_hosts = [play for play in plays if play.get("hosts") not in (None, "localhost")]
    assert [play.get("strategy") for play in on_hosts if "serial" in play or play.get("strategy")] == [
        "ansible.builtin.host_pinned"
    ]
