# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all providers has a number or a reason in every cell."""

from __future__ import annotations

import pytest

from tests.snapshots.table import STEPS, Table


@pytest.fixture
def table() -> Table:
    return Table({"btrfs": "", "lvm": "it is emulated"})


def test_a_provider_that_was_walked_has_seconds_in_every_cell(table):
    for step in STEPS:
        with table.measured("btrfs", step):
            pass
    assert all(isinstance(seconds, float) and 0 <= seconds < 1 for seconds in table.cells["btrfs"].values())
    row = next(line for line in table.lines() if line.startswith("btrfs"))
    assert row.split() == ["btrfs", *["0.0"] * len(STEPS)]


def test_a_step_that_fails_is_named_in_its_own_cell_and_in_those_after_it(table):
    with table.measured("btrfs", "create"):
        pass
    with pytest.raises(AssertionError), table.measured("btrfs", "revert"):
        raise AssertionError("the container\ndid not start")
    cells = table.cells["btrfs"]
    assert isinstance(cells["create"], float)
    assert cells["revert"] == "failed: AssertionError: the container did not start"
    assert {cells[step] for step in STEPS[2:]} == {"not reached, because revert failed"}


def test_what_fails_between_two_steps_is_not_told_as_done(table):
    with table.measured("btrfs", "create"):
        pass
    assert {table.cells["btrfs"][step] for step in STEPS[1:]} == {"not reached: something failed after create"}


def test_every_cell_without_seconds_has_a_reason_under_the_table(table):
    table.cannot("lvm", "this machine lacks qemu-system-x86_64")
    lines = table.lines()
    assert next(line for line in lines if line.startswith("btrfs")).count("[1]") == len(STEPS)
    assert next(line for line in lines if line.startswith("lvm")).count("[2]") == len(STEPS)
    assert lines[-3:] == [
        "[1] it was not among the tests that ran",
        "[2] this machine lacks qemu-system-x86_64",
        "lvm: it is emulated",
    ]
