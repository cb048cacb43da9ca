# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a run's evidence: each file is what was written, and all of them belong together.

What stands in the folder convinces only with a head that was kept elsewhere: who may
write there can write a whole new chain, but none that has a known hash in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import ledger, transaction
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, read_json
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import verify_manifest
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import verify_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.report.words import count

LEDGER, PLAN, REPORT = "ledger.jsonl", "plan.json", "report.json"


@dataclass(frozen=True)
class Finding:
    """What is wrong with one file of the run's folder; ``line`` counts from 1 and is None for the whole file."""

    file: str
    line: int | None
    seen: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}{f' line {self.line}' if self.line else ''}: {self.seen} (expected {self.expected})"


@dataclass
class Verified:
    """The ledger's end as it was found, the heads it was held against, and what is wrong."""

    run_id: str
    folder: Path
    head: ledger.Head
    compared: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def text(self) -> list[str]:
        """Return the result for a person, line by line."""
        verdict = count(len(self.findings), "finding") if self.findings else "nothing found wrong"
        alone = "no head, so records cut off at the end go unnoticed; keep this one where this machine cannot change it"
        return [
            f"run {self.run_id}: {count(self.head.count, 'record')}, {verdict}",
            *map(str, self.findings),
            f"head: {self.head.count}:{self.head.hash}",
            f"compared with {' and '.join(self.compared) or alone}",
        ]

    def refusal(self) -> PatchingError:
        """Return what is wrong as an error; the first five findings stand for all."""
        more = [f"and {len(self.findings) - 5} more"] if len(self.findings) > 5 else []
        return PatchingError(
            f"the evidence of run {self.run_id}",
            "; ".join([*map(str, self.findings[:5]), *more]),
            "every file as the run wrote it",
            "keep the folder as it is; find out who changed it, and compare it with a copy that was kept elsewhere",
        )

    def find(self, file: str, line: int | None, seen: str, expected: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(file, line, seen, expected))

    def document(self, name: str, read: Callable[[Any], Any]) -> Any:
        """Return what ``read`` makes of a document; None, and a finding, when it refuses or there is none."""
        if not (self.folder / name).is_file():
            self.find(name, None, "it is missing", "the file that the run kept")
            return None
        try:
            return read(read_json(self.folder / name))
        except PatchingError as error:
            self.find(name, None, f"{error.subject}: {error.seen}", error.expected)
        except (KeyError, TypeError) as error:
            self.find(name, None, f"{error.__class__.__name__} {error}", "what its contract says")
        return None


