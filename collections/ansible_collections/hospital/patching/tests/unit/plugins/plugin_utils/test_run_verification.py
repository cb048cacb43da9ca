# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is done to a run's folder is found, and the finding says where."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json, digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import approvals
from ansible_collections.hospital.patching.plugins.plugin_utils import report as reports
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import GENESIS, Head
from ansible_collections.hospital.patching.plugins.plugin_utils.manifest import manifest_digest
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import build_plan, plan_digest
from ansible_collections.hospital.patching.plugins.plugin_utils.run_verification import Verified, parse_head, verify_run
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.transaction import build_transaction
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    PLAN_ID,
    planned,
    portal_pair,
)

OTHER = "20261122T080000Z-ffffffff"


@pytest.fixture
def run(tmp_path):
    """Return a run that was staged and patched one host, without a report."""
    evidence_dir = str(tmp_path / "evidence")
    planned_once = planned(portal_pair())
    opened = Run(evidence_dir, PLAN_ID)
    opened.evidence.save_plan(planned_once)
    opened = Run.start(evidence_dir, PLAN_ID)
    plan = opened.plan()
    opened.record(None, "stage", "begin", plan_digest=plan["digest"])
    for host, entry in plan["hosts"].items():
        made = build_transaction(host, "apt", entry["updates"], entry["manifest"])
        opened.save_stage(host, {"transaction": made, "space": []})
        opened.record(host, "stage", "done")
    opened.record(None, "gate", "begin", plan_digest=plan["digest"])
    opened.record("portal1", "install", "done")
    opened.record("portal1", "record", "outcome", outcome="patched", reason="")
    return opened


def verify(run, head="") -> Verified:
    return verify_run(run.evidence, PLAN_ID, head)


def found(run, head="") -> list[str]:
    return [str(finding) for finding in verify(run, head).findings]


def head_of(run) -> str:
    head = run.ledger.head()
    return f"{head.count}:{head.hash}"


def write_report(run) -> None:
    made = reports.build_report(run.plan(), run.ledger.read(), run.stages(), findings=run.findings())
    run.write_report(made, reports.render_html(made))


def lines(run) -> list[bytes]:
    return run.ledger.path.read_bytes().splitlines(keepends=True)


def rewrite(run, content) -> None:
    run.ledger.path.write_bytes(b"".join(content))


def chained(run, change) -> None:
    """Write the whole chain anew with changed records, as somebody would who knows how it is made."""
    previous, content = GENESIS, []
    for record in change([json.loads(line) for line in lines(run)]):
        body = {key: value for key, value in record.items() if key != "hash"} | {"previous": previous}
        previous = digest(body)
        content.append(canonical_json(body | {"hash": previous}).encode() + b"\n")
    rewrite(run, content)


def edit(path: Path, change) -> dict:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return document


def folder(run) -> Path:
    return run.evidence.run_dir(PLAN_ID)


def manifest_path(run) -> Path:
    (path,) = (folder(run) / "manifests").iterdir()
    return path


def test_an_untouched_run_has_nothing_wrong_and_is_not_written_to(run):
    write_report(run)
    before = {path: path.read_bytes() for path in folder(run).rglob("*") if path.is_file()}
    verified = verify(run, head_of(run))
    assert verified.findings == []
    assert verified.head == run.ledger.head()
    assert verified.text() == [
        f"run {PLAN_ID}: 6 records, nothing found wrong",
        f"head: {head_of(run)}",
        "compared with the head given and the head in report.json",
    ]
    assert {path: path.read_bytes() for path in folder(run).rglob("*") if path.is_file()} == before


def test_without_any_head_it_says_what_cannot_be_seen(run):
    rewrite(run, lines(run)[:5])
    verified = verify(run)
    assert verified.findings == []
    assert "cut off at the end go unnoticed" in verified.text()[-1]


# --- the ledger ----------------------------------------------------------------


