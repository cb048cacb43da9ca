# SPDX-License-Identifier: GPL-3.0-or-later
"""Which approvals in AWX count, from answers of its API, and read over HTTP from a DOUBLE of AWX (awx_double)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import replace

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import approvals, awx_api, awx_approvals, awx_site
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_api import AwxApi
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_site import AwxSite
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import NotThis
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.awx_double import (
    APPROVAL,
    PLAN_JOB,
    TOKEN,
    WORKFLOW,
    WORKFLOW_JOB,
    AwxDouble,
    settings,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.test_approvals import LATER, loaded, night

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PEOPLE = {"ada": "ada@hospital", "ada.admin": "ada@hospital", "ben": "ben@hospital"}
SITE = AwxSite("https://awx.example/api/v2", WORKFLOW, PEOPLE, (), TOKEN)


class Answers:
    """The answers of the double without HTTP."""

    def __init__(self, double):
        self.double, self.site = double, SITE

    def get(self, path):
        if path not in self.double.at:
            raise NotThis(f"{path}: 404")
        return self.double.at[path]

    def rows(self, path):
        yield from self.get(path)


@pytest.fixture
def double():
    return AwxDouble(DIGEST)


def read(double, number=APPROVAL, digest=DIGEST):
    return awx_approvals.read(number, digest, Answers(double))


def refused(double, number=APPROVAL, digest=DIGEST):
    with pytest.raises(PatchingError) as refusal:
        read(double, number, digest)
    assert "approve_awx=NUMBER" in refusal.value.next_step
    return refusal.value.seen


def test_an_approval_after_the_job_that_planned(double):
    found = read(double)
    assert (found.user, found.user_id, found.plan) == ("ada", 7, DIGEST)
    assert (found.workflow_job, found.plan_job) == (WORKFLOW_JOB, PLAN_JOB)
    assert found.approved == "2026-11-22T07:30:00.123456Z"
    assert found.source == f"https://awx.example/api/v2/workflow_approvals/{APPROVAL}/"


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        ({"status": "failed"}, "its status in AWX is failed (denied, or timed out)"),
        ({"status": "failed", "timed_out": True}, "its status in AWX is failed"),
        ({"status": "pending"}, "its status in AWX is pending"),
        ({"status": "canceled"}, "its status in AWX is canceled"),
        ({"status": None}, "its status in AWX is None"),
        ({"timed_out": True}, "it has timed out"),
        ({"timed_out": None}, "it has timed out"),
        ({"id": 1}, "something else than that workflow approval"),
        ({"type": "job"}, "something else than that workflow approval"),
        ({"created": None}, "without the time at which workflow_approval 502 was created"),
        ({"created": "2026-11-22T07:01:01"}, "without the time"),
        ({"finished": "soon"}, "without the time at which workflow_approval 502 was finished"),
        ({"finished": "2026-11-22T07:00:00Z"}, "before it was asked for"),
    ],
)
def test_an_approval_that_is_none(double, changed, seen):
    double.approval.update(changed)
    assert seen in refused(double)


@pytest.mark.parametrize(
    ("by", "seen"),
    [
        (None, "does not say who has approved it"),
        ({"id": 7, "username": ""}, "does not say who"),
        ({"id": 9, "username": "mallory"}, "mallory approved it, who is nobody in patching_awx_approvers"),
        ({"id": 7, "username": "ADA"}, "ADA approved it, who is nobody"),
        ({"username": "ada"}, "without the id"),
    ],
)
def test_it_has_to_be_somebodys_who_may(double, by, seen):
    """AWX forgets who it was when the user is deleted."""
    double.approval["summary_fields"]["approved_or_denied_by"] = by
    assert seen in refused(double)


def test_an_approval_of_another_workflow_template_does_not_count(double):
    """Whoever may make workflows can have lunch approved, after a job that says what he likes."""
    double.at[f"workflow_jobs/{WORKFLOW_JOB}/"]["workflow_job_template"] = 13
    assert refused(double) == "it belongs to workflow template 13, and patching_awx_workflow is 12"


def test_an_approval_of_another_plan_does_not_count(double):
    assert refused(double, digest=OTHER).startswith(f"it approves '{DIGEST}', which job {PLAN_JOB}")
    double.plan_job["artifacts"] = {"patching_plan": [DIGEST]}
    assert "it approves" in refused(double)


def test_an_approval_whose_workflow_job_does_not_have_it_as_a_node(double):
    double.nodes[-1]["job"] = 999
    assert f"it is not one node of workflow job {WORKFLOW_JOB}" in refused(double)
    double.nodes[-1].update(job=APPROVAL, workflow_job=1)
    assert "it is not one node of" in refused(double)
    double.nodes[-1].update(workflow_job=WORKFLOW_JOB)
    double.nodes.append({**double.nodes[-1], "id": 9999})
    assert "it is not one node of" in refused(double)
    double.approval["summary_fields"].pop("source_workflow_job")
    assert "without the id" in refused(double)


def test_a_plan_that_is_made_after_the_approval_is_not_approved_by_it(double):
    double.planned(510, OTHER, "2026-11-22T07:40:00Z", after=APPROVAL)
    assert read(double).plan == DIGEST
    assert "it approves" in refused(double, digest=OTHER)


def test_a_plan_beside_the_approval_is_not_approved_by_it(double):
    double.plan_job["artifacts"] = {}
    double.planned(510, DIGEST, "2026-11-22T07:00:00Z")
    assert "no job hands a plan over as artifact patching_plan" in refused(double)


def test_of_two_plans_before_it_the_last_one_is_approved(double):
    double.planned(510, OTHER, "2026-11-22T07:20:00Z", after=PLAN_JOB)
    double.approved(511, "ada", 7, after=510, created="2026-11-22T07:21:00Z")
    assert read(double, 511, OTHER).plan_job == 510
    assert "it approves" in refused(double, 511, DIGEST)


def test_two_plans_side_by_side_are_no_approval_of_either(double):
    double.planned(510, OTHER, "2026-11-22T07:00:00Z")
    double.nodes[-1]["always_nodes"].append(9000 + APPROVAL)
    for digest in (DIGEST, OTHER):
        assert "2 plans were made before it" in refused(double, digest=digest)


@pytest.mark.parametrize("kind", ["job", "workflow_approval", "project_update"])
def test_what_planned_nothing_may_stand_between(double, kind):
    double.planned(510, None, "2026-11-22T07:02:00Z", after=PLAN_JOB)
    double.nodes[-1]["summary_fields"]["job"]["type"] = kind
    double.approved(511, "ben", 8, after=510, created="2026-11-22T07:03:00Z")
    assert read(double, 511).plan_job == PLAN_JOB


@pytest.mark.parametrize("kind", ["workflow_job", "ad_hoc_command", None])
def test_a_workflow_within_may_have_planned_anew(double, kind):
    double.node(510, kind, "successful", after=PLAN_JOB)
    double.approved(511, "ben", 8, after=510, created="2026-11-22T07:03:00Z")
    assert "comes before it, in which another plan may have been made" in refused(double, 511)


@pytest.mark.parametrize(
    "changed",
    [{"status": "failed"}, {"status": "running"}, {"finished": "2026-11-22T07:01:02Z"}],
    ids=["failed", "running", "after"],
)
def test_the_job_that_planned_has_to_have_ended_well_before(double, changed):
    double.plan_job.update(changed)
    assert f"job {PLAN_JOB}, which planned, had not ended well when the approval was asked for" in refused(double)


def test_a_job_that_has_not_run_or_is_not_what_was_asked_for_hands_nothing_over(double):
    double.plan_job["id"] = 1
    assert f"something else than job {PLAN_JOB}" in refused(double)
    double.nodes[0]["job"] = None
    assert "no job hands a plan over" in refused(double)


def test_a_circle_or_a_very_large_workflow_ends(double):
    double.plan_job["artifacts"] = {}
    double.nodes[1]["success_nodes"].append(9000 + PLAN_JOB)
    assert "no job hands a plan over" in refused(double)
    for number in range(600, 600 + awx_approvals.MOST_JOBS):
        double.planned(number, None, "2026-11-22T07:00:00Z")
        double.nodes[-1]["success_nodes"].append(9000 + APPROVAL)
    assert "more than 50 jobs" in refused(double)


def test_a_number_that_awx_does_not_know(double):
    assert "404" in refused(double, 1)


def test_all_approvals_of_a_workflow_job_are_found(double):
    double.approved(511, "ben", 8, after=APPROVAL)
    double.approved(512, "cyd", 9, after=APPROVAL)
    double.nodes[-1]["summary_fields"]["job"]["status"] = "failed"
    assert awx_approvals.given_in(WORKFLOW_JOB, Answers(double)) == [APPROVAL, 511]
    double.nodes[:] = double.nodes[:1]
    with pytest.raises(PatchingError, match="has no approval node that somebody has approved"):
        awx_approvals.given_in(WORKFLOW_JOB, Answers(double))


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        (lambda double: double.plan_job["artifacts"].update(patching_plan=OTHER), "it approves"),
        (lambda double: double.approval["summary_fields"].update(approved_or_denied_by={"id": 8, "username": "ben"}),
         "user 'ben', recorded 'ada'"),
        (lambda double: double.approval["summary_fields"]["approved_or_denied_by"].update(id=70), "user_id 70"),
        (lambda double: double.approval.update(finished="2026-11-22T07:31:00Z"), "approved '2026-11-22T07:31"),
        (lambda double: double.approval.update(status="failed"), "its status in AWX is failed"),
        (lambda double: double.at.pop(f"workflow_approvals/{APPROVAL}/"), "404"),
    ],
    ids=["artifact", "user", "user of the same name", "time", "status", "gone"],
)  # fmt: skip
def test_what_awx_says_otherwise_later_does_not_count(double, tmp_path, changed, seen):
    path = awx_approvals.keep(tmp_path, read(double))
    assert awx_approvals.again(path, DIGEST, Answers(double)) == read(double)
    changed(double)
    with pytest.raises(PatchingError) as refusal:
        awx_approvals.again(path, DIGEST, Answers(double))
    assert seen in refusal.value.seen


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"user": "ada"}'])
def test_a_record_that_is_none_does_not_count(double, tmp_path, text):
    path = awx_approvals.keep(tmp_path, read(double))
    path.write_text(text)
    with pytest.raises(PatchingError):
        awx_approvals.again(path, DIGEST, Answers(double))


def test_a_record_under_another_number_or_of_another_awx_does_not_count(double, tmp_path):
    path = awx_approvals.keep(tmp_path, read(double))
    double.approved(511, "ada", 7, after=PLAN_JOB)
    with pytest.raises(PatchingError, match="id 511, recorded 502"):
        awx_approvals.again(path.rename(tmp_path / "awx-511.json"), DIGEST, Answers(double))
    path = awx_approvals.keep(tmp_path, replace(read(double), url="https://other.example/api/v2"))
    with pytest.raises(PatchingError, match=re.escape("recorded 'https://other.example/api/v2'")):
        awx_approvals.again(path, DIGEST, Answers(double))


# With the double over HTTP.


@pytest.fixture
def served(double):
    """Return a function that reads the double as a site with these settings does."""
    with double.serving() as url:
        double.url = url

        def site(token=TOKEN, segments=(), **changed):
            variables = settings(url, PEOPLE) | changed
            return awx_site.of(
                lambda name: (variables.get(name), ""), segments, None, {"CONTROLLER_OAUTH_TOKEN": token}
            )

        yield site


def test_it_is_read_over_http_with_the_token_and_each_answer_once(double, served):
    api = AwxApi(served())
    found = awx_approvals.read(APPROVAL, DIGEST, api)
    assert awx_approvals.read(APPROVAL, DIGEST, api) == found
    assert [path.removeprefix("/api/v2/") for path, _token in double.asked] == [
        f"workflow_approvals/{APPROVAL}/",
        f"workflow_jobs/{WORKFLOW_JOB}/",
        f"workflow_jobs/{WORKFLOW_JOB}/workflow_nodes/?page_size=200&page=1",
        f"jobs/{PLAN_JOB}/",
    ]
    assert {token for _path, token in double.asked} == {f"Bearer {TOKEN}"}
    assert TOKEN not in found.text


def test_a_long_list_is_read_by_pages_and_one_without_end_is_not(double, served, monkeypatch):
    double.nodes[:0] = [{**double.nodes[0], "id": 10 + n, "job": 2000 + n, "success_nodes": []} for n in range(250)]
    assert awx_approvals.read(APPROVAL, DIGEST, AwxApi(served())).plan_job == PLAN_JOB
    monkeypatch.setattr(awx_api, "MOST_PAGES", 1)
    with pytest.raises(PatchingError, match="has more than 200 rows"):
        awx_approvals.read(APPROVAL, DIGEST, AwxApi(served()))


@pytest.mark.parametrize(("status", "seen"), [(500, "500"), (403, "403"), (302, "302"), (404, "404")])
def test_an_awx_that_answers_otherwise_and_no_redirect_is_followed(double, served, status, seen):
    double.status = status
    with pytest.raises(PatchingError, match=seen):
        awx_approvals.read(APPROVAL, DIGEST, AwxApi(served()))
    assert len(double.asked) == 1


def test_a_wrong_token_is_refused_and_never_said(double, served):
    with pytest.raises(PatchingError, match="401") as refusal:
        awx_approvals.read(APPROVAL, DIGEST, AwxApi(served(token="S3cret-of-ada")))
    assert "S3cret-of-ada" not in str(refusal.value)


def test_an_answer_that_is_no_object_does_not_count(double, served):
    double.at[f"workflow_approvals/{APPROVAL}/"] = "yes"
    with pytest.raises(PatchingError, match="is no JSON object"):
        awx_approvals.read(APPROVAL, DIGEST, AwxApi(served()))
    double.at[f"workflow_jobs/{WORKFLOW_JOB}/workflow_nodes/"] = {"results": 5}
    with pytest.raises(PatchingError, match="is no list of AWX's"):
        awx_approvals.given_in(WORKFLOW_JOB, AwxApi(served()))


@pytest.mark.parametrize(("segments", "seen"), [(["127.0.0.0/8"], "inside the device segment"), (None, "is not set")])
def test_an_awx_among_devices_is_not_connected_to(double, served, segments, seen):
    with pytest.raises(PatchingError, match=f"AWX is not connected to: .*{seen}"):
        awx_approvals.read(APPROVAL, DIGEST, AwxApi(served(segments=segments)))
    assert double.asked == []


def test_an_awx_that_is_too_slow_does_not_hold_a_host_up_for_long(served):
    times = iter([0.0, 31.0])
    with pytest.raises(PatchingError, match="30 s are over"):
        awx_approvals.read(APPROVAL, DIGEST, AwxApi(served(), lambda: next(times)))


# Among the approvals of a plan.


class Office:
    """A plan, its folder, who may sign and AWX."""

    def __init__(self, root, url):
        self.root, self.store, self.allowed = root, Evidence(root / "evidence"), root / "approvers"
        self.made, self.allowed_lines = night(), []
        self.store.save_plan(self.made)
        self.site = awx_site.of(
            lambda name: (settings(url, PEOPLE).get(name), ""), [], None, {"CONTROLLER_OAUTH_TOKEN": TOKEN}
        )

    @property
    def digest(self):
        return self.made.plan["digest"]

    def sign(self, names):
        """Sign with a new key that is listed under these names."""
        key = self.root / names.replace(",", "-")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with self.allowed.open("a") as handle:
            handle.write(f"{names} {key.with_suffix(key.suffix + '.pub').read_text()}")
        approvals.keep(self.store.plan_dir(PLAN_ID), approvals.sign(self.digest, key))

    def record(self, number=APPROVAL):
        found = awx_approvals.read(number, self.digest, AwxApi(self.site))
        return awx_approvals.keep(approvals.folder(self.store.plan_dir(PLAN_ID)), found)

    def read(self, made=None):
        allowed = self.allowed if self.allowed.exists() else None
        return approvals.of_plan(self.store, loaded(made or self.made), allowed, awx=self.site)


@pytest.fixture
def office(tmp_path):
    double = AwxDouble(night().plan["digest"])
    with ExitStack() as stack:
        made = Office(tmp_path, stack.enter_context(double.serving()))
        made.double = double
        yield made


needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")


def test_it_counts_without_a_list_of_who_may_sign(office):
    office.record()
    assert (office.read().approvers, office.read().rejected) == (("ada@hospital",), ())


@needs_ssh
def test_one_person_by_ssh_and_another_in_awx_are_two(office):
    office.sign("ben@hospital")
    office.record()
    assert office.read().approvers == ("ada@hospital", "ben@hospital")


@needs_ssh
@pytest.mark.parametrize("names", ["ada@hospital", "a.smith,ada@hospital", "Ada@Hospital"])
def test_the_same_person_by_ssh_and_in_awx_is_one(office, names):
    office.sign(names)
    office.record()
    found = office.read()
    assert len(found.approvers) == 1
    assert "the same person has approved already" in found.rejected[0]


def test_a_second_account_of_the_same_person_is_not_a_second_person(office):
    office.double.approved(511, "ada.admin", 77, after=APPROVAL)
    office.record()
    office.record(511)
    assert office.read().approvers == ("ada@hospital",)


def test_awx_is_asked_again_each_time(office):
    office.record()
    office.double.status = 503
    assert office.read().approvers == ()
    assert "503" in office.read().rejected[0]
    office.double.status = 200
    assert office.read().approvers == ("ada@hospital",)
    office.site = replace(office.site, approvers={"ben": "ben@hospital"})
    assert "who is nobody in patching_awx_approvers" in office.read().rejected[0]
    office.site = None
    assert office.read().rejected == (f"awx-{APPROVAL}.json: AWX is not set",)


def test_a_list_that_cannot_be_read_lets_nobody_approve_in_awx_either(office):
    """Who is one person stands in it."""
    office.record()
    office.allowed.mkdir()
    assert office.read().approvers == ()


@pytest.mark.parametrize(("names", "counts"), [(("openssl",), True), (("openssl", "tzdata", "nginx"), False)])
def test_a_plan_that_only_drops_something_is_approved_by_it_too(office, names, counts):
    office.record()
    after = night(plan_id=LATER, names=names)
    office.store.save_plan(after)
    assert office.read(after).approvers == (("ada@hospital",) if counts else ())


def test_what_counted_is_kept_with_the_run_and_named_with_its_source(office):
    office.record()
    told = approvals.copy(office.read(), office.store, PLAN_ID)
    (entry,) = told["signed"]
    assert (entry["by"], entry["plan"]) == ("ada@hospital", office.digest)
    assert entry["source"] == f"{office.site.url}/workflow_approvals/{APPROVAL}/"
    kept = approvals.file_of(office.store.run_dir(PLAN_ID), entry["record"], "json")
    assert approvals.digest_of(kept.read_text()) == entry["record"]
    assert json.loads(kept.read_text())["user"] == "ada"
    assert all(TOKEN not in path.read_text() for path in office.root.rglob("*.json"))