def parse_head(text: str) -> ledger.Head:
    """Return the head that is written as ``COUNT:sha256:…``, or with a space, which ``-e`` would cut at.

    Raises:
        PatchingError: the text is no head.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,8})[ :](sha256:[0-9a-f]{64})", text)
    if not found:
        form = "COUNT:sha256:…, as verify.yml prints it"
        raise PatchingError("the ledger's head", repr(text), form, "copy it from where it was kept")
    return ledger.Head(int(found[1]), found[2])


def verify_run(kept: Evidence, run_id: str, head: str = "") -> Verified:
    """Return what is wrong with the evidence of a run; nothing is written.

    Args:
        head: the ledger's head as it was kept elsewhere, ``COUNT:sha256:…``; later records may follow it.

    Raises:
        PatchingError: there is no such run, the head is none, or the ledger may not be read.
    """
    folder, given = kept.run_dir(run_id), parse_head(head.strip()) if head.strip() else None
    if not folder.is_dir():
        seen, known = f"no such run in {kept.root}", f"one of the {len(kept.runs())} runs that are there"
        raise PatchingError(f"run {run_id}", seen, known, "copy the id from the report, or name its evidence_dir")
    records = ledger.records_of(folder / LEDGER)
    last = records[-1]["hash"] if records and records[-1] else ledger.GENESIS
    verified = Verified(run_id, folder, ledger.Head(len(records), last))
    _check_chain(verified, records)
    _check_head(verified, records, given, "the head given")
    if (folder / REPORT).exists():
        _check_head(verified, records, verified.document(REPORT, _reported), f"the head in {REPORT}")
    plan = verified.document(PLAN, partial(_plan, run_id))
    _check_opening(verified, records, plan)
    bound = {entry["manifest"].removeprefix("sha256:") for entry in plan["hosts"].values()} if plan else set()
    manifests = {
        f"sha256:{name}": verified.document(f"manifests/{name}.json", partial(_manifest, name))
        for name in sorted(bound | _names(folder / "manifests"))
    }
    installed = {record["host"] for record in records if record and record["step"] == "install" and record["host"]}
    for host in sorted(installed | _names(folder / "stage")):
        verified.document(f"stage/{host}.json", partial(_check_stage, host, plan, manifests))
    return verified


def _names(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.json")}


def _check_chain(verified: Verified, records: Sequence[ledger.Record | None]) -> None:
    for found in ledger.verify(verified.folder / LEDGER):
        verified.find(LEDGER, found.line, found.problem, "the record that was written there")
    for line, record in enumerate(records, 1):
        if record and record["run_id"] != verified.run_id:
            verified.find(LEDGER, line, f"a record of run {record['run_id']}", f"records of run {verified.run_id} only")


def _check_head(
    verified: Verified, records: Sequence[ledger.Record | None], head: ledger.Head | None, source: str
) -> None:
    if head is None:
        return
    verified.compared.append(source)
    if len(records) < head.count:
        seen = f"the end was cut off after record {len(records)}"
        verified.find(LEDGER, len(records) + 1, seen, f"record {head.count} and all before it, as {source} says")
        return
    found = (records[head.count - 1] or {}).get("hash")
    if found != head.hash:
        verified.find(LEDGER, head.count, f"the record's hash is {found}", f"{head.hash}, as {source} says")


def _reported(report: Mapping[str, Any]) -> ledger.Head | None:
    """Return the head that the report carries; one written before the first record has none."""
    found = report["evidence"]
    return parse_head(f"{found['records']}:{found['head']}") if found["records"] != 0 else None


def _plan(run_id: str, plan: dict[str, Any]) -> dict[str, Any]:
    verify_plan(plan)
    if plan["plan_id"] != run_id:
        raise PatchingError("plan", f"its id is {plan['plan_id']}", f"{run_id}, which is the run's", "")
    return plan


def _check_opening(verified: Verified, records: Sequence[ledger.Record | None], plan: Mapping[str, Any] | None) -> None:
    """Hold the plan against the digest that each opening of the run recorded."""
    openings: dict[str, int] = {}
    for line, record in enumerate(records, 1):
        if record and record["event"] == "begin" and "plan_digest" in record["detail"]:
            openings.setdefault(str(record["detail"]["plan_digest"]), line)
    if not openings:
        verified.find(LEDGER, None, "no record opens the run", "one that names the digest of its plan")
    for named, line in openings.items():
        if plan and plan["digest"] != named:
            verified.find(
                PLAN, None, f"plan {plan['digest']}", f"{named}, with which {LEDGER} line {line} opens the run"
            )


def _manifest(name: str, manifest: dict[str, Any]) -> dict[str, Any]:
    verify_manifest(manifest)
    if manifest["digest"] != f"sha256:{name}":
        raise PatchingError("manifest", f"its digest is {manifest['digest']}", "the one that its name says", "")
    return manifest


def _check_stage(
    host: str, plan: Mapping[str, Any] | None, manifests: Mapping[str, Any], stage: Mapping[str, Any]
) -> None:
    """Refuse a transaction that was changed, is another host's, or leaves the manifest that binds the host."""
    wanted = stage["transaction"]
    transaction.verify_transaction(wanted)
    entry = plan["hosts"].get(host) if plan else None
    seen = [] if wanted["host"] == host else [f"it is of host {wanted['host']}"]
    if plan and not entry:
        seen.append("the plan does not name the host")
    if entry and manifests[entry["manifest"]]:
        seen += transaction.problems(wanted, manifests[entry["manifest"]])
    if seen:
        raise PatchingError("transaction", "; ".join(seen), f"one of host {host} within its manifest", "")
