#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders of wards: every request is one transaction of its own in the database that writes.

POST /orders/ID      place an order; 201 once the database has it. Whoever sends it again gets 200: it is there once
GET /orders/ID       the order as JSON, or 404
GET /orders/health   200 while the database can be read and written, else 503
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

POOL = "host=127.0.0.1 port=6432 dbname=ehr user=portal password=of-the-lab-only connect_timeout=30"
PLACE = "INSERT INTO ward_order (id, what) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING RETURNING id"
READ = "SELECT what FROM ward_order WHERE id = %s"
LONGEST = 4096


def ask(query, values=()):
    """The first row of the answer, or None, once the transaction is committed."""
    connection = psycopg2.connect(POOL)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchone()
    finally:
        connection.close()


class Handler(BaseHTTPRequestHandler):
    """The pages of the orders."""

    server_version = "ehr-orders"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Show one order, or how the orders are."""
        name = self._name()
        if name == "health":
            self._answer(lambda: self._send(503 if ask("SELECT pg_is_in_recovery()")[0] else 200, {}))
        else:
            self._answer(lambda: self._show(ask(READ, [name])))

    def do_POST(self):
        """Place one order."""
        length = int(self.headers.get("Content-Length", 0))
        if length > LONGEST:
            self.close_connection = True
            self._send(413, {"error": f"longer than {LONGEST} bytes"})
            return
        what = self.rfile.read(length).decode()
        self._answer(lambda: self._send(201 if ask(PLACE, [self._name(), what]) else 200, {"id": self._name()}))

    def _name(self):
        return self.path.removeprefix("/orders/")

    def _show(self, row):
        self._send(200, {"id": self._name(), "what": row[0]}) if row else self._send(404, {"error": "no such order"})

    def _answer(self, work):
        try:
            work()
        except psycopg2.DataError as error:
            self._send(400, {"error": str(error).splitlines()[0]})
        except psycopg2.Error as error:
            self._send(503, {"error": (str(error).splitlines() or ["the database is away"])[0]})

    def _send(self, status, answer):
        body = (json.dumps(answer) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Requests are nginx's to log."""


if __name__ == "__main__":
    SERVER = ThreadingHTTPServer(("127.0.0.1", 8081), Handler)
    SERVER.daemon_threads = True
    SERVER.serve_forever()
