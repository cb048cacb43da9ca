# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes ``sqlserver`` and ``oracle`` with doubles of their libraries: neither server is here to be asked."""

import json
import sys
import types

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry


class Library(types.ModuleType):
    """Answers one row, or an error, as the database libraries do; it is its own connection and cursor."""

    class Error(Exception):
        pass

    version = "23.4.0"

    def __init__(self, row=None, error=None):
        super().__init__("library")
        self.row, self.error = row, error
        self.connections, self.closed = [], 0

    def connect(self, *words, **options):
        self.connections.append((words, options))
        if self.error:
            raise self.Error(self.error)
        return self

    def cursor(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def execute(self, _question):
        return None

    def fetchone(self):
        return self.row

    def close(self):
        self.closed += 1


NAMES = {"sqlserver": "mssql_python", "oracle": "oracledb"}


def defined(kind, **options):
    own = {"service_name": "EHR"} if kind == "oracle" else {"dbname": "ehr"}
    return dict(own, name="db", type=kind, host="db1.test", address="127.0.0.1", user="probe", **options)


@pytest.fixture
def make_probe(make_context, listener, monkeypatch, tmp_path):
    path = tmp_path / "password"
    path.write_text("ge;heim}\n")
    path.chmod(0o600)
    port = listener(lambda connection, stop: None)

    def make(kind, library, segments=(), **options):
        monkeypatch.setitem(sys.modules, NAMES[kind], library)
        context = make_context(segments=segments)
        return registry.build(defined(kind, port=port, password_file=str(path), **options), context)

    return make


@pytest.mark.parametrize(
    ("kind", "row", "options", "verdict", "detail"),
    [
        ("sqlserver", ("ONLINE", "READ_WRITE", None, "16.0.4"), {}, "ok", "a primary"),
        ("sqlserver", ("ONLINE", "READ_WRITE", True, "16.0.4"), {}, "ok", "a primary"),
        ("sqlserver", ("ONLINE", "READ_ONLY", None, "16.0.4"), {}, "failed", "read-only"),
        ("sqlserver", ("ONLINE", "READ_ONLY", False, "16.0.4"), {}, "failed", "expected a primary"),
        ("sqlserver", ("ONLINE", "READ_ONLY", False, "16.0.4"), {"role": "replica"}, "ok", "a replica"),
        ("sqlserver", ("RECOVERING", "READ_WRITE", None, "16.0.4"), {}, "failed", "not online"),
        ("oracle", ("PRIMARY", "READ WRITE"), {}, "ok", "a primary"),
        ("oracle", ("PRIMARY", "READ ONLY"), {}, "failed", "read-only"),
        ("oracle", ("PHYSICAL STANDBY", "READ ONLY WITH APPLY"), {"role": "replica"}, "ok", "a replica"),
        ("oracle", ("PHYSICAL STANDBY", "MOUNTED"), {}, "failed", "expected a primary"),
        ("oracle", ("PRIMARY", "READ WRITE"), {"latency_limit_ms": -1}, "failed", "the limit is"),
    ],
)
def test_the_state_is_judged(make_probe, kind, row, options, verdict, detail):
    library = Library(row)
    result = make_probe(kind, library, **options).read()
    assert result["verdict"] == verdict, result["detail"]
    assert detail in result["detail"]
    assert library.closed == 1


def test_the_checked_address_is_connected_to_and_the_password_stays_one_word(make_probe):
    library = Library(("ONLINE", "READ_WRITE", None, "16"))
    result = make_probe("sqlserver", library).read()
    (((text,), _options),) = library.connections
    assert "Server={tcp:127.0.0.1," in text
    assert "PWD={ge;heim}}};" in text
    assert "HostNameInCertificate={db1.test}" in text
    assert "ge;heim" not in json.dumps(result)
    library = Library(("PRIMARY", "READ WRITE"))
    make_probe("oracle", library).read()
    assert library.connections[0][1]["host"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("sqlserver", "[28000] Login failed for user 'probe'. (18456) ge;heim"),
        ("oracle", "ORA-01017: invalid username/password ge;heim"),
    ],
)
def test_a_login_that_is_refused_is_not_tried_again(make_probe, kind, error):
    library = Library(error=error)
    probe = make_probe(kind, library)
    results = [probe.read(), probe.read()]
    assert [result["detail"] for result in results] == ["the login was refused"] * 2
    assert [result["verdict"] for result in results] == ["failed"] * 2
    assert len(library.connections) == 1


def test_another_error_is_failed_by_its_code_and_tried_again(make_probe):
    library = Library(error="ORA-01033: ORACLE initialization or shutdown in progress ge;heim")
    probe = make_probe("oracle", library)
    assert probe.read()["detail"] == "the server does not answer the question (ORA-01033)"
    assert probe.read()["verdict"] == "failed"
    assert len(library.connections) == 2


def test_a_listener_that_could_send_it_into_a_device_segment_is_not_asked(make_probe):
    library = Library(("PRIMARY", "READ WRITE"))
    result = make_probe("oracle", library, segments=["10.9.0.0/16"]).read()
    assert result["verdict"] == "inconclusive"
    assert "segments are declared" in result["detail"]
    assert library.connections == []


@pytest.mark.parametrize("kind", ["sqlserver", "oracle"])
def test_without_the_library_it_is_inconclusive_and_says_so(make_probe, kind):
    result = make_probe(kind, None).read()
    assert result["verdict"] == "inconclusive"
    assert NAMES[kind] + " is missing" in result["detail"]


@pytest.mark.parametrize("kind", ["sqlserver", "oracle"])
def test_a_bad_definition_is_refused(kind):
    for options in ({}, {"password_file": "/a", "password": "geheim"}, {"password_file": "/a", "role": "leader"}):
        with pytest.raises(PatchingError) as caught:
            registry.check(defined(kind, **options))
        assert "geheim" not in str(caught.value)
