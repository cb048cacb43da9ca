# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that takes a person's answer, and the gate that asked for it, on one run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase

from ansible_collections.hospital.patching.plugins.action import run_answer, run_gate, run_open
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    answering,
    answers,
    approvals,
    explanation,
    paging,
    run_verification,
    runs,
)
from ansible_collections.hospital.patching.plugins.plugin_utils import report as reports
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALLOWED,
    NOW,
    PLAN_ID,
    planned,
    server,
)

LABEL = {"name": "label", "type": "person", "ask": "Print a label", "who": ["Ada", "ben@hospital"], "within_s": 1800}
ORDER = {**LABEL, "name": "order", "ask": "Order and see the result"}
HOSTS = ("portal1", "portal2", "portal3")
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")


class FakeClock(Clock):
    """Begins at NOW and moves on only while somebody sleeps; then something may happen."""

    def __init__(self):
        self.seconds, self.then = 0.0, {}

    def now(self):
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds
        for at in [one for one in self.then if one <= self.seconds]:
            self.then.pop(at)()


class Ward:
    """A run whose canary is patched at NOW, an inventory, and a pager that writes down what it is given."""

    def __init__(self, root, clock, pages, probes=(LABEL,), **settings):
        self.root, self.clock, self.pages = root, clock, pages
        fleet = {name: server(name, "portal", probes=list(probes), **settings) for name in HOSTS}
        fleet |= {name: server(name, "ehr", **settings) for name in ("ehr1", "ehr2")}
        self.hostvars = {
            name: {"patching_ask_contact": "json://pager", **{f"patching_{key}": v for key, v in settings.items()}}
            for name in HOSTS
        }
        Run(str(root), PLAN_ID).evidence.save_plan(planned(fleet))
        self.run = Run.start(str(root), PLAN_ID)
        self.run.record(None, "gate", "begin", plan_digest=self.run.plan()["digest"])
        self.extra, self.shown = {}, []

    def patch_canary(self):
        self.run.record("portal1", "record", "outcome", outcome="patched", reason="")

    def _act(self, module, arguments, check, **task_vars):
        plugin = module.ActionModule.__new__(module.ActionModule)
        plugin.validate_argument_spec = mock.Mock(return_value=(None, arguments))
        plugin._loader, plugin._task = DataLoader(), mock.Mock(check_mode=check)
        plugin._display = mock.Mock(display=self.shown.append)
        plugin.clock = self.clock
        with (
            mock.patch.object(ActionBase, "run", return_value={}),
            mock.patch.object(run_gate.contacts, "journey", return_value=ALLOWED),
            mock.patch.object(run_gate, "load_extra_vars", return_value=self.extra),
            mock.patch.object(run_answer, "load_extra_vars", return_value=self.extra),
            mock.patch.object(paging, "page_all", self.pages),
        ):
            return plugin.run(task_vars={"hostvars": self.hostvars, **task_vars})

    def answer(self, answer="", check=False, **options):
        defaults = {"service": "", "probe": "", "name": "", "reason": "", "key": None, "signature": None}
        arguments = {**defaults, "run_id": PLAN_ID, "evidence_dir": str(self.root), "answer": answer, **options}
        return self._act(run_answer, arguments, check)

    def gate(self, host="portal2", check=False):
        arguments = {"before": "host", "way_back": False, "outside_window": False, "poll_s": 60}
        arguments |= {"run_id": PLAN_ID, "evidence_dir": str(self.root)}
        return self._act(run_gate, arguments, check, inventory_hostname=host)

    def records(self, key="answer"):
        return [one["detail"] for one in self.run.ledger.read() if key in one["detail"]]


class Pages(list):
    """What was paged: whom, and what."""

    problems = ()

    def __call__(self, urls, message, setting):
        assert setting == "patching_ask_contact"
        self.append((list(urls), message))
        return paging.Sent(not self.problems, list(self.problems))


@pytest.fixture
def clock(monkeypatch):
    found = FakeClock()
    monkeypatch.setattr(runs, "Clock", lambda: found)
    return found


@pytest.fixture
def pages(monkeypatch):
    found = Pages()
    for function in (answering.ask, answering.tell):
        defaults = tuple(found if one is paging.page_all else one for one in function.__defaults__)
        monkeypatch.setattr(function, "__defaults__", defaults)
    return found


@pytest.fixture
def ward(tmp_path, clock, pages):
    made = Ward(tmp_path, clock, pages)
    made.patch_canary()
    return made


