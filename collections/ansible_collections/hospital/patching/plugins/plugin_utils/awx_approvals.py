# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals in AWX: an approval node of a workflow that somebody has approved, read back from AWX's API.

::

    <evidence dir>/plans/<plan id>/approvals/awx-<id>.json    which one it was, and what AWX said of it

The record is no proof: AWX is asked each time, and what it says now has to be
what it said then. What binds an approval to a plan is the digest that the job
that planned handed over by ``set_stats`` before the approval node was reached.

Fields are those of AWX's API: WorkflowApproval (status, timed_out, created,
finished, summary_fields.approved_or_denied_by and source_workflow_job),
WorkflowJob (workflow_job_template), WorkflowJobNode (job, success_nodes,
failure_nodes, always_nodes) and Job (status, finished, artifacts).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_site import AwxSite
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import json_text, read_json, write_text
from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import Unavailable

#: The artifact in which the job that planned hands its digest over.
ARTIFACT = "patching_plan"
#: What a node may be that makes no plan.
HAND_NOTHING_OVER = ("workflow_approval", "project_update", "inventory_update", "system_job")
#: Of how many jobs before an approval the artifacts are looked at.
MOST_JOBS = 50
#: How a job is followed by the next.
EDGES = ("success_nodes", "failure_nodes", "always_nodes")
_FILE = re.compile(r"awx-([1-9][0-9]{0,17})\.json")


class Api(Protocol):
    """What is asked: AwxApi, or the answers of a test."""

    site: AwxSite

    def get(self, path: str) -> dict[str, Any]: ...

    def rows(self, path: str) -> Iterator[dict[str, Any]]: ...


@dataclass(frozen=True)
class AwxApproval:
    """An approval as AWX has it: its record has these keys. ``user_id`` tells a user from a later one of his name."""

    url: str
    id: int
    user: str
    user_id: int
    approved: str
    plan: str
    workflow_job: int
    plan_job: int

    @property
    def text(self) -> str:
        """The record."""
        return json_text(asdict(self))

    @property
    def source(self) -> str:
        """Where it is read back."""
        return f"{self.url}/workflow_approvals/{self.id}/"


def file_of(folder: Path, approval_id: int) -> Path:
    """Return where the record of an approval lies among the approvals of a plan."""
    return folder / f"awx-{approval_id}.json"


def keep(folder: Path, found: AwxApproval) -> Path:
    """Put the record of an approval that was read back beside its plan; the same again changes nothing."""
    path = file_of(folder, found.id)
    if not path.exists() or path.read_bytes() != found.text.encode():
        write_text(path, found.text)
    return path


def records(folder: Path) -> list[Path]:
    """Return the records beside a plan."""
    return sorted(folder.glob("awx-*.json"))


def again(path: Path, digest: str, api: Api) -> AwxApproval:
    """Return the approval of a record as AWX has it now.

    Raises:
        PatchingError: it does not count, or AWX says something else than was recorded.
    """
    name, recorded = _FILE.fullmatch(path.name), read_json(path)
    if name is None or not isinstance(recorded, Mapping):
        raise _rejected("it is no record of an approval")
    found = read(int(name[1]), digest, api)
    other = [key for key, value in asdict(found).items() if recorded.get(key) != value]
    if other or len(recorded) != len(asdict(found)):
        told = ", ".join(f"{key} {asdict(found)[key]!r}, recorded {recorded.get(key)!r}" for key in other)
        raise _rejected(f"AWX says now: {told or 'less than the record'}")
    return found


def read(approval_id: int, digest: str, api: Api) -> AwxApproval:
    """Return an approval of the plan with this digest.

    Raises:
        PatchingError: AWX does not answer, or it is nobody's who may approve, or is of something else.
    """
    try:
        return _read(approval_id, digest, api)
    except Unavailable as error:
        raise _rejected(str(error)) from error


def given_in(workflow_job: int, api: Api) -> list[int]:
    """Return the approval nodes of a workflow job that ended well; raises as :func:`read`."""
    try:
        nodes = list(api.rows(f"workflow_jobs/{workflow_job}/workflow_nodes/"))
    except Unavailable as error:
        raise _rejected(str(error)) from error
    jobs = [_at(node, "summary_fields", "job") for node in nodes]
    found = [job for job in jobs if (job.get("type"), job.get("status")) == ("workflow_approval", "successful")]
    if not found:
        raise _rejected(f"workflow job {workflow_job} has no approval node that somebody has approved")
    return sorted(_number(job, "id") for job in found)


