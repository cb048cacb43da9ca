# SPDX-License-Identifier: GPL-3.0-or-later
"""A DOUBLE of AWX's REST API: a small real HTTP server on loopback, because no AWX runs where the tests do.

It answers with the fields that AWX's serializers have (WorkflowApproval,
WorkflowJob, WorkflowJobNode, Job, and lists by pages), and only to the token.
That a real AWX answers so is not proven by it.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "TOKEN-3f9a.secret"
WORKFLOW, WORKFLOW_JOB, PLAN_JOB, APPROVAL, PATCH_JOB = 12, 500, 501, 502, 503


class AwxDouble:
    """One workflow job of plan, approval and patch; tests change ``at``, the answers by path, or add to them."""

    def __init__(self, digest: str, user: str = "ada", user_id: int = 7) -> None:
        self.at: dict[str, Any] = {
            f"workflow_jobs/{WORKFLOW_JOB}/": {
                "type": "workflow_job",
                "id": WORKFLOW_JOB,
                "status": "running",
                "workflow_job_template": WORKFLOW,
            },
            f"workflow_jobs/{WORKFLOW_JOB}/workflow_nodes/": [],
        }
        self.asked: list[tuple[str, str]] = []
        self.status = 200
        self.planned(PLAN_JOB, digest, finished="2026-11-22T07:01:00.5Z")
        self.approved(APPROVAL, user, user_id, after=PLAN_JOB)

    @property
    def nodes(self) -> list[dict[str, Any]]:
        return self.at[f"workflow_jobs/{WORKFLOW_JOB}/workflow_nodes/"]

    @property
    def approval(self) -> dict[str, Any]:
        return self.at[f"workflow_approvals/{APPROVAL}/"]

    @property
    def plan_job(self) -> dict[str, Any]:
        return self.at[f"jobs/{PLAN_JOB}/"]

    def node(self, job: int, kind: str, status: str, after: int | None = None) -> None:
        """Add a node that ran this job, on success of the job ``after``."""
        node = {
            "id": 9000 + job,
            "type": "workflow_job_node",
            "workflow_job": WORKFLOW_JOB,
            "job": job,
            "success_nodes": [],
            "failure_nodes": [],
            "always_nodes": [],
            "summary_fields": {"job": {"id": job, "type": kind, "status": status}},
        }
        for before in self.nodes:
            if before["job"] == after:
                before["success_nodes"].append(node["id"])
        self.nodes.append(node)

    def planned(self, job: int, digest: str | None, finished: str, after: int | None = None) -> None:
        """Add a job, which planned if it has a digest."""
        artifacts = {"patching_plan": digest} if digest else {}
        self.at[f"jobs/{job}/"] = {
            "type": "job",
            "id": job,
            "status": "successful",
            "finished": finished,
            "artifacts": artifacts,
        }
        self.node(job, "job", "successful", after)

    def approved(
        self, approval: int, user: str, user_id: int, after: int, created: str = "2026-11-22T07:01:01Z"
    ) -> None:
        """Add an approval node."""
        self.at[f"workflow_approvals/{approval}/"] = {
            "type": "workflow_approval",
            "id": approval,
            "status": "successful",
            "timed_out": False,
            "created": created,
            "finished": "2026-11-22T07:30:00.123456Z",
            "summary_fields": {
                "source_workflow_job": {"id": WORKFLOW_JOB},
                "approved_or_denied_by": {"id": user_id, "username": user, "first_name": "", "last_name": ""},
            },
        }
        self.node(approval, "workflow_approval", "successful", after)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        """Return status and answer to a GET of a path below the API's address."""
        found = self.at.get(path)
        if self.status != 200 or found is None:
            return (404 if self.status == 200 else self.status), {"detail": "Not found."}
        if not isinstance(found, list):
            return 200, found
        size, page = int(query["page_size"][0]), int(query["page"][0])
        rest = found[(page - 1) * size :]
        more = f"/api/v2/{path}?page={page + 1}" if len(rest) > size else None
        return 200, {"count": len(found), "next": more, "previous": None, "results": rest[:size]}

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on loopback, and yield the address for patching_awx_url."""
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                double.asked.append((self.path, self.headers.get("Authorization", "")))
                status, found = double.answer(parts.path.removeprefix("/api/v2/"), parse_qs(parts.query))
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    status, found = 401, {"detail": "Authentication credentials were not provided."}
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/api/v2/elsewhere/")
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def log_message(self, *_words: object) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()


def settings(url: str, approvers: dict[str, str]) -> dict[str, Any]:
    """Return the variables of an inventory that names this AWX."""
    return {"patching_awx_url": url, "patching_awx_workflow": WORKFLOW, "patching_awx_approvers": approvers}