def test_a_yes_lets_the_waiting_host_begin(ward):
    given = []
    ward.clock.then[900] = lambda: given.append(ward.answer("yes", name="ada", reason="label of the test patient"))
    result = ward.gate()
    assert (result["decision"], ward.clock.seconds) == ("go", 900)
    (record,) = ward.records()
    assert {key: record[key] for key in ("answer", "service", "probe", "ask", "by", "claimed", "reason")} == {
        "answer": "yes",
        "service": "portal",
        "probe": "label",
        "ask": "Print a label",
        "by": "Ada",
        "claimed": True,
        "reason": "label of the test patient",
    }
    assert "@" in record["entered_by"]
    assert given[0]["changed"] is True
    assert given[0]["text"] == [
        "portal: label (Print a label): Ada says yes (claimed, not signed): label of the test patient"
    ]


def test_who_is_waited_for_is_told_once_however_many_hosts_wait(ward):
    ward.clock.then[60] = lambda: ward.answer("yes", name="Ada")
    ward.gate("portal2")
    ward.gate("portal3")
    ((urls, message),) = ward.pages
    assert urls == ["json://pager"]
    assert message == (
        f"Run {PLAN_ID}, portal: label (Print a label) is asked of Ada or ben@hospital, until 2026-11-22T08:30:00Z; "
        f"portal2, portal3 waits for it. Answer: answer.yml -e patching_run_id={PLAN_ID} -e answer_service=portal "
        "-e answer_probe=label -e answer_is=yes -e answer_name=Ada, or answer_is=no"
    )
    (asked,) = ward.records("asked")
    assert (asked["who"], asked["until"], asked["problems"]) == (["Ada", "ben@hospital"], "2026-11-22T08:30:00Z", [])
    assert [line for line in ward.shown if "is asked of Ada" in line]
    assert "json://pager" not in json.dumps(ward.run.ledger.read())


@pytest.mark.parametrize(
    ("contact", "problem"),
    [
        (None, "nobody is told: patching_ask_contact is not set"),
        ({"url": "x"}, "patching_ask_contact of portal2 is not text that is not empty, or a list of such"),
        ("json://pager", "the notification service (json) did not take the page"),
    ],
)
def test_that_nobody_could_be_told_is_said_and_recorded(ward, contact, problem):
    for variables in ward.hostvars.values():
        variables["patching_ask_contact"] = contact
    ward.pages.problems = [problem]
    ward.clock.then[60] = lambda: ward.answer("yes", name="Ada")
    ward.gate()
    assert ward.records("asked")[0]["problems"] == [problem]
    assert problem in ward.shown[0]


def test_while_the_canary_is_at_work_nobody_is_told(tmp_path, clock, pages):
    ward = Ward(tmp_path, clock, pages)
    ward.run.record("portal1", "drain", "done")
    clock.then[600] = ward.patch_canary
    clock.then[1800] = lambda: ward.answer("yes", name="Ada")
    seen = []
    clock.then[540] = lambda: seen.append(len(pages))
    assert ward.gate()["decision"] == "go"
    assert (seen, len(pages)) == ([0], 1)


def test_a_no_stops_the_service_and_pages(ward):
    ward.clock.then[300] = lambda: ward.answer("no", name="Ben@hospital", reason="the label is blank")
    result = ward.gate()
    assert (result["failed"], result["decision"], ward.clock.seconds) == (True, "stop", 300)
    assert "ben@hospital says no (claimed, not signed): the label is blank" in result["msg"]
    assert ward.gate("portal3")["decision"] == "stop"
    assert "Of portal no further host of the broad ring is begun (portal2, portal3)" in ward.pages[-1][1]
    assert "the label is blank" in ward.pages[-1][1]


def test_that_a_no_reached_nobody_is_said_to_whoever_gives_it(ward):
    ward.pages.problems = ["the pager is dead"]
    assert ward.answer("no", name="Ada")["text"][-1] == "the pager is dead"


def test_another_service_goes_on_after_a_no(ward):
    ward.answer("no", name="Ada")
    assert ward.gate("portal2")["decision"] == "stop"
    assert ward.gate("ehr1")["decision"] == "go"


def test_no_answer_within_its_time_stops_the_host_as_inconclusive(ward):
    result = ward.gate()
    assert (result["decision"], result["failed"]) == ("stop", True)
    assert "is inconclusive, no answer until 2026-11-22T08:30:00Z" in result["msg"]
    assert ward.clock.seconds == 1860


