# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``oracle``: does the database answer, in which role, and may it be written to? By python-oracledb, thin."""

from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Inconclusive, Reading
from ansible_collections.hospital.patching.plugins.module_utils.probes.database import LOGIN_OPTIONS, LoginProbe, State

#: The login needs: grant select on sys.v_$database.
QUESTION = "select database_role, open_mode from v$database"


class OracleProbe(LoginProbe):
    """Asks Oracle Database for the state of one service."""

    NAME = "oracle"
    OPTIONS = dict(
        LOGIN_OPTIONS,
        port={"type": "int", "default": 1521},
        service_name={"type": "str", "required": True},
    )
    LIBRARY = "oracledb"
    REFUSED = r"ORA-(01017|28000|28001|01045)\b"

    def look(self) -> Reading:
        # A listener may send the library on to another address, which nothing can hold against the segments.
        if self.context.connector.segments.networks:
            raise Inconclusive(
                "not asked: a listener may send oracledb on to an address in a device segment, and segments are"
                " declared; expected none; use type command on the host, or type tcp"
            )
        return super().look()

    def ask(self, library: Any, address: str, password: str) -> State:
        options = self.options
        connection = library.connect(
            user=options["user"],
            password=password,
            host=address,
            port=options["port"],
            service_name=options["service_name"],
            tcp_connect_timeout=float(self.timeout_s),
        )
        try:
            connection.call_timeout = self.timeout_s * 1000
            with connection.cursor() as cursor:
                cursor.execute(QUESTION)
                role, mode = cursor.fetchone()
            version = str(connection.version)
        finally:
            connection.close()
        return State("primary" if role == "PRIMARY" else "replica", mode != "READ WRITE", version)
