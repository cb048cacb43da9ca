# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger says of a host's snapshots."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.hold_check import MIRROR_KEY, refuse_reverted
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal
from ansible_collections.hospital.patching.plugins.module_utils.reverts import mark_pending
from ansible_collections.hospital.patching.plugins.plugin_utils.mirror import mirror_of
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import PLAN_ID


def record(step: str, event: str, *, host: str | None = "a", mark: str = "", **detail: Any) -> dict[str, Any]:
    return {"host": host, "step": step, "event": event, "hash": mark, "detail": detail}


ANNOUNCED = [
    record("drain", "done"),
    record("snapshot", "begin", mark="one"),
    record("snapshot", "done", record={"event": "snapshot_pending"}),
]
MADE = [*ANNOUNCED, record("snapshot", "done", snapshot={"id": "sha256:1"})]
INSTALLED = record("install", "done", changed=True, journalled=True)


def test_a_ledger_without_a_snapshot_says_nothing():
    nothing = {"pending": [], "touched": [], "snapshot": None}
    assert mirror_of([], "a") == nothing
    assert mirror_of([record("lock", "done"), INSTALLED], "a") == nothing
    assert mirror_of([record("install", "done", host=None), *MADE], "b") == nothing, "another host's"


def test_an_announced_snapshot_is_pending_as_soon_as_it_is_announced():
    assert mirror_of(ANNOUNCED[:2], "a") == {"pending": ["one"], "touched": [], "snapshot": None}
    assert mirror_of(ANNOUNCED, "a") == {"pending": ["one"], "touched": [], "snapshot": None}
    assert mirror_of(MADE, "a") == {"pending": ["one"], "touched": [], "snapshot": "sha256:1"}


def test_a_snapshot_that_failed_is_pending_all_the_same():
    failed = [*ANNOUNCED, record("snapshot", "failed", msg="no space")]
    assert mirror_of(failed, "a") == {"pending": ["one"], "touched": [], "snapshot": None}


@pytest.mark.parametrize(
    "install",
    [
        INSTALLED,
        record("install", "done", changed=False, journalled=True),
        record("install", "failed", journalled=True),
    ],
)
def test_an_install_that_is_journalled_touches_what_was_announced_before(install):
    assert mirror_of([*MADE, install], "a") == {"pending": [], "touched": ["one"], "snapshot": "sha256:1"}
    again = [*MADE, install, record("snapshot", "begin", mark="two")]
    assert mirror_of(again, "a") == {"pending": ["two"], "touched": ["one"], "snapshot": "sha256:1"}


@pytest.mark.parametrize(
    "other",
    [
        record("install", "done", changed=False, journalled=False),
        record("install", "failed", journalled=False, msg="the database is locked"),
        record("install", "failed", lost_connection=True),
        record("install", "done", journalled=True, host="b"),
    ],
)
def test_an_install_that_did_not_come_to_its_journal_touches_nothing(other):
    assert mirror_of([*MADE, other], "a")["touched"] == []


def test_the_host_finds_its_own_record_in_the_ledger(tmp_path):
    """As the action plugin ties them: the announcement first, then the journal, then the journal's record."""
    run, journal = Run(str(tmp_path), PLAN_ID), Journal(str(tmp_path / "host"))
    journal.hold(PLAN_ID, {})
    announced = run.record("a", "snapshot", "begin")
    mark_pending(journal, PLAN_ID, {MIRROR_KEY: announced["hash"]})
    refuse_reverted(journal, PLAN_ID, mirror_of(run.ledger.read(), "a"))  # killed here, the run goes on
    with pytest.raises(PatchingError, match="does not mirror it"):
        refuse_reverted(journal, PLAN_ID, mirror_of(run.ledger.read(), "b"))
    run.record("a", "install", "done", changed=True, journalled=True)
    with pytest.raises(PatchingError, match="an install was begun after it"):
        refuse_reverted(journal, PLAN_ID, mirror_of(run.ledger.read(), "a"))


def test_an_earlier_snapshot_counts_while_nothing_was_installed_since():
    again = [*MADE, record("snapshot", "begin", mark="two"), record("snapshot", "done", snapshot={"id": "sha256:1"})]
    assert mirror_of(again, "a") == {"pending": ["one", "two"], "touched": [], "snapshot": "sha256:1"}
