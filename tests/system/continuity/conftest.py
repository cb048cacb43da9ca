# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab grown into a small hospital, for as long as these tests last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import archive, database_pair, killing, lab
from tests.support.clinical import Senders, Ward
from tests.support.fhir import Readers
from tests.support.imaging import Modalities
from tests.support.night import PORTALS, Night
from tests.support.playbook import HOSPITAL_INVENTORY
from tests.support.singletons import SINGLETONS
from tests.support.told import print_told

FURTHER = ("db2", "lb2", "engine1", "engine2", "monitor1", "pacs1", "pacs2", "pump2", "pump3")
DEVICES = ("pump1", "pump2", "pump3")
#: The address that one of the two load balancers has.
FRONT_DOOR = "10.77.10.9"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured: longest waits, and downtimes beside those of a bare restart."""
    print_told(terminalreporter)


@pytest.fixture(scope="session")
def grown(hospital) -> Iterator[None]:
    """Start the further hosts, and the lab's own as these need them; afterwards the lab is as it was."""
    lab.up("hospital")
    yield
    lab.remove(FURTHER)
    lab.up()


@pytest.fixture
def pair(grown) -> Iterator[None]:
    """Have db1 write and db2 follow it."""
    if not database_pair.in_place():
        database_pair.as_built()
    yield
    killing.end_all()


@pytest.fixture
def ward(pair) -> Ward:
    """Return wards that place orders through the front door, while they are entered."""
    return Ward(FRONT_DOOR)


@pytest.fixture
def senders(pair) -> Senders:
    """Return systems that send messages through the front door, while they are entered."""
    return Senders(FRONT_DOOR)


@pytest.fixture
def readers(pair) -> Readers:
    """Return systems that read patients through the front door, while they are entered."""
    return Readers(FRONT_DOOR)


@pytest.fixture
def nodes(pair) -> None:
    """Have both nodes of the archive serve, whatever became of their index while only the databases were looked at."""
    if not archive.in_place():
        archive.as_built()


@pytest.fixture
def modalities(nodes) -> Modalities:
    """Return devices that store images through the front door, while they are entered."""
    return Modalities(FRONT_DOOR)


@pytest.fixture
def pair_night(tmp_path, pair) -> Night:
    """Return a night on the two databases, with all their updates pending."""
    database_pair.as_built()
    night = Night(tmp_path / "evidence", hosts="db")
    night.inventory = HOSPITAL_INVENTORY
    return night


@pytest.fixture
def small_night(tmp_path, pair) -> Night:
    """Return a night on portals and databases with few updates pending, of which each restarts what people use."""
    lab.publish()
    lab.reset(PORTALS)
    database_pair.as_built()
    pending = "apt-get update -qq; apt-get -s dist-upgrade | awk '/^Inst/ {print $2}'"
    for host in (*PORTALS, *database_pair.DATABASES):
        lab.exec(host, f"apt-mark hold $({pending} | grep -v -x -e ehr-portal -e postgresql-15) > /dev/null")
    night = Night(tmp_path / "evidence", hosts="portal:db")
    night.inventory = HOSPITAL_INVENTORY
    return night


@pytest.fixture
def redundant_night(tmp_path, pair) -> Night:
    """Return a night on every service that has two hosts, and on those of one host, with all their updates pending.

    The devices are asked for as well.
    """
    lab.publish()
    lab.reset(("lb1", "lb2", "portal1", "portal2", "engine1", "engine2", *(one.host for one in SINGLETONS)))
    database_pair.as_built()
    archive.as_built()
    for device in DEVICES:
        lab.clear_pump_connections(device)
    groups = ("portal", "lb", "db", "engines", "archive", "lab_monitors", "dnf_servers", "zypper_servers", "devices")
    night = Night(tmp_path / "evidence", hosts=":".join(groups))
    night.inventory = HOSPITAL_INVENTORY
    return night
