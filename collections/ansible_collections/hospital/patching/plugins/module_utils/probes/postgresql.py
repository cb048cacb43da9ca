# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``postgresql``: does the database answer, may it be written to, and does a replica keep up?

By psycopg where that is installed, else by psql, which comes with every server.
One question is asked and nothing is written. Passwords stay in a password file
of PostgreSQL's own format, which only libpq reads.
"""

import re
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Inconclusive, Reading
from ansible_collections.hospital.patching.plugins.module_utils.probes.libraries import optional
from ansible_collections.hospital.patching.plugins.module_utils.probes.wire import HOST_OPTIONS, WireProbe

#: libpq counts anything shorter as two seconds.
SHORTEST_CONNECT_S = 2
APPLICATION = "hospital.patching health probe"
#: What is received and replayed up to the same place is no lag, however long ago the last write was. The processes
#: are counted, because what they do is shown to monitoring roles only.
QUESTION = (
    "select pg_is_in_recovery(), current_setting('transaction_read_only'), current_setting('server_version_num'),"
    " case when not pg_is_in_recovery() then null"
    " when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0"
    " else greatest(0, extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())) end,"
    " (select count(pid) from pg_stat_wal_receiver), (select count(pid) from pg_stat_replication)"
)


class PostgresqlProbe(WireProbe):
    """Asks a server for its role, whether it can be written to, and its lag."""

    NAME = "postgresql"
    OPTIONS = dict(
        HOST_OPTIONS,
        port={"type": "int", "default": 5432},
        dbname={"type": "str", "default": "postgres"},
        user={"type": "str", "required": True},
        passfile={"type": "path"},
        sslmode={
            "type": "str",
            "choices": ["disable", "prefer", "require", "verify-ca", "verify-full"],
            "default": "prefer",
        },
        ca_file={"type": "path"},
        role={"type": "str", "choices": ["primary", "replica", "any"], "default": "primary"},
        lag_limit_s={"type": "int", "default": 60},
        streaming={"type": "bool", "default": True},
        replicas_at_least={"type": "int", "default": 0},
        latency_limit_ms={"type": "int"},
    )
    # A replica that was just started has to catch up.
    SETTLING = {"lag_ms": 2500}

    def validate(self) -> None:
        super().validate()
        for option in ("host", "dbname", "user"):
            if re.search(r"[\x00-\x1f]", self.options[option]):
                raise self.bad_option("{} with control characters".format(option), "a plain name")
        # libpq reads a database name with = or :// as a whole connection string, which may name another host.
        if "=" in self.options["dbname"] or "://" in self.options["dbname"]:
            raise self.bad_option("dbname {!r}".format(self.options["dbname"]), "the name of a database only")
        if not self._is_local() and "," in self.options["host"]:
            raise self.bad_option("host {!r}".format(self.options["host"]), "one host, in a probe of its own")
        if self.options["lag_limit_s"] < 0 or self.options["replicas_at_least"] < 0:
            raise self.bad_option("a number below 0", "0 or more")

    def libraries(self) -> List[str]:
        return ["psycopg"]

    def targets(self) -> List[Tuple[str, int]]:
        return [] if self._is_local() else super().targets()

    def target(self) -> str:
        return "{}:{}/{}".format(self.options["host"], self.options["port"], self.options["dbname"])

    def look(self) -> Reading:
        clock = self.context.clock
        started = clock.monotonic()
        settings = self._settings(started)
        psycopg = optional("psycopg")
        row = _by_library(psycopg, settings) if psycopg else self._by_psql(settings)
        value = _value(row)
        value["latency_ms"] = self.since_ms(started)
        return self._judge(value)

    def _is_local(self) -> bool:
        """Whether ``host`` is the folder of a socket on this machine, where no connection leaves it."""
        return str(self.options["host"]).startswith("/")

    def _settings(self, started: float) -> Dict[str, str]:
        """Return libpq's parameters; the address is one that was checked and has just answered."""
        options = self.options
        found = {key: str(options[key]) for key in ("host", "port", "dbname", "user", "sslmode")}
        if not self._is_local():
            wire = self.opened(started)
            try:
                found["hostaddr"] = wire.connection.getpeername()[0]
            except OSError:
                raise Failed("the connection was closed at once")
            finally:
                wire.close()
        if options["passfile"]:
            found["passfile"] = options["passfile"]
        if options["ca_file"]:
            found["sslrootcert"] = options["ca_file"]
        left = started + self.timeout_s - self.context.clock.monotonic()
        found["connect_timeout"] = str(max(SHORTEST_CONNECT_S, int(left)))
        found["application_name"] = APPLICATION
        return found

    def _by_psql(self, settings: Dict[str, str]) -> List[Any]:
        words = " ".join("{}='{}'".format(key, _quoted(text)) for key, text in sorted(settings.items()))
        command = ["psql", "--no-psqlrc", "--no-password", "--no-align", "--tuples-only", "--field-separator=|"]
        result = self.context.runner.run(
            command + ["--command", QUESTION, "--dbname", words], timeout_s=self.timeout_s, check=False
        )
        if result.rc != 0:
            raise _refusal(result.stderr)
        return result.stdout.strip().split("|")

    def _judge(self, value: Dict[str, Any]) -> Reading:
        options, role = self.options, self.options["role"]
        seen = "replica" if value["in_recovery"] else "primary"
        if role not in ("any", seen):
            raise Failed("the server is a {}, expected a {}".format(seen, role), value)
        if role == "primary":
            if value["read_only"]:
                raise Failed("the database answers but is read-only", value)
            if value["replicas"] < options["replicas_at_least"]:
                told = "{} replicas are connected, expected at least {}"
                raise Failed(told.format(value["replicas"], options["replicas_at_least"]), value)
        if role == "replica":
            self._judge_replica(value)
        limit = options["latency_limit_ms"]
        if limit is not None and value["latency_ms"] > limit:
            raise Failed("answered in {} ms, the limit is {} ms".format(value["latency_ms"], limit), value)
        return Reading("a {} that answers in {} ms".format(seen, value["latency_ms"]), value)

    def _judge_replica(self, value: Dict[str, Any]) -> None:
        # Without a receiver nothing new is known, so that no lag is seen either.
        if self.options["streaming"] and not value["receivers"]:
            raise Failed("the replica receives nothing from its primary", value)
        if value["lag_ms"] is None:
            raise Inconclusive("the replica does not say how far behind it is", value)
        if value["lag_ms"] > self.options["lag_limit_s"] * 1000:
            told = "the replica is {} ms behind, the limit is {} s"
            raise Failed(told.format(value["lag_ms"], self.options["lag_limit_s"]), value)