def test_a_changed_record(run):
    content = lines(run)
    content[4] = content[4].replace(b'"done"', b'"note"')
    rewrite(run, content)
    assert found(run) == [
        "ledger.jsonl line 5: its content does not fit its hash, so it was changed "
        "(expected the record that was written there)"
    ]


@pytest.mark.parametrize(
    ("change", "line", "seen"),
    [
        (lambda all_lines: all_lines[:2] + all_lines[3:], 3, "record 4 follows record 2"),
        (lambda all_lines: all_lines[:2] + all_lines[3:1:-1] + all_lines[4:], 3, "record 4 follows record 2"),
        (lambda all_lines: [*all_lines[:3], *all_lines[2:]], 4, "record 3 follows record 3"),
        (lambda all_lines: [*all_lines, all_lines[-1]], 7, "record 6 follows record 6"),
        (lambda all_lines: [*all_lines[:3], b"{}\n", *all_lines[3:]], 4, "it is no ledger record"),
    ],
    ids=["dropped", "reordered", "added", "added at the end", "added garbage"],
)
def test_a_dropped_a_reordered_and_an_added_record(run, change, line, seen):
    rewrite(run, change(lines(run)))
    finding = verify(run).findings[0]
    assert (finding.file, finding.line) == ("ledger.jsonl", line)
    assert seen in finding.seen


def test_a_torn_last_line(run):
    with run.ledger.path.open("ab") as handle:
        handle.write(b'{"torn":')
    assert found(run) == [
        "ledger.jsonl line 7: the last line is torn (expected the record that was written there)",
    ]


def test_an_end_that_was_cut_off_is_found_against_the_head_given(run):
    head = head_of(run)
    rewrite(run, lines(run)[:4])
    assert found(run, head) == [
        "ledger.jsonl line 5: the end was cut off after record 4 "
        "(expected record 6 and all before it, as the head given says)"
    ]


def test_an_end_that_was_cut_off_is_found_against_the_report(run):
    write_report(run)
    rewrite(run, lines(run)[:4])
    assert found(run) == [
        "ledger.jsonl line 5: the end was cut off after record 4 "
        "(expected record 6 and all before it, as the head in report.json says)"
    ]


def test_a_chain_that_was_written_anew_is_found_against_either_head(run):
    write_report(run)
    head = head_of(run)
    chained(run, lambda records: [*records[:-1], records[-1] | {"detail": {"outcome": "refused", "reason": ""}}])
    seen, wanted = f"the record's hash is {run.ledger.head().hash}", head.partition(":")[2]
    assert found(run, head) == [
        f"ledger.jsonl line 6: {seen} (expected {wanted}, as the head given says)",
        f"ledger.jsonl line 6: {seen} (expected {wanted}, as the head in report.json says)",
    ]


def test_records_may_follow_a_head(run):
    write_report(run)
    head = head_of(run)
    run.record(None, "record", "note", text="the auditor was here")
    verified = verify(run, head)
    assert verified.findings == []
    assert verified.head.count == 7


def test_a_record_of_another_run(run):
    chained(run, lambda records: [*records[:3], records[3] | {"run_id": OTHER}, *records[4:]])
    assert found(run) == [f"ledger.jsonl line 4: a record of run {OTHER} (expected records of run {PLAN_ID} only)"]


def test_a_ledger_that_is_gone(run):
    run.ledger.path.unlink()
    verified = verify(run)
    assert verified.head == Head(0, GENESIS)
    assert [str(finding) for finding in verified.findings] == [
        "ledger.jsonl: no record opens the run (expected one that names the digest of its plan)"
    ]


# --- the report ----------------------------------------------------------------


@pytest.mark.parametrize("content", ["{", "[]", "null", "{}", '{"evidence": {"records": "six", "head": null}}'])
def test_a_report_without_a_head(run, content):
    (folder(run) / "report.json").write_text(content)
    assert [finding.file for finding in verify(run).findings] == ["report.json"]


def test_a_report_from_before_the_first_record_has_no_head(run):
    (folder(run) / "report.json").write_text('{"evidence": {"records": 0, "head": null}}')
    assert verify(run).findings == []
    assert verify(run).compared == []


