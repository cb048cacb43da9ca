# SPDX-License-Identifier: GPL-3.0-or-later
"""A failing patch on a host whose data moves on: no row is lost, whatever becomes of the packages.

db1 has a real PostgreSQL and, for these tests, an application beside it. Rows are written for as long as the run goes.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import killing, lab
from tests.support.database_pair import query
from tests.support.expect import version
from tests.support.night import Night, as_found

HOST = "db1"
#: The rows of the lab's schema are those before it.
FIRST = 100_000
KEYRING, SOURCES = "/etc/apt/keyrings/hospital.gpg", "/etc/apt/sources.list.d/hospital.sources"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq"


class Rows:
    """A context manager that writes rows until it is left, and knows which of them PostgreSQL has acknowledged."""

    def __init__(self) -> None:
        self.begun: dict[int, float] = {}  # seconds since the epoch, of those that were acknowledged
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Rows:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        number = FIRST
        while not self._stop.wait(0.1):
            number, begun = number + 1, time.time()
            # A host that stands still while it is secured does not answer; what it does not acknowledge may be lost.
            if query(HOST, f"INSERT INTO encounter VALUES ({number}, 'ward 1', now()) RETURNING id") == str(number):
                self.begun[number] = begun

    def require_kept(self, night: Night) -> None:
        """Require every row that was acknowledged, and many that the run's restore point does not hold."""
        (made,) = [one for one in night.records(HOST) if one["detail"].get("snapshot")]
        assert made["detail"]["snapshot"]["provider"] == "container"
        secured = datetime.fromisoformat(made["time"]).timestamp() + 1
        since = [number for number, begun in self.begun.items() if begun > secured]
        assert len(since) >= 10, "hardly anything was written after the restore point was made"
        there = {int(line) for line in query(HOST, "SELECT id FROM encounter").splitlines()}
        assert set(self.begun) - there == set(), "rows are lost"
        assert set(range(1, 1001)) <= there


def database() -> str:
    """What a restart of the database, or another disk under it, would change."""
    return lab.exec(HOST, "stat -c %Y /proc/1; systemctl show -p MainPID postgresql@15-main")


def machine() -> str:
    """What another disk under the host would change: its container is another one then."""
    return lab.exec(HOST, "stat -c %Y /proc/1; cat /etc/machine-id")


def with_an_application() -> None:
    """Give the database host the portal beside its database, from the hospital's repository; only that is pending."""
    key = base64.b64encode((lab.folder() / "package-signing.gpg").read_bytes()).decode()
    lab.exec(HOST, f"rm /etc/apt/sources.list.d/debian-security.sources; mkdir -p {KEYRING.rpartition('/')[0]}")
    lab.exec(HOST, f"echo {key} | base64 -d > {KEYRING}")
    sources = lab.ROOT / "roles/lab_portal/files/image/hospital.sources"
    lab.write(HOST, SOURCES, sources.read_text(encoding="utf-8"))
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "unhealthy"), refresh=[HOST])
    lab.exec(HOST, f"{APT} install ehr-portal=1.0.0")


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """A night on the database host, whose site would have disks put back."""
    lab.reset([HOST])
    snapshot = {"provider": "container", "engine": [str(lab.folder() / "podman")], "container": lab.container(HOST)}
    settings: dict[str, Any] = {
        "patching_snapshot": snapshot,
        "patching_disk_revert": True,
        "patching_settle_s": 6,
    }
    yield Night(tmp_path / "evidence", hosts="db", **settings)
    killing.end_all()
    lab.publish()
    lab.reset([HOST])


def probes(*own: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "postgresql", "type": "tcp", "host": lab.address(HOST), "port": 5432}, *own]


APPLICATION = {"name": "application", "type": "http", "vantage": "host", "url": "http://127.0.0.1:8080/health"}


