# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``tcp`` against real listeners."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry


@pytest.fixture
def read(make_context):
    def run(port, host="127.0.0.1", segments=(), **options):
        definition = dict(options, name="engine", type="tcp", host=host, port=port)
        return registry.build(definition, make_context(segments)).read()

    return run


def greet(text, then_wait=False):
    def serve(connection, stop):
        connection.sendall(text)
        if then_wait:
            stop.wait(20)

    return serve


def test_an_accepting_port_is_ok(listener, read):
    result = read(listener(lambda connection, stop: None))
    assert result["verdict"] == "ok"
    assert list(result["value"]) == ["latency_ms"]


def test_a_refused_connection_is_failed(read, closed_port):
    assert read(closed_port)["verdict"] == "failed"


def test_a_name_that_does_not_resolve_is_inconclusive(read):
    assert read(80, host="no-such-host.invalid")["verdict"] == "inconclusive"


def test_a_device_is_not_connected_to(listener, read):
    contacts = []
    port = listener(lambda connection, stop: contacts.append(1))
    assert read(port, segments=["127.0.0.1/32"])["verdict"] == "inconclusive"
    assert contacts == []


def test_the_greeting_is_compared(listener, read):
    assert read(listener(greet(b"SSH-2.0-OpenSSH_9.2\r\n", True)), banner_regexp="^SSH-2.0-")["verdict"] == "ok"
    wrong = read(listener(greet(b"HTTP/1.1 400 Bad\r\n", True)), banner_regexp="^SSH-2.0-")
    assert wrong["verdict"] == "failed"
    assert "HTTP" not in wrong["detail"]


def test_a_connection_closed_without_a_greeting_is_failed(listener, read):
    assert read(listener(lambda connection, stop: None), banner_regexp="^SSH")["verdict"] == "failed"


def test_a_greeting_that_does_not_come_is_inconclusive(listener, read):
    port = listener(lambda connection, stop: stop.wait(20))
    assert read(port, banner_regexp="^SSH", timeout_s=1)["verdict"] == "inconclusive"


def test_targets_name_the_address_that_is_given():
    definition = {"name": "a", "type": "tcp", "host": "engine1", "port": "6661"}
    assert registry.targets(definition) == [("engine1", 6661)]
    assert registry.targets(dict(definition, address="10.0.0.4")) == [("10.0.0.4", 6661)]


@pytest.mark.parametrize(
    "options", [{"host": "a"}, {"port": 1}, {"host": "a", "port": 0}, {"host": "a", "port": 1, "banner_regexp": "("}]
)
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError):
        registry.check(dict(options, name="engine", type="tcp"))
