# SPDX-License-Identifier: GPL-3.0-or-later
"""The task at which a host waits, goes or is stopped."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import run_gate
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    approvals,
    awx_approvals,
    awx_site,
    emergency,
    lost,
    opening,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_api import AwxApi
from ansible_collections.hospital.patching.plugins.plugin_utils.gate_live import Kept
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.awx_double import (
    APPROVAL,
    TOKEN,
    AwxDouble,
    settings,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALLOWED,
    NOW,
    PLAN_ID,
    PORTAL,
    candidate,
    endpoint,
    leave_mark,
    planned,
    portal_pair,
)


class FakeClock:
    """Stands at NOW and moves on only while somebody sleeps."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


def begun(folder, fleet, **more):
    Run(str(folder), PLAN_ID).evidence.save_plan(planned(fleet, **more))
    return Run.start(str(folder), PLAN_ID)


@pytest.fixture
def run(tmp_path):
    return begun(tmp_path, portal_pair())


def gate(run, host="portal1", check=False, clock=None, hostvars=None, extra_vars=None, **options):
    plugin = run_gate.ActionModule.__new__(run_gate.ActionModule)
    defaults = {"before": "host", "way_back": False, "outside_window": False, "poll_s": 2}
    arguments = {**defaults, "run_id": PLAN_ID, "evidence_dir": str(run.evidence.root), **options}
    plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
    plugin._loader = DataLoader()
    plugin.clock, plugin._task, plugin._display = clock or FakeClock(), mock.Mock(check_mode=check), mock.Mock()
    with (
        mock.patch.object(ActionBase, "run", return_value={}),
        mock.patch.object(run_gate.contacts, "journey", return_value=ALLOWED),
        mock.patch.object(run_gate, "load_extra_vars", return_value=extra_vars or {}),
    ):
        return plugin.run(task_vars={"inventory_hostname": host, "hostvars": hostvars or {}})


def recorded(run):
    return [(record["event"], record["detail"]) for record in run.ledger.read() if record["step"] == "gate"]


def test_a_go_is_recorded_with_its_reason(run):
    result = gate(run)
    assert (result["decision"], result["before"]) == ("go", "host")
    (event, detail) = recorded(run)[0]
    assert event == "done"
    assert detail["reason"] == result["reason"]


@pytest.mark.parametrize("before", ["host", "reboot"])
def test_a_freeze_fails_the_host_and_is_recorded_with_its_reason(run, before):
    (run.evidence.root / "freeze").write_text("mass casualty\n", encoding="utf-8")
    result = gate(run, before=before)
    assert result["failed"] is True
    assert result["decision"] == "stop"
    assert "mass casualty" in result["msg"]
    assert ("the reboot was not begun" in result["msg"]) is (before == "reboot")
    event, detail = recorded(run)[0]
    assert (event, detail["before"], detail["reason"]) == ("refused", before, result["msg"])


def test_the_stop_file_and_failures_do_not_hinder_a_reboot(run):
    run.stop_path.write_text("enough for tonight\n", encoding="utf-8")
    run.record("portal2", "record", "outcome", outcome="stuck", reason="it stayed ill")
    assert gate(run, before="reboot")["decision"] == "go"
    stopped = gate(run)
    assert stopped["decision"] == "stop"
    assert "enough for tonight" in stopped["msg"]


def test_a_wait_ends_at_the_cut_off(run):
    clock = FakeClock()
    result = gate(run, "portal2", clock=clock, poll_s=60)
    assert result["decision"] == "stop"
    assert "portal1 (canary) is not finished yet; after 2026-11-22T09:00:00Z" in result["msg"]
    assert clock.now() == NOW + timedelta(hours=1)


def test_a_host_without_a_window_is_not_waited_for_without_end(tmp_path):
    run, clock = begun(tmp_path, {f"ws{n}": endpoint(f"ws{n}", service="pcs") for n in (1, 2)}), FakeClock()
    run.record("ws1", "drain", "done")
    assert "nothing is waited for after" in gate(run, "ws2", clock=clock, poll_s=60)["msg"]
    assert clock.seconds == 1800 + 1800 + 600


