# SPDX-License-Identifier: GPL-3.0-or-later
"""Where evidence lies, and how it is written.

::

    <evidence dir>/assess/<host>.json, sbom/<host>.cdx.json, lost/<host>.json, figures/<host>.json
    <evidence dir>/watchers/<boot id>.json
    <evidence dir>/inventory/fleet.json, fleet.csv, pending.csv
    <evidence dir>/plans/<plan id>/plan.json, plan.html, manifests/<hex>.json
    <evidence dir>/<run id>/plan.json, manifests/, stage/<host>.json, ledger.jsonl, report.json, report.html
    <evidence dir>/<run id>/reverts/<host>-<digest>.json
"""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import sync_directory
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import verify_manifest
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import Planned, verify_plan

ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Loaded:
    """A plan as it was kept: verified, with its manifests by digest and the path of its file."""

    plan: dict[str, Any]
    manifests: dict[str, dict[str, Any]]
    path: Path


def new_id(now: datetime, token: str | None = None) -> str:
    """Return a new id of a plan or run: the time, and eight random hex digits."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{token or secrets.token_hex(4)}"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, and make it durable; raises as :func:`replacing`."""
    with replacing(path) as handle:
        handle.write(text)


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Yield a handle whose text becomes the file's, durably and as a whole, or is dropped with any exception.

    Raises:
        PatchingError: the directory is full, read-only or missing for good.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            # A broken encoding that a host sent is kept as the JSON escape of what it was.
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise PatchingError(
            str(path), str(error), "a directory that can be written", "make room, or correct patching_evidence_dir"
        ) from error


def write_json(path: Path, value: object) -> None:
    """Write a document for people and programs: sorted keys, indented, whole or not at all."""
    write_text(path, json_text(value))


def json_text(value: object) -> str:
    """Return a document as :func:`write_json` writes it."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_json(path: Path) -> Any:
    """Return the document in ``path``.

    Raises:
        PatchingError: it is missing, unreadable or no JSON, or has a key twice.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_object)
    except (OSError, ValueError) as error:
        raise PatchingError(str(path), str(error), "a JSON document", "make it again, or name another") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is there twice: whoever greps would read another value than the digest covers."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _value in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


