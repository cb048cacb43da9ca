# SPDX-License-Identifier: GPL-3.0-or-later
"""Package files of no repository, with the real dpkg and rpm: installed, verified and taken back."""

from __future__ import annotations

import pytest

from tests.support import lab
from tests.support.playbook import play

DEB = "/srv/ehr-portal_1.1.0_all.deb"
RPMS = "/srv/rpm/hospital/hospital-driver"


def sha256(host: str, path: str) -> str:
    return lab.exec(host, f"sha256sum {path}").split()[0]


@pytest.fixture
def entries():
    """Return an entry for each host, whose older version is installed."""
    lab.publish()
    lab.reset(["portal1", "rpm1"])
    lab.exec("portal1", f"cd /srv && apt-get download -qq ehr-portal=1.1.0 && ls {DEB}")
    deb = {"name": "portal-file", "type": "deb", "package": "ehr-portal", "version": "1.1.0"}
    deb |= {"source": DEB, "sha256": sha256("portal1", DEB)}
    rpm = {"name": "driver-file", "type": "rpm", "package": "hospital-driver", "version": "5.1-1"}
    files = {version: f"{RPMS}-{version}.noarch.rpm" for version in ("5.0-1", "5.1-1")}
    sums = {version: sha256("rpm1", path) for version, path in files.items()}
    rpm |= {"source": files["5.1-1"], "sha256": sums["5.1-1"]}
    rpm["previous"] = {"version": "5.0-1", "source": files["5.0-1"], "sha256": sums["5.0-1"]}
    return {"portal1": deb, "rpm1": rpm}


#: What the tool itself says: versions, its own checks, marks.
SAYS = {
    "portal1": "dpkg-query -W; dpkg --audit; dpkg --verify ehr-portal; apt-mark showmanual; apt-mark showauto",
    "rpm1": "rpm -qa 'hospital*' | sort; rpm -V hospital-driver",
}


@pytest.mark.slow
@pytest.mark.parametrize("host", ["portal1", "rpm1"])
def test_a_package_file_goes_forth_and_back(entries, host):
    before = lab.exec(host, SAYS[host])
    given = {"software_host": host, "software_entry": entries[host], "software_run": "20261122T010000Z-aaaaaaaa"}
    played = play("tests/system/exact/package_file.yml", extra=given)
    assert played.rc == 0, played.stdout
    (installed,) = played.results("Install")[0]["installed"]
    assert installed["to"] == entries[host]["version"]
    assert [played.results(task)[0]["verdict"] for task in ("Verify", "Verify the way back")] == ["ok", "ok"]
    assert played.results("Stage")[0]["not_preserved"] == []
    assert lab.exec(host, SAYS[host]) == before
