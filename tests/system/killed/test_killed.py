# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed, stopped, or started twice: what stands afterwards is what an undisturbed run leaves."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.controllers import SILENT_S
from tests.support import lab
from tests.support.expect import require_final_state, version
from tests.support.killing import IN_POSTINST, Controller, in_the_middle_of_dpkg, let_dpkg_finish
from tests.support.night import PORTALS, Night, as_found
from tests.support.playbook import Played
from tests.support.traffic import Traffic

#: Where the controller is killed again and again, each time in the run that resumes the one before.
CHOSEN = (
    ("portal1", "lock"),
    ("portal1", "drain"),
    ("portal1", "install"),
    ("portal1", "restart"),
    ("portal2", "health_before"),
    ("portal2", "snapshot"),
    ("portal2", "verify"),
)


@pytest.mark.slow  # each of its kills stands alone below
def test_a_run_that_is_killed_again_and_again_ends_like_any_other(staged):
    with Traffic(lab.url("lb1")) as traffic:
        for host, step in CHOSEN:
            controller = Controller(staged)
            reached = controller.until(controller.recorded(host, step))
            controller.kill()
            assert reached, f"{host} {step} was never recorded:\n{controller.output()[-3000:]}"
        resumed = staged.play("patch")
    assert resumed.rc == 0, resumed.stdout
    require_final_state(staged)
    assert [answer for answer in traffic.answers if not answer.ok] == []


def final_state() -> dict[str, str]:
    """Return what a run leaves on the hosts, but for times."""
    asked = "dpkg-query -W; apt-mark showmanual; apt-mark showhold; systemctl is-active ehr-portal nginx ssh"
    return {host: lab.exec(host, asked) for host in PORTALS}


def require_secured(night: Night, recovery: Played) -> None:
    """Require every host in service, held by nobody."""
    assert recovery.rc == 0, recovery.stdout
    assert set(night.outcomes().values()) <= {"patched", "not_started", "rolled_back"}
    for host in PORTALS:
        assert lab.in_service(host)
        assert "held 0 times" in as_found(host)
        assert lab.exec(host, "dpkg --audit") == ""


def boundaries(night: Night, whole_steps: bool) -> list[int]:
    """Return after how many of its records an undisturbed run can be killed.

    After each, or, with ``whole_steps``, after the last one of each host's step.
    """
    records = [record for record in night.records() if record["step"] != "stage"]
    last = {(record["host"], record["step"]): number for number, record in enumerate(records, 1)}
    return sorted(last.values()) if whole_steps else list(range(1, len(records) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("recovered", [False, True], ids=["resumed", "recovered"])
def test_a_run_that_is_killed_at_any_step_boundary(recovered, staged_once, staged):
    """The controller is killed as soon as the record is written; then the run is resumed, or first only recovered.

    ``KILL_FROM=19`` begins with the 19th record, for whoever mends what was found there.
    """
    assert staged.play("patch").rc == 0
    require_final_state(staged)
    points, undisturbed = boundaries(staged, whole_steps=recovered), final_state()
    assert len(points) >= 20, "a run of two hosts has more steps than that"
    for number in [point for point in points if point >= int(os.environ.get("KILL_FROM", "1"))]:
        lab.reset(PORTALS, staged_once.images)
        shutil.rmtree(staged.evidence)
        shutil.copytree(staged_once.evidence, staged.evidence)
        controller = Controller(staged)
        reached = controller.until(lambda: len(controller.new_records()) >= number)  # noqa: B023 - used within
        controller.kill()
        assert reached, f"record {number} of {points} was never written"
        if recovered:
            require_secured(staged, staged.play("recover", recover_all=True, recover_silent_s=1))
        resumed = staged.play("patch")
        assert resumed.rc == 0, f"killed after record {number} of {points}: {resumed.stdout}"
        require_final_state(staged)
        assert final_state() == undisturbed, f"killed after record {number} of {points}"


def test_a_controller_killed_while_a_host_reboots(night):
    """The reboot in flight is awaited; none that was completed is made again."""
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "reboot"))
    night.ready()
    controller = Controller(night)
    assert controller.until(lambda: lab.starts("portal1") > 0)
    controller.kill()
    resumed = night.play("patch")
    assert resumed.rc == 0, resumed.stdout
    require_final_state(night)
    assert {host: lab.starts(host) for host in PORTALS} == dict.fromkeys(PORTALS, 1)


@pytest.mark.slow
def test_a_run_that_is_resumed_from_another_controller(night, tmp_path):
    """The other one has nothing but the evidence, its own name and its own processes."""
    night.settings["patching_snapshot"] = "preserved"  # from there podman does not see the lab's containers
    night.ready()
    controller = Controller(night)
    assert controller.until(controller.recorded("portal1", "drain"))
    controller.kill()
    other = Night(tmp_path / "other" / "evidence", patching_snapshot="preserved")
    other.plan = night.plan
    shutil.copytree(night.evidence, other.evidence)
    shutil.rmtree(night.evidence)
    apart = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
    elsewhere = (*apart, "sh", "-c", 'hostname controller2 && exec "$@"', "sh")
    early = Controller(other, through=elsewhere)
    assert early.wait() != 0
    assert "gave a sign of life" in early.output(), "a controller that may be alive was not respected"
    time.sleep(SILENT_S)
    resumed = Controller(other, through=elsewhere)
    assert resumed.wait() == 0, resumed.output()
    require_final_state(other)


