# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of the sample nights."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.report import build_report
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.report import sample_night


@pytest.fixture
def good() -> dict[str, Any]:
    """A night in which every host was patched."""
    return build_report(*sample_night.good_night(), sample_night.stages(), sample_night.TRAFFIC, [])


@pytest.fixture
def rolled_back() -> dict[str, Any]:
    """A night that stopped after its second host was put back."""
    return build_report(*sample_night.rolled_back_night(), sample_night.stages(), sample_night.SHORT_TRAFFIC, [])


@pytest.fixture
def hard() -> dict[str, Any]:
    """A night with a host rolled back, one stuck and two not started."""
    return build_report(*sample_night.hard_night(), sample_night.stages(), sample_night.SHORT_TRAFFIC, [])


@pytest.fixture
def taken_back() -> dict[str, Any]:
    """A good night of which a person took one host back three days later, and not the other."""
    night = sample_night.taken_back_night(left="no way back fits before the window ends")
    return build_report(*night, sample_night.stages(), None, [])


@pytest.fixture
def undrained() -> dict[str, Any]:
    """A night in which a host could be neither drained nor returned."""
    return build_report(*sample_night.undrained_night(), sample_night.stages(), None, [])


@pytest.fixture
def hostile() -> dict[str, Any]:
    """A night whose names and reasons are markup, terminal codes and bidirectional overrides."""
    plan, records, stages, traffic = sample_night.hostile_night()
    return build_report(plan, records, stages, traffic, [f"line 3: {sample_night.NASTY}"])


@pytest.fixture
def emergency() -> dict[str, Any]:
    """A good night of a plan that broke the glass."""
    plan, records = sample_night.good_night()
    return build_report({**plan, "emergency": sample_night.EMERGENCY}, records, sample_night.stages(), None, [])


@pytest.fixture
def empty() -> dict[str, Any]:
    """A plan that was never run."""
    return build_report(sample_night.plan(), [], {})


@pytest.fixture(params=["good", "rolled_back", "hard", "taken_back", "undrained", "emergency", "hostile", "empty"])
def any_night(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return each of the sample nights in turn."""
    return request.getfixturevalue(request.param)