def test_check_mode_changes_nothing(ward):
    before = ward.run.ledger.read()
    assert ward.gate(check=True)["decision"] == "wait"
    told = ward.answer("no", check=True, name="Ada")
    assert (told["changed"], told["text"]) == (True, ["the answer no to portal label would be recorded"])
    assert (ward.run.ledger.read(), ward.pages) == (before, [])
    assert "Carol is not asked" in ward.answer("yes", check=True, name="Carol")["msg"]


def refused(ward, answer="yes", **options):
    before = len(ward.run.ledger.read())
    result = ward.answer(answer, **options)
    assert (result["failed"], result["changed"]) == (True, False)
    assert len(ward.run.ledger.read()) == before
    return result["msg"]


def test_a_name_that_is_not_asked_is_refused(ward):
    assert "portal label of run" in refused(ward, name="Carol")
    assert "Carol is not asked; expected Ada or ben@hospital" in refused(ward, name="Carol")
    assert "nobody is named; expected Ada or ben@hospital" in refused(ward)
    assert "Carol is not asked" in refused(ward, "no", name="Carol")


def test_an_unknown_run_service_or_probe_is_refused(ward):
    unknown = "20261122T080000Z-00000000"
    assert f"run {unknown}: no such run in" in refused(ward, name="Ada", run_id=unknown)
    assert "it has no question ehr; expected one of portal label" in refused(ward, name="Ada", service="ehr")
    assert "it has no question portal order" in refused(ward, name="Ada", service="portal", probe="order")


def test_a_run_that_asks_nobody_says_so(tmp_path, clock, pages):
    assert "it does not ask anybody" in refused(Ward(tmp_path, clock, pages, probes=()), name="Ada")


def test_of_two_questions_one_has_to_be_named(tmp_path, clock, pages):
    ward = Ward(tmp_path, clock, pages, probes=(LABEL, ORDER))
    ward.patch_canary()
    assert "it has the questions portal label, portal order" in refused(ward, name="Ada")
    assert ward.answer("yes", name="Ada", probe="order")["changed"] is True
    shown = ward.answer()["text"]
    assert (len(shown), "portal: order (Order and see the result): Ada says yes" in shown[1]) == (2, True)


def test_before_the_canary_is_patched_nothing_can_be_answered(tmp_path, clock, pages):
    ward = Ward(tmp_path, clock, pages)
    assert "portal1 is not patched yet" in refused(ward, name="Ada")
    assert "once portal1 is patched, before portal2, portal3" in ward.answer()["text"][0]


def test_after_the_run_has_ended_nothing_can_be_answered(ward):
    ward.run.close()
    assert "has ended" in refused(ward, name="Ada")
    assert "has ended" in refused(ward, "no", name="Ada")
    ward.run.record(None, "gate", "begin", plan_digest="sha256:x")
    assert ward.answer("yes", name="Ada")["changed"] is True


def test_a_yes_after_its_time_is_refused_and_a_no_is_not(ward):
    ward.clock.seconds = 1801
    assert "its time was over at 2026-11-22T08:30:00Z, so it is inconclusive" in refused(ward, name="Ada")
    assert ward.answer("no", name="Ada")["changed"] is True


def test_the_first_answer_counts_and_another_may_only_turn_a_yes_into_a_no(ward):
    ward.answer("yes", name="Ada")
    assert "it is answered: Ada says yes" in refused(ward, name="ben@hospital")
    assert ward.answer("no", name="ben@hospital")["changed"] is True
    assert "it is answered: ben@hospital says no" in refused(ward, name="Ada")
    assert "it is answered: ben@hospital says no" in refused(ward, "no", name="Ada")
    assert ward.gate()["decision"] == "stop"


@pytest.mark.parametrize("word", ["maybe", "y"])
def test_another_word_than_yes_or_no_is_refused(ward, word):
    assert "expected yes or no" in refused(ward, word, name="Ada")


def test_yes_and_no_as_yaml_reads_them(ward):
    assert ward.answer("True", name="Ada")["changed"] is True
    assert ward.answer("False", name="Ada")["changed"] is True
    assert [one["answer"] for one in ward.records()] == ["yes", "no"]


def test_an_answer_is_no_sign_of_life_of_a_dead_run(ward):
    before = ward.run.last_sign()
    ward.clock.seconds = 600
    ward.answer("yes", name="Ada")
    assert ward.run.last_sign() == before


