# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
import time
from datetime import UTC, datetime

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.plugin_utils import installed, sbom
from ansible_collections.hospital.patching.plugins.plugin_utils.installed import Item
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.software_documents import (
    ALMA,
    DEBIAN,
    EVERYTHING,
    package,
    software,
)

ASSESSED = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def document(of, host="portal1"):
    return sbom.document(host, of, installed.read(of), ASSESSED)


def problem(found):
    """Return what the schema of CycloneDX 1.6 has against the document, or None."""
    return VALIDATOR.validate_str(json.dumps(found))


@pytest.mark.parametrize(
    "of",
    [
        EVERYTHING,
        software(),
        software(os=ALMA, packages=[package("bash", "5.1.8-9.el9", manager="rpm", epoch=1)]),
        None,
        {},
        {"os": None, "kernel": None, "packages": None},
        software(packages=[package("caf\udce9 \x1b[0m", "1\n2"), package("x", None), package()] * 2),
    ],
    ids=["everything", "smallest", "rpm", "nothing", "empty", "nulls", "broken"],
)
def test_every_document_fits_the_schema(of):
    assert problem(document(of)) is None


def test_the_validator_would_find_a_fault():
    found = document(software())
    found["components"][0].pop("name")
    assert problem(found) is not None


def test_the_same_assessment_yields_the_same_document_whatever_the_order():
    shuffled = copy.deepcopy(EVERYTHING)
    shuffled["packages"].reverse()
    first = document(EVERYTHING)
    assert document(shuffled) == first == document(EVERYTHING)
    assert first["metadata"]["timestamp"] == "2026-11-22T01:00:00+00:00"
    other = document(software())
    assert other["serialNumber"] != first["serialNumber"]
    assert document(EVERYTHING, "portal2")["serialNumber"] != first["serialNumber"]


def test_the_operating_system_is_a_component_and_the_host_depends_on_everything():
    found = document(EVERYTHING)
    system = next(one for one in found["components"] if one["type"] == "operating-system")
    assert (system["name"], system["version"]) == ("debian", "12")
    refs = {one["bom-ref"] for one in found["components"]}
    assert len(refs) == len(found["components"])
    (host,) = [one for one in found["dependencies"] if one["ref"] == "host"]
    assert set(host["dependsOn"]) == refs


def test_two_copies_of_a_library_are_two_components():
    paths = [one["bom-ref"] for one in document(EVERYTHING)["components"] if one["name"] == "requests"]
    assert paths == ["pkg:pypi/requests@2.32.0#/opt/a/venv", "pkg:pypi/requests@2.32.0#/opt/b/venv"]


def test_a_vulnerable_library_is_named_with_its_cves():
    found = document(EVERYTHING)
    jar = next(one for one in found["components"] if one["name"].endswith("log4j-core"))
    assert [one["id"] for one in found["vulnerabilities"]] == ["CVE-2021-44228", "CVE-2021-45046"]
    assert all(one["affects"] == [{"ref": jar["bom-ref"]}] for one in found["vulnerabilities"])


def test_what_is_unknown_is_said_in_the_document():
    told = document({"os": DEBIAN, "packages": []})["metadata"]["component"]["properties"]
    assert {"name": "hospital.patching:unknown", "value": "snaps"} in told


@pytest.mark.parametrize(
    ("item", "system", "url"),
    [
        (Item("deb", "a", "1-1", arch="amd64"), DEBIAN, "pkg:deb/debian/a@1-1?arch=amd64&distro=debian-12"),
        (Item("deb", "libstdc++6", "1:12~1+b1"), DEBIAN, "pkg:deb/debian/libstdc%2B%2B6@1:12~1%2Bb1?distro=debian-12"),
        (
            Item("rpm", "bash", "5.1.8-9.el9", arch="x86_64", epoch="1"),
            {"id": "rhel", "version_id": "9.4"},
            "pkg:rpm/redhat/bash@5.1.8-9.el9?arch=x86_64&distro=rhel-9.4&epoch=1",
        ),
        (Item("deb", "a", None), {}, "pkg:deb/a"),
        (Item("pypi", "Flask_Login", "1.0"), DEBIAN, "pkg:pypi/flask-login@1.0"),
        (Item("npm", "@scope/tool", "1.0.0"), DEBIAN, "pkg:npm/%40scope/tool@1.0.0"),
        (Item("gem", "rack", "3.1.0"), DEBIAN, "pkg:gem/rack@3.1.0"),
        (Item("jar", "org.x:y", "1"), DEBIAN, "pkg:maven/org.x/y@1"),
        (Item("jar", "log4j-core", "2.14.1"), DEBIAN, "pkg:maven/log4j-core@2.14.1"),
        (Item("application", "Viewer", "1.0"), DEBIAN, "pkg:generic/Viewer@1.0"),
        (Item("image", "docker.io/library/a", "sha256:ab"), DEBIAN, "pkg:oci/a@sha256:ab"),
    ],
)  # fmt: skip
def test_package_urls(item, system, url):
    assert sbom.purl(item, system).to_string() == url


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["deb", "rpm", "snap", "flatpak", "pypi", "npm", "gem", "java", "application", "jar", "image"]),
    st.text("a/@:%.?#é ", min_size=1, max_size=6).map(installed.text).filter(bool),
    st.text("a/@:%.?#é ", max_size=6).map(installed.text),
)
@example("npm", "evil/", "1")
@example("jar", "group:", None)
@example("application", "/", "1")
def test_whatever_a_thing_is_called_it_is_a_component(kind, name, version):
    found = sbom.document("h", None, installed.Installed((Item(kind, name, version),), ()), ASSESSED)
    (component,) = [one for one in found["components"] if one["bom-ref"] != "operating-system"]
    assert (component["name"], component.get("version")) == (name, version)
    assert problem(found) is None


def test_names_and_versions_that_are_too_long_are_cut_and_have_no_purl():
    found = document(software(packages=[package("n" * 2000, "1" * 2000), package()]))
    assert problem(found) is None
    cut, whole = [one for one in found["components"] if one["type"] == "library"]
    cut, whole = (cut, whole) if "purl" in whole else (whole, cut)
    assert (len(cut["name"]), len(cut["version"]), "purl" in cut) == (1024, 1024, False)
    assert whole["purl"].startswith("pkg:deb/debian/openssl@")


@pytest.mark.slow
def test_ten_thousand_packages_are_valid_within_bounds():
    of = software(packages=[package(f"package-{number}", f"1.{number}-1") for number in range(10_000)])
    began = time.process_time()
    found = document(of)
    assert time.process_time() - began < 60
    assert len(found["components"]) == 10_001
    # The validator compares each item of a list with every other; piece by piece it need not take minutes.
    assert len({one["bom-ref"] for one in found["components"]}) == 10_001
    for start in range(0, 10_001, 50):
        piece = {**found, "components": found["components"][start : start + 50], "dependencies": []}
        assert problem(piece) is None
    assert problem({**found, "components": []}) is None