def inhibited(tmp_path, **inhibit):
    variables = PORTAL | {"patching_inhibits": [inhibit]}
    fleet = {name: candidate(name, variables) for name in ("portal1", "portal2")}
    return begun(tmp_path / "evidence", {"lb1": candidate("lb1", {}), **fleet})


def test_it_waits_for_an_inhibit_and_goes_when_that_has_ended(tmp_path):
    busy, clock = tmp_path / "busy", FakeClock()
    busy.write_text("list two runs late\n", encoding="utf-8")
    run, sleep = inhibited(tmp_path, file=str(busy)), clock.sleep

    def end_later(seconds):
        sleep(seconds)
        if clock.seconds >= 600:
            busy.unlink(missing_ok=True)

    clock.sleep = end_later
    assert gate(run, check=True, clock=FakeClock())["reason"] == f"not now: {busy} says: list two runs late"
    assert gate(run, before="reboot", clock=FakeClock())["decision"] == "go"
    assert gate(run, clock=clock, poll_s=60)["decision"] == "go"
    assert clock.seconds == 600


def test_an_inhibit_that_stays_stops_the_host_at_its_cut_off(tmp_path):
    result = gate(inhibited(tmp_path, command=["false"]), poll_s=60)
    assert (result["decision"], result["failed"]) == ("stop", True)
    assert result["msg"].startswith("not now: false says: exit 1; after 2026-11-22T09:00:00Z")


def test_a_host_that_waits_for_something_else_asks_no_inhibit(tmp_path):
    asked = tmp_path / "asked"
    run = inhibited(tmp_path, command=["touch", str(asked)])
    assert gate(run, "portal2", check=True)["decision"] == "wait"
    assert not asked.exists()
    assert gate(run)["decision"] == "go"
    assert asked.exists()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")
def test_a_critical_host_goes_when_somebody_has_signed_and_as_long_as_he_may(tmp_path):
    key, allowed = tmp_path / "ada", tmp_path / "approvers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    allowed.write_text("ada@hospital " + key.with_suffix(".pub").read_text())
    variables = PORTAL | {"patching_tier": 2, "patching_allowed_signers": str(allowed)}
    fleet = {name: candidate(name, variables) for name in ("portal1", "portal2")}
    run = begun(tmp_path / "evidence", {"lb1": candidate("lb1", {}), **fleet})
    hostvars = {"portal1": variables}
    assert "needs signed approvals of the plan by 1 people, and 0 have signed" in gate(run, hostvars=hostvars)["msg"]

    signature = approvals.sign(run.plan()["digest"], key)
    approvals.keep(run.evidence.plan_dir(PLAN_ID), signature)
    went = gate(run, hostvars=hostvars)
    assert went["decision"] == "go"
    (signed,) = went["approved"]["signed"]
    assert (signed["by"], signed["plan"]) == ("ada@hospital", run.plan()["digest"])
    assert recorded(run)[-1][1]["approved"] == went["approved"]
    (copy,) = (run.evidence.run_dir(PLAN_ID) / "approvals").iterdir()
    assert copy.read_text() == signature
    assert gate(run, hostvars={"portal1": {}})["decision"] == "stop"
    given = {"patching_allowed_signers": str(allowed)}
    assert "on the command line" in gate(run, hostvars=hostvars, extra_vars=given)["msg"]
    allowed.write_text("")
    assert gate(run, hostvars=hostvars)["decision"] == "stop"


