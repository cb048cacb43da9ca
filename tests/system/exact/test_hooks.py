# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site does of its own before and after steps: in order, within its time, and a reason to leave a host alone."""

from __future__ import annotations

import pytest

from tests.support import lab
from tests.support.expect import version
from tests.support.night import PORTALS, as_found

GOOD = "portal1"
#: Every hook writes its line there.
SAID = "/root/hooks"


def hook(step: str, when: str, **what) -> dict:
    return {"step": step, "when": when, "timeout_s": 20, **what}


def says(step: str, when: str) -> dict:
    return hook(step, when, run=["sh", "-c", f"echo {when} {step} >> {SAID}"])


#: Nothing here is about restore points.
QUICK = {"patching_snapshot": {"provider": "none", "reason": "only in this test"}, "patching_settle_s": 6}


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "quiesce.sh"
    path.write_text(f"#!/bin/sh\necho before install >> {SAID}\n")
    return path


@pytest.fixture
def tasks(tmp_path):
    path = tmp_path / "proof.yml"
    path.write_text(f"- ansible.builtin.shell: echo after verify >> {SAID}\n")
    return path


def test_hooks_of_every_kind_are_done_in_their_order_and_one_that_fails_stops_its_host(night, script, tasks):
    """The second host's theatre check hangs: it is ended at its limit, and the host is as it was found."""
    ask = "test $(hostname) = portal1 || exec sleep 600"
    night.settings["patching_hooks"] = [
        says("stage", "after"),
        hook("drain", "before", run=["sh", "-c", f"{ask}; echo before drain >> {SAID}"], timeout_s=2, name="theatre"),
        says("drain", "after"),
        hook("install", "before", script=str(script)),
        hook(
            "restart",
            "after",
            module="ansible.builtin.lineinfile",
            arguments={"path": SAID, "line": "after restart", "insertafter": "EOF"},
        ),
        hook("verify", "after", tasks=str(tasks)),
        hook("return", "before", run=["logger", "portal returns"], on="lb1"),
        says("return", "after"),
    ]
    night.ready(**QUICK)
    before = as_found("portal2")
    patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes() == {GOOD: "patched", "portal2": "refused"}
    assert lab.exec(GOOD, f"cat {SAID}").split("\n")[:-1] == [
        "after stage",
        "before drain",
        "after drain",
        "before install",
        "after restart",
        "after verify",
        "after return",
    ]
    hooked = [one for one in night.records(GOOD) if one["step"] == "hook"]
    assert [(one["detail"]["when"], one["detail"]["at"], one["event"]) for one in hooked] == [
        (when, at, event)
        for when, at in (
            ("after", "stage"),
            ("before", "drain"),
            ("after", "drain"),
            ("before", "install"),
            ("after", "restart"),
            ("after", "verify"),
            ("before", "return"),
            ("after", "return"),
        )
        for event in ("begin", "done")
    ]
    assert "hook 'theatre' before drain of host portal2: no end after 2 s" in night.reason("portal2")
    assert as_found("portal2") == before
    assert lab.exec("portal2", "pgrep -x sleep || true") == ""
    assert all(lab.in_service(host) for host in PORTALS)


@pytest.mark.slow
def test_a_hook_that_fails_later_puts_the_host_back(night, script):
    night.settings["patching_hooks"] = [
        hook("install", "before", script=str(script)),
        says("restart", "before"),
        hook(
            "verify", "after", run=["sh", "-c", "echo pat''ient list; echo no orders arrive >&2; exit 3"], name="orders"
        ),
        says("return", "after"),
    ]
    night.ready(**QUICK)
    patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes() == {GOOD: "rolled_back", "portal2": "not_started"}
    assert version(GOOD) == "1.0.0"
    assert "exit 3: no orders arrive" in night.reason(GOOD)
    assert "patient" not in (night.run / "ledger.jsonl").read_text()
    # On the way back the failing hook is told only, and what comes at the return is done.
    assert lab.exec(GOOD, f"cat {SAID}").split("\n")[:-1] == [
        "before install",
        "before restart",
        "before restart",
        "after return",
    ]
    assert lab.in_service(GOOD)
