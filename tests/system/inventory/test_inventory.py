# SPDX-License-Identifier: GPL-3.0-or-later
"""What assess says of a Debian, a dnf and a zypper host is what their own package managers say."""

from __future__ import annotations

import base64
import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hospital_lab import rpm_packages

from tests.support import lab
from tests.support.expect import four_parts
from tests.support.night import Night
from tests.support.package_managers import Change, apt_changes, dnf_changes, zypper_changes

RPM_HOSTS = ("rpm1", "zypp1")
HOSTS = ("portal1", "ws1", *RPM_HOSTS)
ARCHIVE = "/opt/imaging/viewer.ear"
LOG4J = "log4j-core-2.14.1.jar"

#: What a mere read of a SQLite database in WAL mode rewrites (https://www.sqlite.org/wal.html, "Read-Only Databases"),
#: logs, where an account's session leaves its traces, and mount points.
TOUCHED_ANYWAY = (
    *("*.sqlite-shm", "*.sqlite-wal", "/var/lib", "/var/lib/rpm", "/var/lib/dnf"),
    *("/var/log", "/var/log/*", "/home/patch", "/home/patch/*", "/tmp", "/tmp/*", "/var/tmp", "/var/lib/systemd/*"),
    *("/run", "/proc", "/sys", "/dev"),
)
MARK = "/run/before-assess"

EVR = "%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}"
REPO_FILE = {"rpm1": "/etc/yum.repos.d/hospital.repo", "zypp1": "/etc/zypp/repos.d/hospital.repo"}
#: Both let dnf and zypper themselves end with "Nothing to do".
HARM = {
    "changed after it was signed": "cp -r /srv/rpm/hospital /srv/harmed"
    " && sed -i 's/<revision>/<revision>9/' /srv/harmed/repodata/repomd.xml",
    "gone": "true",
}


class Assessed(NamedTuple):
    """One pass over the lab: the night, and per host its databases before and after, and what changed on its disk."""

    night: Night
    databases: dict[str, tuple[str, str]]
    touched: dict[str, list[str]]

    def document(self, host: str) -> dict[str, Any]:
        return document(self.night, host)


def document(night: Night, host: str) -> dict[str, Any]:
    """Return what assess kept of a host, which must be complete."""
    read = json.loads((night.evidence / "assess" / f"{host}.json").read_text(encoding="utf-8"))
    assert read["status"] == "assessed", read["reason"]
    assert read["software"]["errors"] == {}
    return dict(read)


def zipped(entries: dict[str, bytes]) -> bytes:
    """Return an archive with these entries."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return target.getvalue()


def place_a_vulnerable_library() -> None:
    """Unpack an application on ws1 whose Log4j lies in an archive within an archive."""
    log4j = zipped({"org/apache/logging/log4j/core/lookup/JndiLookup.class": b"\xca\xfe\xba\xbe"})
    war = zipped({f"WEB-INF/lib/{LOG4J}": log4j, "index.html": b"<p>viewer</p>"})
    text = base64.b64encode(zipped({"viewer.war": war})).decode()
    lab.exec("ws1", f"mkdir -p /opt/imaging && echo {text} | base64 -d > {ARCHIVE}")


def touched_since_the_mark(host: str) -> list[str]:
    """Return everything on a host's disk whose content or attributes changed since."""
    others = " ".join(f"-not -path '{path}'" for path in TOUCHED_ANYWAY)
    found = lab.exec(host, f"find / -xdev \\( -newer {MARK} -o -cnewer {MARK} \\) {others}")
    return found.splitlines()


def databases(host: str) -> str:
    """Return digests of the package databases; an empty log beside one is none."""
    folders = "/var/lib/dpkg /var/lib/rpm /var/lib/dnf /var/lib/zypp"
    files = "\\( -name 'status*' -o -name '*.sqlite' -o -name '*.sqlite-wal' -o -name AutoInstalled \\)"
    return lab.exec(host, f"find {folders} -type f -size +0c {files} -exec sha256sum {{}} + 2>/dev/null | sort")


@pytest.fixture(scope="module")
def assessed(tmp_path_factory) -> Iterator[Assessed]:
    """Assess the hosts as they were built, with a held package and a vulnerable application on top."""
    lab.publish()
    lab.reset(HOSTS)
    lab.exec("portal1", "apt-get update -qq && apt-mark hold ehr-portal")
    place_a_vulnerable_library()
    for host in HOSTS:
        # A timer of the host's own may not do its work meanwhile.
        lab.exec(host, f"systemctl stop '*.timer'; touch {MARK}; sleep 1.1")
    lab.clear_pump_connections()
    before = {host: databases(host) for host in HOSTS}
    night = Night(tmp_path_factory.mktemp("inventory") / "evidence", hosts=",".join((*HOSTS, "pump1")))
    played = night.play("assess", patching_scan_jars=True)
    assert played.rc == 0, played.stdout
    assert {task.split(" : ")[-1] for _, task in played.changed()} <= {"Write the fleet's inventory"}
    compared = {host: (before[host], databases(host)) for host in HOSTS}
    yield Assessed(night, compared, {host: touched_since_the_mark(host) for host in HOSTS})
    lab.reset(("portal1", "ws1"))


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_on_the_host_changed(assessed, host):
    assert assessed.touched[host] == []
    before, after = assessed.databases[host]
    assert before == after != ""