def _by_library(psycopg: Any, settings: Dict[str, str]) -> Any:
    try:
        connection = psycopg.connect(autocommit=True, **settings)
    except psycopg.Error as error:
        raise _refusal(str(error))
    try:
        return connection.execute(QUESTION).fetchone()
    except psycopg.Error as error:
        raise Failed("the server refused the question ({})".format(error.sqlstate or "the connection broke off"))
    finally:
        connection.close()


def _refusal(said: str) -> Exception:
    """Return the verdict on a connection that failed, by what libpq says about it."""
    fatal = re.search(r"FATAL: +(.{1,160})", said)
    if fatal:
        return Failed("the server says: {}".format(fatal.group(1).strip()))
    if "timeout expired" in said:
        return Inconclusive("no answer in time")
    if "no password supplied" in said:
        return Inconclusive("the server wants a password, and the passfile has none for it")
    if re.search(r"SSL|certificate|root\.crt", said):
        return Failed("TLS with the server failed: wrong sslmode, ca_file or certificate")
    return Failed("the connection broke off before the server answered")


def _value(row: Any) -> Dict[str, Any]:
    """Return the answer as plain values, of a row of values or of their text."""
    if not row or len(row) != 6:
        raise Inconclusive("the answer has not the form that was asked for")
    recovery, read_only, version, lag, receivers, replicas = row
    try:
        return {
            "in_recovery": recovery in (True, "t"),
            "read_only": read_only == "on",
            "server_version": int(version),
            "lag_ms": None if lag in (None, "") else int(float(lag) * 1000),
            "receivers": int(receivers),
            "replicas": int(replicas),
        }
    except ValueError:
        raise Inconclusive("the answer has not the form that was asked for")


def _quoted(text: Optional[str]) -> str:
    """Return a value for a connection string in quotes."""
    return str(text).replace("\\", "\\\\").replace("'", "\\'")
