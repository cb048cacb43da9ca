# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.journal import EVENTS, Journal
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import OUTCOMES
from ansible_collections.hospital.patching.plugins.plugin_utils.schema import FOLDER, kinds, place, validate
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import planned, portal_pair, update

#: Plans of before have them not, and a plan of now keeps no dates.
OPTIONAL = {
    "plan": {"derived_from", "emergency", "given", "left_out"},
    "probe_result": {"soak"},
    "update": {
        *("source", "source_from", "source_to", "published", "published_by"),
        *("installer", "software", "order"),
    },
}
CONTRACTS = (
    "settings",
    "manifest",
    "transaction",
    "plan",
    "journal_record",
    "ledger_record",
    "probe_result",
    "update",
    "watcher",
)


@pytest.mark.parametrize("kind", kinds())
def test_every_schema_is_one(kind):
    Draft202012Validator.check_schema(json.loads((FOLDER / f"{kind}.json").read_text()))


@pytest.mark.parametrize("kind", CONTRACTS)
def test_a_contract_is_complete_and_knows_no_other_keys(kind):
    document = json.loads((FOLDER / f"{kind}.json").read_text())
    assert document["$id"].endswith(f"/{kind}.json")
    assert document["additionalProperties"] is False
    assert set(document["required"]) == set(document["properties"]) - OPTIONAL.get(kind, set())


def test_the_message_names_the_place():
    plan = planned(portal_pair()).plan
    plan["hosts"]["portal2"]["updates"][0]["to"] = None
    with pytest.raises(PatchingError, match=r"plan x at hosts\.portal2\.updates\[0\]\.to"):
        validate("plan", plan, "plan x")


def test_a_message_stays_short():
    with pytest.raises(PatchingError) as refusal:
        validate("update", ["x" * 5000], "an update")
    assert len(refusal.value.seen) < 400
    assert "its top" in str(refusal.value)


def test_places():
    assert place(["hosts", "db1", "updates", 3, "to"]) == "hosts.db1.updates[3].to"
    assert place([]) == "its top"


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "abc"},
        {"download_bytes": 1.5},
        {"download_bytes": -1},
        {"kind": "downgrade"},
        {"to": None},
        {"from": None},
        {"extra": 1},
        {"name": ""},
        {"class": "firmware"},
        {"published": "yesterday"},
        {"published_by": "rumour"},
    ],
)
def test_an_update_that_is_none_is_refused(change):
    with pytest.raises(PatchingError):
        validate("update", update() | change, "an update")


def test_new_installs_and_removals_are_updates():
    validate("update", update(before=None), "an update")
    validate("update", update(after=None), "an update")


def test_what_the_host_journals_fits_the_schema(tmp_path):
    journal = Journal(str(tmp_path), Clock())
    for event in EVENTS:
        validate("journal_record", journal.append("20261122T080000Z-ab12cd34", "install", event, seen=1), event)


def test_a_probe_result_may_hold_any_value():
    result = {"name": "a", "type": "http", "target": "b", "verdict": "ok", "detail": "", "seconds_ms": 3}
    result |= {"at": "2026-11-22T07:03:12Z", "not_ok": None}
    for value in (None, 1, "text", {"status": 200}, [1]):
        validate("probe_result", result | {"value": value}, "a result")
    with pytest.raises(PatchingError):
        validate("probe_result", result | {"value": None, "verdict": "good"}, "a result")


@pytest.mark.parametrize("change", [{"at": "07:03"}, {"not_ok": {"from": "2026-11-22T07:03:12Z"}}, {"not_ok": True}])
def test_when_a_probe_was_read_is_a_time(change):
    result = {"name": "a", "type": "http", "target": "b", "verdict": "ok", "detail": "", "seconds_ms": 3, "value": None}
    result |= {"at": "2026-11-22T07:03:12Z", "not_ok": {"from": "2026-11-22T07:03:02Z", "to": "2026-11-22T07:03:10Z"}}
    validate("probe_result", result, "a result")
    with pytest.raises(PatchingError):
        validate("probe_result", result | change, "a result")


def test_the_ledgers_outcome_words_are_those_of_the_design():
    document = json.loads((FOLDER / "ledger_record.json").read_text())
    assert set(document["then"]["properties"]["detail"]["properties"]["outcome"]["enum"]) == OUTCOMES