class Evidence:
    """The evidence directory."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def assess_path(self, host: str) -> Path:
        return self.root / "assess" / f"{_file_name(host)}.json"

    def sbom_path(self, host: str) -> Path:
        return self.root / "sbom" / f"{_file_name(host)}.cdx.json"

    def figures_path(self, host: str) -> Path:
        """Return the path of the host's numbers from earlier readings."""
        return self.root / "figures" / f"{_file_name(host)}.json"

    def lost_path(self, host: str) -> Path:
        return self.root / "lost" / f"{_file_name(host)}.json"

    def inventory_path(self, name: str) -> Path:
        """Return the path of a file about the whole fleet: ``fleet.json``, ``fleet.csv`` or ``pending.csv``."""
        return self.root / "inventory" / name

    def plan_dir(self, plan_id: str) -> Path:
        return self.root / "plans" / _id(plan_id)

    def run_dir(self, run_id: str) -> Path:
        return self.root / _id(run_id)

    def ledger_path(self, run_id: str) -> Path:
        return self.run_dir(run_id) / "ledger.jsonl"

    def stage_path(self, run_id: str, host: str) -> Path:
        return self.run_dir(run_id) / "stage" / f"{_file_name(host)}.json"

    def tail_path(self, run_id: str, host: str, digest: str) -> Path:
        """Return the path of what a revert of the host's disk erases of its journal."""
        return self.run_dir(run_id) / "reverts" / f"{_file_name(host)}-{digest.removeprefix('sha256:')[:12]}.json"

    def report_path(self, run_id: str, kind: str) -> Path:
        """Return the path of the report as ``json`` or ``html``."""
        return self.run_dir(run_id) / f"report.{kind}"

    def save_assessment(self, host: str, value: Mapping[str, Any]) -> Path:
        """Keep what assess learned of a host; the newest replaces the one before."""
        path = self.assess_path(host)
        write_json(path, value)
        return path

    def assessment(self, host: str) -> dict[str, Any] | None:
        """Return what assess learned of a host last, or None."""
        path = self.assess_path(host)
        return dict(read_json(path)) if path.exists() else None

    def save_plan(self, planned: Planned) -> Path:
        """Keep a plan and its manifests; return the path of the plan."""
        return _write_plan(self.plan_dir(str(planned.plan["plan_id"])), planned.plan, planned.manifests)

    def save_plan_page(self, plan_id: str, page: str) -> Path:
        """Keep the page that shows a plan to people; return its path."""
        path = self.plan_dir(plan_id) / "plan.html"
        write_text(path, page)
        return path

    def load_plan(self, reference: str) -> Loaded:
        """Return the plan that ``reference`` names: a path, the id of a plan or run, or a digest.

        Raises:
            PatchingError: nothing or more than one thing of that name, or the
                plan or one of its manifests is damaged.
        """
        path = self._find(reference)
        plan: dict[str, Any] = read_json(path)
        verify_plan(plan)
        manifests = {}
        for wanted in sorted({entry["manifest"] for entry in plan["hosts"].values()}):
            manifest: dict[str, Any] = read_json(_manifest_path(path.parent, wanted))
            verify_manifest(manifest)
            if manifest["digest"] != wanted:
                raise PatchingError(
                    str(_manifest_path(path.parent, wanted)),
                    f"the manifest {manifest['digest']}",
                    f"{wanted}, which its name says",
                    "make a new plan; do not move manifests about",
                )
            manifests[wanted] = manifest
        return Loaded(plan, manifests, path)

    def _find(self, reference: str) -> Path:
        if DIGEST.fullmatch(reference):
            return self._find_digest(reference)
        if ID.fullmatch(reference):
            for folder in (self.plan_dir(reference), self.run_dir(reference)):
                if (folder / "plan.json").exists():
                    return folder / "plan.json"
        path = Path(reference)
        if path.is_dir():
            path /= "plan.json"
        if path.is_file():
            return path
        raise PatchingError(
            f"plan {reference}",
            f"no such file, and no such plan in {self.root}",
            "the path, id or digest of a plan",
            "run plan.yml, which prints all three",
        )

    def _find_digest(self, digest: str) -> Path:
        """Return the newest plan of that digest: equal digests mean equal plans."""
        for plan_id in reversed(self.plans()):
            path = self.plan_dir(plan_id) / "plan.json"
            if read_json(path).get("digest") == digest:
                return path
        raise PatchingError(
            f"plan {digest}", f"no plan in {self.root} has this digest", "the digest of a kept plan", "run plan.yml"
        )

    def start_run(self, run_id: str, loaded: Loaded) -> Path:
        """Give a run its own copy of plan and manifests, and return the run's directory.

        Started again with the same plan it changes nothing.

        Raises:
            PatchingError: the run already executes another plan.
        """
        folder = self.run_dir(run_id)
        if (folder / "plan.json").exists():
            known = read_json(folder / "plan.json").get("digest")
            if known != loaded.plan["digest"]:
                raise PatchingError(
                    f"run {run_id}", f"it executes plan {known}", f"plan {loaded.plan['digest']}", "start a new run"
                )
            return folder
        _write_plan(folder, loaded.plan, loaded.manifests)
        return folder

    def plans(self) -> list[str]:
        """Return the ids of all kept plans, oldest first."""
        return _ids(self.root / "plans")

    def runs(self) -> list[str]:
        """Return the ids of all runs, oldest first."""
        return _ids(self.root)


def _write_plan(folder: Path, plan: Mapping[str, Any], manifests: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write manifests before the plan: a plan that is there has them all."""
    for digest, manifest in manifests.items():
        write_json(_manifest_path(folder, digest), manifest)
    write_json(folder / "plan.json", plan)
    return folder / "plan.json"


def _manifest_path(folder: Path, digest: str) -> Path:
    return folder / "manifests" / f"{digest.removeprefix('sha256:')}.json"


def _ids(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if ID.fullmatch(entry.name) and entry.is_dir())


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise PatchingError(
            "the id of a plan or run", repr(text), "one like 20261122T034500Z-ab12cd34", "copy it from the report"
        )
    return text


def _file_name(host: str) -> str:
    """Refuse a host name that would leave its folder."""
    if not host or "/" in host or "\0" in host or host.startswith("."):
        raise PatchingError(
            f"host {host!r}", "a name that cannot name a file", "a host name", "rename it in the inventory"
        )
    return host
