#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small clinical portal: a page, its own health, and whether its database answers.

GET /        a page that names the version
GET /health  JSON, 200 when the portal and its database are well, else 503
GET /live    200 while the portal itself answers, whatever its database does
"""

import configparser
import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "@VERSION@"
BROKEN = "@BROKEN@".lower() == "true"
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
REMEMBER_S = 1.0


class Database:
    """Asks PostgreSQL whether it would speak TLS: a real answer, and no login."""

    def __init__(self, host, port):
        self.address = (host, port)
        self.lock = threading.Lock()
        self.asked_at = None
        self.answer = "unknown"

    def state(self):
        """`ok` or what is wrong, at most a second old."""
        with self.lock:
            now = time.monotonic()
            if self.asked_at is None or now - self.asked_at >= REMEMBER_S:
                self.answer = self._ask()
                self.asked_at = time.monotonic()
            return self.answer

    def _ask(self):
        try:
            with socket.create_connection(self.address, timeout=0.5) as connection:
                connection.settimeout(0.5)
                connection.sendall(SSL_REQUEST)
                return "ok" if connection.recv(1) in (b"S", b"N") else "unexpected answer"
        except OSError as error:
            return f"unreachable: {error.strerror or error}"


class Handler(BaseHTTPRequestHandler):
    """The portal's three pages."""

    server_version = "ehr-portal"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer a page."""
        path = self.path.split("?", 1)[0]
        if path == "/":
            self._page()
        elif path == "/health":
            self._health()
        elif path == "/live":
            self._send(200, "text/plain", b"alive\n")
        else:
            self._send(404, "text/plain", b"no such page\n")

    def _page(self):
        if BROKEN:
            self._send(500, "text/plain", b"internal error\n")
            return
        text = "<!doctype html><title>EHR portal</title><h1>EHR portal</h1><p>version {} on {}</p>\n"
        self._send(200, "text/html; charset=utf-8", text.format(VERSION, socket.gethostname()).encode())

    def _health(self):
        database = self.server.database.state()
        well = database == "ok" and not BROKEN
        answer = {"status": "ok" if well else "failed", "version": VERSION, "database": database}
        self._send(200 if well else 503, "application/json", (json.dumps(answer) + "\n").encode())

    def _send(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Requests are nginx's to log."""


def main():
    """Serve until stopped."""
    settings = configparser.ConfigParser()
    settings.read("/etc/ehr-portal/portal.ini")
    server = ThreadingHTTPServer(("127.0.0.1", settings.getint("portal", "port")), Handler)
    server.daemon_threads = True
    server.database = Database(settings.get("database", "host"), settings.getint("database", "port"))
    server.serve_forever()


if __name__ == "__main__":
    main()
