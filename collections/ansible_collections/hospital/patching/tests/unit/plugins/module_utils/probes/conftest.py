# SPDX-License-Identifier: GPL-3.0-or-later
"""Real local servers in the states that a probe must tell apart."""

import contextlib
import http.server
import socket
import ssl
import subprocess
import threading

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Probe, ProbeContext
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result


class RecordedRunner:
    """Answers every command with one recorded text, or fails as a missing command does."""

    def __init__(self, stdout=None):
        self.stdout = stdout
        self.commands = []

    def run(self, args, **_others):
        self.commands.append(list(args))
        if self.stdout is None:
            raise PatchingError(args[0], "No such file or directory", "an executable command", "install it")
        return Result(list(args), 0, self.stdout, "")


@pytest.fixture(autouse=True)
def as_the_ledger_takes_them(monkeypatch):
    """Refuse every result that the ledger would refuse: one with a float in it."""
    result = Probe.result

    def checked(self, *parts):
        found = result(self, *parts)
        canonical_json(found)
        return found

    monkeypatch.setattr(Probe, "result", checked)


@pytest.fixture
def recorded_runner():
    return RecordedRunner


@pytest.fixture
def make_context(tmp_path):
    """Build a context; by default no device segment is declared to exist, and no command answers."""

    def make(segments=(), runner=None, proc=None):
        declared = None if segments is None else list(segments)
        return ProbeContext(runner or RecordedRunner(), Clock(), Connector(declared), str(proc or tmp_path))

    return make


@pytest.fixture
def read_impatiently(make_context):
    """Read a probe that waits only a moment, where it is to be seen that it does not wait for ever."""

    def run(definition, context=None):
        probe = registry.build(definition, context or make_context())
        probe.timeout_s = 0.3
        return probe.read()

    return run


@pytest.fixture
def closed_port():
    """Return a port of this machine that nobody listens on: it is bound, but not listened on, for the test's time."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def listener():
    """Serve one TCP connection after the other by a function of it; yields a starter that returns the port."""
    stop = threading.Event()
    sockets = []
    threads = []

    def start(serve):
        server = socket.socket()
        sockets.append(server)
        server.bind(("127.0.0.1", 0))
        server.listen(8)

        def loop():
            while not stop.is_set():
                try:
                    connection, _peer = server.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    serve(connection, stop)

        thread = threading.Thread(target=loop)
        thread.daemon = True
        thread.start()
        threads.append(thread)
        return server.getsockname()[1]

    yield start
    stop.set()
    for server in sockets:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(10)


@pytest.fixture
def make_certificate(tmp_path):
    """Make a certificate of a name that is its own authority; returns the paths of certificate and key."""

    def make(name, days=2):
        certificate, key = str(tmp_path / (name + ".pem")), str(tmp_path / (name + ".key"))
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                str(days),
                "-keyout",
                key,
            ]
            + ["-out", certificate, "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return certificate, key

    return make


@pytest.fixture
def serve_tls(listener):
    """Serve over TLS by a function of the secured connection; yields a starter that returns the port."""

    def start(certificate, serve):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

        def secure(connection, stop):
            with context.wrap_socket(connection, server_side=True) as secured:
                serve(secured, stop)

        return listener(secure)

    return start


@pytest.fixture
def web():
    """A real HTTP server; yields (port, pages, seen). ``pages`` maps a path to (status, headers, body)."""
    pages = {}
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.command, self.path, dict(self.headers)))
            status, headers, body = pages.get(self.path, (404, {}, b"nothing here"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_address[1], pages, seen
    server.shutdown()
    thread.join()
    server.server_close()
