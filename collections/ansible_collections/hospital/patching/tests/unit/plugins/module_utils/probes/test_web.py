# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``http`` against a real server that is healthy, slow, broken or absent."""

import json

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.web import BODY_LIMIT

FHIR = json.dumps({"resourceType": "CapabilityStatement", "rest": [{"mode": "server"}], "ready": True}).encode()


@pytest.fixture
def read(make_context):
    def run(url, segments=(), **options):
        return registry.build(dict(options, name="portal", type="http", url=url), make_context(segments)).read()

    return run


def at(port, path="/"):
    return "http://127.0.0.1:{}{}".format(port, path)


def test_healthy_page_is_ok_and_its_body_is_not_kept(web, read):
    port, pages, seen = web
    pages["/metadata"] = (200, {"Content-Type": "application/fhir+json"}, FHIR)
    result = read(
        at(port, "/metadata"),
        headers_equal={"content-type": "application/fhir+json"},
        json_equal={"resourceType": "CapabilityStatement", "rest.0.mode": "server", "ready": True},
        text_regexp="Capability.tatement",
    )
    assert result["verdict"] == "ok"
    assert result["value"]["status"] == 200
    assert result["value"]["bytes"] == len(FHIR)
    assert isinstance(result["value"]["latency_ms"], int)
    assert "Capability" not in json.dumps(result)
    assert seen[0][2]["Host"] == "127.0.0.1:{}".format(port)


def test_query_is_sent_but_never_shown(web, read):
    port, pages, _seen = web
    pages["/health?token=geheim"] = (200, {}, b"ok")
    result = read(at(port, "/health?token=geheim"))
    assert result["verdict"] == "ok"
    assert "geheim" not in json.dumps(result)


@pytest.mark.parametrize("status", [500, 503, 404, 301])
def test_another_status_is_failed(web, read, status):
    port, pages, _seen = web
    pages["/"] = (status, {"Location": "http://127.0.0.2:1/"}, b"")
    result = read(at(port))
    assert result["verdict"] == "failed"
    assert str(status) in result["detail"]
    assert result["value"]["status"] == status


def test_a_redirect_is_not_followed(web, read):
    port, pages, seen = web
    pages["/"] = (302, {"Location": "/elsewhere"}, b"")
    assert read(at(port), status=[302])["verdict"] == "ok"
    assert [path for _command, path, _headers in seen] == ["/"]


@pytest.mark.parametrize(
    "options",
    [
        {"headers_equal": {"Content-Type": "text/plain"}},
        {"json_equal": {"resourceType": "Bundle"}},
        {"json_equal": {"rest.1.mode": "server"}},
        {"json_equal": {"ready": 1}},
        {"text_regexp": "^error"},
        {"latency_limit_ms": -1},
    ],
)
def test_a_wrong_answer_is_failed_without_telling_it(web, read, options):
    port, pages, _seen = web
    pages["/"] = (200, {"Content-Type": "application/json"}, FHIR)
    result = read(at(port), **options)
    assert result["verdict"] == "failed"
    assert "CapabilityStatement" not in result["detail"]


def test_an_error_page_with_status_200_is_failed(web, read):
    port, pages, _seen = web
    pages["/"] = (200, {}, b"<html>Database connection failed")
    assert read(at(port), text_regexp="Welcome")["verdict"] == "failed"
    assert read(at(port), json_equal={"a": 1})["verdict"] == "failed"


def test_head_has_no_body(web, read):
    port, pages, seen = web
    pages["/"] = (200, {}, b"12345")
    result = read(at(port), method="HEAD")
    assert (result["verdict"], result["value"]["bytes"]) == ("ok", 0)
    assert seen[0][0] == "HEAD"


def test_a_huge_answer_is_cut_off_and_inconclusive(web, read):
    port, pages, _seen = web
    pages["/"] = (200, {}, b"x" * (BODY_LIMIT * 3))
    result = read(at(port), text_regexp="^xx")
    assert (result["verdict"], result["value"]["bytes"]) == ("inconclusive", BODY_LIMIT)
    assert "longer than 1048576 bytes" in result["detail"]
    assert read(at(port), text_regexp="^xx", body_limit_bytes=BODY_LIMIT * 3)["verdict"] == "ok"
    assert read(at(port), text_regexp="^xx", body_limit_bytes=BODY_LIMIT * 3 - 1)["verdict"] == "inconclusive"


def test_a_page_of_which_only_the_status_counts_may_be_long(web, read):
    port, pages, _seen = web
    pages["/"] = (200, {}, b"x" * (BODY_LIMIT + 1))
    assert read(at(port))["verdict"] == "ok"
    pages["/"] = (500, {}, b"x" * (BODY_LIMIT + 1))
    assert read(at(port))["verdict"] == "failed"