def test_the_locked_device_was_not_contacted(assessed):
    read = json.loads((assessed.night.evidence / "assess/pump1.json").read_text(encoding="utf-8"))
    assert read["status"] == "not_contacted"
    assert lab.pump_connections() == []


@pytest.mark.parametrize("host", ["portal1", "ws1"])
def test_the_packages_are_those_of_dpkg_query(assessed, host):
    packages = assessed.document(host)["software"]["packages"]
    ours = [(one["name"], one["arch"], one["version"] or "") for one in packages if one["manager"] == "dpkg"]
    asked = lab.exec(host, r"dpkg-query -W -f '${Package}\t${Architecture}\t${Version}\n'").splitlines()
    assert sorted(ours) == sorted(tuple(line.split("\t")) for line in asked)
    assert len(ours) == len(lab.exec(host, "dpkg-query -W").splitlines()) > 100


@pytest.mark.parametrize("host", RPM_HOSTS)
def test_the_packages_are_those_of_rpm(assessed, host):
    packages = assessed.document(host)["software"]["packages"]
    ours = [one for one in packages if one["manager"] == "rpm"]
    shown = [
        f"{one['name']}-{one['version'].split(':')[-1]}" + (f".{one['arch']}" if one["arch"] else "") for one in ours
    ]
    assert sorted(shown) == sorted(lab.exec(host, "rpm -qa").splitlines())
    versions = lab.exec(host, f"rpm -qa --qf '%{{NAME}}\\t{EVR}\\n'").splitlines()
    assert sorted((one["name"], one["version"]) for one in ours) == sorted(tuple(line.split("\t")) for line in versions)
    assert {one["name"] for one in packages if one["manager"] == "dpkg"} >= {"dpkg", "rpm"}, "it has both"


@pytest.mark.parametrize("host", RPM_HOSTS)
def test_who_asked_for_a_package_and_who_holds_it(assessed, host):
    packages = assessed.document(host)["software"]["packages"]
    ours = {one["name"]: one for one in packages if one["manager"] == "rpm" and one["name"].startswith("hospital-")}
    assert {name for name, one in ours.items() if one["automatic"]} == {"hospital-common"}
    assert {name for name, one in ours.items() if one["held"]} == {"hospital-driver"}
    assert all(one["origin"] for one in ours.values())


def transaction(pending: dict[str, Any]) -> set[Change]:
    """Return the resolved transaction."""
    return {Change(one["name"], one["arch"], one["from"], one["to"]) for one in pending["updates"]}


def test_the_pending_transaction_of_apt(assessed):
    pending = assessed.document("portal1")["pending"]
    said = apt_changes(
        lab.exec("portal1", "apt-get -s dist-upgrade"), native=lab.exec("portal1", "dpkg --print-architecture").strip()
    )
    assert pending["manager"] == "apt"
    assert len(said) > 5
    assert transaction(pending) == said
    (held,) = pending["held"]
    assert lab.exec("portal1", "apt-mark showhold").split() == [held["name"]] == ["ehr-portal"]
    assert (held["version"], held["candidate"]) == ("1.0.0", "1.1.0")
    assert "hold" in held["reason"]


def test_the_pending_transaction_of_dnf(assessed):
    pending = assessed.document("rpm1")["pending"]
    installed = lab.exec("rpm1", f"rpm -qa --qf '%{{NAME}} {EVR}\\n'")
    said = dnf_changes(
        lab.exec("rpm1", "dnf --assumeno upgrade", check=False), dict(line.split() for line in installed.splitlines())
    )
    assert pending["manager"] == "dnf"
    assert len(said) == 3
    assert transaction(pending) == said


def test_the_pending_transaction_of_zypper(assessed):
    pending = assessed.document("zypp1")["pending"]
    said = zypper_changes(lab.exec("zypp1", "zypper --xmlout --non-interactive update --dry-run"))
    assert pending["manager"] == "zypper"
    assert len(said) == 3
    assert transaction(pending) == said


