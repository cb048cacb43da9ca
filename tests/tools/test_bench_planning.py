# SPDX-License-Identifier: GPL-3.0-or-later
"""The waves of a whole fleet against the shortest night there could be; no times of this machine."""

import pytest

from tests.bench import planning


def test_waves_are_worth_it():
    found = planning.measure(planning.fleet(1000))
    assert found.planned == 1000
    assert found.one_by_one_s > 2 * found.makespan_s


@pytest.mark.slow
def test_ten_thousand_hosts():
    found = planning.measure(planning.fleet(10_000))
    assert found.planned == 10_000
    assert found.makespan_s <= 1.15 * found.bound_s
    assert found.one_by_one_s >= 2 * found.makespan_s
