# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``fhir`` against a real server of pages that is healthy, slow, broken or absent."""

import json

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

STATEMENT = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "fhirVersion": "4.0.1",
    "software": {"name": "HAPI FHIR Server", "version": "7.4.0"},
    "rest": [{"mode": "server", "resource": [{"type": "Patient"}, {"type": "Observation"}]}],
}


def defined(port, **options):
    return dict(options, name="fhir", type="fhir", url="http://127.0.0.1:{}/fhir/".format(port))


@pytest.fixture
def read(make_context):
    def run(port, **options):
        return registry.build(defined(port, **options), make_context()).read()

    return run


def page(**changes):
    return (200, {}, json.dumps(dict(STATEMENT, **changes)).encode())


def test_a_healthy_server_is_ok_and_its_versions_are_kept(web, read):
    port, pages, seen = web
    pages["/fhir/metadata"] = page()
    result = read(port, fhir_version="4.0.1", resources=["Patient", "Observation"])
    assert result["verdict"] == "ok"
    value = result["value"]
    assert (value["fhir_version"], value["software_version"], value["resources"]) == ("4.0.1", "7.4.0", 2)
    assert result["target"].endswith("/fhir/metadata")
    assert seen[0][2]["Accept"] == "application/fhir+json"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (page(status="retired"), "status is not active"),
        (page(fhirVersion="3.0.2"), "fhirVersion is not 4.0.1"),
        (page(fhirVersion={"x": ["secret"]}), "fhirVersion is not 4.0.1"),
        (page(rest=[{"resource": [{"type": "Patient"}, "secret"]}, None]), "does not offer Observation"),
        (page(rest="secret"), "does not offer Patient, Observation"),
        (page(resourceType="OperationOutcome"), "no CapabilityStatement"),
        ((200, {}, b'["secret"]'), "no CapabilityStatement"),
        ((200, {}, b"<html>Database connection failed: secret"), "no JSON"),
        ((503, {}, b"secret"), "status 503"),
    ],
)
def test_a_broken_server_is_failed(web, read, answer, detail):
    port, pages, _seen = web
    pages["/fhir/metadata"] = answer
    result = read(port, fhir_version="4.0.1", resources=["Patient", "Observation"])
    assert result["verdict"] == "failed"
    assert detail in result["detail"]
    assert "secret" not in json.dumps(result)


def test_a_slow_server_is_inconclusive_and_an_absent_one_failed(listener, read, read_impatiently, closed_port):
    port = listener(lambda connection, stop: stop.wait(20))
    assert read_impatiently(defined(port))["verdict"] == "inconclusive"
    assert read(closed_port)["verdict"] == "failed"


@pytest.mark.parametrize(
    "options", [{}, {"url": "portal1/fhir"}, {"url": "http://a/", "statement_status": ["good"]}, {"metadata": True}]
)
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError):
        registry.check(dict(options, name="fhir", type="fhir"))