def require_no_revert(night: Night) -> None:
    lines = lab.exec(HOST, "cat /var/lib/hospital-patching/journal.jsonl").splitlines()
    assert "reverted" not in {json.loads(line)["event"] for line in lines}
    assert not list(night.run.glob("reverts/*")), "a disk revert was begun"


@pytest.mark.slow
def test_an_application_that_fails_goes_back_by_packages_and_every_row_stays(night):
    with_an_application()
    night.settings["patching_probes"] = probes(APPLICATION)
    plan = night.ready()
    assert plan["hosts"][HOST]["disk_revert"] is True
    assert {update["name"] for update in plan["hosts"][HOST]["updates"]} == {"ehr-portal"}
    before, same = database(), machine()
    with Rows() as rows:
        patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes() == {HOST: "rolled_back"}, night.reason(HOST)
    assert "application" in night.reason(HOST)
    assert version(HOST) == "1.0.0"
    assert lab.exec(HOST, "dpkg --audit") == ""
    assert "held 0 times" in as_found(HOST)
    assert (database(), machine()) == (before, same), "the database was disturbed"
    require_no_revert(night)
    rows.require_kept(night)


class Owner(NamedTuple):
    """A package that owns data, and how its update is made to fail."""

    package: str
    pending: Callable[[Night], None]


def declared(night: Night) -> None:
    """The site says that its application owns data."""
    with_an_application()
    night.settings.update(patching_data_owners=["ehr-portal"], patching_probes=probes(APPLICATION))


def built_in(night: Night) -> None:
    """The real security update of PostgreSQL, which an application does not bear that asks for its version."""
    pending = "apt-get update -qq; apt-get -s dist-upgrade | awk '/^Inst/ {print $2}'"
    if "postgresql-15" not in lab.exec(HOST, pending).split():
        pytest.skip("no update of postgresql-15 is pending on db1: Debian's main has its newest; the lab's image too")
    lab.exec(HOST, f"apt-mark hold $({pending} | grep -v -x postgresql-15) > /dev/null")
    release = re.escape(query(HOST, "SHOW server_version"))
    asked = ["/usr/sbin/runuser", "-u", "postgres", "--", "psql", "-XAtqc", "SHOW server_version"]
    wants = {"name": "application", "type": "command", "command": asked, "text_regexp": f"^{release}"}
    night.settings["patching_probes"] = probes(wants)


OWNERS = {"declared": Owner("ehr-portal", declared), "built_in": Owner("postgresql-15", built_in)}


@pytest.mark.slow
@pytest.mark.parametrize("owner", OWNERS)
def test_a_package_that_owns_data_stays_and_the_host_is_held_for_a_person(night, owner):
    """Neither packages nor disk go back; the host is held, and the report calls for a person."""
    package, pending = OWNERS[owner]
    pending(night)
    plan = night.ready()
    assert plan["hosts"][HOST]["disk_revert"] is True
    (update,) = plan["hosts"][HOST]["updates"]
    assert update["name"] == package
    same, old = machine(), version(HOST, package)
    with Rows() as rows:
        patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes() == {HOST: "stuck"}, night.reason(HOST)
    assert f"it owns data, and {update['to']} may have changed its format" in night.reason(HOST)
    assert version(HOST, package) == update["to"] != old
    went_back = f"upgrade {package}:{update['arch']} {update['to']} "
    assert lab.exec(HOST, f"grep -F '{went_back}' /var/log/dpkg.log || true") == "", "it was downgraded"
    assert lab.exec(HOST, "dpkg --audit") == ""
    assert "held 1 times" in as_found(HOST)
    assert machine() == same
    require_no_revert(night)
    rows.require_kept(night)

    report = json.loads((night.run / "report.json").read_text(encoding="utf-8"))
    first = report["needs_you"][0]
    assert (first["hosts"], first["outcome"]) == ([HOST], "stuck")
    assert "it owns data" in first["why"]
    assert first["call"] == "the owner of ehr_database"
    assert "call whoever is responsible for its data" in night.reason(HOST)