def test_an_edited_report_is_found_and_where(run):
    write_report(run)
    kept = json.loads((folder(run) / "report.json").read_text(encoding="utf-8"))
    kept["needs_you"] = []
    kept["services"] = []
    write_json(folder(run) / "report.json", kept)
    (finding,) = verify(run).findings
    assert (finding.file, finding.seen) == ("report.json", "other content in needs_you, services")
    assert "the ledger up to record 6 make; report.yml writes it anew" in finding.expected


def test_a_report_with_a_key_twice_is_found(run):
    write_report(run)
    path = folder(run) / "report.json"
    path.write_text(path.read_text().replace('"finished"', '"finished": true,\n  "finished"', 1))
    (finding,) = verify(run).findings
    assert (finding.file, "the key 'finished' is there twice" in finding.seen) == ("report.json", True)


def test_a_plan_with_a_key_twice_is_found(run):
    path = folder(run) / "plan.json"
    path.write_text(path.read_text().replace('"plan_id"', '"plan_id": "another",\n  "plan_id"', 1))
    (finding,) = verify(run).findings
    assert (finding.file, "the key 'plan_id' is there twice" in finding.seen) == ("plan.json", True)


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_report_that_is_written_otherwise_or_missing_is_found(run, form):
    write_report(run)
    path = folder(run) / f"report.{form}"
    path.write_text(path.read_text() + "\n")
    assert [(finding.file, finding.seen) for finding in verify(run).findings] == [(path.name, "other content")]
    path.unlink()
    (finding,) = verify(run).findings
    assert (finding.file, finding.seen) == (path.name, "it is missing")


def test_a_page_of_another_report_is_found(run):
    write_report(run)
    (folder(run) / "report.html").write_text("<p>Nothing. Every host is patched.</p>")
    assert [finding.file for finding in verify(run).findings] == ["report.html"]


def test_a_report_that_was_made_earlier_or_again_is_whole(run):
    write_report(run)
    run.record("portal2", "gate", "refused", reason="closed")
    run.record(None, "record", "done")
    assert found(run) == []
    (folder(run) / "traffic.json").write_text('{"devices": {"pump1": {"connections": 0}}}')
    made = reports.build_report(run.plan(), run.ledger.read(), run.stages(), run.traffic(), run.findings())
    run.write_report(made, reports.render_html(made))
    assert found(run) == []
    (folder(run) / "traffic.json").write_text('{"devices": {"pump1": {"connections": 1}}}')
    assert [finding.file for finding in verify(run).findings] == ["report.json", "report.html"]


def test_traffic_of_which_no_report_can_be_made_is_found(run):
    write_report(run)
    (folder(run) / "traffic.json").write_text('{"services": [1]}')
    (finding,) = verify(run).findings
    assert "it cannot be made again" in finding.seen


def test_a_report_that_told_of_a_torn_line_which_was_cut_since_is_whole(run):
    with run.ledger.path.open("ab") as handle:
        handle.write(b'{"torn":')
    write_report(run)
    run.record(None, "record", "note", text="on we go")
    assert found(run) == []


def test_the_report_of_another_version_is_not_compared_and_the_text_says_so(run):
    write_report(run)
    kept = json.loads((folder(run) / "report.json").read_text(encoding="utf-8"))
    write_json(folder(run) / "report.json", {**kept, "made_by": "hospital.patching 9.0.0"})
    verified = verify(run)
    assert verified.findings == []
    assert verified.text()[-1] == (
        "the content of report.json and report.html was not checked: "
        f"made by hospital.patching 9.0.0, this is {reports.MADE_BY}"
    )


# --- the plan and its manifests ------------------------------------------------


def test_an_edited_plan(run):
    edit(folder(run) / "plan.json", lambda plan: plan["hosts"]["portal1"].update(address="10.9.0.1"))
    (finding,) = verify(run).findings
    assert finding.file == "plan.json"
    assert "content with sha256:" in finding.seen
    assert "the digest it carries" in finding.expected


