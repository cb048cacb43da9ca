# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``sqlserver``: does the database answer, is it online, and may it be written to? By mssql-python."""

from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed
from ansible_collections.hospital.patching.plugins.module_utils.probes.database import LOGIN_OPTIONS, LoginProbe, State

#: NULL of the last but one: the database is in no availability group.
QUESTION = (
    "select cast(databasepropertyex(db_name(), 'Status') as nvarchar(40)),"
    " cast(databasepropertyex(db_name(), 'Updateability') as nvarchar(40)),"
    " sys.fn_hadr_is_primary_replica(db_name()), cast(serverproperty('ProductVersion') as nvarchar(40))"
)


class SqlserverProbe(LoginProbe):
    """Asks SQL Server for the state of one database."""

    NAME = "sqlserver"
    OPTIONS = dict(
        LOGIN_OPTIONS,
        port={"type": "int", "default": 1433},
        dbname={"type": "str", "default": "master"},
        trust_certificate={"type": "bool", "default": False},
    )
    LIBRARY = "mssql_python"
    REFUSED = r"18456|Login failed"

    def ask(self, library: Any, address: str, password: str) -> State:
        options = self.options
        words = {
            "Server": "tcp:{},{}".format(address, options["port"]),
            "Database": options["dbname"],
            "UID": options["user"],
            "PWD": password,
            "Encrypt": "yes",
            "TrustServerCertificate": "yes" if options["trust_certificate"] else "no",
            "HostNameInCertificate": options["host"],
        }
        text = ";".join("{}={}".format(key, _quoted(word)) for key, word in words.items())
        connection = library.connect(text, autocommit=True, timeout=self.timeout_s)
        try:
            cursor = connection.cursor()
            cursor.execute(QUESTION)
            status, updateability, primary, version = cursor.fetchone()
        finally:
            connection.close()
        if status != "ONLINE":
            raise Failed("the database is not online")
        return State("replica" if primary in (0, False) else "primary", updateability != "READ_WRITE", str(version))


def _quoted(text: str) -> str:
    """Return a value of a connection string in braces, so that none of it is read as another keyword."""
    return "{" + text.replace("}", "}}") + "}"
