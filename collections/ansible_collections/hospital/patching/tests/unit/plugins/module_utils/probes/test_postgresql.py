# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``postgresql`` by recorded answers of psql 15 and a real listener; the real server is in tests/probes."""

import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

PRIMARY, REPLICA = "f|off|150019||0|1\n", "t|on|150019|0|1|0\n"


class Psql:
    """Answers as psql does, and keeps what it was asked."""

    def __init__(self, stdout="", stderr="", rc=0):
        self.answer = (rc, stdout, stderr)
        self.commands = []

    def run(self, args, timeout_s, check):
        self.commands.append(args)
        return Result(args, *self.answer)


def defined(**options):
    return dict({"name": "db", "type": "postgresql", "host": "127.0.0.1", "port": 5432, "user": "probe"}, **options)


@pytest.fixture
def read(make_context, listener, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    port = listener(lambda connection, stop: None)

    def run(psql, **options):
        return registry.build(defined(**dict({"port": port}, **options)), make_context(runner=psql)).read()

    return run


@pytest.mark.parametrize(
    ("answer", "options", "verdict", "detail"),
    [
        (PRIMARY, {}, "ok", "a primary"),
        (PRIMARY, {"replicas_at_least": 2}, "failed", "1 replicas are connected"),
        (PRIMARY, {"role": "replica"}, "failed", "expected a replica"),
        (PRIMARY, {"latency_limit_ms": -1}, "failed", "the limit is"),
        ("f|on|150019||0|1\n", {}, "failed", "read-only"),
        (REPLICA, {}, "failed", "expected a primary"),
        (REPLICA, {"role": "replica"}, "ok", "a replica"),
        (REPLICA, {"role": "any"}, "ok", "a replica"),
        ("t|on|150019|61.5|1|0\n", {"role": "replica"}, "failed", "61500 ms behind, the limit is 60 s"),
        ("t|on|150019|0|0|0\n", {"role": "replica"}, "failed", "receives nothing"),
        ("t|on|150019|0|0|0\n", {"role": "replica", "streaming": False}, "ok", "a replica"),
        ("t|on|150019||1|0\n", {"role": "replica"}, "inconclusive", "does not say"),
        ("f|off\n", {}, "inconclusive", "form"),
        ("f|off|new||0|1\n", {}, "inconclusive", "form"),
    ],
)
def test_what_the_server_answers_is_judged(read, answer, options, verdict, detail):
    result = read(Psql(answer), **options)
    assert result["verdict"] == verdict
    assert detail in result["detail"]


def test_the_question_goes_to_the_checked_address_and_asks_no_terminal(read):
    psql = Psql(PRIMARY)
    read(psql, host="localhost", address="127.0.0.1", user="o'hara", passfile="/etc/pass", ca_file="/etc/ca.pem")
    (command,) = psql.commands
    words = command[command.index("--dbname") + 1]
    for expected in ("hostaddr='127.0.0.1'", "host='localhost'", "user='o\\'hara'", "passfile='/etc/pass'"):
        assert expected in words
    assert "sslrootcert='/etc/ca.pem'" in words
    assert "--no-password" in command


# What libpq 15 says.
@pytest.mark.parametrize(
    ("said", "verdict", "detail"),
    [
        ('connection to server at "a" failed: FATAL:  the database system is starting up\n', "failed", "starting up"),
        ('connection to server at "a" (10.0.0.1), port 5432 failed: timeout expired\n', "inconclusive", "in time"),
        ("connection to server failed: fe_sendauth: no password supplied\n", "inconclusive", "passfile"),
        ("connection failed: server does not support SSL, but SSL was required\n", "failed", "TLS"),
        ("connection failed: SSL error: certificate verify failed\n", "failed", "TLS"),
        ("received invalid response to SSL negotiation: S secret\n", "failed", "TLS"),
        ("server closed the connection unexpectedly\n", "failed", "broke off"),
    ],
)
def test_what_libpq_says_of_a_connection_that_failed(read, said, verdict, detail):
    result = read(Psql(stderr="psql: error: " + said, rc=2))
    assert result["verdict"] == verdict
    assert detail in result["detail"]
    assert "secret" not in result["detail"]


def test_without_library_and_command_it_is_inconclusive(read, recorded_runner):
    class Missing:
        def run(self, args, **_others):
            raise PatchingError("psql", "No such file or directory", "an executable command", "install it")

    result = read(Missing())
    assert result["verdict"] == "inconclusive"
    assert "psql" in result["detail"]


def test_an_absent_server_is_failed_and_a_device_is_not_connected_to(read, make_context, closed_port):
    psql = Psql(PRIMARY)
    assert read(psql, port=closed_port)["verdict"] == "failed"
    context = make_context(["127.0.0.0/8"], runner=psql)
    assert registry.build(defined(), context).read()["verdict"] == "inconclusive"
    assert psql.commands == []


def test_what_is_no_database_is_failed_by_the_library(listener, make_context):
    pytest.importorskip("psycopg", reason="the Python library psycopg is not here")

    def serve(connection, stop):
        if connection.recv(8):
            connection.sendall(b"HTTP/1.1 400 secret\r\n\r\n")

    port = listener(serve)
    result = registry.build(defined(port=port), make_context()).read()
    assert result["verdict"] == "failed"
    assert "secret" not in result["detail"]


def test_a_socket_of_this_machine_is_no_target():
    assert registry.targets(defined(host="/run/postgresql")) == []
    assert registry.targets(defined(host="db1")) == [("db1", 5432)]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"dbname": "host=device1 dbname=x"}, "name of a database"),
        ({"dbname": "postgresql://device1/x"}, "name of a database"),
        ({"host": "db1,device1"}, "one host"),
        ({"user": None}, "user"),
        ({"password": "geheim"}, "unknown option password; expected only .*passfile"),
        ({"sslmode": "allow"}, "sslmode"),
        ({"role": "leader"}, "role"),
        ({"lag_limit_s": -1}, "below 0"),
        ({"port": 0}, "port 0"),
        ({"user": "a\nb"}, "control"),
    ],
)
def test_a_bad_definition_is_refused(options, named):
    with pytest.raises(PatchingError, match=named) as caught:
        registry.check(defined(**options))
    assert "geheim" not in str(caught.value)
