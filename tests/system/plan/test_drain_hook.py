# SPDX-License-Identifier: GPL-3.0-or-later
"""Users are moved away by the site's own commands: a switchover, or whatever no provider knows."""

from __future__ import annotations

import pytest

from tests.support import lab
from tests.support.expect import version
from tests.support.night import PORTALS, as_found
from tests.support.traffic import Traffic


def test_users_are_moved_away_by_the_sites_own_command(staged_by_hook):
    """A switchover, or whatever no provider here knows: one command before, one afterwards, on a host of the site."""
    night = staged_by_hook
    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch")
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
    assert [answer for answer in traffic.answers if not answer.ok] == []
    for host in PORTALS:
        steps = [(one["step"], one["detail"]["on"]) for one in night.records(host) if "on" in one["detail"]]
        assert ("drain", "lb1") in steps
        assert ("return", "lb1") in steps
        assert lab.in_service(host)


@pytest.fixture
def staged_by_hook(night):
    def say(state: str) -> list[str]:
        return ["python3", "-c", lab.SAY, f"set server portal/{{{{ inventory_hostname }}}} state {state}"]

    night.settings["patching_drain"] = {"hook": say("drain"), "back": say("ready"), "on": "lb1"}
    night.ready()
    return night


@pytest.mark.slow
def test_a_command_that_moves_nobody_away_leaves_the_host_as_it_was(night):
    night.settings["patching_drain"] = {"hook": ["sh", "-c", "echo lag 40 MB >&2; exit 3"], "back": [], "on": "lb1"}
    night.ready()
    patched = night.play("patch")
    assert patched.rc != 0
    assert version("portal1") == "1.0.0"
    assert "held 0 times" in as_found("portal1")
    assert lab.in_service("portal1")
    assert night.outcomes()["portal2"] == "not_started"
