# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says of each provider of restore points."""

from __future__ import annotations

import jsonschema

from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import read_json
from ansible_collections.hospital.patching.plugins.plugin_utils.report import (
    build_report,
    render_html,
    render_text,
    schema_path,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.report import sample_night

NEVER = "a revert was never rehearsed"
EARLIER = {"host": "app7", "run_id": "20261115T080000Z-aaaaaaaa", "time": "2026-11-15T08:30:00Z", "took_s": 75}


def section(records, plan):
    made = build_report(plan, records, sample_night.stages(), None, [])
    jsonschema.validate(made, read_json(schema_path()))
    (point,) = made["restore_points"]
    texts = [
        " ".join(form.replace("\N{NO-BREAK SPACE}", " ").split()) for form in (render_text(made), render_html(made))
    ]
    return point, texts


def test_a_provider_that_was_never_proven_is_told_so_and_preserved_packages_are_none(good):
    plan, records = sample_night.good_night()
    point, texts = section(records, plan)
    planned = [entry for entry in plan["hosts"].values() if entry["snapshot"]["provider"] == "container"]
    assert point == {"provider": "container", "hosts": len(planned), "proven": None}
    assert all(f"container ({len(planned)} hosts): {NEVER}" in text for text in texts)


def test_the_proof_of_an_earlier_run_is_shown_until_there_is_a_newer_one():
    plan, records = sample_night.good_night()
    (opened,) = [n for n, one in enumerate(records) if (one["host"], one["event"]) == (None, "begin")][:1]
    records[opened]["detail"]["proven"] = {"container": EARLIER}
    point, texts = section(records, plan)
    assert point["proven"] == EARLIER
    told = "last proven on Sunday 15 November 2026, 02:30:00, on app7 in 75 s, by run 20261115T080000Z-aaaaaaaa"
    assert [told in text for text in texts] == [True, True], texts[0][-900:]
    proof = {"provider": "container", "snapshot": "sha256:0c1d", "took_s": 41}
    made = {**records[-1], "host": "portal1", "step": "snapshot", "event": "note", "detail": {"rehearsal": proof}}
    newer, texts = section([*records[:-1], made, records[-1]], plan)
    assert (newer["proven"]["host"], newer["proven"]["run_id"], newer["proven"]["took_s"]) == (
        "portal1",
        sample_night.RUN_ID,
        41,
    )
    assert all("on portal1 in 41 s" in text for text in texts)