@pytest.mark.parametrize("host", RPM_HOSTS)
def test_advisories_and_cves_come_from_updateinfo(assessed, host):
    updates = {one["name"]: one for one in assessed.document(host)["pending"]["updates"]}
    fix, forms, fonts = (updates[name] for name in ("hospital-viewer", "hospital-forms", "hospital-fonts"))
    advisory = rpm_packages.ADVISORIES[0]
    assert (fix["kind"], fix["security"], fix["advisories"]) == ("upgrade", True, [advisory.identity])
    assert sorted(fix["cves"]) == sorted(advisory.cves)
    assert (forms["kind"], forms["security"], forms["cves"]) == ("upgrade", False, [])
    assert forms["advisories"] == [rpm_packages.ADVISORIES[1].identity]
    assert (fonts["kind"], fonts["from"], fonts["security"]) == ("new_install", None, False)
    assert all(one["download_bytes"] > 1000 for one in updates.values())


@pytest.mark.parametrize("host", RPM_HOSTS)
def test_a_locked_package_is_listed_with_what_it_misses(assessed, host):
    held = assessed.document(host)["pending"]["held"]
    assert [(one["name"], one["version"], one["candidate"]) for one in held] == [("hospital-driver", "5.0-1", "5.1-1")]
    assert "lock" in held[0]["reason"]


def test_a_log4j_within_an_archive_within_an_archive_is_found(assessed):
    found = assessed.document("ws1")["software"]["vulnerable_jars"]
    (row,) = [one for one in found if one["path"] == ARCHIVE]
    assert [Path(name).name for name in row["inside"]] == ["viewer.war", LOG4J]
    assert (row["library"], row["version"]) == ("log4j-core", "2.14.1")
    assert "CVE-2021-44228" in row["cves"]


@pytest.mark.parametrize(
    ("host", "purl"),
    [
        ("portal1", "pkg:deb/debian/ehr-portal@1.0.0"),
        ("ws1", "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"),
        ("rpm1", "hospital-viewer@1.0-1"),
        ("zypp1", "hospital-viewer@1.0-1"),
    ],
)
def test_the_sbom_is_valid_and_names_what_is_installed(assessed, host, purl):
    schema = pytest.importorskip("cyclonedx.schema", reason="cyclonedx-python-lib is not installed")
    validation = pytest.importorskip("cyclonedx.validation.json")
    text = (assessed.night.evidence / f"sbom/{host}.cdx.json").read_text(encoding="utf-8")
    assert validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text) is None
    assert any(purl in one.get("purl", "") for one in json.loads(text)["components"])


def test_the_fleet_is_in_one_table(assessed):
    with (assessed.night.evidence / "inventory/fleet.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for host in HOSTS:
        packages = assessed.document(host)["software"]["packages"]
        there = {one["name"] for one in packages if one["status"] != "config-files" and one["name"] != "gpg-pubkey"}
        assert {row["name"] for row in rows if row["host"] == host} >= there, host
    fleet = (assessed.night.evidence / "inventory/fleet.json").read_text(encoding="utf-8")
    assert all(f'"{host}"' in fleet for host in (*HOSTS, "pump1"))
    with (assessed.night.evidence / "inventory/pending.csv").open(encoding="utf-8", newline="") as file:
        listed = {(row["host"], row["name"]) for row in csv.DictReader(file)}
    assert listed >= {(host, "hospital-viewer") for host in RPM_HOSTS}


def test_security_only_resolves_the_security_update_alone(assessed, tmp_path):
    night = Night(tmp_path / "evidence", hosts=",".join(RPM_HOSTS), patching_security_only=True)
    played = night.play("assess")
    assert played.rc == 0, played.stdout
    for host in RPM_HOSTS:
        assert transaction(document(night, host)["pending"]) == {Change("hospital-viewer", "noarch", "1.0-1", "1.1-1")}


@pytest.mark.parametrize("harm", HARM)
def test_a_repository_that_cannot_be_trusted_is_named_not_skipped(assessed, tmp_path, harm):
    try:
        for host in RPM_HOSTS:
            lab.exec(host, f"{HARM[harm]} && sed -i s,/srv/rpm/hospital,/srv/harmed, {REPO_FILE[host]}")
        night = Night(tmp_path / "evidence", hosts=",".join(RPM_HOSTS))
        night.play("assess")
        for host in RPM_HOSTS:
            read = json.loads((night.evidence / f"assess/{host}.json").read_text(encoding="utf-8"))
            assert read["status"] == "failed", host
            assert "hospital" in read["reason"]
            four_parts(read["reason"])
    finally:
        for host in RPM_HOSTS:
            lab.exec(host, f"rm -rf /srv/harmed; sed -i s,/srv/harmed,/srv/rpm/hospital, {REPO_FILE[host]}")
