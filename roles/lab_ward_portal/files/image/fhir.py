#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The little of FHIR R4 that this hospital answers: every read is one transaction in the database that writes.

GET /fhir/Patient/ID   the patient as application/fhir+json; 404 with an OperationOutcome when there is none
GET /fhir/metadata     what this server can do; nginx answers it with the portal's own statement
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

POOL = "host=127.0.0.1 port=6432 dbname=ehr user=portal password=of-the-lab-only connect_timeout=30"
READ = "SELECT family, given, born::text FROM fhir_patient WHERE id = %s"


def read(name):
    """One patient as FHIR has it, or None."""
    connection = psycopg2.connect(POOL)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(READ, [name])
            row = cursor.fetchone()
    finally:
        connection.close()
    return row and patient(name, *row)


def patient(name, family, given, born):
    """A resource of type Patient."""
    return {"resourceType": "Patient", "id": name, "name": [{"family": family, "given": [given]}], "birthDate": born}


def outcome(code, text):
    """A resource that says what went wrong."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code, "diagnostics": text}]}


class Handler(BaseHTTPRequestHandler):
    """The resources."""

    server_version = "ehr-fhir"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Show one resource."""
        kind, _, name = self.path.removeprefix("/fhir/").partition("/")
        if kind != "Patient" or not name:
            self._send(404, outcome("not-supported", f"no {kind} is read here"))
            return
        try:
            found = read(name)
        except psycopg2.Error as error:
            self._send(503, outcome("transient", (str(error).splitlines() or ["the database is away"])[0]))
        else:
            self._send(200, found) if found else self._send(404, outcome("not-found", f"no Patient {name}"))

    def _send(self, status, resource):
        body = json.dumps(resource).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Requests are nginx's to log."""


if __name__ == "__main__":
    SERVER = ThreadingHTTPServer(("127.0.0.1", 8082), Handler)
    SERVER.daemon_threads = True
    SERVER.serve_forever()