def test_a_controller_killed_in_the_middle_of_dpkg(night):
    """The installation goes on without it, and the resumed run adopts what it has done."""
    controller = in_the_middle_of_dpkg(night)
    run = {"patching_run_id": night.plan["plan_id"]}
    asked = {"rollback_hosts": "all", "rollback_reason": "second thoughts"}
    returned = {"return_hosts": "portal1", "return_reason": "it looks well"}
    for playbook, more in (
        ("patch", {}),
        ("recover", run),
        ("rollback", {**run, **asked}),
        ("return", {**run, **returned}),
    ):
        second = night.play(playbook, **more)
        assert second.rc != 0
        assert "runs on this machine" in " ".join(second.messages()), "two controllers drove one run"
    controller.kill()
    assert lab.exec("portal1", IN_POSTINST) != "", "dpkg ended with its controller"
    let_dpkg_finish("portal1", in_s=5)
    resumed = night.play("patch")
    assert resumed.rc == 0, resumed.stdout
    require_final_state(night)


def test_a_stop_file_in_mid_run(staged):
    run = {"patching_run_id": staged.plan["plan_id"]}
    controller = Controller(staged)
    assert controller.until(controller.recorded("portal1", "drain"))
    stopped = staged.play("stop", **run, stop_reason="theatre list runs late")
    assert stopped.rc == 0, stopped.stdout
    assert controller.wait() != 0
    assert staged.outcomes() == {"portal1": "patched", "portal2": "not_started"}
    assert "theatre list runs late" in staged.reason("portal2")
    assert version("portal2") == "1.0.0"

    assert staged.play("stop", **run, stop_withdraw=True).rc == 0
    resumed = staged.play("patch")
    assert resumed.rc == 0, resumed.stdout
    require_final_state(staged)


@pytest.mark.parametrize(
    ("step", "outcomes"),
    [
        ("drain", {"portal1": "not_started", "portal2": "not_started"}),
        pytest.param("install", {"portal1": "patched", "portal2": "not_started"}, marks=pytest.mark.slow),
    ],
)
def test_a_controller_that_is_killed_and_left(staged, step, outcomes, tmp_path):
    """The watcher pages, recover returns the host, and the run can still be resumed."""
    controller = Controller(staged)
    assert controller.until(controller.recorded("portal1", step))
    controller.kill()
    assert not lab.in_service("portal1")
    page = tmp_path / "page"
    watching = {"watch_silent_s": 1, "watch_page_command": ["sh", "-c", f"cat >> {page}"]}
    time.sleep(2)
    watched = staged.play("watch", **watching)
    assert watched.rc != 0
    assert staged.plan["plan_id"] in page.read_text(encoding="utf-8")
    assert "portal1" in page.read_text(encoding="utf-8")

    recovered = staged.play("recover", recover_all=True, recover_silent_s=1)
    assert recovered.rc == 0, recovered.stdout
    assert staged.outcomes() == outcomes
    assert lab.in_service("portal1")
    assert "held 0 times" in as_found("portal1")
    assert staged.play("watch", **watching).rc == 0

    resumed = staged.play("patch")
    assert resumed.rc == 0, resumed.stdout
    require_final_state(staged)


@pytest.mark.slow
def test_a_person_holds_a_host_out_and_puts_it_back(staged):
    assert staged.play("patch").rc == 0
    run = {"patching_run_id": staged.plan["plan_id"], "return_hosts": "portal1"}
    held = staged.play("return", **run, return_held=True, return_reason="strange noises")
    assert held.rc == 0, held.stdout
    assert not lab.in_service("portal1")
    assert staged.outcomes()["portal1"] == "stuck"
    back = staged.play("return", **run, return_reason="it was the fan")
    assert back.rc == 0, back.stdout
    require_final_state(staged)
    assert "it was the fan" in staged.reason("portal1")
    assert staged.play("return", **run).rc != 0, "a reason is asked for"


#: The same ten times a second, each line the hosts that are not up.
OBSERVER = """
import json, socket, time
with open('/run/observed', 'w') as out:
    while True:
        asked = socket.socket(socket.AF_UNIX)
        asked.connect('/run/haproxy/admin.sock')
        asked.sendall(b'show stat\\n')
        text = b''.join(iter(lambda: asked.recv(65536), b'')).decode()
        rows = [line.split(',') for line in text.splitlines() if line.startswith('portal,portal')]
        print(json.dumps([row[1] for row in rows if row[17] != 'UP']), file=out, flush=True)
        time.sleep(0.1)
"""


def test_two_runs_on_two_hosts_of_one_service(tmp_path, night):
    """Each controller has its own evidence and plans one host; the load balancer is asked ten times a second."""
    nights = []
    for host in PORTALS:
        one = Night(tmp_path / host / "evidence", hosts="portal")
        assert one.play("assess").rc == 0
        one.settings["patching_hosts"] = host
        planned = one.play("plan")
        assert planned.rc == 0, planned.stdout
        one.plan = planned.results("Make the plan")[0]["plan"]
        assert [wave["hosts"] for wave in one.plan["waves"]] == [[host]]
        assert one.play("stage").rc == 0
        nights.append(one)

    lab.exec("lb1", f"systemd-run --unit observer --collect python3 -c {shlex.quote(OBSERVER)}")
    controllers = [Controller(one) for one in nights]
    codes = [controller.wait() for controller in controllers]
    lab.exec("lb1", "systemctl stop observer")
    seen = [json.loads(line) for line in lab.exec("lb1", "cat /run/observed").splitlines() if line.endswith("]")]
    assert len(seen) > 100
    assert not [out for out in seen if len(out) > 1], "both were out at once"
    done = {host for host, code in zip(PORTALS, codes, strict=True) if code == 0}
    assert {host for out in seen for host in out} >= done, "the observer did not see who was out"
    assert 0 in codes, "nobody went on"
    for host, one, code in zip(PORTALS, nights, codes, strict=True):
        assert (one.outcomes()[host] == "patched") is (code == 0)
        assert "held 0 times" in as_found(host)
        assert lab.in_service(host)