def _read(approval_id: int, digest: str, api: Api) -> AwxApproval:
    approval = api.get(f"workflow_approvals/{approval_id}/")
    if (approval.get("type"), approval.get("id")) != ("workflow_approval", approval_id):
        raise _rejected("AWX answers something else than that workflow approval")
    if approval.get("status") != "successful":
        more = " (denied, or timed out)" * (approval.get("status") == "failed")
        raise _rejected(f"its status in AWX is {approval.get('status')}{more}")
    if approval.get("timed_out") is not False:
        raise _rejected("it has timed out in AWX: nobody has approved it")
    user, user_id = _approver(approval, api.site)
    workflow_job = _number(_at(approval, "summary_fields", "source_workflow_job"), "id")
    template = api.get(f"workflow_jobs/{workflow_job}/").get("workflow_job_template")
    if template != api.site.workflow:
        raise _rejected(f"it belongs to workflow template {template}, and patching_awx_workflow is {api.site.workflow}")
    created, finished = _time(approval, "created"), _time(approval, "finished")
    if finished < created:
        raise _rejected("AWX says that it was approved before it was asked for")
    job = _plan_job(approval_id, workflow_job, created, api)
    planned = _at(job, "artifacts").get(ARTIFACT)
    if planned != digest:
        raise _rejected(f"it approves {planned!r}, which job {job['id']} of its workflow has planned, not {digest}")
    when = finished.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return AwxApproval(api.site.url, approval_id, user, user_id, when, digest, workflow_job, int(job["id"]))


def _approver(approval: Mapping[str, Any], site: AwxSite) -> tuple[str, int]:
    by = _at(approval, "summary_fields", "approved_or_denied_by")
    user = by.get("username")
    if not isinstance(user, str) or not user:
        raise _rejected("AWX does not say who has approved it, or has that user no longer")
    if user not in site.approvers:
        raise _rejected(f"{user} approved it, who is nobody in patching_awx_approvers")
    return user, _number(by, "id")


def _plan_job(approval_id: int, workflow_job: int, created: datetime, api: Api) -> Mapping[str, Any]:
    """Return the job whose plan the person saw last before the approval was asked for.

    Beyond a job that planned nobody looks: a plan that was made anew in the same workflow stands for the one before.
    Where several were made side by side, nobody knows which was approved.
    """
    nodes = {_number(node, "id"): node for node in api.rows(f"workflow_jobs/{workflow_job}/workflow_nodes/")}
    level = [key for key, node in nodes.items() if node.get("job") == approval_id]
    if len(level) != 1 or any(node.get("workflow_job") != workflow_job for node in nodes.values()):
        raise _rejected(f"it is not one node of workflow job {workflow_job}")
    planned: list[Mapping[str, Any]] = []
    seen = set(level)
    while level:
        before = {key for key, node in nodes.items() if _leads_to(node, level)} - seen
        seen |= before
        if len(seen) > MOST_JOBS:
            raise _rejected(f"more than {MOST_JOBS} jobs of its workflow come before it")
        jobs = {key: _job(nodes[key], api) for key in sorted(before) if nodes[key].get("job")}
        planned += [job for job in jobs.values() if ARTIFACT in _at(job, "artifacts")]
        level = [key for key, job in jobs.items() if ARTIFACT not in _at(job, "artifacts")]
    for job in planned:
        if job.get("status") != "successful" or _time(job, "finished") > created:
            raise _rejected(f"job {job.get('id')}, which planned, had not ended well when the approval was asked for")
    digests = {str(_at(job, "artifacts")[ARTIFACT]) for job in planned}
    if len(digests) != 1:
        several = f"{len(digests)} plans were made" if digests else f"no job hands a plan over as artifact {ARTIFACT}"
        raise _rejected(f"{several} before it in workflow job {workflow_job}")
    return planned[0]


def _leads_to(node: Mapping[str, Any], keys: Collection[int]) -> bool:
    after = [node.get(edge) for edge in EDGES]
    return any(key in one for one in after if isinstance(one, list) for key in keys)


def _job(node: Mapping[str, Any], api: Api) -> Mapping[str, Any]:
    """Return a node's job; an update or another approval hands nothing over. A workflow, or a job in slices, may."""
    kind = _at(node, "summary_fields", "job").get("type")
    if kind in HAND_NOTHING_OVER:
        return {}
    if kind != "job":
        raise _rejected(f"a node of type {kind} comes before it, in which another plan may have been made")
    number = _number(node, "job")
    job = api.get(f"jobs/{number}/")
    if (job.get("type"), job.get("id")) != ("job", number):
        raise _rejected(f"AWX answers something else than job {number}")
    return job


def _at(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return the mapping at these keys, empty where there is none."""
    found: Any = value
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _number(value: Mapping[str, Any], key: str) -> int:
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise _rejected(f"AWX answers without the {key} that belongs to it")
    return found


def _time(value: Mapping[str, Any], key: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(value.get(key)))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise _rejected(f"AWX answers without the time at which {value.get('type')} {value.get('id')} was {key}")
    return found


def _rejected(seen: str) -> PatchingError:
    return PatchingError(
        "an approval in AWX",
        seen,
        "an approval node of the workflow patching_awx_workflow, after the job that planned, approved by somebody whom"
        " patching_awx_approvers lists",
        "approve it there, and name its number: approve.yml -e patching_plan=... -e approve_awx=NUMBER; or sign",
    )
