# SPDX-License-Identifier: GPL-3.0-or-later
"""A conversation over one connection: one deadline for all of it, and TLS where it is asked for.

What breaks off is failed, what does not come in time is inconclusive. Nothing
that was received is ever part of a message.
"""

import socket
import ssl
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Inconclusive, Probe

#: Options of probes that talk to one port of one host.
HOST_OPTIONS: Dict[str, Dict[str, Any]] = {
    "host": {"type": "str", "required": True},
    "address": {"type": "str"},
}
#: Options of those that may do so over TLS.
TLS_OPTIONS: Dict[str, Dict[str, Any]] = {
    "tls": {"type": "bool", "default": False},
    "ca_file": {"type": "path"},
}


def tls_context(ca_file: Optional[str]) -> ssl.SSLContext:
    """Return a context that checks the chain, against ``ca_file`` or the machine's own authorities, and the name.

    Raises:
        Inconclusive: the file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise Inconclusive("ca_file {} cannot be used: {}".format(ca_file, error))


def secured(plain: Any, context: ssl.SSLContext, name: str) -> Any:
    """Return ``plain`` over TLS; it is closed when that fails.

    Raises:
        Failed: the handshake failed, or the certificate is not trusted or is another name's.
        Inconclusive: no handshake in time.
    """
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except ssl.SSLError as error:
        plain.close()
        raise Failed("TLS: {}".format(getattr(error, "verify_message", "") or error.reason or "handshake failed"))
    except ssl.CertificateError as error:  # Python 3.6: no subclass of SSLError
        plain.close()
        raise Failed("TLS: {}".format(error))
    except socket.timeout:
        plain.close()
        raise Inconclusive("no TLS handshake in time")
    except OSError as error:
        plain.close()
        raise Failed("TLS: the connection broke off ({})".format(type(error).__name__))


class Wire:
    """One connection and the time that is left for it."""

    def __init__(self, connection: Any, clock: Clock, deadline: float) -> None:
        self.connection = connection
        self.clock = clock
        self.deadline = deadline

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        self._limit()
        try:
            self.connection.sendall(data)
        except socket.timeout:
            raise Inconclusive("what was sent was not taken in time")
        except OSError as error:
            raise Failed("the connection broke off ({})".format(type(error).__name__))

    def receive(self, at_most: int) -> bytes:
        """Return what comes next, empty when the other side has closed."""
        self._limit()
        try:
            data: bytes = self.connection.recv(at_most)
        except socket.timeout:
            raise Inconclusive("no whole answer in time")
        except OSError as error:
            raise Failed("the connection broke off ({})".format(type(error).__name__))
        return data

    def exactly(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        data = b""
        while len(data) < count:
            chunk = self.receive(count - len(data))
            if not chunk:
                raise Failed("the connection was closed in the middle of the answer")
            data += chunk
        return data

    def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Go on over TLS."""
        self._limit()
        self.connection = secured(self.connection, context, name)

    def close(self) -> None:
        self.connection.close()

    def _limit(self) -> None:
        remaining = self.deadline - self.clock.monotonic()
        if remaining <= 0:
            raise Inconclusive("no whole answer in time")
        self.connection.settimeout(remaining)


class WireProbe(Probe):
    """A probe that talks to one port of one host; a subclass's OPTIONS hold HOST_OPTIONS, ``port`` and TLS_OPTIONS."""

    VANTAGE = "controller"

    def validate(self) -> None:
        if not 1 <= self.options["port"] <= 65535:
            raise self.bad_option("port {}".format(self.options["port"]), "1 to 65535")
        if self.options.get("ca_file") and "tls" in self.OPTIONS and not self.options["tls"]:
            raise self.bad_option("ca_file without tls", "tls: true beside it")

    def targets(self) -> List[Tuple[str, int]]:
        return [(self.options["address"] or self.options["host"], self.options["port"])]

    def opened(self, started: float) -> Wire:
        """Return a connection for which the probe's time limit counts from ``started``, over TLS where that is set."""
        options = self.options
        context = tls_context(options["ca_file"]) if options.get("tls") else None
        deadline = started + self.timeout_s
        left = max(0.0, deadline - self.context.clock.monotonic())
        connection = self.context.connector.connect(options["host"], options["port"], left, options["address"])
        wire = Wire(connection, self.context.clock, deadline)
        if context is not None:
            wire.secure(context, options["host"])
        return wire

    def since_ms(self, started: float) -> int:
        """Return the milliseconds since ``started``."""
        return int((self.context.clock.monotonic() - started) * 1000)
