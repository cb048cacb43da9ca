# SPDX-License-Identifier: GPL-3.0-or-later
"""VMware's vCenter simulator behind TLS, and what may go wrong on the way to it: no answer, 503, a lost connection."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import ipaddress
import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SIMULATOR = Path(__file__).resolve().parents[3] / ".cache/vcenter/simulator"
USER, PASSWORD = "patching@vsphere.local", "do-not-show-me"
OPERATION = re.compile(rb"<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)")
HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class Front(http.server.ThreadingHTTPServer):
    """Takes calls by TLS and hands them on. ``trouble`` says what becomes of an operation: None, or a word below."""

    daemon_threads = True

    def __init__(self, behind: int, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.trouble: Callable[[str], str | None] = lambda _operation: None
        self.asked: list[str] = []
        self.ended = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake is the handler's: nobody waits for a client that is slow at it.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def do_GET(self) -> None:
        self._serve("versions", b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = OPERATION.search(body)
        self._serve(found.group(1).decode() if found else "?", body)

    def _serve(self, operation: str, body: bytes) -> None:
        self.server.asked.append(operation)
        trouble = self.server.trouble(operation)
        if trouble == "hangs":
            self.server.ended.wait(30)
            self.close_connection = True
        elif trouble == "503":
            self._answer(503, [], b"Service Unavailable")
        elif trouble == "lost before":
            self._hang_up()
        else:
            status, headers, answer = self._ask(body, with_session=trouble != "session lost")
            if trouble == "lost after":
                self._hang_up()
            else:
                self._answer(status, headers, answer)

    def _ask(self, body: bytes, with_session: bool) -> tuple[int, list[tuple[str, str]], bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)) as behind:
            left_out = HOP if with_session else HOP | {"cookie"}
            headers = {key: value for key, value in self.headers.items() if key.lower() not in left_out}
            behind.request(self.command, self.path, body or None, headers)
            answer = behind.getresponse()
            kept = [(key, value) for key, value in answer.getheaders() if key.lower() not in HOP]
            return answer.status, kept, answer.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_args: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def vcenter(folder: Path) -> Iterator[Front]:
    """Run the simulator and its front on loopback; ``folder`` gets ``ca.pem``."""
    certificate = _certificate(folder)
    environment = {**os.environ, "SIMULATOR_USER": USER, "SIMULATOR_PASSWORD": PASSWORD, "TMPDIR": str(folder)}
    with (folder / "simulator.log").open("ab") as log:
        process = subprocess.Popen(
            [str(SIMULATOR)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        front = Front(int(process.stdout.readline()), certificate)
        threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True).start()
        yield front
        front.ended.set()
        front.shutdown()
        front.server_close()
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def _certificate(folder: Path) -> Path:
    """Write a certificate of 127.0.0.1 that signs itself, and return it with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vcenter.hospital.test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = signed.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(public)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(public + private)
    return folder / "server.pem"