def test_explain_says_what_is_waited_for(ward):
    (told,) = explanation.asked("portal3", str(ward.root), NOW)
    assert told.startswith(f"Run {PLAN_ID}, portal: label (Print a label) is asked of Ada or ben@hospital, until 2026-")
    assert explanation.asked("portal3", str(ward.root), NOW + timedelta(days=2)) == [], "its window is over"
    assert explanation.asked("elsewhere", str(ward.root), NOW) == []
    assert explanation.asked("portal3", str(ward.root / "nowhere"), NOW) == []
    ward.run.close()
    assert explanation.asked("portal3", str(ward.root), NOW) == []


def report(ward):
    return reports.build_report(ward.run.plan(), ward.run.ledger.read(), {})


def test_the_report_says_who_was_asked_and_what_they_said(ward):
    ward.clock.then[60] = lambda: ward.answer("no", name="Ada", reason="blank")
    failed = ward.gate()
    ward.run.record("portal2", "record", "outcome", outcome="not_started", reason=failed["msg"])
    ward.run.close()
    made = report(ward)
    texts = [one["text"] for one in made["remarks"]]
    assert "is asked of Ada or ben@hospital, until 2026-11-22T08:30:00Z" in texts[0]
    assert "portal: label (Print a label): Ada says no (claimed, not signed): blank" in texts[1]
    assert "Ada says no" in reports.render_html(made)
    assert "Ada says no" in str(made["needs_you"])


class Staged(Ward):
    """A night of promoted hosts that is staged by day."""

    def __init__(self, root, clock, pages):
        with mock.patch.object(answers, "planned_asks", lambda s: [{**o, "promoted": True} for o in answers.stated(s)]):
            super().__init__(root, clock, pages, ring="broad")

    def open(self, step):
        arguments = {"plan": self.run.plan()["digest"], "evidence_dir": str(self.root), "approved_by": "", "step": step}
        arguments["rehearse"] = []
        groups = {"all": [*HOSTS, "ehr1", "ehr2"]}
        return self._act(run_open, arguments, False, groups=groups)


def test_who_can_answer_by_day_is_asked_when_the_night_is_staged(tmp_path, clock, pages):
    ward = Staged(tmp_path, clock, pages)
    ward.run.evidence.ledger_path(PLAN_ID).unlink()
    assert "failed" not in ward.open("stage")
    ((_urls, message),) = pages
    assert "within 1800 s of the run's begin; portal1, portal2, portal3 waits for it" in message
    ward.answer("yes", name="Ada")
    clock.seconds = 36000
    ward.open("gate")
    assert len(pages) == 1
    assert "Ada says yes" in ward.shown[-1]
    assert ward.gate("portal1")["decision"] == "go"
    made = report(ward)
    assert made["started"] == "2026-11-22T18:00:00Z", "the night does not begin with an answer of the day before"


class Keys:
    """A ward of tier 2, the list of who may sign, and their keys."""

    def __init__(self, root, clock, pages):
        self.root, self.allowed = root, root / "approvers"
        self.allowed.write_text("")
        self.ward = Ward(root / "evidence", clock, pages, tier=2, allowed_signers=str(self.allowed))
        self.ward.patch_canary()
        self.asking = answers.askings(self.ward.run.plan())[0]

    def key(self, name, *names):
        path = self.root / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        public = path.with_suffix(".pub").read_text().split()
        with self.allowed.open("a") as handle:
            handle.write(f"{','.join(names or (name,))} {public[0]} {public[1]}\n")
        return str(path)


@pytest.fixture
def keys(tmp_path, clock, pages):
    return Keys(tmp_path, clock, pages)


@needs_ssh
def test_a_signed_yes_counts_where_a_typed_one_does_not(keys):
    ward, key = keys.ward, keys.key("ada", "ada@hospital", "Ada")
    ward.answer("yes", key=key, reason="seen")
    (record,) = ward.records()
    assert (record["by"], record["claimed"]) == ("Ada", False)
    assert counted(keys) == ("yes", "")
    assert run_verification.verify_run(ward.run.evidence, PLAN_ID).findings == []


def live(keys, tier=2):
    ward = keys.ward
    plan = ward.run.plan()
    found = {"loaded.plan": plan, "entry": plan["hosts"]["portal2"], "run": ward.run, "tier": tier}
    return found | {"clock": ward.clock, "signers.return_value": keys.allowed}


def counted(keys, **more):
    stand = answering.Waiting(mock.Mock(**live(keys, **more))).standings(keys.ward.run.ledger.read())["label"]
    return stand.says, stand.discounted


