# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole-system tests: the playbooks, as an engineer starts them, against the lab hospital."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import killing, lab
from tests.support.night import PORTALS, Night, portals_as_built


@pytest.fixture(scope="session", autouse=True)
def hospital() -> None:
    """Start the lab hospital unless it runs already."""
    lab.up()


@pytest.fixture
def night(tmp_path) -> Iterator[Night]:
    """Return a night on the two portal hosts; a controller that a failed test leaves behind is ended with it."""
    portals_as_built()
    yield Night(tmp_path / "evidence")
    killing.end_all()


@pytest.fixture
def two_updates(tmp_path) -> Iterator[Night]:
    """Return a night with two small updates pending on each portal host; all others are on hold."""
    lab.publish()
    lab.reset(PORTALS)
    pending = "apt-get update -qq; apt-get -s dist-upgrade | awk '/^Inst/ {print $2}'"
    for host in PORTALS:
        lab.exec(host, f"apt-mark hold $({pending} | grep -v -x -e tzdata -e ehr-portal)")
    yield Night(tmp_path / "evidence")
    killing.end_all()


class Staged(NamedTuple):
    """Two portal hosts with one good update staged, kept to start from."""

    images: Mapping[str, str]
    evidence: Path
    plan: dict[str, Any]


@pytest.fixture(scope="session")
def staged_once(tmp_path_factory) -> Iterator[Staged]:
    """Assess, plan and stage once for all tests that begin with the patch."""
    portals_as_built()
    night = Night(tmp_path_factory.mktemp("staged") / "evidence")
    night.ready(patching_settle_s=20)  # where an application stays ill, that is seen sooner than by default
    with lab.kept(PORTALS) as images:
        yield Staged(images, night.evidence, night.plan)


@pytest.fixture
def staged(staged_once, tmp_path) -> Iterator[Night]:
    """Return a night that was staged, with hosts and evidence of its own."""
    lab.publish()
    lab.reset(PORTALS, staged_once.images)
    night = Night(tmp_path / "evidence")
    night.plan = staged_once.plan
    shutil.copytree(staged_once.evidence, night.evidence)
    yield night
    killing.end_all()


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Night:
    """Return a night that is planned and not staged; tests that share it must leave hosts and plan as they are."""
    portals_as_built()
    night = Night(tmp_path_factory.mktemp("planned") / "evidence")
    night.prepare()
    return night