def test_an_endless_answer_without_a_length_is_cut_off(listener, read):
    sent = []

    def serve(connection, stop):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.is_set():
            connection.sendall(b"x" * 65536)
            sent.append(65536)

    result = read(at(listener(serve)), text_regexp="^x", body_limit_bytes=200000)
    assert (result["verdict"], result["value"]["bytes"]) == ("inconclusive", 200000)
    assert sum(sent) < 32 * BODY_LIMIT  # what is not read is not taken


def test_an_answer_of_exactly_one_megabyte_is_whole(web, read):
    port, pages, _seen = web
    pages["/"] = (200, {}, b"x" * BODY_LIMIT)
    assert read(at(port), text_regexp="y")["verdict"] == "failed"


def test_a_refused_connection_is_failed(read, closed_port):
    result = read(at(closed_port))
    assert result["verdict"] == "failed"
    assert "refused" in result["detail"]


def test_a_name_that_does_not_resolve_is_inconclusive(read):
    result = read("http://no-such-host.invalid/")
    assert result["verdict"] == "inconclusive"
    assert "does not resolve" in result["detail"]


def test_a_server_that_never_answers_is_inconclusive(listener, read):
    port = listener(lambda connection, stop: stop.wait(20))
    result = read(at(port), timeout_s=1)
    assert result["verdict"] == "inconclusive"


def test_a_connection_that_breaks_off_is_failed(listener, read):
    port = listener(lambda connection, stop: connection.recv(65536))
    assert read(at(port))["verdict"] == "failed"


def test_a_body_shorter_than_announced_is_failed(listener, read):
    def serve(connection, stop):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")

    assert read(at(listener(serve)))["verdict"] == "failed"


def test_something_that_is_no_http_is_failed_without_quoting_it(listener, read):
    def serve(connection, stop):
        connection.recv(65536)
        connection.sendall(b"MSH|^~\\&|SECRET PATIENT\r\n\r\n")

    result = read(at(listener(serve)))
    assert result["verdict"] == "failed"
    assert "PATIENT" not in json.dumps(result)


def test_undeclared_segments_mean_no_connection(web, read):
    port, _pages, seen = web
    result = read(at(port), segments=None)
    assert result["verdict"] == "inconclusive"
    assert "not declared" in result["detail"]
    assert seen == []


def test_an_address_in_a_device_segment_is_not_connected_to(web, read):
    port, _pages, seen = web
    result = read(at(port), segments=["127.0.0.0/8", "::1/128"])
    assert result["verdict"] == "inconclusive"
    assert "device segment" in result["detail"]
    assert seen == []


def test_the_given_address_is_connected_to_with_the_name_of_the_url(web, read):
    port, pages, seen = web
    pages["/"] = (200, {}, b"")
    result = read("http://portal.invalid:{}/".format(port), address="127.0.0.1")
    assert result["verdict"] == "ok"
    assert seen[0][2]["Host"] == "portal.invalid:{}".format(port)


def test_tls_is_expected_where_there_is_none(web, read):
    port, _pages, _seen = web
    result = read("https://127.0.0.1:{}/".format(port))
    assert result["verdict"] == "failed"
    assert "TLS" in result["detail"]


def test_a_tls_handshake_that_breaks_off_is_failed(listener, read):
    port = listener(lambda connection, stop: connection.recv(10))
    assert read("https://127.0.0.1:{}/".format(port))["verdict"] == "failed"


def test_a_tls_handshake_that_hangs_is_inconclusive(listener, read):
    port = listener(lambda connection, stop: stop.wait(20))
    assert read("https://127.0.0.1:{}/".format(port), timeout_s=1)["verdict"] == "inconclusive"


def test_a_ca_file_that_is_missing_is_inconclusive(web, read, tmp_path):
    port, _pages, _seen = web
    result = read("https://127.0.0.1:{}/".format(port), ca_file=str(tmp_path / "none.pem"))
    assert result["verdict"] == "inconclusive"
    assert "ca_file" in result["detail"]


def test_targets_are_known_without_connecting():
    definition = {"name": "a", "type": "http"}
    assert registry.targets(dict(definition, url="https://portal1/x")) == [("portal1", 443)]
    assert registry.targets(dict(definition, url="http://[2001:db8::1]:8080/x")) == [("2001:db8::1", 8080)]
    assert registry.targets(dict(definition, url="http://portal1/", address="10.0.0.9")) == [("10.0.0.9", 80)]


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://portal1/"},
        {"url": "portal1/health"},
        {"url": "http://"},
        {"url": "http://portal1:99999/"},
        {"url": "http://user:secret@portal1/"},
        {"url": "http://portal1/a b"},
        {"url": "http://portal1/\r\nX: y"},
        {"url": "http://portal1/", "text_regexp": "("},
        {"url": "http://portal1/", "method": "POST"},
        {"url": "http://portal1/", "method": "HEAD", "text_regexp": "a"},
        {"url": "http://portal1/", "status": ["good"]},
        {"url": "http://portal1/", "timeout_s": 0},
        {"url": "http://portal1/", "body": "x"},
        {},
    ],
)
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError) as caught:
        registry.check(dict(options, name="portal", type="http"))
    assert "secret" not in str(caught.value)
