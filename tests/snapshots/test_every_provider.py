# SPDX-License-Identifier: GPL-3.0-or-later
"""One contract, walked once with every provider that makes restore points, each on a test bed of its own.

Create, patch and break, revert, verify; then housekeeping.yml deletes what expired and leaves a foreign snapshot of the
same name; then it sweeps what a killed run has left. By the modules and playbooks that a night uses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from tests.snapshots.beds.aws_ebs import AwsEbsBed
from tests.snapshots.beds.base import Bed
from tests.snapshots.beds.btrfs import BtrfsBed
from tests.snapshots.beds.container import ContainerBed
from tests.snapshots.beds.libvirt import LibvirtBed
from tests.snapshots.beds.lvm import LvmBed
from tests.snapshots.beds.vsphere import VsphereBed
from tests.snapshots.table import Table
from tests.support.told import tell

BEDS: tuple[type[Bed], ...] = (LvmBed, BtrfsBed, LibvirtBed, VsphereBed, AwsEbsBed, ContainerBed)
NIGHT, OLDER, KILLED = "20261122T034500Z-00000001", "20261120T034500Z-00000002", "20261122T044500Z-00000003"
REASON = "before the monthly update"


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    """The table of what ran here; printed when the suite ends."""
    made = Table({bed.NAME: bed.CANNOT_SHOW for bed in BEDS})
    for bed in BEDS:
        if bed.SLOW:
            made.cannot(bed.NAME, "slow: `make snapshots` and `make test-full` run it")
    yield made
    for line in made.lines():
        tell(line)


@pytest.fixture
def bed(request: pytest.FixtureRequest, table: Table, tmp_path: Path) -> Iterator[Bed]:
    """A started test bed, or a skip and cells that say what this machine lacks."""
    one: Bed = request.param(tmp_path)
    try:
        lacking = one.lacks()
        if lacking:
            table.cannot(one.NAME, lacking)
            pytest.skip(lacking)
        table.cannot(one.NAME, "its test bed did not start")
        one.start()
        table.cannot(one.NAME, "its host was not well before anything was done")
        yield one
    finally:
        one.stop()


@pytest.mark.parametrize(
    "bed",
    [pytest.param(bed, id=bed.NAME, marks=[pytest.mark.slow] if bed.SLOW else []) for bed in BEDS],
    indirect=True,
)
def test_a_host_is_put_back_and_exactly_ours_are_deleted(bed: Bed, table: Table, tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    bed.install(1)
    assert bed.health() == "ok"
    before = bed.state()
    bed.ready()
    theirs = bed.everything()

    with table.measured(bed.NAME, "create"):
        made = bed.snapshot("host_snapshot", run_id=NIGHT, reason=REASON)
    assert made["changed"] is True
    point = made["snapshot"]
    assert bed.everything() - theirs == bed.parts(point)

    bed.install(2)
    assert bed.health() == "ok"
    assert bed.state() != before
    bed.install(3, works=False)
    assert bed.health() != "ok"

    with table.measured(bed.NAME, "revert"):
        done = bed.snapshot("host_snapshot_rollback", run_id=NIGHT, id=point["id"])
    assert done["changed"] is True
    with table.measured(bed.NAME, "verify"):
        assert (bed.health(), bed.state()) == ("ok", before)
    ended(evidence, NIGHT, bed.HOST, "rolled_back", point)

    bed.ready()
    expired = bed.snapshot("host_snapshot", run_id=OLDER, reason=REASON, retention_s=1)["snapshot"]
    ended(evidence, OLDER, bed.HOST, "patched", expired)
    foreign = bed.foreign(expired)
    stays = bed.everything() - bed.parts(expired)
    assert foreign in stays
    time.sleep(2)  # until its retention has ended, to the second
    with table.measured(bed.NAME, "retention"):
        said = bed.keep_house(evidence)
        assert bed.everything() == stays, said
    assert f"Deleted: {bed.NAME} restore point {expired['id']} of {bed.HOST} (run {OLDER}): its retention ended" in said
    assert said.count("Deleted: ") == 1

    expires = stamp(datetime.now(UTC) + timedelta(days=3))
    bed.killed_creation(KILLED, expires)
    orphan = bed.everything() - stays
    assert orphan, "the killed call was to leave what it had made"
    ended(evidence, KILLED, bed.HOST, "not_started")
    with table.measured(bed.NAME, "orphan sweep"):
        said = bed.keep_house(evidence)
        assert bed.everything() == stays, said
    assert f"of {bed.HOST} (run {KILLED}): its run is closed and has changed nothing on the host" in said
    assert said.count("Deleted: ") == 1
    assert bed.state() == before


def ended(evidence: Path, run_id: str, host: str, outcome: str, point: dict[str, Any] | None = None) -> None:
    """Write the ledger of a run that has ended: with a restore point it has installed something as well."""
    run = Run(str(evidence), run_id)
    folder = run.evidence.run_dir(run_id)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text('{"hosts": {}}', encoding="utf-8")
    run.record(None, "gate", "begin", plan_digest="sha256:1")
    if point is not None:
        run.record(host, "snapshot", "done", snapshot=point)
        run.record(host, "install", "done")
    run.record(host, "return", "done")
    run.record(host, "record", "outcome", outcome=outcome, reason="as this test wants it")
    with mock.patch.object(Run, "outcomes", return_value={}):
        run.record(None, "record", "done", outcomes={})