def test_an_edited_plan_with_a_new_digest_is_not_the_one_that_was_opened(run):
    opened = run.plan()["digest"]

    def change(plan):
        plan["hosts"]["portal1"]["soak_s"] = 0
        plan["digest"] = plan_digest(plan)

    edited = edit(folder(run) / "plan.json", change)
    assert found(run) == [
        f"plan.json: plan {edited['digest']} (expected {opened}, with which ledger.jsonl line 1 opens the run)"
    ]


def test_an_opening_with_another_digest_is_named(run):
    other = "sha256:" + "1" * 64
    run.record(None, "gate", "begin", plan_digest=other)
    assert [one.rpartition("(")[2] for one in found(run)] == [
        f"expected {other}, with which ledger.jsonl line 7 opens the run)"
    ]


def test_the_plan_of_another_run(run):
    other = build_plan(OTHER, NOW, portal_pair()).plan
    (folder(run) / "plan.json").write_text(json.dumps(other))
    assert found(run) == [f"plan.json: plan: its id is {OTHER} (expected {PLAN_ID}, which is the run's)"]


def test_a_number_with_a_fraction_is_a_finding_and_no_crash(run):
    edit(
        folder(run) / "stage" / "portal1.json", lambda stage: stage["transaction"]["entries"][0].update(size_bytes=1.0)
    )
    edit(manifest_path(run), lambda manifest: manifest.update(schema=1.0))
    assert [finding.file for finding in verify(run).findings] == [
        f"manifests/{manifest_path(run).name}",
        "stage/portal1.json",
    ]


@pytest.mark.parametrize("name", ["plan.json", "manifest", "stage/portal1.json"])
@pytest.mark.parametrize("damage", [None, "", "[]", "null"])
def test_a_file_that_is_missing_or_no_document(run, name, damage):
    path = manifest_path(run) if name == "manifest" else folder(run) / name
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)
    (finding,) = verify(run).findings
    assert finding.file == str(path.relative_to(folder(run)))
    assert damage is not None or str(finding).endswith("it is missing (expected the file that the run kept)")


def test_an_edited_manifest(run):
    edit(manifest_path(run), lambda manifest: manifest["entries"][0].update(version="9"))
    (finding,) = verify(run).findings
    assert finding.file == f"manifests/{manifest_path(run).name}"
    assert "content with sha256:" in finding.seen


def test_an_edited_manifest_with_a_new_digest_is_not_the_one_its_name_says(run):
    def change(manifest):
        manifest["entries"][0]["version"] = "9"
        manifest["digest"] = manifest_digest(manifest)

    edited = edit(manifest_path(run), change)
    assert found(run)[0] == (
        f"manifests/{manifest_path(run).name}: manifest: its digest is {edited['digest']} "
        "(expected the one that its name says)"
    )


# --- what was staged -----------------------------------------------------------


def test_an_edited_transaction(run):
    edit(folder(run) / "stage" / "portal2.json", lambda stage: stage["transaction"]["entries"][0].update(to="9"))
    (finding,) = verify(run).findings
    assert finding.file == "stage/portal2.json"
    assert "transaction of portal2: content with sha256:" in finding.seen


def stage_anew(run, name, /, **change):
    """Edit a stage and give its transaction a new digest."""
    entry = deepcopy(run.plan()["hosts"]["portal1"])
    wanted = {"host": name, "manifest": entry["manifest"], "to": entry["updates"][0]["to"], **change}
    updates = [dict(entry["updates"][0], to=wanted["to"])]
    run.save_stage(name, {"transaction": build_transaction(wanted["host"], "apt", updates, wanted["manifest"])})


@pytest.mark.parametrize(
    ("host", "change", "seen"),
    [
        ("portal1", {"to": "9"}, "openssl (amd64) 3.0.15-1 to 9 is not in the manifest"),
        ("portal1", {"host": "portal2"}, "it is of host portal2"),
        ("portal1", {"manifest": None}, "it names the manifest None"),
        ("db1", {}, "the plan does not name the host"),
    ],
)
def test_a_whole_transaction_that_does_not_belong_there(run, host, change, seen):
    stage_anew(run, host, **change)
    (finding,) = verify(run).findings
    assert finding.file == f"stage/{host}.json"
    assert seen in finding.seen