def test_a_typed_yes_is_refused_and_a_typed_no_is_not(keys):
    said = refused(keys.ward, name="Ada")
    assert "a yes by a typed name; expected a signature by somebody who may answer" in said
    assert f"echo {keys.asking.statement('yes', '')} | ssh-keygen -Y sign -n hospital.patching.answer" in said
    assert keys.ward.answer("no", name="Ada")["changed"] is True


@needs_ssh
def test_a_signature_of_somebody_else_or_over_something_else_is_refused(keys):
    ada, carol = keys.key("ada", "Ada"), keys.key("carol")
    assert "carol is not asked; expected Ada or ben@hospital" in refused(keys.ward, key=carol)
    for digest, namespace in (
        (keys.asking.statement("no", ""), approvals.ANSWER_NAMESPACE),
        (keys.asking.statement("yes", "another reason"), approvals.ANSWER_NAMESPACE),
        (keys.asking.statement("yes", ""), approvals.NAMESPACE),
    ):
        path = keys.root / "answer.sig"
        path.write_text(approvals.sign(digest, ada, namespace=namespace))
        assert "Ada may not sign now, or has signed something else" in refused(keys.ward, signature=str(path))
    path.write_text(approvals.sign(keys.asking.statement("yes", "seen"), ada, namespace=approvals.ANSWER_NAMESPACE))
    assert keys.ward.answer("yes", signature=str(path), reason=" seen ")["changed"] is True
    assert "a file that ssh-keygen -Y sign wrote" in refused(keys.ward, signature=str(path) + ".no")


@needs_ssh
def test_a_plan_s_approval_is_no_answer_and_an_answer_approves_nothing(keys):
    ada, digest = keys.key("ada", "Ada"), keys.ward.run.plan()["digest"]
    answer = approvals.sign(digest, ada, namespace=approvals.ANSWER_NAMESPACE)
    with pytest.raises(run_answer.PatchingError, match="has signed something else"):
        approvals.verify(answer, digest, keys.allowed)


@needs_ssh
def test_a_line_that_is_taken_out_of_the_list_ends_its_yes(keys):
    keys.ward.answer("yes", key=keys.key("ada", "Ada"))
    assert counted(keys) == ("yes", "")
    keys.allowed.write_text("")
    assert counted(keys)[0] == ""
    assert "its key is nobody's" in counted(keys)[1]


@needs_ssh
def test_a_signature_that_is_gone_ends_its_yes_and_is_found(keys):
    keys.ward.answer("yes", key=keys.key("ada", "Ada"))
    digest = keys.ward.records()[0]["signature"]
    path = approvals.file_of(keys.ward.run.evidence.run_dir(PLAN_ID), digest)
    path.unlink()
    assert "its signature cannot be read" in counted(keys)[1]
    findings = run_verification.verify_run(keys.ward.run.evidence, PLAN_ID).findings
    expected = f"(expected the answer {digest} that let a host go)"
    assert [str(one) for one in findings] == [f"approvals/{path.name}: it is missing {expected}"]


def test_a_tier_that_became_stricter_wants_a_signature(ward):
    ward.answer("yes", name="Ada")
    office = SimpleNamespace(ward=ward, allowed=None)
    assert counted(office, tier=3) == ("yes", "")
    assert counted(office, tier=2) == ("", "a typed name is not enough for its tier")


def test_a_typed_yes_is_refused_where_the_inventory_s_tier_became_stricter(ward):
    ward.hostvars["portal3"]["patching_tier"] = 2
    assert "a yes by a typed name" in refused(ward, name="Ada")


def test_who_answers_does_not_choose_who_may(keys):
    keys.ward.extra = {"patching_allowed_signers": "/tmp/mine"}
    path = keys.root / "answer.sig"
    path.write_text("x")
    assert "is given on the command line, where whoever answers decides it" in refused(keys.ward, signature=str(path))


def test_two_processes_ask_once(ward):
    """Two gates of one wave ask at the same moment."""
    code = f"""
import sys
from ansible_collections.hospital.patching.plugins.plugin_utils import answering, answers, paging
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
run = Run({str(ward.root)!r}, {PLAN_ID!r})
(asking,) = answers.askings(run.plan())
stand = answers.Standing(asking, True)
print("ready", flush=True)
sys.stdin.readline()
page = lambda urls, message, setting: paging.Sent(True, [])
print(answering.ask(run, stand, {{"portal2": {{"patching_ask_contact": "json://x"}}}}, page))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _process in range(2)
    ]
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    assert sorted(one.communicate()[0] for one in both) == ["None\n", "[]\n"]
    assert len(ward.records("asked")) == 1
