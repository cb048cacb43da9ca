# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a run's evidence: each file is what was written, and all of them belong together.

What stands in the folder convinces only with a head that was kept elsewhere: who may
write there can write a whole new chain, but none that has a known hash in its place.
The report is no evidence of its own: it is made again from the ledger and compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import answers, approvals, ledger, transaction
from ansible_collections.hospital.patching.plugins.plugin_utils import report as reports
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, json_text, read_json
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import verify_manifest
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import verify_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.report.words import count

LEDGER, PLAN, REPORT, PAGE, TRAFFIC = "ledger.jsonl", "plan.json", "report.json", "report.html", "traffic.json"


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
    #: Why the reports' content was not compared; empty when it was, or when there is no report.
    unread: str = ""

    def text(self) -> list[str]:
        """Return the result for a person, line by line."""
        verdict = count(len(self.findings), "finding") if self.findings else "nothing found wrong"
        alone = "no head, so records cut off at the end go unnoticed; keep this one where this machine cannot change it"
        return [
            f"run {self.run_id}: {count(self.head.count, 'record')}, {verdict}",
            *map(str, self.findings),
            f"head: {self.head.count}:{self.head.hash}",
            f"compared with {' and '.join(self.compared) or alone}",
            *([f"the content of {REPORT} and {PAGE} was not checked: {self.unread}"] if self.unread else []),
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
    _check_approvals(verified, records)
    installed = {record["host"] for record in records if record and record["step"] == "install" and record["host"]}
    staged = {
        record["host"]: record["detail"]["transaction"]
        for record in records
        if record and (record["step"], record["event"]) == ("stage", "note") and "transaction" in record["detail"]
    }
    stages = {
        host: verified.document(f"stage/{host}.json", partial(_check_stage, host, plan, manifests, staged.get(host)))
        for host in sorted(installed | set(staged) | _names(folder / "stage"))
    }
    if (folder / REPORT).exists() or (folder / PAGE).exists():
        _check_report(verified, records, plan, {host: stage for host, stage in stages.items() if stage})
    return verified


def _names(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.json")}


def _check_approvals(verified: Verified, records: Sequence[ledger.Record | None]) -> None:
    """Hold the approvals that let critical hosts go, and signed answers, against the ledger.

    Whose a signature is, ssh-keygen -Y verify says; of an approval in AWX there is only the record of what AWX said.
    """
    approved = [record["detail"].get("approved") for record in records if record and record["step"] == "gate"]
    signed = [one for entry in approved if entry for one in entry.get("signed", [])]
    wanted = {(str(one.get("signature")), "sig") for one in signed if "record" not in one}
    given = (record["detail"] for record in records if record and answers.is_answering(record))
    answered = {str(detail["signature"]) for detail in given if "signature" in detail}
    wanted |= {(digest, "sig") for digest in answered}
    wanted |= {(str(one["record"]), "json") for one in signed if "record" in one}
    for digest, kind in sorted(wanted):
        name = approvals.file_of(verified.folder, digest, kind)
        shown = f"{name.parent.name}/{name.name}"
        if not name.is_file():
            what = "answer" if digest in answered else "approval"
            verified.find(shown, None, "it is missing", f"the {what} {digest} that let a host go")
        elif approvals.digest_of(name.read_text(encoding="utf-8", errors="replace")) != digest:
            verified.find(shown, None, "another approval", f"{digest}, which let a host go")


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
    host: str,
    plan: Mapping[str, Any] | None,
    manifests: Mapping[str, Any],
    recorded: str | None,
    stage: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Return a stage.

    Raises:
        PatchingError: its transaction was changed, is another host's, or leaves the manifest that binds the host.
    """
    wanted = stage["transaction"]
    transaction.verify_transaction(wanted)
    entry = plan["hosts"].get(host) if plan else None
    seen = [] if wanted["host"] == host else [f"it is of host {wanted['host']}"]
    if recorded and wanted["digest"] != recorded:
        seen.append(f"its digest is {wanted['digest']}, and the ledger recorded {recorded}")
    if plan and not entry:
        seen.append("the plan does not name the host")
    if entry and manifests[entry["manifest"]]:
        seen += transaction.problems(wanted, manifests[entry["manifest"]])
    if seen:
        raise PatchingError("transaction", "; ".join(seen), f"one of host {host} within its manifest", "")
    return stage


def _check_report(
    verified: Verified,
    records: Sequence[ledger.Record | None],
    plan: Mapping[str, Any] | None,
    stages: Mapping[str, Mapping[str, Any]],
) -> None:
    """Hold both forms of the report against what the run's own files make of the ledger up to the head it carries."""
    if verified.findings or plan is None:
        verified.unread = "it is made of the files that are found wrong"
        return
    kept = verified.document(REPORT, dict)
    traffic = verified.document(TRAFFIC, dict) if (verified.folder / TRAFFIC).exists() else None
    if kept is None or (traffic is None and verified.findings):
        return
    if kept.get("made_by") != reports.MADE_BY:
        verified.unread = f"made by {kept.get('made_by') or 'an unnamed version'}, this is {reports.MADE_BY}"
        return
    until = kept["evidence"]["records"]
    wanted = f"what the plan, the stages, {TRAFFIC} and the ledger up to record {until} make; report.yml writes it anew"
    try:
        known = [record for record in records[:until] if record]
        made = reports.build_report(plan, known, stages, traffic, _torn_then(kept, records, until))
        forms = {REPORT: json_text(made).encode(), PAGE: reports.render_html(made).encode()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        verified.find(REPORT, None, f"it cannot be made again ({error.__class__.__name__} {error})", wanted)
        return
    for name, content in forms.items():
        if not (verified.folder / name).is_file():
            verified.find(name, None, "it is missing", wanted)
        elif (verified.folder / name).read_bytes() != content:
            verified.find(name, None, "other content" + (_where(kept, made) if name == REPORT else ""), wanted)


def _where(kept: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """Return the names of the parts that differ; empty when only the writing does."""
    other = [key for key in sorted({*kept, *made}) if key not in kept or key not in made or kept[key] != made[key]]
    return f" in {', '.join(other)}" if other else ""


def _torn_then(kept: Mapping[str, Any], records: Sequence[ledger.Record | None], until: int) -> list[str]:
    """Return what was wrong with a ledger that is whole now: a torn last line, if its cut is on record."""
    following = records[until] if until < len(records) else None
    torn = f"line {until + 1}: {ledger.TORN}"
    was_cut = following is not None and "torn_line_bytes" in following["detail"]
    return [torn] if was_cut and torn in kept["evidence"]["findings"] else []
