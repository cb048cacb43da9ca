# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``tcp``: does something accept connections, and greet as it should?"""

import re
import socket
from typing import Any, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)

BANNER_LIMIT = 1024


class TcpProbe(Probe):
    """Connects, optionally reads a greeting, sends nothing."""

    NAME = "tcp"
    VANTAGE = "controller"
    OPTIONS = {
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "address": {"type": "str"},
        "banner_regexp": {"type": "str"},
    }

    def validate(self) -> None:
        if not 1 <= self.options["port"] <= 65535:
            raise self.bad_option("port {}".format(self.options["port"]), "1 to 65535")
        self.regexp = None
        if self.options["banner_regexp"] is not None:
            try:
                self.regexp = re.compile(self.options["banner_regexp"])
            except re.error as error:
                raise self.bad_option("banner_regexp: {}".format(error), "a regular expression")

    def targets(self) -> List[Tuple[str, int]]:
        return [(self.options["address"] or self.options["host"], self.options["port"])]

    def look(self) -> Reading:
        clock = self.context.clock
        started = clock.monotonic()
        connection = self.context.connector.connect(
            self.options["host"], self.options["port"], self.timeout_s, self.options["address"]
        )
        value = {"latency_ms": int((clock.monotonic() - started) * 1000)}
        try:
            if self.regexp is not None:
                self._judge_banner(self.regexp, connection, started + self.timeout_s, value)
        finally:
            connection.close()
        return Reading("connected in {} ms".format(value["latency_ms"]), value)

    def _judge_banner(self, regexp: Any, connection: socket.socket, deadline: float, value: object) -> None:
        banner = b""
        while len(banner) < BANNER_LIMIT:
            remaining = deadline - self.context.clock.monotonic()
            if remaining <= 0:
                raise Inconclusive("no matching greeting within {} s".format(self.timeout_s), value)
            connection.settimeout(remaining)
            try:
                chunk = connection.recv(BANNER_LIMIT - len(banner))
            except socket.timeout:
                raise Inconclusive("no matching greeting within {} s".format(self.timeout_s), value)
            except OSError as error:
                raise Failed("the connection broke off ({})".format(type(error).__name__), value)
            if not chunk:
                break
            banner += chunk
            if regexp.search(banner.decode("utf-8", "replace")):
                return
            # A complete line that does not match is a wrong answer; no need to wait for more.
            if b"\n" in banner:
                break
        raise Failed("the greeting does not match {!r}".format(self.options["banner_regexp"]), value)
