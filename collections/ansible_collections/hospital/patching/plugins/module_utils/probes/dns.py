# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``dns``: does this name server answer, and with what it should?

The server itself is asked, not the resolver of the machine, over UDP as clients
do; an answer that does not fit is fetched over TCP. A server that is switched
off gives no sign over UDP, which is no whole answer in time: inconclusive.
"""

import random
import socket
import struct
from typing import Any, Optional

from ansible_collections.hospital.patching.plugins.module_utils import dns_message
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Inconclusive, Reading
from ansible_collections.hospital.patching.plugins.module_utils.probes.wire import HOST_OPTIONS, WireProbe

#: A packet may be lost: after so long it is asked again, as clients do.
ASK_AGAIN_S = 1.0
LARGEST_DATAGRAM = 65535


class DnsProbe(WireProbe):
    """Asks one name server for one name."""

    NAME = "dns"
    OPTIONS = dict(
        HOST_OPTIONS,
        port={"type": "int", "default": 53},
        query={"type": "str", "required": True},
        record_type={"type": "str", "choices": sorted(dns_message.TYPES), "default": "A"},
        expected={"type": "list", "elements": "str", "default": []},
        latency_limit_ms={"type": "int"},
    )

    def validate(self) -> None:
        super().validate()
        try:
            dns_message.question(0, self.options["query"], self.options["record_type"])
        except ValueError as error:
            raise self.bad_option("query {!r}, {}".format(self.options["query"], error), "the name to ask for")

    def look(self) -> Reading:
        started = self.context.clock.monotonic()
        found = self._asked(started)
        value = {"code": found.code, "answers": len(found.values), "latency_ms": self.since_ms(started)}
        name, kind = self.options["query"], self.options["record_type"]
        if found.code != "NOERROR":
            raise Failed("{} {} was answered with {}".format(name, kind, found.code), value)
        if not found.values:
            raise Failed("there is no {} of {}".format(kind, name), value)
        compared = [one if kind == "TXT" else dns_message.plain(one) for one in self.options["expected"]]
        missing = [one for one in compared if one not in found.values]
        if missing:
            raise Failed("{} {} is not {}".format(name, kind, ", ".join(missing)), value)
        limit = self.options["latency_limit_ms"]
        if limit is not None and value["latency_ms"] > limit:
            raise Failed("answered in {} ms, the limit is {} ms".format(value["latency_ms"], limit), value)
        return Reading("{} answers in {} ms".format(value["answers"], value["latency_ms"]), value)

    def _asked(self, started: float) -> dns_message.Answer:
        number = random.SystemRandom().randrange(65536)
        name, kind = self.options["query"], self.options["record_type"]
        question = dns_message.question(number, name, kind)

        def read(data: bytes) -> dns_message.Answer:
            return dns_message.answer(number, name, kind, data)

        found = self._by_udp(question, read, started)
        return self._by_tcp(question, read, started) if found.truncated else found

    def _by_udp(self, question: bytes, read: Any, started: float) -> dns_message.Answer:
        options, clock = self.options, self.context.clock
        connection = self.context.connector.connect(
            options["host"], options["port"], self.timeout_s, options["address"], socket.SOCK_DGRAM
        )
        try:
            deadline = started + self.timeout_s
            while clock.monotonic() < deadline:
                connection.send(question)
                found: Optional[dns_message.Answer] = _received(
                    connection, read, min(clock.monotonic() + ASK_AGAIN_S, deadline), clock
                )
                if found is not None:
                    return found
        except OSError as error:
            raise Failed("nothing answers on port {} ({})".format(options["port"], type(error).__name__))
        finally:
            connection.close()
        raise Inconclusive("no answer within {} s".format(self.timeout_s))

    def _by_tcp(self, question: bytes, read: Any, started: float) -> dns_message.Answer:
        wire = self.opened(started)
        try:
            wire.send(struct.pack("!H", len(question)) + question)
            answer = wire.exactly(struct.unpack("!H", wire.exactly(2))[0])
        finally:
            wire.close()
        try:
            found: dns_message.Answer = read(answer)
        except ValueError:
            raise Failed("the answer is no DNS message")
        return found


def _received(connection: Any, read: Any, until: float, clock: Any) -> Any:
    """Return the answer to the question, or None when none comes; packets that are something else are passed over."""
    while True:
        remaining = until - clock.monotonic()
        if remaining <= 0:
            return None
        connection.settimeout(remaining)
        try:
            return read(connection.recv(LARGEST_DATAGRAM))
        except ValueError:
            continue
        except socket.timeout:
            return None
