# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole-system tests: the playbooks, as an engineer starts them, against the lab hospital."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import killing, lab
from tests.support.night import Night


@pytest.fixture(scope="session", autouse=True)
def hospital() -> None:
    """Start the lab hospital unless it runs already."""
    lab.up()


def portals_as_built() -> None:
    """Start the portal hosts from their images, with one small update pending on each."""
    lab.publish()
    lab.reset(["portal1", "portal2"])
    for host in ("portal1", "portal2"):
        lab.exec(host, "rm /etc/apt/sources.list.d/debian-security.sources")


@pytest.fixture
def night(tmp_path) -> Iterator[Night]:
    """Return a night on the two portal hosts; a controller that a failed test leaves behind is ended with it."""
    portals_as_built()
    yield Night(tmp_path / "evidence")
    killing.end_all()


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Night:
    """Return a night that is planned and not staged; tests that share it must leave hosts and plan as they are."""
    portals_as_built()
    night = Night(tmp_path_factory.mktemp("planned") / "evidence")
    night.prepare()
    return night