@pytest.fixture
def critical(tmp_path):
    """Return a run of tier 1 that two people have signed, and the variables of its hosts."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs ssh-keygen (openssh-client)")
    allowed = tmp_path / "approvers"
    variables = PORTAL | {"patching_tier": 1, "patching_allowed_signers": str(allowed)}
    fleet = {name: candidate(name, variables) for name in ("portal1", "portal2")}
    run = begun(tmp_path / "evidence", {"lb1": candidate("lb1", {}), **fleet}, watched=True)
    lines = []
    for name in ("ada", "ben"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
        lines.append(f"{name}@hospital " + (tmp_path / f"{name}.pub").read_text())
        approvals.keep(run.evidence.plan_dir(PLAN_ID), approvals.sign(run.plan()["digest"], tmp_path / name))
    allowed.write_text("".join(lines))
    return run, {"portal1": variables}


def test_tier_1_goes_while_somebody_watches_and_the_record_says_who(critical):
    run, hostvars = critical
    leave_mark(run.evidence.root)
    went = gate(run, hostvars=hostvars)
    assert went["decision"] == "go"
    assert went["watched"] == {
        "machine": "watch2",
        "boot": "11111111-1111-4111-8111-111111111111",
        "time": "2026-11-22T08:00:00Z",
        "pages_by": ["command"],
    }
    assert recorded(run)[-1][1]["watched"] == went["watched"]
    assert len(recorded(run)[-1][1]["approved"]["signed"]) == 2


def test_tier_1_waits_for_a_timer_that_is_late_and_stops_without_one(critical):
    run, hostvars = critical
    clock = FakeClock()
    sleep = clock.sleep

    def look_later(seconds):
        sleep(seconds)
        if clock.seconds >= 90:
            leave_mark(run.evidence.root, time=clock.now())

    clock.sleep = look_later
    assert gate(run, hostvars=hostvars, clock=clock)["decision"] == "go"
    assert 90 <= clock.seconds <= 100

    dead = leave_mark(run.evidence.root, time=NOW - timedelta(seconds=601))
    stopped = gate(run, hostvars=hostvars, poll_s=60)
    assert (stopped["decision"], stopped["failed"]) == ("stop", True)
    assert "watch2 looked last at 2026-11-22T07:49:59Z" in stopped["msg"]
    assert gate(run, hostvars=hostvars, before="reboot")["decision"] == "go"
    dead.unlink()
    assert "nobody has left a mark" in gate(run, hostvars=hostvars, check=True)["reason"]


def test_a_watcher_of_a_copy_never_sees_the_run(critical):
    run, hostvars = critical
    leave_mark(run.evidence.root, open_runs=())
    assert "or it watches a copy" in gate(run, hostvars=hostvars, check=True)["reason"]


def take(run):
    """Record that the run has begun to disrupt the host."""
    run.record("portal1", "health_before", "done", verdict="ok", probes=[])
    run.record("portal1", "drain", "done")


def test_a_host_that_was_out_when_the_watcher_died_is_finished_and_its_record_says_so(critical):
    run, hostvars = critical
    take(run)
    went = gate(run, hostvars=hostvars)
    assert (went["decision"], went["watched"]) == ("go", None)


def test_tiers_that_need_no_watcher_record_none(run):
    leave_mark(run.evidence.root)
    assert "watched" not in gate(run)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")
@pytest.mark.parametrize(("signs", "goes"), [("ben@hospital", True), ("ada@hospital", False)])
def test_one_person_by_ssh_and_another_in_awx_let_a_host_of_tier_1_go(tmp_path, monkeypatch, signs, goes):
    """AWX is a DOUBLE on loopback (awx_double)."""
    key, allowed = tmp_path / "key", tmp_path / "approvers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    allowed.write_text(f"{signs} {key.with_suffix('.pub').read_text()}")
    monkeypatch.setenv("CONTROLLER_OAUTH_TOKEN", TOKEN)
    double = AwxDouble("")
    with double.serving() as url:
        awx = settings(url, {"ada": "ada@hospital"})
        variables = PORTAL | {"patching_tier": 1, "patching_allowed_signers": str(allowed), **awx}
        fleet = {name: candidate(name, variables) for name in ("portal1", "portal2")}
        made = planned({"lb1": candidate("lb1", {}), **fleet}, watched=True)
        Run(str(tmp_path / "evidence"), PLAN_ID).evidence.save_plan(made)
        run = Run.start(str(tmp_path / "evidence"), PLAN_ID)
        folder, digest = approvals.folder(run.evidence.plan_dir(PLAN_ID)), made.plan["digest"]
        double.plan_job["artifacts"]["patching_plan"] = digest
        approvals.keep(folder.parent, approvals.sign(digest, key))
        site = awx_site.of(lambda name: (variables.get(name), ""), [], allowed)
        awx_approvals.keep(folder, awx_approvals.read(APPROVAL, digest, AwxApi(site)))
        leave_mark(run.evidence.root)

        answer = gate(run, hostvars={"portal1": variables})
        assert answer["decision"] == ("go" if goes else "stop")
        if not goes:
            assert (
                "1 have signed (see approve.yml); an approval does not count: ada@hospital: the same" in answer["msg"]
            )
            return
        assert [one["by"] for one in answer["approved"]["signed"]] == ["ada@hospital", "ben@hospital"]
        assert len(list((run.evidence.run_dir(PLAN_ID) / "approvals").iterdir())) == 2
        assert TOKEN not in run.ledger.path.read_text()
        for name, value in awx.items():
            told = gate(run, hostvars={"portal1": variables}, extra_vars={name: value})["msg"]
            assert f"{name} is given on the command line" in told
        lost_list = {name: value for name, value in variables.items() if name != "patching_allowed_signers"}
        failing = Failing({"patching_allowed_signers": "x"})
        failing.get = lambda name: lost_list[name] if name in lost_list else Failing.get(failing, name)
        told = gate(run, hostvars={"portal1": failing})["msg"]
        assert "and 0 have signed" in told
        assert "patching_allowed_signers cannot be read" in told
        double.status = 503
        told = gate(run, hostvars={"portal1": variables})
        assert (told["decision"], recorded(run)[-1][1]["reason"]) == ("stop", told["msg"])
        assert "503" in told["msg"]
        assert TOKEN not in told["msg"]
    assert "awx-502.json: " in gate(run, hostvars={"portal1": variables})["msg"]


@pytest.mark.parametrize(("tier", "needed"), [(1, 2), (2, 1)])
def test_a_typed_name_begins_no_host_of_tiers_1_and_2(run, tier, needed):
    run.record(None, "gate", "begin", **opening.circumstances(run.plan(), run.plan()["digest"], "Dr. Jane Roe"))
    told = gate(run, hostvars={"portal1": {"patching_tier": tier}})
    assert told["decision"] == "stop"
    assert f"needs signed approvals of the plan by {needed} people, and 0 have signed" in told["msg"]


@pytest.mark.parametrize("tier", [2, "1", "high"])
def test_a_plan_that_was_edited_asks_for_no_fewer_approvals_than_the_inventory(run, tier):
    """The plan says tier 3; whoever can write it must not be able to say so."""
    assert gate(run)["decision"] == "go"
    assert "signed approvals" in gate(run, hostvars={"portal1": {"patching_tier": tier}})["msg"]


def test_the_tier_is_not_decided_on_the_command_line(run):
    told = gate(run, hostvars={"portal1": {"patching_tier": 3}}, extra_vars={"patching_tier": 3})
    assert "patching_tier is given on the command line" in told["msg"]


def test_what_the_inventory_has_since_the_plan_counts(run, tmp_path):
    busy = tmp_path / "busy"
    busy.touch()
    for since, seen in (
        ({"patching_freezes": ["2026-11-22 07:00 to 2026-11-22 09:00, UTC"]}, "a freeze lasts from"),
        ({"patching_freezes": "Christmas"}, "window 'Christmas'"),
        ({"patching_inhibits": [{"file": str(busy)}]}, f"not now: {busy} is there"),
        ({"patching_inhibits": "x"}, "patching_inhibits cannot be read"),
    ):
        assert seen in gate(run, check=True, hostvars={"portal1": since})["reason"]


def test_an_inhibit_that_takes_long_is_no_way_past_the_cut_off(tmp_path):
    run, clock = inhibited(tmp_path, file=str(tmp_path / "busy")), FakeClock()
    clock.seconds = 3599

    def slow(_self):
        clock.seconds += 110

    with mock.patch.object(run_gate.Live, "no_go", slow):
        assert gate(run, clock=clock)["decision"] == "stop"
    with mock.patch.object(run_gate.Live, "no_go", side_effect=(run.evidence.root / "freeze").touch, return_value=None):
        assert gate(run, clock=FakeClock())["decision"] == "stop"


class Failing(dict):
    """The variables of a host, some of which come from a lookup that fails tonight."""

    def get(self, name, default=None):
        if name in self:
            raise RuntimeError("the inventory's database is down")
        return default


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("patching_tier", "signed approvals of the plan by 2 people"),
        ("patching_freezes", "patching_freezes cannot be read"),
        ("patching_inhibits", "patching_inhibits cannot be read"),
    ],
)
def test_a_variable_that_cannot_be_read_closes_and_is_recorded(run, name, seen):
    answer = gate(run, hostvars={"portal1": Failing({name: "x"})})
    assert answer["decision"] == "stop"
    assert seen in recorded(run)[-1][1]["reason"]
    rebooted = gate(run, hostvars={"portal1": Failing({name: "x"})}, before="reboot")["decision"]
    assert rebooted == ("stop" if name == "patching_freezes" else "go")


def test_a_host_that_is_out_already_is_finished_whatever_inhibits_say(tmp_path):
    run = inhibited(tmp_path, command=["false"])
    take(run)
    assert gate(run)["decision"] == "go"


def test_a_host_that_did_not_answer_is_begun_like_any_other(tmp_path):
    run = inhibited(tmp_path, command=["false"])
    run.record("portal1", "lock", "outcome", outcome="unreachable", reason="no answer")
    assert gate(run, check=True)["decision"] == "wait"


def test_the_command_line_hides_no_freeze_and_no_inhibit(tmp_path):
    run = inhibited(tmp_path, command=["true"])
    planned_inhibits = [{"command": ["true"]}]
    assert gate(run, extra_vars={"patching_inhibits": planned_inhibits, "patching_freezes": []})["decision"] == "go"
    assert "patching_inhibits is given on the command line" in gate(run, extra_vars={"patching_inhibits": []})["msg"]
    freezes = {"patching_freezes": ["daily 01:00, 1 h, UTC"]}
    assert "patching_freezes is given on the command line" in gate(run, extra_vars=freezes)["msg"]
    assert "inventory_dir is given" in gate(run, extra_vars={"inventory_dir": "/tmp"})["msg"]


def test_an_answer_counts_for_a_while_and_is_then_asked_for_again():
    clock, asked = FakeClock(), []
    kept = Kept(clock, 15, lambda: asked.append(clock.seconds) or len(asked))
    assert [kept.get(), kept.get(), kept.last()] == [1, 1, 1]
    clock.sleep(14)
    assert kept.get() == 1
    clock.sleep(1)
    assert [kept.last(), kept.get()] == [1, 2]


def test_what_happens_while_it_waits_counts(run):
    clock = FakeClock()
    sleep = clock.sleep

    def freeze_later(seconds):
        sleep(seconds)
        if clock.seconds >= 600:
            (run.evidence.root / "freeze").touch()

    clock.sleep = freeze_later
    assert "gives no reason" in gate(run, "portal2", clock=clock, poll_s=60)["msg"]
    assert clock.seconds == 600


def test_check_mode_neither_waits_nor_fails_nor_records(run):
    clock = FakeClock()
    assert gate(run, "portal2", check=True, clock=clock)["decision"] == "wait"
    (run.evidence.root / "freeze").touch()
    result = gate(run, check=True)
    assert result["decision"] == "stop"
    assert "failed" not in result
    assert clock.seconds == 0
    assert recorded(run) == []


def test_a_host_that_was_reported_stolen_after_the_plan_was_made_is_not_begun(run):
    assert gate(run)["decision"] == "go"
    report = lost.Report("portal1", "stolen", "Ada Nurse", "2026-11-22T07:00:00Z")
    lost.record(run.evidence.root, report, "nightly@controller1", NOW)
    answer = gate(run)
    assert (answer["decision"], answer["failed"]) == ("stop", True)
    assert "reported stolen by Ada Nurse" in answer["reason"]
    found = lost.Report("portal1", "found", "Ben Guard", "2026-11-22T07:30:00Z", reason="a mix-up of names")
    lost.record(run.evidence.root, found, "nightly@controller1", NOW)
    assert gate(run, clock=FakeClock())["decision"] == "go"


def emergencys(folder, fleet, *shortens):
    """Begin a run of a plan that breaks the glass, as update_plan makes it."""
    asked = {"emergency": True, "cve": "CVE-2026-1519", "break_glass": shortens}
    why = {"break_glass_reason": "attack", "break_glass_second": "Dr. Jane Roe"}
    urgent = emergency.read({**asked, **why}, lambda: "ada", NOW)
    fleet = urgent.applied(fleet)
    urgent = urgent.breaking(fleet, folder, NOW)
    Run(str(folder), PLAN_ID).evidence.save_plan(planned(fleet, urgent=urgent))
    return Run.start(str(folder), PLAN_ID)


def test_the_freeze_file_that_the_plan_breaks_by_name_lets_its_host_go(tmp_path):
    (tmp_path / "freeze").write_text("year's end\n")
    run = emergencys(tmp_path, portal_pair(), "freeze")
    assert gate(run)["decision"] == "go"
    (tmp_path / "freeze").write_text("mass casualty\n")
    assert "freeze says: mass casualty" in gate(run)["msg"]


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")
def test_a_signer_for_broken_glass_counts_at_the_gate_and_is_named_in_the_ledger(tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "nurse"], check=True)
    allowed, seconds = tmp_path / "approvers", tmp_path / "seconds"
    allowed.write_text("")
    seconds.write_text("nurse " + (tmp_path / "nurse.pub").read_text())
    lists = {"patching_allowed_signers": str(allowed), "patching_break_glass_signers": str(seconds)}
    variables = PORTAL | {"patching_tier": 2, **lists}
    fleet = {"lb1": candidate("lb1", {}), **{name: candidate(name, variables) for name in ("portal1", "portal2")}}
    for shortens, decision in (("freeze", "stop"), ("approval", "go")):
        folder = tmp_path / shortens
        run = emergencys(folder, fleet, shortens)
        made = approvals.sign(run.plan()["digest"], tmp_path / "nurse")
        approvals.keep(run.evidence.plan_dir(PLAN_ID), made)
        assert gate(run, hostvars={"portal1": variables})["decision"] == decision
    approved = recorded(run)[-1][1]["approved"]
    assert (approved["signed"][0]["by"], approved["signed"][0]["second"]) == ("nurse", True)
    assert approved["second_list"] == str(seconds)


def test_the_list_for_broken_glass_is_not_named_on_the_command_line(run):
    given = {"patching_break_glass_signers": "/tmp/mine"}
    assert "patching_break_glass_signers is given on the command line" in gate(run, extra_vars=given)["msg"]


def test_the_inventorys_freeze_file_counts_whatever_was_named_when_the_plan_was_made(tmp_path):
    (tmp_path / "files").mkdir()
    variables = {**PORTAL, "patching_freeze_file": str(tmp_path / "files/none")}
    fleet = {name: candidate(name, variables) for name in ("portal1", "portal2")} | {"lb1": candidate("lb1", {})}
    run = begun(tmp_path, fleet)
    assert gate(run)["decision"] == "go"
    (tmp_path / "freeze").write_text("mass casualty\n")
    assert "freeze says: mass casualty" in gate(run)["msg"]
    (tmp_path / "freeze").unlink()
    own = tmp_path / "files/own"
    own.write_text("diversion\n")
    assert "own says: diversion" in gate(run, hostvars={"portal1": {"patching_freeze_file": str(own)}})["msg"]