def test_a_stage_that_is_not_the_one_that_was_recorded_is_found(run):
    """Edited within its manifest and digested anew, only the ledger tells."""
    recorded = json.loads((folder(run) / "stage" / "portal2.json").read_text(encoding="utf-8"))["transaction"]["digest"]
    run.record("portal2", "stage", "note", transaction=recorded)
    assert found(run) == []
    run.save_stage("portal2", {"transaction": build_transaction("portal2", "apt", [], run.host("portal2")["manifest"])})
    (finding,) = verify(run).findings
    assert finding.file == "stage/portal2.json"
    assert f"and the ledger recorded {recorded}" in finding.seen


def test_a_stage_that_nothing_was_installed_from_may_be_missing(run):
    (folder(run) / "stage" / "portal2.json").unlink()
    assert verify(run).findings == []


# --- what is asked for ---------------------------------------------------------


def test_an_unknown_run_is_refused(run):
    with pytest.raises(
        PatchingError, match=rf"run {OTHER}: no such run in .*one of the 1 runs.*copy the id from the report"
    ):
        verify_run(run.evidence, OTHER)


@pytest.mark.parametrize("run_id", ["", "tonight", "../" + PLAN_ID])
def test_what_is_no_run_id_is_refused(run, run_id):
    with pytest.raises(PatchingError, match=r"the id of a plan or run: .*copy it from the report"):
        verify_run(run.evidence, run_id)


@pytest.mark.parametrize("head", ["6", "6:sha256:12", "0:" + GENESIS, "six:" + GENESIS, GENESIS, "6  " + GENESIS])
def test_what_is_no_head_is_refused(run, head):
    with pytest.raises(PatchingError, match=r"the ledger's head: .*COUNT:sha256:"):
        verify(run, head)


def test_a_head_is_read_as_it_is_printed(run):
    assert parse_head(head_of(run)) == run.ledger.head()
    assert verify(run, f" {head_of(run)}\n").compared == ["the head given"]
    assert parse_head(head_of(run).replace(":", " ", 1)) == run.ledger.head()
    assert f"head: {head_of(run)}" in verify(run).text()


def test_the_refusal_names_five_findings_counts_the_rest_and_says_what_to_do(run):
    rewrite(run, [line.replace(b"portal1", b"portalX").replace(b"plan_digest", b"plan_digesT") for line in lines(run)])
    (folder(run) / "plan.json").unlink()
    verified = verify(run)
    message = str(verified.refusal())
    assert message.startswith(f"the evidence of run {PLAN_ID}: ledger.jsonl line 1: its content")
    assert message.count("(expected") == 5
    assert f"; and {len(verified.findings) - 5} more; expected every file as the run wrote it" in message
    assert "keep the folder as it is; find out who changed it" in message
    assert len(verified.text()) == 3 + len(verified.findings)


@pytest.mark.parametrize(("key", "kind"), [("signature", "sig"), ("record", "json")])
def test_an_approval_that_was_taken_away_or_replaced_is_found(run, key, kind):
    signed = "-----BEGIN SSH SIGNATURE-----\n"
    digest = approvals.digest_of(signed)
    path = approvals.file_of(run.evidence.run_dir(PLAN_ID), digest, kind)
    path.parent.mkdir()
    path.write_text(signed)
    approved = {
        "signed": [{"by": "ada", "plan": "sha256:x", key: digest}],
        "list": "/a",
        "list_digest": "sha256:y",
    }
    run.record("portal1", "gate", "done", decision="go", reason="", before="host", approved=approved)
    assert found(run) == []
    path.write_text("another")
    assert found(run) == [f"approvals/{path.name}: another approval (expected {digest}, which let a host go)"]
    path.unlink()
    assert found(run) == [f"approvals/{path.name}: it is missing (expected the approval {digest} that let a host go)"]
