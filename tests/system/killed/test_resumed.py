# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed when things already go wrong: nobody stays drained unsaid, and no failure is forgotten."""

from __future__ import annotations

import pytest

from tests.support import lab
from tests.support.expect import four_parts, require_final_state, version
from tests.support.killing import Controller, in_the_middle_of_dpkg, let_dpkg_finish
from tests.support.night import PORTALS, Night, as_found


def killed(night: Night, host: str, step: str, event: str = "done") -> None:
    """Play the night until a step is recorded, and kill the controller there."""
    controller = Controller(night)
    reached = controller.until(controller.recorded(host, step, event))
    controller.kill()
    assert reached, controller.output()


def require_returned(host: str, installed: str) -> None:
    """Require a host that serves, is held by nobody, and has this version."""
    assert lab.in_service(host)
    assert "held 0 times" in as_found(host)
    assert lab.exec(host, "dpkg --audit") == ""
    assert version(host) == installed


@pytest.mark.slow
def test_a_resume_that_may_not_go_on_only_secures(staged):
    """A stop file, as a freeze or a window that has closed, ends the journey; it does not leave the host drained."""
    run = {"patching_run_id": staged.plan["plan_id"]}
    killed(staged, "portal1", "drain")
    assert not lab.in_service("portal1")
    assert staged.play("stop", **run, stop_reason="the theatre list runs late").rc == 0
    resumed = staged.play("patch")
    assert resumed.rc != 0
    assert staged.outcomes() == dict.fromkeys(PORTALS, "not_started")
    assert "the theatre list runs late" in staged.reason("portal1")
    require_returned("portal1", "1.0.0")

    again = staged.play("stage")
    assert again.rc == 0, again.stdout
    assert staged.play("stop", **run, stop_withdraw=True).rc == 0
    assert staged.play("patch").rc == 0
    require_final_state(staged)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "event", "playbook"),
    [("restart", "done", "patch"), ("verify", "failed", "patch"), ("verify", "failed", "recover")],
)
def test_a_patch_that_breaks_the_application_is_taken_back_by_whoever_comes_next(night, step, event, playbook):
    """Its damage is neither called "broken before" by a new reading nor "patched" because it is installed."""
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "unhealthy"))
    night.ready(patching_settle_s=6)
    killed(night, "portal1", step, event)
    assert version("portal1") == "1.1.0"
    if playbook == "recover":
        recovered = night.play("recover", patching_run_id=night.plan["plan_id"])
        assert recovered.rc == 0, recovered.stdout
    else:
        assert night.play("patch").rc != 0
    assert night.outcomes() == {"portal1": "rolled_back", "portal2": "not_started"}
    require_returned("portal1", "1.0.0")
    assert version("portal2") == "1.0.0"

    assert night.play("patch").rc != 0
    assert night.outcomes() == {"portal1": "rolled_back", "portal2": "not_started"}, "a failure was forgotten"


@pytest.mark.slow
def test_recovery_awaits_what_outlived_its_controller(night):
    """It is in the middle of dpkg: what that leaves is proven, instead of being undone under it."""
    controller = in_the_middle_of_dpkg(night)
    controller.kill()
    let_dpkg_finish("portal1", in_s=5)
    recovered = night.play("recover", patching_run_id=night.plan["plan_id"])
    assert recovered.rc == 0, recovered.stdout
    assert night.outcomes() == {"portal1": "patched", "portal2": "not_started"}
    require_returned("portal1", "1.1.0")


@pytest.mark.slow
def test_a_stuck_host_that_cannot_be_returned_stays_stuck(staged):
    assert staged.play("patch").rc == 0
    run = {"patching_run_id": staged.plan["plan_id"], "return_hosts": "portal1"}
    assert staged.play("return", **run, return_held=True, return_reason="strange noises").rc == 0
    lab.exec("portal1", "systemctl stop ehr-portal")
    back = staged.play("return", **run, return_reason="it was the fan")
    assert back.rc != 0
    assert staged.outcomes()["portal1"] == "stuck"
    assert "it was the fan" in staged.reason("portal1")
    assert not lab.in_service("portal1")
    assert staged.play("patch").rc != 0
    assert not lab.in_service("portal1")


@pytest.mark.slow
def test_a_rollback_that_is_killed_is_left_to_recovery(staged):
    assert staged.play("patch").rc == 0
    run = {"patching_run_id": staged.plan["plan_id"]}
    controller = Controller(staged, "rollback", **run, rollback_hosts="portal1", rollback_reason="second thoughts")
    assert controller.until(controller.recorded("portal1", "drain")), controller.output()
    controller.kill()
    refused = staged.play("patch")
    assert refused.rc != 0
    four_parts(" ".join(refused.messages()))
    assert "a rollback of it was killed" in " ".join(refused.messages())
    recovered = staged.play("recover", **run)
    assert recovered.rc == 0, recovered.stdout
    assert staged.outcomes()["portal1"] in ("patched", "rolled_back")
    verified = [record["detail"] for record in staged.records("portal1") if record["step"] == "verify"]
    assert [detail["verdict"] for detail in verified if "verdict" in detail][-1] == "ok"
    require_returned("portal1", "1.1.0" if staged.outcomes()["portal1"] == "patched" else "1.0.0")
